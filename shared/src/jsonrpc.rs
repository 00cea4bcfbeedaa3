//! JSON-RPC 2.0 as MCP uses it: ids are strings or integers and never null, parameters are objects, and a message is a
//! request, a notification or a response.
//!
//! Reading borrows: [`Incoming`] keeps parameters and results as the bytes that arrived ([`RawValue`]), so that each
//! method parses them once, into its own type. Writing serialises straight from the typed parts.

mod error;
mod malformed;

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use crate::mcp::object;

pub use self::{
    error::{ErrorCode, ErrorObject},
    malformed::MessageError,
};

/// The id of a request: a string or an integer, unique for its sender within a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum RequestId {
    /// An integer. Fractions and numbers beyond 64 bits are not ids.
    Number(i64),
    /// A string, of any content.
    String(String),
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::String(text) => text.fmt(f),
        }
    }
}

impl From<i64> for RequestId {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor;
        impl de::Visitor<'_> for IdVisitor {
            type Value = RequestId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an integer")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<RequestId, E> {
                Ok(RequestId::Number(number))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<RequestId, E> {
                i64::try_from(number)
                    .map(RequestId::Number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RequestId, E> {
                Ok(RequestId::String(text.to_owned()))
            }
        }
        deserializer.deserialize_any(IdVisitor)
    }
}

/// One message as it arrived, borrowing from the bytes it was read from.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// Wants exactly one answer.
    Request {
        /// To be repeated in the answer.
        id: RequestId,
        /// The method's name.
        method: Cow<'a, str>,
        /// The parameters, unread; `None` when absent.
        params: Option<&'a RawValue>,
    },
    /// Wants no answer.
    Notification {
        /// The method's name.
        method: Cow<'a, str>,
        /// The parameters, unread; `None` when absent.
        params: Option<&'a RawValue>,
    },
    /// Answers a request of ours.
    Response {
        /// The id of our request; `None` where the peer could not read it.
        id: Option<RequestId>,
        /// The result, unread, or the error.
        outcome: Result<&'a RawValue, ErrorObject>,
    },
}

/// Every member a message can have; which ones are there decides what it is.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "present")]
    id: Option<Option<RequestId>>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "object::optional")]
    error: Option<ErrorObject>,
}

/// Tells `null` (`Some(None)`) from an absent member (`None`).
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<RequestId>>, D::Error> {
    Option::<RequestId>::deserialize(deserializer).map(Some)
}

impl<'a> Incoming<'a> {
    /// Reads one message.
    ///
    /// # Errors
    /// [`MessageError::NotJson`] when the text is not JSON; [`MessageError::NotAMessage`] when it is, but lacks
    /// `jsonrpc: "2.0"`, has a null or fractional id, parameters that are not an object, or neither a method nor a
    /// result nor an error.
    pub fn parse(text: &'a str) -> Result<Self, MessageError> {
        if !text.trim_ascii_start().starts_with('{') {
            // Serde would take an array for the members in their order.
            serde_json::from_str::<de::IgnoredAny>(text).map_err(|error| MessageError::of(text, &error))?;
            return Err(MessageError::not_a_message(text, "it must be an object"));
        }
        let members: Members<'a> =
            serde_json::from_str(text).map_err(|error| MessageError::of(text, &error))?;
        Self::from_members(members).map_err(|reason| MessageError::not_a_message(text, reason))
    }

    fn from_members(members: Members<'a>) -> Result<Self, &'static str> {
        if members.jsonrpc.as_deref() != Some("2.0") {
            return Err("`jsonrpc` must be \"2.0\"");
        }
        match (members.method, members.result, members.error) {
            (Some(method), None, None) => {
                if members.params.is_some_and(|params| !params.get().starts_with('{')) {
                    return Err("`params` must be an object");
                }
                match members.id {
                    Some(Some(id)) => Ok(Self::Request { id, method, params: members.params }),
                    Some(None) => Err("`id` must be a string or an integer, not null"),
                    None => Ok(Self::Notification { method, params: members.params }),
                }
            }
            (None, Some(result), None) => match members.id.flatten() {
                Some(id) => Ok(Self::Response { id: Some(id), outcome: Ok(result) }),
                None => Err("a result needs the `id` of its request"),
            },
            (None, None, Some(error)) => Ok(Self::Response { id: members.id.flatten(), outcome: Err(error) }),
            (None, None, None) => Err("one of `method`, `result` or `error` is needed"),
            _ => Err("only one of `method`, `result` and `error` may be present"),
        }
    }
}

/// Always `"2.0"`.
#[derive(Debug, Clone, Copy, Default)]
struct Version;

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("2.0")
    }
}

/// A request to be written.
#[derive(Debug, Serialize)]
pub struct Request<'a, P> {
    jsonrpc: Version,
    id: &'a RequestId,
    method: &'a str,
    params: P,
}

impl<'a, P: Serialize> Request<'a, P> {
    /// A request; `params` must serialise to an object.
    pub const fn new(id: &'a RequestId, method: &'a str, params: P) -> Self {
        Self { jsonrpc: Version, id, method, params }
    }
}

/// A notification to be written.
#[derive(Debug, Serialize)]
pub struct Notification<'a, P> {
    jsonrpc: Version,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<P>,
}

impl<'a, P: Serialize> Notification<'a, P> {
    /// A notification; `params` must serialise to an object.
    pub const fn new(method: &'a str, params: Option<P>) -> Self {
        Self { jsonrpc: Version, method, params }
    }
}

/// A response to be written: a result.
#[derive(Debug, Serialize)]
pub struct ResultResponse<'a, R> {
    jsonrpc: Version,
    id: &'a RequestId,
    result: R,
}

impl<'a, R: Serialize> ResultResponse<'a, R> {
    /// The answer to request `id`.
    pub const fn new(id: &'a RequestId, result: R) -> Self {
        Self { jsonrpc: Version, id, result }
    }
}

/// A response to be written: an error. Where the request's id could not be read there is no `id` (Streamable HTTP
/// transport, "Sending Messages to the Server").
#[derive(Debug, Serialize)]
pub struct ErrorResponse<'a> {
    jsonrpc: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RequestId>,
    error: &'a ErrorObject,
}

impl<'a> ErrorResponse<'a> {
    /// The refusal of request `id`.
    #[must_use]
    pub const fn new(id: Option<&'a RequestId>, error: &'a ErrorObject) -> Self {
        Self { jsonrpc: Version, id, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Incoming::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_request_a_notification_and_responses_are_told_apart() {
        assert!(matches!(
            Incoming::parse(r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#),
            Ok(Incoming::Request { id: RequestId::String(id), params: None, .. }) if id == "a"
        ));
        assert!(matches!(
            Incoming::parse(r#"{"jsonrpc":"2.0","method":"x","params":{}}"#),
            Ok(Incoming::Notification { params: Some(_), .. })
        ));
        assert!(matches!(
            Incoming::parse(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#),
            Ok(Incoming::Response { id: Some(RequestId::Number(7)), outcome: Ok(_) })
        ));
        assert!(matches!(
            Incoming::parse(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"m"}}"#),
            Ok(Incoming::Response { id: None, outcome: Err(_) })
        ));
    }

    #[test]
    fn what_is_not_a_message_is_refused_with_the_reason() {
        for text in ["{", "", "[1,", "nonsense"] {
            assert!(matches!(Incoming::parse(text), Err(MessageError::NotJson(_))), "{text}");
        }
        for (text, reason) in [
            (r#"{"id":1,"method":"ping"}"#, "`jsonrpc`"),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "`jsonrpc`"),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "not null"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, "integer"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#, "object"),
            (r#"{"jsonrpc":"2.0","id":1}"#, "needed"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, "only one"),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, "duplicate"),
            (r#"{"jsonrpc":"2.0","result":{}}"#, "needs the `id`"),
            ("[]", "must be an object"),
            (r#"["2.0",1,"ping"]"#, "must be an object"),
        ] {
            assert!(refusal(text).contains(reason), "{text}: {}", refusal(text));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_answered_without_a_panic(text in ".*") {
            let _ = Incoming::parse(&text);
        }

        #[test]
        fn an_id_survives_a_round_trip(number: i64, text in ".*") {
            for id in [RequestId::Number(number), RequestId::String(text)] {
                let json = serde_json::to_string(&id).unwrap();
                proptest::prop_assert_eq!(serde_json::from_str::<RequestId>(&json).unwrap(), id);
            }
        }
    }
}
