//! One chunk of a streamed reply, read leniently: what is missing, `null` or of another kind than expected is taken
//! as not there, and what is not known is passed over.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// One chunk.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Chunk {
    /// The alternatives, of which one is asked for. Empty in a chunk that says how much was used.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) choices: Vec<Choice>,
    /// What went wrong, at endpoints that find out in the middle.
    #[serde(default)]
    pub(super) error: Option<Value>,
}

/// One alternative.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Choice {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) delta: Delta,
    /// Set when the model is done; endpoints have reasons of their own.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) finish_reason: Option<String>,
}

/// What is new.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Delta {
    /// Text: a string, or a list of parts.
    #[serde(default)]
    content: Value,
    /// What the model says instead of an answer that it will not give.
    #[serde(default, deserialize_with = "lenient")]
    refusal: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) tool_calls: Vec<Fragment>,
}

impl Delta {
    /// The new text.
    pub(super) fn text(&self) -> String {
        let content = match &self.content {
            Value::String(text) => text.clone(),
            Value::Array(parts) => {
                parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<String>()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
        };
        content + self.refusal.as_deref().unwrap_or_default()
    }
}

/// A piece of a tool call, or a whole one.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Fragment {
    /// Which call of the reply, at endpoints that say so.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) index: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) function: Function,
}

/// A piece of a tool call's name and arguments.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Function {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) name: Option<String>,
    /// A piece of JSON text, or the object itself.
    #[serde(default)]
    arguments: Value,
}

impl Function {
    /// The new piece of the arguments' JSON text.
    pub(super) fn arguments(&self) -> String {
        match &self.arguments {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            whole @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                whole.to_string()
            }
        }
    }
}

/// Reads what is of the kind that is wanted, and takes anything else as not there.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}
