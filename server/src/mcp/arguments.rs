//! From the arguments of a call to the tool's own type, or to words that a model can act on.
//!
//! Serde stops at the first thing it cannot read and says so in Rust's terms. Here each argument is held against the
//! schema that the tool published, so that the refusal names the argument, the rule and the way out; and all of them
//! together against the whole schema (JSON Schema 2020-12), for rules that lie deeper. What was sent is described, never
//! repeated: it may be something that belongs in no log.

use std::{fmt, sync::OnceLock};

use jsonschema::{Validator, error::ValidationErrorKind};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

use super::{
    decimal,
    field::{Field, quoted, settle_integers},
    schema::outside_reference,
};

/// The arguments are not what the tool takes. The text is for the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct ArgumentError(pub(super) String);

/// What a tool takes.
#[derive(Debug)]
pub(super) struct Shape {
    tool: &'static str,
    /// What its refusals begin with.
    code: Option<&'static str>,
    fields: Vec<Field>,
    schema: Value,
    /// Whether some of it is taken digit by digit.
    has_decimals: bool,
    /// Made with the first call: a server at rest holds no meta-schemas.
    validator: OnceLock<Validator>,
}

impl Shape {
    /// The shape that the tool's schema describes. Nothing is fetched for it: a schema that refers to another document is
    /// no schema.
    ///
    /// # Errors
    /// What is wrong with the schema.
    pub(super) fn new(
        tool: &'static str,
        code: Option<&'static str>,
        schema: &Map<String, Value>,
    ) -> Result<Self, String> {
        let required = schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let fields =
            schema.get("properties").and_then(Value::as_object).map_or_else(Vec::new, |properties| {
                let field = |(name, schema): (&String, &Value)| {
                    Field::new(name, schema, required.iter().any(|required| required == name))
                };
                properties.iter().map(field).collect()
            });
        let schema = Value::Object(schema.clone());
        match outside_reference(&schema) {
            Some(reference) => Err(format!("it refers to another document: {reference}")),
            None => {
                let has_decimals = decimal::is_in(&schema);
                Ok(Self { tool, code, fields, schema, has_decimals, validator: OnceLock::new() })
            }
        }
    }

    /// Reads arguments, which are an object or absent.
    pub(super) fn read<T: DeserializeOwned>(&self, arguments: Option<&RawValue>) -> Result<T, ArgumentError> {
        let members = match arguments {
            Some(arguments) => serde_json::from_str(arguments.get()).map_err(|error| {
                self.refusal(&format!("the arguments cannot be read: {}", without_values(&error)))
            })?,
            None => Members(Vec::new()),
        };
        let mut read = Map::new();
        for (name, raw) in members.0 {
            let Some(field) = self.fields.iter().find(|field| field.name() == name) else {
                return Err(self.unknown(&name));
            };
            let value = field.read(raw.get()).map_err(|reason| self.unread(field, raw.get(), &reason))?;
            if read.insert(name, value).is_some() {
                return Err(self.refusal(&format!("`{}` is given twice", field.name())));
            }
        }
        if let Some(missing) =
            self.fields.iter().find(|field| field.required() && !read.contains_key(field.name()))
        {
            return Err(self.refusal_of(missing, &missing.missing()));
        }
        let mut read = Value::Object(read);
        self.validate(&read)?;
        settle_integers(&self.schema, &mut read);
        if let Some(raw) = arguments.filter(|_| self.has_decimals) {
            decimal::restore(&self.schema, raw.get(), &mut read);
        }
        T::deserialize(read).map_err(|error| {
            self.refusal(&format!("the arguments cannot be used: {}", without_values(&error)))
        })
    }

    fn validate(&self, read: &Value) -> Result<(), ArgumentError> {
        let validator = match self.validator.get() {
            Some(validator) => validator,
            None => {
                let made = jsonschema::draft202012::new(&self.schema).map_err(|error| {
                    tracing::error!(tool = self.tool, %error, "the schema of a tool's arguments is none");
                    ArgumentError(format!("{} cannot be called: its schema is broken", self.tool))
                })?;
                self.validator.get_or_init(|| made)
            }
        };
        validator.validate(read).map_err(|error| self.broken(&error))
    }

    /// Which rule of the schema is broken, and where.
    fn broken(&self, error: &jsonschema::ValidationError<'_>) -> ArgumentError {
        let path = error.schema_path().to_string();
        let keyword = path.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap_or_default();
        let rule = match self.schema.pointer(&path) {
            Some(value @ (Value::Bool(_) | Value::Number(_) | Value::String(_))) => {
                format!("{keyword}: {value}")
            }
            _ => keyword.to_owned(),
        };
        let place = quoted(&error.instance_path().to_string());
        let what = match error.kind() {
            ValidationErrorKind::Required { property } => {
                format!("lack {}", quoted(property.as_str().unwrap_or_default()))
            }
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                format!("have the unknown member {}", quoted(unexpected.first().map_or("", String::as_str)))
            }
            _ => format!("break the rule `{rule}` of the tool's schema"),
        };
        let reason = format!("the arguments at {place} {what}");
        let described = path.rsplit_once('/').map_or("", |(described, _)| described);
        match (self.schema.pointer(described), described.rsplit('/').next()) {
            (Some(schema), Some(name)) if decimal::is_one(schema) => self.invalid(name, &reason),
            _ => self.refusal(&reason),
        }
    }

    fn refusal(&self, reason: &str) -> ArgumentError {
        let code = self.code.map(|code| format!("{code}: ")).unwrap_or_default();
        ArgumentError(format!("{code}{reason}. Correct the arguments and call {} again.", self.tool))
    }

    /// Why a field cannot be read: for this reason, or for one that lies deeper.
    fn unread(&self, field: &Field, raw: &str, reason: &str) -> ArgumentError {
        let schema = self.schema.get("properties").and_then(|all| all.get(field.name()));
        match schema.and_then(|schema| decimal::too_large(schema, raw)) {
            Some((place, schema, number)) if !place.is_empty() => {
                let deeper = Field::new(&format!("/{}{place}", field.name()), schema, true);
                let reason = deeper.read(number).err();
                self.refusal_of(&deeper, reason.as_deref().unwrap_or("it is too large"))
            }
            _ => self.refusal_of(field, reason),
        }
    }

    fn refusal_of(&self, field: &Field, reason: &str) -> ArgumentError {
        if field.is_decimal() { self.invalid(field.name(), reason) } else { self.refusal(reason) }
    }

    /// A decimal that is none has a code of its own, wherever it is.
    fn invalid(&self, name: &str, reason: &str) -> ArgumentError {
        let name = name.rsplit('/').next().unwrap_or(name);
        ArgumentError(format!("invalid_{name}: {reason}. Correct `{name}` and call {} again.", self.tool))
    }

    fn unknown(&self, name: &str) -> ArgumentError {
        let name = quoted(name);
        let code = self.code.map(|code| format!("{code}: ")).unwrap_or_default();
        if self.fields.is_empty() {
            return ArgumentError(format!("{code}unknown argument {name}; {} takes no arguments", self.tool));
        }
        let known: Vec<_> = self.fields.iter().map(Field::name).collect();
        ArgumentError(format!("{code}unknown argument {name}; {} takes: {}", self.tool, known.join(", ")))
    }
}

/// Serde's message without the value that it quotes: what was expected instead.
fn without_values(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let quotes = ["invalid type", "invalid value", "invalid length", "unknown variant", "unknown field"]
        .iter()
        .any(|start| message.starts_with(start));
    match message.split_once(", expected ") {
        Some((_, expected)) if quotes => format!("expected {expected}"),
        _ if quotes => "a value is not what the tool's schema describes".to_owned(),
        _ => message,
    }
}

/// The members of an object, in order, each as it was written.
pub(super) struct Members<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::schema;

    #[derive(Debug, PartialEq, schemars::JsonSchema, Deserialize)]
    struct Latest {
        #[schemars(range(min = 1, max = 100))]
        #[serde(default = "three")]
        limit: u32,
    }

    fn three() -> u32 {
        3
    }

    #[derive(Debug, schemars::JsonSchema, Deserialize)]
    struct Payment {
        #[schemars(length(min = 1, max = 10))]
        to: String,
        #[expect(dead_code, reason = "read by serde alone")]
        amount: f64,
    }

    #[derive(Debug, schemars::JsonSchema, Deserialize)]
    #[expect(dead_code, reason = "read by serde alone")]
    struct Choice {
        order: Order,
        #[serde(default)]
        parts: Vec<u8>,
    }

    #[derive(Debug, schemars::JsonSchema, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Order {
        Newest,
        Oldest,
    }

    #[derive(Debug, schemars::JsonSchema, Deserialize)]
    struct Nothing {}

    fn read<T: DeserializeOwned + schemars::JsonSchema>(json: &str) -> Result<T, String> {
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        let shape = Shape::new("theTool", None, &schema::of_arguments::<T>()).unwrap();
        shape.read(Some(&raw)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_number_in_the_range_is_taken_however_it_is_written() {
        for (json, limit) in
            [("{}", 3), (r#"{"limit":1}"#, 1), (r#"{"limit":100}"#, 100), (r#"{"limit":5.0}"#, 5)]
        {
            assert_eq!(read::<Latest>(json), Ok(Latest { limit }), "{json}");
        }
        let nothing = Shape::new("theTool", None, &schema::of_arguments::<Nothing>()).unwrap();
        assert!(nothing.read::<Nothing>(None).is_ok());
    }

    #[test]
    fn any_other_limit_is_refused_with_name_range_and_way_out() {
        for (value, was) in [
            ("0", "too small"),
            ("-1", "too small"),
            ("101", "too large"),
            ("18446744073709551616", "too large"),
            ("-1e30", "too small"),
            ("1.5", "a fraction"),
            ("1e308", "too large"),
            ("1e999", "too large"),
            ("\"abc\"", "a string"),
            ("\"5\"", "a string"),
            ("null", "null"),
            ("true", "a boolean"),
            ("[]", "a list"),
            ("{}", "an object"),
        ] {
            let text = read::<Latest>(&format!(r#"{{"limit":{value}}}"#)).unwrap_err();
            let expected = format!(
                "`limit` must be a whole number from 1 to 100, and it is {was}; leave it out for the default of 3. \
                 Correct the arguments and call theTool again."
            );
            assert_eq!(text, expected, "{value}");
        }
    }

    #[test]
    fn an_unknown_a_repeated_and_a_missing_argument_are_named() {
        assert_eq!(read::<Latest>(r#"{"x":1}"#).unwrap_err(), "unknown argument `x`; theTool takes: limit");
        assert_eq!(
            read::<Nothing>(r#"{"x":1}"#).unwrap_err(),
            "unknown argument `x`; theTool takes no arguments"
        );
        assert!(
            read::<Latest>(r#"{"limit":1,"limit":2}"#).unwrap_err().starts_with("`limit` is given twice")
        );
        assert!(
            read::<Payment>(r#"{"to":"bob"}"#).unwrap_err().starts_with("`amount` is required: a number")
        );
    }

    #[test]
    fn a_choice_lists_what_there_is_and_a_nested_value_is_not_repeated() {
        let refusal = read::<Choice>(r#"{"order":"4111111111111111"}"#).unwrap_err();
        assert!(
            refusal.starts_with("`order` must be one of newest, oldest, and it is another string"),
            "{refusal}"
        );
        let refusal = read::<Choice>(r#"{"order":"newest","parts":["4111111111111111"]}"#).unwrap_err();
        let expected = "the arguments at `/parts/0` break the rule `type: \"integer\"` of the tool's schema.";
        assert!(refusal.starts_with(expected), "{refusal}");
        assert!(read::<Choice>(r#"{"order":"newest","parts":[1]}"#).is_ok());
    }

    #[test]
    fn texts_have_their_length_in_characters() {
        assert_eq!(read::<Payment>(r#"{"to":"ääääääääää","amount":1}"#).unwrap().to.chars().count(), 10);
        for to in ["", "12345678901"] {
            let refusal = read::<Payment>(&format!(r#"{{"to":"{to}","amount":1}}"#)).unwrap_err();
            assert!(refusal.starts_with("`to` must be a string of 1 to 10 characters"), "{refusal}");
        }
    }

    #[test]
    fn what_was_sent_is_not_repeated_at_length() {
        let refusal = read::<Latest>("\"4111111111111111\"").unwrap_err();
        assert!(refusal.contains("expected an object") && !refusal.contains("4111"), "{refusal}");
        let refusal = read::<Latest>(&format!(r#"{{"{}\u0007\u202e":1}}"#, "x".repeat(500))).unwrap_err();
        assert!(refusal.len() < 200 && refusal.chars().all(|char| char.is_ascii_graphic() || char == ' '));
    }

    #[test]
    fn rules_that_lie_deeper_hold_too() {
        let schema = serde_json::json!({
            "type": "object",
            "$defs": { "zip": { "type": "string", "pattern": "^[0-9]{5}$" } },
            "properties": {
                "address": { "type": "object", "properties": { "zip": { "$ref": "#/$defs/zip" } } },
                "card": { "type": "string" },
                "mail": { "type": "string" },
            },
            "anyOf": [{ "required": ["card"] }, { "required": ["mail"] }],
        });
        let shape = Shape::new("theTool", None, schema.as_object().unwrap()).unwrap();
        let read = |json: &str| {
            let raw = RawValue::from_string(json.to_owned()).unwrap();
            shape.read::<Value>(Some(&raw)).map_err(|error| error.to_string())
        };
        assert!(read(r#"{"mail":"a","address":{"zip":"12345"}}"#).is_ok());
        let refusal = read(r#"{"mail":"a","address":{"zip":"4111111111111111"}}"#).unwrap_err();
        assert!(refusal.starts_with("the arguments at `/address/zip` break the rule `pattern"), "{refusal}");
        assert!(!refusal.contains("4111"), "{refusal}");
        let refusal = read("{}").unwrap_err();
        assert!(refusal.contains("break the rule `anyOf`"), "{refusal}");
    }

    #[test]
    fn a_schema_that_refers_to_another_document_is_refused_and_nothing_is_fetched() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let elsewhere = format!("http://{}/schema.json", listener.local_addr().unwrap());
        for reference in [elsewhere.as_str(), "file:///etc/passwd", "other.json"] {
            let schema = serde_json::json!({
                "type": "object", "properties": { "a": { "$ref": reference } },
            });
            assert!(Shape::new("theTool", None, schema.as_object().unwrap()).is_err(), "{reference}");
        }
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}
