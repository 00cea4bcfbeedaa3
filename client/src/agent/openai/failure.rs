//! What went wrong at the endpoint, sorted by whether asking again helps, and said so that a person can put it right.
//!
//! No text carries the key, and nothing an endpoint said is repeated at length or with control characters in it.

use std::time::Duration;

use async_openai::error::OpenAIError;
use serde_json::Value;

use super::endpoint::ModelEndpoint;
use crate::{
    agent::ModelError,
    mcp::{causes, excerpt},
};

/// What OpenAI says when there is no money left, which waiting does not change.
const NO_QUOTA: [&str; 2] = ["insufficient_quota", "billing_hard_limit_reached"];

/// An answer with another status than success.
pub(super) struct Refusal<'a> {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: &'a str,
}

impl Refusal<'_> {
    /// The error that this status means.
    pub(super) fn explain(&self, endpoint: &ModelEndpoint) -> ModelError {
        let body: Option<Value> = serde_json::from_str(self.body).ok();
        let said = body.as_ref().and_then(message).unwrap_or_else(|| self.body.to_owned());
        let said = clean(&said, endpoint);
        let status = self.status;
        let what = if said.is_empty() {
            format!("HTTP status {status}")
        } else {
            format!("HTTP status {status}: {said}")
        };
        let place = endpoint.shown();
        match status {
            401 | 403 if endpoint.has_key() => {
                ModelError::Refused(format!("{what}. Check OPENAI_API_KEY, and that it belongs to {place}"))
            }
            401 | 403 => ModelError::Refused(format!("{what}. {place} wants a key: set OPENAI_API_KEY")),
            404 | 405 => ModelError::Refused(format!(
                "{what}. Check that OPENAI_MODEL is a model this endpoint has, and OPENAI_BASE_URL ({place})"
            )),
            429 if body.as_ref().is_some_and(has_no_quota) => {
                ModelError::Refused(format!("{what}. The quota of this OPENAI_API_KEY is used up"))
            }
            408 | 409 | 425 | 429 | 500..=599 => {
                ModelError::Transient { reason: what, retry_after: self.retry_after }
            }
            300..=399 => ModelError::Refused(format!(
                "{what}. {place} redirects, and no redirect is followed with a key: set OPENAI_BASE_URL to the place itself"
            )),
            _ => ModelError::Refused(what),
        }
    }
}

/// An error object in the middle of a stream.
pub(super) fn from_stream(error: &Value, endpoint: &ModelEndpoint) -> ModelError {
    let said = clean(&text_of(error).unwrap_or_else(|| error.to_string()), endpoint);
    let reason = format!("it broke off its reply: {said}");
    let code = ["code", "status"].iter().find_map(|name| error.get(name)?.as_u64());
    let refused = matches!(code, Some(400..=499)) && !matches!(code, Some(408 | 409 | 425 | 429));
    if refused || is_no_quota(error) {
        ModelError::Refused(reason)
    } else {
        ModelError::Transient { reason, retry_after: None }
    }
}

/// A success that is no stream: a web page, or a document.
pub(super) fn not_a_stream(body: &str, endpoint: &ModelEndpoint) -> ModelError {
    let error = serde_json::from_str::<Value>(body).ok().and_then(|body| body.get("error").cloned());
    error.map_or_else(
        || {
            ModelError::Refused(format!(
                "{} answers, but not with a stream of chat completions. Check OPENAI_BASE_URL",
                endpoint.shown()
            ))
        },
        |error| from_stream(&error, endpoint),
    )
}

/// What async-openai reports, the transport's own errors among it.
pub(super) fn from_library(error: OpenAIError, endpoint: &ModelEndpoint) -> ModelError {
    match error {
        OpenAIError::Boxed(error) => match error.downcast::<ModelError>() {
            Ok(error) => *error,
            Err(error) => ModelError::Refused(clean(&error.to_string(), endpoint)),
        },
        OpenAIError::Reqwest(error) => from_network(error, endpoint),
        OpenAIError::JSONDeserialize(error, _) => {
            cut(&format!("a piece of it is no JSON ({})", clean(&error.to_string(), endpoint)))
        }
        OpenAIError::StreamError(error) => cut(&clean(&error.to_string(), endpoint)),
        OpenAIError::ApiError(_)
        | OpenAIError::FileSaveError(_)
        | OpenAIError::FileReadError(_)
        | OpenAIError::InvalidArgument(_) => ModelError::Refused(clean(&error.to_string(), endpoint)),
    }
}

/// The network did not carry the request.
pub(super) fn from_network(error: reqwest::Error, endpoint: &ModelEndpoint) -> ModelError {
    let refused = error.is_builder();
    let reason = clean(&causes(&error.without_url()), endpoint);
    let reason = format!("cannot reach {}: {reason}", endpoint.shown());
    if refused { ModelError::Refused(reason) } else { transient(reason) }
}

/// The reply is not complete.
pub(super) fn cut(how: &str) -> ModelError {
    transient(format!("the reply was cut off: {how}"))
}

/// The endpoint took too long.
pub(super) fn silence() -> ModelError {
    transient("it took too long to send the next piece of its reply".to_owned())
}

/// The reply is complete, and nothing is in it.
pub(super) fn empty(finish: Option<&str>) -> ModelError {
    let advice = match finish {
        Some("content_filter") => Some("its content filter withheld the reply; ask in other words"),
        Some("length") => {
            Some("the model used up its tokens before it said anything; use a model with a larger context")
        }
        _ => None,
    };
    ModelError::Empty { advice }
}

const fn transient(reason: String) -> ModelError {
    ModelError::Transient { reason, retry_after: None }
}

fn clean(text: &str, endpoint: &ModelEndpoint) -> String {
    let text = excerpt(&endpoint.without_key(text));
    text.trim_end_matches('.').to_owned()
}

/// The words in an error body, of which there are as many shapes as endpoints.
fn message(body: &Value) -> Option<String> {
    body.get("error").and_then(text_of).or_else(|| text_of(body))
}

fn text_of(error: &Value) -> Option<String> {
    if let Some(text) = error.as_str() {
        return Some(text.to_owned());
    }
    ["message", "detail", "error"].iter().find_map(|name| error.get(name)?.as_str().map(str::to_owned))
}

fn has_no_quota(body: &Value) -> bool {
    body.get("error").is_some_and(is_no_quota)
}

fn is_no_quota(error: &Value) -> bool {
    ["code", "type"]
        .iter()
        .any(|name| error.get(name).and_then(Value::as_str).is_some_and(|is| NO_QUOTA.contains(&is)))
}
