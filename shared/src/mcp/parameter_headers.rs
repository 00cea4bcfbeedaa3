//! What a request repeats in headers for whoever routes it (2026-07-28, Streamable HTTP transport, "Request Metadata"):
//! the parameters of a tool that are annotated with `x-mcp-header`, and the form in which a header carries any text.

use std::{borrow::Cow, collections::HashSet};

use data_encoding::BASE64;
use serde_json::{Map, Value};

const ANNOTATION: &str = "x-mcp-header";
const PREFIX: &str = "=?base64?";
const SUFFIX: &str = "?=";

/// The value of a header that stands for `text`: the text itself where a header can carry it, otherwise its base64 form
/// ("Value Encoding").
#[must_use]
pub fn encoded(text: &str) -> Cow<'_, str> {
    let sayable = text.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
    let trimmed = text.trim_matches([' ', '\t']) == text;
    let is_literal = !(text.starts_with(PREFIX) && text.ends_with(SUFFIX));
    if sayable && trimmed && is_literal {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{PREFIX}{}{SUFFIX}", BASE64.encode(text.as_bytes())))
    }
}

/// What the value of a header stands for: itself, or what is in its base64 form. `None` where that cannot be read.
#[must_use]
pub fn decoded(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
    let Some(inner) = inner else { return Some(Cow::Borrowed(value)) };
    let bytes = BASE64.decode(inner.as_bytes()).ok()?;
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// A parameter that is repeated in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotated {
    /// The name as the tool wrote it.
    pub name: String,
    /// The header, in lower case.
    pub header: String,
    /// Where the value is in the arguments (RFC 6901).
    pub pointer: String,
}

/// The parameters of a tool that are repeated in headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderAnnotations(Vec<Annotated>);

/// Why a tool's annotations cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderProblem {
    /// The name is not one that a header can have.
    #[error("`x-mcp-header` must be a header name of letters, digits and -_.!#$%&'*+^`|~, and it is {0}")]
    Name(String),
    /// Two parameters want the same header.
    #[error("two parameters want the header {0}")]
    Twice(String),
    /// The parameter is no string, integer or boolean.
    #[error("the parameter {0} is repeated in a header, so it must be a string, an integer or a boolean")]
    Kind(String),
    /// The parameter cannot be found by a chain of properties.
    #[error("`x-mcp-header` stands where it names no parameter: under {0}")]
    Place(String),
}

impl HeaderAnnotations {
    /// Those of a schema of arguments.
    ///
    /// # Errors
    /// [`HeaderProblem`], for the first that the specification does not allow.
    pub fn of(schema: &Map<String, Value>) -> Result<Self, HeaderProblem> {
        let mut found = Self::default();
        found.search(schema, "", true)?;
        let mut names = HashSet::new();
        match found.0.iter().find(|one| !names.insert(one.header.as_str())) {
            Some(twice) => Err(HeaderProblem::Twice(twice.name.clone())),
            None => Ok(found),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Annotated> {
        self.0.iter()
    }

    /// Looks through a schema. `reachable` while the way from the root led through `properties` alone.
    fn search(
        &mut self,
        schema: &Map<String, Value>,
        pointer: &str,
        reachable: bool,
    ) -> Result<(), HeaderProblem> {
        if let Some(name) = schema.get(ANNOTATION) {
            if !reachable || pointer.is_empty() {
                return Err(HeaderProblem::Place(if pointer.is_empty() { "/" } else { pointer }.to_owned()));
            }
            self.0.push(annotated(name, schema, pointer)?);
        }
        for (keyword, value) in schema {
            match (keyword.as_str(), value) {
                ("properties", Value::Object(properties)) => {
                    for (name, property) in properties {
                        let name = name.replace('~', "~0").replace('/', "~1");
                        if let Value::Object(property) = property {
                            self.search(property, &format!("{pointer}/{name}"), reachable)?;
                        }
                    }
                }
                // Values, not schemas: whatever stands in them annotates nothing.
                ("default" | "const" | "enum" | "examples", _) => {}
                (_, other) => self.search_below(other, &format!("{pointer}/{keyword}"))?,
            }
        }
        Ok(())
    }

    fn search_below(&mut self, value: &Value, pointer: &str) -> Result<(), HeaderProblem> {
        match value {
            Value::Object(schema) => self.search(schema, pointer, false),
            Value::Array(schemas) => schemas.iter().try_for_each(|schema| self.search_below(schema, pointer)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }
}

fn annotated(name: &Value, schema: &Map<String, Value>, pointer: &str) -> Result<Annotated, HeaderProblem> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let text = name.as_str().filter(|name| !name.is_empty() && name.bytes().all(token));
    let text = text.ok_or_else(|| HeaderProblem::Name(name.to_string()))?;
    let kind = schema.get("type").and_then(Value::as_str);
    if !kind.is_some_and(|kind| ["string", "integer", "boolean"].contains(&kind)) {
        return Err(HeaderProblem::Kind(pointer.to_owned()));
    }
    let header = format!("{}{}", crate::headers::PARAMETER_PREFIX, text.to_ascii_lowercase());
    Ok(Annotated { name: text.to_owned(), header, pointer: pointer.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_in_base64_stands_for_what_is_in_it() {
        for (value, expected) in [
            ("us-west1", Some("us-west1")),
            ("=?base64?SGVsbG8sIOS4lueVjA==?=", Some("Hello, 世界")),
            ("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", Some("=?base64?literal?=")),
            ("=?base64??=", Some("")),
            ("=?BASE64?SGk=?=", Some("=?BASE64?SGk=?=")),
            ("=?base64?SGk?=", None),
            ("=?base64?!!?=", None),
            ("=?base64?/w==?=", None),
        ] {
            assert_eq!(decoded(value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn a_text_is_carried_as_it_is_where_a_header_can() {
        for text in ["us-west1", "a b", "", "a\tb", "=?base64?x"] {
            assert_eq!(encoded(text), text);
        }
        for text in ["Hello, 世界", " padded ", "line1\nline2", "=?base64?literal?=", "\t", "\u{7f}"] {
            assert!(encoded(text).starts_with(PREFIX), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_text_survives_the_way_through_a_header(text in ".*") {
            let value = encoded(&text).into_owned();
            proptest::prop_assert!(value.is_ascii());
            proptest::prop_assert_eq!(decoded(&value).unwrap(), text);
        }

        #[test]
        fn any_value_is_decoded_or_refused_without_a_panic(value in ".*") {
            let _ = decoded(&value);
        }
    }

    fn of(schema: &Value) -> Result<Vec<(String, String)>, HeaderProblem> {
        let found = HeaderAnnotations::of(schema.as_object().unwrap())?;
        Ok(found.iter().map(|one| (one.header.clone(), one.pointer.clone())).collect())
    }

    #[test]
    fn annotated_parameters_are_found_at_any_depth_of_properties() {
        let schema = json!({ "type": "object", "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "plain": { "type": "string" },
            "deep/er": { "type": "object", "properties": { "no": { "type": "integer", "x-mcp-header": "No" } } },
        } });
        let pair = |header: &str, pointer: &str| (header.to_owned(), pointer.to_owned());
        let mut found = of(&schema).unwrap();
        found.sort();
        assert_eq!(found, [pair("mcp-param-no", "/deep~1er/no"), pair("mcp-param-region", "/region")]);
        assert!(of(&json!({ "type": "object", "properties": {} })).unwrap().is_empty());
    }

    #[test]
    fn what_the_specification_forbids_is_refused() {
        let one = |property: Value| json!({ "type": "object", "properties": { "a": property } });
        let named = |name: Value| one(json!({ "type": "string", "x-mcp-header": name }));
        for name in
            [json!(""), json!("a b"), json!("a\r\nb"), json!("ä"), json!(1), json!(null), json!("a:b")]
        {
            assert!(matches!(of(&named(name.clone())), Err(HeaderProblem::Name(_))), "{name}");
        }
        for kind in [json!("number"), json!("array"), json!("object"), json!(["string", "null"]), json!(null)]
        {
            let schema = one(json!({ "type": kind, "x-mcp-header": "A" }));
            assert!(matches!(of(&schema), Err(HeaderProblem::Kind(_))), "{kind}");
        }
        let annotated = json!({ "type": "string", "x-mcp-header": "A" });
        for schema in [
            json!({ "type": "object", "x-mcp-header": "A" }),
            one(json!({ "type": "array", "items": annotated })),
            json!({ "type": "object", "anyOf": [{ "properties": { "a": annotated } }] }),
            json!({ "type": "object", "$defs": { "a": annotated } }),
            json!({ "type": "object", "if": { "properties": { "a": annotated } } }),
        ] {
            assert!(matches!(of(&schema), Err(HeaderProblem::Place(_))), "{schema}");
        }
        let twice = json!({ "type": "object", "properties": {
            "a": { "type": "string", "x-mcp-header": "Same" }, "b": { "type": "string", "x-mcp-header": "same" },
        } });
        assert!(matches!(of(&twice), Err(HeaderProblem::Twice(_))));
    }
}
