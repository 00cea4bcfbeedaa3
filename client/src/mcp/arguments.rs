//! The arguments of a tool call, as they were written.
//!
//! A number that is read as a float is no longer what was written: `1e3` becomes `1000.0`, and `25.00000000000000001`
//! becomes `25.0`. What to make of a number is the server's to say, so whoever wrote it is heard word for word; only the
//! white space between the words is left out.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser};
use serde_json::{Value, value::RawValue};
use shared::mcp::JsonObject;

/// The arguments of one tool call: a JSON object in one line, members in the order and numbers in the digits in which
/// they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments(String);

/// Why a text does not hold the arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotArguments {
    /// It is JSON, and not an object.
    #[error("it is {0}")]
    NotAnObject(&'static str),
    /// It is not JSON.
    #[error("{0}")]
    NotJson(String),
}

impl Arguments {
    /// Reads arguments.
    ///
    /// # Errors
    /// [`NotArguments`], for everything but one JSON object.
    pub fn parse(text: &str) -> Result<Self, NotArguments> {
        let raw: &RawValue =
            serde_json::from_str(text).map_err(|error| NotArguments::NotJson(error.to_string()))?;
        let kind = match raw.get().as_bytes().first() {
            Some(b'{') => return Ok(Self(without_space(raw.get()))),
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            Some(_) | None => "a number",
        };
        Err(NotArguments::NotAnObject(kind))
    }

    /// The text that is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The members by name, each as it was written; the last of several with one name.
    #[must_use]
    pub fn members(&self) -> BTreeMap<String, &RawValue> {
        members(&self.0)
    }

    /// What stands at a place to which objects alone lead (RFC 6901), as it was written.
    pub(super) fn at(&self, pointer: &str) -> Option<&RawValue> {
        let mut found = None;
        let mut within = self.as_str();
        for token in pointer.split('/').skip(1) {
            let next = members(within).remove(&token.replace("~1", "/").replace("~0", "~"))?;
            within = next.get();
            found = Some(next);
        }
        found
    }

    /// Adds a text under a name that is not there yet.
    pub(super) fn add(&mut self, name: &str, text: &str) {
        self.0.pop();
        if self.0 != "{" {
            self.0.push(',');
        }
        self.0.push_str(&format!("{}:{}}}", Value::from(name), Value::from(text)));
    }
}

impl Default for Arguments {
    /// None.
    fn default() -> Self {
        Self("{}".to_owned())
    }
}

impl From<JsonObject> for Arguments {
    fn from(object: JsonObject) -> Self {
        Self(Value::Object(object).to_string())
    }
}

impl Serialize for Arguments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(&self.0).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

/// The members of an object; none of what is no object.
fn members(json: &str) -> BTreeMap<String, &RawValue> {
    serde_json::from_str(json).unwrap_or_default()
}

/// JSON without what stands between its words.
fn without_space(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let is_kept = |c: &char| {
        if in_string {
            in_string = escaped || *c != '"';
            escaped = !escaped && *c == '\\';
            return true;
        }
        in_string = *c == '"';
        !c.is_ascii_whitespace()
    };
    json.chars().filter(is_kept).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_written_is_kept_but_for_the_space_between() {
        let written = "{ \"z\" : 1e2,\n \"a\": [25.00000000000000001, -0, 1E400], \"s\": \"a \\\" : \\\\\" , \"s\": 1.50 }";
        let arguments = Arguments::parse(written).unwrap();
        let kept = r#"{"z":1e2,"a":[25.00000000000000001,-0,1E400],"s":"a \" : \\","s":1.50}"#;
        assert_eq!(arguments.as_str(), kept);
        assert_eq!(serde_json::to_string(&arguments).unwrap(), kept);
        assert_eq!(arguments.members()["s"].get(), "1.50");
    }

    #[test]
    fn only_an_object_is_arguments() {
        for (wrong, kind) in [
            ("[]", "it is an array"),
            ("\"x\"", "it is a string"),
            ("true", "it is a boolean"),
            ("null", "it is null"),
            ("-5", "it is a number"),
        ] {
            assert_eq!(Arguments::parse(wrong).unwrap_err().to_string(), kind);
        }
        for wrong in ["", "{\"limit\":", "{} {}", "limit=5", "{\"a\":01}"] {
            assert!(matches!(Arguments::parse(wrong), Err(NotArguments::NotJson(_))), "{wrong}");
        }
    }

    #[test]
    fn a_text_is_added_at_the_end() {
        let mut arguments = Arguments::default();
        arguments.add("a\"b", "c\"d");
        arguments.add("e", "f");
        assert_eq!(arguments.as_str(), r#"{"a\"b":"c\"d","e":"f"}"#);
    }

    #[test]
    fn a_place_is_found_through_objects_alone() {
        let arguments = Arguments::parse(r#"{"a/b":{"c~d":1.0,"l":[7]},"e":2}"#).unwrap();
        let at = |pointer| arguments.at(pointer).map(RawValue::get);
        assert_eq!(at("/a~1b/c~0d"), Some("1.0"));
        assert_eq!(at("/e"), Some("2"));
        for nowhere in ["", "/x", "/e/x", "/a~1b/l/0"] {
            assert_eq!(at(nowhere), None, "{nowhere}");
        }
    }

    proptest! {
        #[test]
        fn it_means_the_same(text in any::<String>(), number in any::<i64>()) {
            let value = json!({ "b": [text, { "a": number }, [], {}], text.clone(): null });
            for written in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let arguments = Arguments::parse(&written).unwrap();
                prop_assert_eq!(arguments.as_str(), value.to_string());
            }
        }
    }
}
