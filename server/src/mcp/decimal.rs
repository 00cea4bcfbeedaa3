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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::{arguments::Shape, schema};

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Order {
        #[schemars(extend("exclusiveMinimum" = 0))]
        amount: Decimal,
        #[serde(default)]
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Item {
        #[serde(default)]
        amount: Option<Decimal>,
    }

    fn read(json: &str) -> Result<Order, String> {
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        let shape = Shape::new("pay", Some("invalid_argument"), &schema::of_arguments::<Order>()).unwrap();
        shape.read(Some(&raw)).map_err(|error| error.to_string())
    }

    #[test]
    fn digits_arrive_as_they_were_written_however_deep() {
        for digits in ["25", "12.50", "1e3", "1.005", "0.1", "123456789012345678901234567890", "5E-1"] {
            let order =
                read(&format!(r#"{{"items":[{{}},{{"amount":{digits}}}],"amount": {digits} }}"#)).unwrap();
            assert_eq!(order.amount.into_text(), digits);
            let nested = order.items.into_iter().filter_map(|item| item.amount).map(Decimal::into_text);
            assert_eq!(nested.collect::<Vec<_>>(), [digits]);
        }
    }

    #[test]
    fn a_refusal_has_the_code_of_what_is_wrong() {
        for wrong in ["0", "-1", "\"25\"", "null", "1e999", "true"] {
            let refusal = read(&format!(r#"{{"amount":{wrong}}}"#)).unwrap_err();
            assert!(refusal.starts_with("invalid_amount: "), "{wrong}: {refusal}");
        }
        assert!(read(r#"{"items":[]}"#).unwrap_err().starts_with("invalid_amount: `amount` is required"));
        let nested = read(r#"{"amount":1,"items":[{"amount":"25"}]}"#).unwrap_err();
        assert!(nested.starts_with("invalid_amount: the arguments at `/items/0/amount`"), "{nested}");
        assert!(read(r#"{"amount":1,"items":5}"#).unwrap_err().starts_with("invalid_argument: "));
        assert!(read(r#"{"amount":1,"x":5}"#).unwrap_err().starts_with("invalid_argument: unknown"));
    }

    #[test]
    fn the_mark_is_not_published() {
        let schema = schema::of_arguments::<Order>();
        assert!(is_in(&Value::Object(schema.clone())));
        let published = Value::Object(published(&schema));
        assert!(!is_in(&published));
        assert_eq!(published["properties"]["amount"]["type"], "number");
        assert_eq!(published["properties"]["amount"]["exclusiveMinimum"], 0);
    }
}
