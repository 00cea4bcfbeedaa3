//! What is no message, and to which request it is answered all the same.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::IgnoredAny};

use super::{ErrorCode, RequestId};

/// Why bytes are not a JSON-RPC message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The bytes are not JSON. Answer with [`ErrorCode::PARSE_ERROR`].
    #[error("the body is not valid JSON: {0}")]
    NotJson(String),
    /// JSON, but not a message. Answer with [`ErrorCode::INVALID_REQUEST`].
    #[error("not a JSON-RPC 2.0 message: {reason}")]
    NotAMessage {
        /// What is wrong with it.
        reason: String,
        /// The id of the request that it was to be, where that can be read: the answer carries it.
        id: Option<RequestId>,
    },
}

impl MessageError {
    /// The error that `text`, which is JSON, is no message for this reason.
    pub fn not_a_message(text: &str, reason: impl Into<String>) -> Self {
        Self::NotAMessage { reason: reason.into(), id: readable_id(text) }
    }

    /// The error that `text` is not what serde wants.
    pub(super) fn of(text: &str, error: &serde_json::Error) -> Self {
        match error.classify() {
            serde_json::error::Category::Data => Self::not_a_message(text, error.to_string()),
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => Self::NotJson(error.to_string()),
        }
    }

    /// The id to answer with.
    #[must_use]
    pub const fn id(&self) -> Option<&RequestId> {
        match self {
            Self::NotJson(_) => None,
            Self::NotAMessage { id, .. } => id.as_ref(),
        }
    }

    /// The code to answer with.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotJson(_) => ErrorCode::PARSE_ERROR,
            Self::NotAMessage { .. } => ErrorCode::INVALID_REQUEST,
        }
    }
}

/// The id of what is no message and would have been a request. That of a response is an id of ours: repeated to the
/// peer it would seem to answer a request of its own.
fn readable_id(text: &str) -> Option<RequestId> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        jsonrpc: Cow<'a, str>,
        id: RequestId,
        #[serde(default, deserialize_with = "is_there")]
        method: bool,
        #[serde(default, deserialize_with = "is_there")]
        result: bool,
        #[serde(default, deserialize_with = "is_there")]
        error: bool,
    }
    let object = text.trim_ascii_start().starts_with('{').then_some(text)?;
    let Envelope { jsonrpc, id, method, result, error } = serde_json::from_str(object).ok()?;
    let is_response = !method && (result || error);
    (jsonrpc == "2.0" && !is_response).then_some(id)
}

/// Whatever a member holds, `null` too.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::super::Incoming;
    use super::*;

    #[test]
    fn what_was_to_be_a_request_is_refused_by_its_id_where_that_can_be_read() {
        let id = |text: &str| Incoming::parse(text).unwrap_err().id().cloned();
        for text in [
            r#"{"jsonrpc":"2.0","id":5,"method":"ping","params":[1]}"#,
            r#"{"jsonrpc":"2.0","id":5,"method":"ping","params":null,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":5,"method":7}"#,
            r#" {"method":["ping"],"id":5,"jsonrpc":"2.0"}"#,
            r#"{"jsonrpc":"2.0","id":5}"#,
        ] {
            assert_eq!(id(text), Some(RequestId::Number(5)), "{text}");
        }
        for text in [
            r#"{"jsonrpc":"1.0","id":5,"method":"ping"}"#,
            r#"{"id":5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":5.5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":5,"id":6,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","method":"ping","params":[1]}"#,
            r#"{"jsonrpc":"2.0","id":5,"result":{},"error":{"code":1,"message":"m"}}"#,
            r#"{"jsonrpc":"2.0","id":5,"error":"m"}"#,
            r#"{"jsonrpc":"2.0","id":5,"result":null,"error":null}"#,
            r#"["2.0",5,"ping"]"#,
            r#"{"jsonrpc":"2.0","id":5,"method":"ping","#,
        ] {
            assert_eq!(id(text), None, "{text}");
        }
    }
}
