//! What a status that is no success means for the caller.

use std::time::{Duration, SystemTime};

use reqwest::{
    Response, StatusCode,
    header::{DATE, HeaderName, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::Value;
use shared::jsonrpc::{ErrorCode, ErrorObject, Incoming};

use super::{SessionHeaders, Wire, trace::without_query};
use crate::mcp::{McpError, retry::retry_after};

/// Why an exchange gave no result.
#[derive(Debug)]
pub(in crate::mcp) enum Failure {
    /// The server does not know the session that the request was in: the request did not run.
    SessionUnknown,
    /// Everything else.
    Error {
        /// What the caller learns.
        error: McpError,
        /// How long the server wants a client to wait before it connects again.
        pause: Option<Duration>,
    },
}

impl From<McpError> for Failure {
    fn from(error: McpError) -> Self {
        Self::Error { error, pause: None }
    }
}

impl Wire {
    /// Sorts a refusal by what can be done about it.
    pub(super) fn refusal(
        &self,
        response: &Response,
        media_type: &str,
        body: &str,
        session: Option<&SessionHeaders>,
    ) -> Failure {
        let status = response.status();
        let said = self.said(media_type, body);
        let is_stateless = session.is_some_and(|session| !session.version.has_sessions());
        if is_stateless
            && matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND)
            && let Some(error) = rpc_error(body)
        {
            // The status says again what the error says.
            return self.rpc(error).into();
        }
        let error = match status {
            // A key or a token that is good for less says so in a challenge (authorization, "Insufficient Scope").
            StatusCode::FORBIDDEN if !response.headers().contains_key(WWW_AUTHENTICATE) => {
                McpError::Forbidden(said.unwrap_or_else(|| named(status)))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                McpError::Unauthorized(said.unwrap_or_else(|| named(status)))
            }
            StatusCode::NOT_FOUND if session.is_some_and(|session| session.id.is_some()) => {
                return Failure::SessionUnknown;
            }
            StatusCode::NOT_FOUND => {
                self.not_mcp("nothing is served at this path (HTTP status 404); check the path of the URL")
            }
            StatusCode::METHOD_NOT_ALLOWED => self.not_mcp(format!(
                "it does not take {} (HTTP status 405); check the path of the URL",
                if session.is_none() { "POST" } else { "the request" },
            )),
            StatusCode::TOO_MANY_REQUESTS => McpError::Busy { retry_after: wait_asked_for(response) },
            // An MCP server that is full says so as one, and when to come back. Without either it may be a proxy that lost
            // the answer.
            StatusCode::SERVICE_UNAVAILABLE
                if response.headers().contains_key(RETRY_AFTER) && rpc_error(body).is_some() =>
            {
                McpError::Busy { retry_after: wait_asked_for(response) }
            }
            status if status.is_redirection() => self.not_mcp(self.redirection(response)),
            status if status.is_server_error() || is_given_up(status, body) => {
                tracing::debug!(http.status = status.as_u16(), said = said.as_deref(), "the server failed");
                McpError::ServerFailed { status: status.as_u16(), retry_after: wait_asked_for(response) }
            }
            status => self.other_refusal(status, said, body, session),
        };
        error.into()
    }

    fn other_refusal(
        &self,
        status: StatusCode,
        said: Option<String>,
        body: &str,
        session: Option<&SessionHeaders>,
    ) -> McpError {
        if let Some(error) = rpc_error(body) {
            return self.rpc(error);
        }
        let reason = match said {
            Some(said) => format!("{}: {said}", named(status)),
            None => named(status),
        };
        match session {
            None => self.not_mcp(format!("it answered with {reason}")),
            Some(_) => McpError::Rpc(ErrorObject::new(ErrorCode::INVALID_REQUEST, reason)),
        }
    }

    /// A JSON-RPC error for the caller, its words made harmless.
    pub(in crate::mcp) fn rpc(&self, error: ErrorObject) -> McpError {
        McpError::Rpc(ErrorObject { message: self.quote(&error.message), ..error })
    }

    fn redirection(&self, response: &Response) -> String {
        let status = response.status().as_u16();
        let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        match target.map(|target| self.quote(without_query(target))) {
            Some(target) => format!(
                "it redirects to {target} (HTTP status {status}), and the key is not carried elsewhere; \
                 if that is the server, use its URL"
            ),
            None => format!("it redirects nowhere (HTTP status {status})"),
        }
    }

    /// The words for a person in a refusal, where there are any.
    fn said(&self, media_type: &str, body: &str) -> Option<String> {
        let words = match media_type {
            "application/json" | "application/problem+json" => match rpc_error(body) {
                Some(error) => error.message,
                None => message_in(&serde_json::from_str(body).ok()?)?,
            },
            "text/plain" => body.to_owned(),
            _ => return None,
        };
        let words = self.quote(&words);
        (!words.is_empty()).then_some(words)
    }
}

fn named(status: StatusCode) -> String {
    let name = status.canonical_reason().map(|name| format!(" {name}")).unwrap_or_default();
    format!("HTTP status {}{name}", status.as_u16())
}

/// Whether it is something between here and the server that did not wait for the answer any longer. A server that did
/// not get the whole request says so itself.
fn is_given_up(status: StatusCode, body: &str) -> bool {
    status == StatusCode::REQUEST_TIMEOUT && rpc_error(body).is_none()
}

fn rpc_error(body: &str) -> Option<ErrorObject> {
    match Incoming::parse(body) {
        Ok(Incoming::Response { outcome: Err(error), .. }) => Some(error),
        Ok(Incoming::Response { .. } | Incoming::Request { .. } | Incoming::Notification { .. }) | Err(_) => {
            None
        }
    }
}

/// The members under which web frameworks say what is wrong.
fn message_in(body: &Value) -> Option<String> {
    let places = ["/error_description", "/detail", "/error/message", "/message", "/error"];
    places.into_iter().find_map(|place| body.pointer(place)?.as_str().map(ToOwned::to_owned))
}

fn wait_asked_for(response: &Response) -> Option<Duration> {
    let text = |name: &HeaderName| response.headers().get(name)?.to_str().ok();
    let now =
        text(&DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or_else(SystemTime::now);
    retry_after(text(&RETRY_AFTER)?, now)
}
