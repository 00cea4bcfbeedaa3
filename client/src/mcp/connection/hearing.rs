//! Hears the answer to one request: the response, and what the server says before it.

use std::time::Duration;

use reqwest::header::HeaderValue;
use serde_json::{json, value::RawValue};
use shared::{
    jsonrpc::{ErrorCode, ErrorObject, ErrorResponse, Incoming, RequestId, ResultResponse},
    mcp::{ProtocolVersion, methods, utilities::ProgressNotificationParams},
};
use tokio::time::timeout;

use super::peer::Peer;
use crate::mcp::{
    McpError,
    exchange::{Failure, Messages, SessionHeaders},
};

/// How long an answer to a request of the server may take to deliver: the call it came with waits for it.
const REPLY_LIMIT: Duration = Duration::from_secs(5);

/// Whom to tell how far a call has come.
pub(super) type TellProgress<'a> = dyn Fn(ProgressNotificationParams) + Send + Sync + 'a;

/// An answered request.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) result: Box<RawValue>,
    /// The session id that the answer carried.
    pub(super) session_id: Option<HeaderValue>,
}

/// One request on its way: what arrives before its response, and the response.
pub(super) struct Hearing<'a> {
    pub(super) peer: &'a Peer,
    pub(super) session: Option<&'a SessionHeaders>,
    pub(super) id: &'a RequestId,
    pub(super) progress: Option<&'a TellProgress<'a>>,
}

impl Hearing<'_> {
    /// Sends the request and hears the answer to its end.
    ///
    /// # Errors
    /// A [`Failure`] of this one attempt.
    pub(super) async fn converse(&self, body: String) -> Result<Answered, Failure> {
        let answer = self.peer.wire.post(self.session, body).await?;
        let session_id = answer.session_id();
        let mut messages = answer.messages(self.session).await?;
        match self.response(&mut messages).await {
            Ok(result) => {
                messages.end(None).await;
                Ok(Answered { result, session_id })
            }
            Err(error) => {
                let pause = messages.retry();
                messages.end((!matches!(error, McpError::Rpc(_))).then_some(&error)).await;
                Err(Failure::Error { error, pause })
            }
        }
    }

    async fn response(&self, messages: &mut Messages<'_>) -> Result<Box<RawValue>, McpError> {
        while let Some(text) = messages.next().await? {
            for message in self.unpacked(&text)? {
                if let Some(result) = self.take(message).await? {
                    return Ok(result);
                }
            }
        }
        Err(messages.ended_early())
    }

    /// The messages in a text: one, or, in the one revision that has batches, several.
    fn unpacked<'t>(&self, text: &'t str) -> Result<Vec<&'t str>, McpError> {
        let may_be_batch =
            self.session.is_some_and(|session| session.version == ProtocolVersion::V2025_03_26);
        if !may_be_batch || !text.trim_ascii_start().starts_with('[') {
            return Ok(vec![text]);
        }
        let batch: Vec<&RawValue> =
            serde_json::from_str(text).map_err(|error| self.not_understood(&error.to_string()))?;
        Ok(batch.into_iter().map(RawValue::get).collect())
    }

    /// Takes one message; the result, if it is the response.
    async fn take(&self, message: &str) -> Result<Option<Box<RawValue>>, McpError> {
        match Incoming::parse(message).map_err(|error| self.not_understood(&error.to_string()))? {
            Incoming::Response { id: Some(id), outcome } if id == *self.id => match outcome {
                Ok(result) => Ok(Some(result.to_owned())),
                Err(error) => Err(self.peer.wire.rpc(error)),
            },
            // An error without an id is about a request that the server could not read: this one.
            Incoming::Response { id: None, outcome: Err(error) } => Err(self.peer.wire.rpc(error)),
            Incoming::Response { id, .. } => {
                let id = self.peer.quote(&id.map(|id| id.to_string()).unwrap_or_default());
                Err(McpError::Protocol(format!(
                    "it answered request {id} where request {} was asked",
                    self.id
                )))
            }
            Incoming::Notification { method, params } => {
                self.heed(&method, params);
                Ok(None)
            }
            Incoming::Request { id, method, .. } => {
                self.reply(&id, &method).await;
                Ok(None)
            }
        }
    }

    fn heed(&self, method: &str, params: Option<&RawValue>) {
        let progress = match (method, params) {
            (methods::PROGRESS, Some(params)) => {
                serde_json::from_str::<ProgressNotificationParams>(params.get()).ok()
            }
            _ => None,
        };
        match (progress, self.progress) {
            (Some(progress), Some(tell)) if progress.progress_token == *self.id => tell(progress),
            _ => tracing::debug!(rpc.method = ?method, "a notification was ignored"),
        }
    }

    /// Answers a request of the server: it may ask whether this client is there, and nothing else.
    async fn reply(&self, id: &RequestId, method: &str) {
        let Some(session) = self.session else { return };
        let delivered = if method == methods::PING {
            timeout(REPLY_LIMIT, self.peer.deliver(session, &ResultResponse::new(id, json!({})))).await
        } else {
            let error = ErrorObject::new(ErrorCode::METHOD_NOT_FOUND, "this client answers `ping` only");
            timeout(REPLY_LIMIT, self.peer.deliver(session, &ErrorResponse::new(Some(id), &error))).await
        };
        if !matches!(delivered, Ok(Ok(()))) {
            tracing::debug!(rpc.method = ?method, "the answer to a request of the server could not be delivered");
        }
    }

    fn not_understood(&self, reason: &str) -> McpError {
        self.peer.wire.not_understood(self.session, self.peer.quote(reason))
    }
}
