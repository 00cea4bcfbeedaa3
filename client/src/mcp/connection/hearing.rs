//! Hears the answer to one request: the response, and what the server says before it.

use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::value::RawValue;
use shared::{
    jsonrpc::{Incoming, RequestId},
    mcp::{ProtocolVersion, methods, utilities::ProgressNotificationParams},
};

use super::{
    peer::{Patience, Peer},
    reopening::{Reopening, is_passing},
    replies::Replies,
    replying::ServerRequest,
    stopwatch::Stopwatch,
};
use crate::mcp::{
    McpError,
    exchange::{Failure, Messages, SessionHeaders},
};

/// How often in a row it is tried to go on with a stream that broke. A server that lets itself be polled, with the pause
/// between that it asks for, is polled for as long as the call may take.
const RESUMES_MAX: u32 = 3;

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
    /// Started anew by word of progress.
    pub(super) stopwatch: &'a Stopwatch<'a>,
    /// How long the caller waits.
    pub(super) patience: &'a Patience<'a>,
}

/// How one request's stream was gone on with so far.
#[derive(Debug, Default)]
struct Resumes {
    reopening: Reopening,
    in_a_row: u32,
}

impl Resumes {
    /// A stream ended without the response. The count begins anew where it delivered something else, where the server asks
    /// to be polled, and where a person was asked meanwhile: their answer is worth waiting for, and so is the stream.
    fn ended(&mut self, stream: &Messages<'_>, was_asked: bool) {
        self.reopening.ended(stream);
        if stream.has_delivered() || self.reopening.is_polling() || was_asked {
            self.in_a_row = 0;
        }
    }
}

impl<'a> Hearing<'a> {
    /// Sends the request and hears the answer to its end. What the server asks meanwhile is answered among `replies`.
    ///
    /// # Errors
    /// A [`Failure`] of this one attempt.
    pub(super) async fn converse(
        &self,
        headers: &HeaderMap,
        body: String,
        replies: &mut Replies<'a>,
    ) -> Result<Answered, Failure> {
        let answer = self.peer.wire.post(self.session, headers, body).await?;
        let session_id = answer.session_id();
        let messages = answer.messages(self.session).await?;
        Ok(Answered { result: self.hear(messages, replies).await?, session_id })
    }

    /// Hears the answer to its end, on as many streams as it takes.
    async fn hear(
        &self,
        mut messages: Messages<'a>,
        replies: &mut Replies<'a>,
    ) -> Result<Box<RawValue>, Failure> {
        let mut resumes = Resumes::default();
        loop {
            let asked_for = self.peer.asked_for.total();
            let error = match self.response(&mut messages, replies).await {
                Ok(result) => {
                    messages.end(None).await;
                    return Ok(result);
                }
                Err(error) => error,
            };
            resumes.ended(&messages, self.peer.asked_for.total() > asked_for);
            messages.end((!matches!(error, McpError::Rpc(_))).then_some(&error)).await;
            let resumed = match (&error, self.session) {
                (McpError::Broken(_), Some(session)) if session.version.has_sessions() => {
                    replies.beside(self.resume(session, &mut resumes)).await?
                }
                _ => None,
            };
            match resumed {
                Some(more) => messages = more,
                None => return Err(Failure::Error { error, pause: resumes.reopening.wait_asked() }),
            }
        }
    }

    /// Goes on with a stream that broke, after its last event (2025-11-25, Streamable HTTP transport, "Resumability and
    /// Redelivery"). `None` when it cannot be gone on with, or not before the call is over.
    async fn resume(&self, session: &SessionHeaders, resumes: &mut Resumes) -> Option<Messages<'a>> {
        resumes.reopening.last()?;
        while resumes.in_a_row < RESUMES_MAX && !resumes.reopening.is_refused_for_long() {
            resumes.in_a_row = resumes.in_a_row.saturating_add(1);
            let wait = resumes.reopening.pause();
            tracing::debug!(
                wait_ms = wait.as_millis(),
                attempt = resumes.in_a_row,
                "the stream broke; it will be gone on with, if there is time"
            );
            let asked_for = self.peer.asked_for.total();
            if !self.patience.wait(wait).await {
                return None;
            }
            match self.peer.open_stream(session, resumes.reopening.last()).await {
                Ok(messages) => return Some(messages),
                Err(reason) if is_passing(&reason) => {
                    resumes.reopening.failed(&reason);
                    if self.peer.asked_for.total() > asked_for {
                        resumes.in_a_row = 0;
                    }
                }
                Err(reason) => {
                    tracing::debug!(%reason, "the stream cannot be gone on with");
                    return None;
                }
            }
        }
        None
    }

    async fn response(
        &self,
        messages: &mut Messages<'_>,
        replies: &mut Replies<'a>,
    ) -> Result<Box<RawValue>, McpError> {
        while let Some(text) = replies.beside(messages.next()).await?? {
            let version = self.session.map(|session| session.version);
            let unpacked =
                unpacked(&text, version).map_err(|error| self.not_understood(&error.to_string()))?;
            for message in unpacked {
                if let Some(result) = self.take(message, replies).await? {
                    return Ok(result);
                }
            }
        }
        Err(messages.ended_early())
    }

    /// Takes one message; the result, if it is the response.
    async fn take(
        &self,
        message: &str,
        replies: &mut Replies<'a>,
    ) -> Result<Option<Box<RawValue>>, McpError> {
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
                replies.heed(&method, params);
                self.heed(&method, params);
                Ok(None)
            }
            Incoming::Request { id, method, params } => {
                // Without sessions there are no such requests.
                if let Some(session) = self.session.filter(|session| session.version.has_sessions()) {
                    let (peer, method) = (self.peer, method.into_owned());
                    let request = ServerRequest { id, method, params: params.map(ToOwned::to_owned) };
                    let reply = |request, taken_back| peer.reply(session, request, taken_back);
                    replies.begin(request, reply).await?;
                }
                Ok(None)
            }
        }
    }

    fn heed(&self, method: &str, params: Option<&RawValue>) {
        self.peer.cache.heed(method);
        let progress = match (method, params) {
            (methods::PROGRESS, Some(params)) => {
                serde_json::from_str::<ProgressNotificationParams>(params.get()).ok()
            }
            _ => None,
        };
        match progress.filter(|progress| progress.progress_token == *self.id) {
            Some(progress) => {
                self.stopwatch.restart();
                if let Some(tell) = self.progress {
                    tell(progress);
                }
            }
            None => tracing::debug!(rpc.method = ?method, "a notification was ignored"),
        }
    }

    fn not_understood(&self, reason: &str) -> McpError {
        self.peer.wire.not_understood(self.session, self.peer.quote(reason))
    }
}

/// The messages in a text: one, or, in the one revision that has batches, several.
pub(super) fn unpacked(text: &str, version: Option<ProtocolVersion>) -> serde_json::Result<Vec<&str>> {
    if version != Some(ProtocolVersion::V2025_03_26) || !text.trim_ascii_start().starts_with('[') {
        return Ok(vec![text]);
    }
    let batch: Vec<&RawValue> = serde_json::from_str(text)?;
    Ok(batch.into_iter().map(RawValue::get).collect())
}
