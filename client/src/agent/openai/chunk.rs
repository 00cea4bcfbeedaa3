//! One chunk of a streamed reply, read leniently: what is missing, `null` or of another kind than expected is taken
//! as not there, and what is not known is passed over.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

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
    arguments: Option<Box<RawValue>>,
}

impl Function {
    /// The new piece of the arguments' JSON text, numbers as the endpoint wrote them.
    pub(super) fn arguments(&self) -> String {
        let Some(written) = &self.arguments else { return String::new() };
        serde_json::from_str(written.get()).unwrap_or_else(|_| written.get().to_owned())
    }
}

/// Reads what is of the kind that is wanted, and takes anything else as not there.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    let value = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(value.get()).unwrap_or_default())
}
