//! Decimal numbers in arguments, as they were written.
//!
//! A JSON number that is read as a float is no longer what was sent: `0.1` is another number then, and `1e3` looks like
//! `1000`. An argument of the type [`Decimal`] arrives as its digits, and whoever reads them decides what counts.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::arguments::Members;

/// What marks a decimal in a schema, for this server alone: it is not published.
const MARK: &str = "decimal";

/// A JSON number, digit by digit as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Decimal(String);

impl Decimal {
    /// The number as it was written.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "format": MARK })
    }
}

/// Whether the schema describes a decimal.
pub(super) fn is_one(schema: &Value) -> bool {
    schema.get("format").is_some_and(|format| format == MARK)
}

/// Whether there is a decimal anywhere in the schema.
pub(super) fn is_in(schema: &Value) -> bool {
    is_one(schema)
        || match schema {
            Value::Object(members) => members.values().any(is_in),
            Value::Array(items) => items.iter().any(is_in),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
}

/// The schema without the marks, as it is published.
pub(super) fn published(schema: &Map<String, Value>) -> Map<String, Value> {
    let mut schema = Value::Object(schema.clone());
    unmark(&mut schema);
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

fn unmark(schema: &mut Value) {
    if let Value::Object(members) = schema {
        members.retain(|name, value| name != "format" || value != MARK);
        members.values_mut().for_each(unmark);
    }
    if let Value::Array(items) = schema {
        items.iter_mut().for_each(unmark);
    }
}

/// The first number in `raw` that is too large to be held as one: where it is below the whole (a JSON pointer), what its
/// schema says of it, and its digits.
pub(super) fn too_large<'a>(schema: &'a Value, raw: &'a str) -> Option<(String, &'a Value, &'a str)> {
    let below = |schema, raw: &'a RawValue, step: String| {
        too_large(schema, raw.get())
            .map(|(place, schema, number)| (format!("/{step}{place}"), schema, number))
    };
    match raw.bytes().next()? {
        b'[' => {
            let (schema, items) = (schema.get("items")?, serde_json::from_str::<Vec<&RawValue>>(raw).ok()?);
            items.into_iter().enumerate().find_map(|(at, raw)| below(schema, raw, at.to_string()))
        }
        b'{' => {
            let (schemas, members) =
                (schema.get("properties")?, serde_json::from_str::<Members<'_>>(raw).ok()?);
            members.0.into_iter().find_map(|(name, raw)| below(schemas.get(&name)?, raw, name))
        }
        b'-' | b'0'..=b'9' => serde_json::from_str::<f64>(raw).is_err().then(|| (String::new(), schema, raw)),
        _ => None,
    }
}

/// Puts the digits of `raw` in the place of the decimals in `value`, which was read from it and keeps the schema.
pub(super) fn restore(schema: &Value, raw: &str, value: &mut Value) {
    match value {
        Value::Number(_) if is_one(schema) => *value = Value::String(raw.trim().to_owned()),
        Value::Array(items) => {
            let (Some(schema), Ok(raw)) = (schema.get("items"), serde_json::from_str::<Vec<&RawValue>>(raw))
            else {
                return;
            };
            items.iter_mut().zip(raw).for_each(|(item, raw)| restore(schema, raw.get(), item));
        }
        Value::Object(members) => {
            let (Some(properties), Ok(raw)) =
                (schema.get("properties"), serde_json::from_str::<Members<'_>>(raw))
            else {
                return;
            };
            for (name, raw) in raw.0 {
                if let (Some(schema), Some(value)) = (properties.get(&name), members.get_mut(&name)) {
                    restore(schema, raw.get(), value);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
