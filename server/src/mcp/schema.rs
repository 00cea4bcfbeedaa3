//! Schemas of arguments and outputs: JSON Schema 2020-12 made from Rust types, without what only Rust would read.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The schema of arguments: what it does not name is not allowed.
pub(super) fn of_arguments<T: JsonSchema>() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let mut schema = cleaned::<T>(settings);
    schema.entry("properties").or_insert_with(|| json!({}));
    schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    schema
}

/// The schema of an output.
pub(super) fn of_output<T: JsonSchema>() -> Map<String, Value> {
    cleaned::<T>(SchemaSettings::draft2020_12().for_serialize())
}

/// Whether values of this schema are objects, as MCP wants arguments and outputs to be.
pub(super) fn describes_an_object(schema: &Map<String, Value>) -> bool {
    schema.get("type").is_some_and(|kind| kind == "object")
}

/// A `$ref` to another document than the schema itself. None is ever fetched.
pub(super) fn outside_reference(schema: &Value) -> Option<String> {
    match schema {
        Value::Object(members) => members.iter().find_map(|(name, value)| match (name.as_str(), value) {
            ("$ref" | "$dynamicRef", Value::String(reference)) if !reference.starts_with('#') => {
                Some(reference.clone())
            }
            _ => outside_reference(value),
        }),
        Value::Array(items) => items.iter().find_map(outside_reference),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn cleaned<T: JsonSchema>(settings: SchemaSettings) -> Map<String, Value> {
    let settings = settings.with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut value = settings.into_generator().into_root_schema_for::<T>().to_value();
    clean(&mut value);
    let mut schema = match value {
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    // The doc comment of the Rust type is for readers of Rust.
    schema.remove("description");
    schema
}

/// Takes out titles, which repeat names, and the widths of Rust's numbers. A member that is *called* `title` or
/// `format` has an object here, never a string.
fn clean(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, value| match (name.as_str(), &*value) {
                ("title", Value::String(_)) => false,
                ("format", Value::String(format)) => !is_width(format),
                _ => true,
            });
            members.values_mut().for_each(clean);
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_width(format: &str) -> bool {
    format.starts_with("int") || format.starts_with("uint") || ["double", "float"].contains(&format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema, serde::Deserialize)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Sample {
        /// A name for people.
        title: String,
        #[schemars(range(min = 1, max = 100))]
        #[serde(default = "three")]
        limit: u32,
    }

    fn three() -> u32 {
        3
    }

    #[derive(JsonSchema, serde::Deserialize)]
    struct Nothing {}

    #[test]
    fn a_schema_says_what_a_caller_needs_and_no_more() {
        assert_eq!(
            Value::Object(of_arguments::<Sample>()),
            json!({
                "type": "object",
                "properties": {
                    "title": { "description": "A name for people.", "type": "string" },
                    "limit": { "type": "integer", "minimum": 1, "maximum": 100, "default": 3 },
                },
                "required": ["title"],
                "additionalProperties": false,
            })
        );
        assert_eq!(
            Value::Object(of_arguments::<Nothing>()),
            json!({ "type": "object", "properties": {}, "additionalProperties": false })
        );
        assert!(describes_an_object(&of_output::<Sample>()));
        assert!(!describes_an_object(&of_output::<Vec<Sample>>()));
    }
}
