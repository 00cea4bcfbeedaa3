//! What the engine answers: messages as bytes, or a refusal that HTTP has a status for.

use std::time::Duration;

use serde::Serialize;
use serde_json::{json, value::RawValue};
use shared::jsonrpc::{ErrorCode, ErrorObject, ErrorResponse, MessageError, RequestId, ResultResponse};
use shared::mcp::{
    ProtocolVersion,
    input::InputRequiredResult,
    modern::{CacheScope, ResultType, meta},
};

use super::{
    context::{Peer, RequestContext},
    dispatch::Answer,
    event_stream::EventStream,
    indented::Indented,
    session::SessionId,
};
use crate::{limits::Limited, store::StoreError};

/// The answer to what was posted.
#[derive(Debug)]
pub enum Reply {
    /// One message, or an array of them.
    Message(Vec<u8>),
    /// The answer to `initialize`, and the session that it opened.
    Opened {
        /// The session's id, for its owner alone.
        session: SessionId,
        /// The message.
        message: Vec<u8>,
    },
    /// There is nothing to say.
    Accepted,
    /// Messages, the answer last.
    Stream(EventStream),
}

/// A refusal, and the request it refuses where that could be read.
#[derive(Debug)]
pub struct Refused {
    /// The id of the request.
    pub id: Option<RequestId>,
    /// Why.
    pub refusal: Refusal,
}

impl From<MessageError> for Refused {
    fn from(error: MessageError) -> Self {
        Self { id: error.id().cloned(), refusal: error.into() }
    }
}

impl From<ErrorObject> for Refusal {
    fn from(error: ErrorObject) -> Self {
        Self::Stateless(error)
    }
}

/// What most answers have room in: a message that grows is copied, and what it was copied from is wiped.
const USUAL_BYTES: usize = 1_024;

/// Why the engine does not serve a request at all. What a method refuses is a [`Reply`].
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// What arrived is no message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// An array of messages that may not be sent here.
    #[error("{0}")]
    Batch(&'static str),
    /// The request belongs to no session, and to no revision that needs none.
    #[error(
        "Mcp-Session-Id header required: send `initialize` first, then repeat the session id it returns; or speak \
         2026-07-28, which needs no session but `_meta` in every request"
    )]
    SessionRequired,
    /// In a revision without sessions, the request itself is wrong.
    #[error("{}", .0.message)]
    Stateless(ErrorObject),
    /// In a revision without sessions, what was presented was not given to its sender, or not for this time: it is noted.
    #[error("{}", .0.message)]
    Denied(ErrorObject),
    /// GET or DELETE, where there are neither streams of their own nor sessions.
    #[error("Method not allowed: 2026-07-28 has POST alone; `subscriptions/listen` opens a stream")]
    OnlyPost,
    /// A response, where the server asks nothing that is answered so.
    #[error("Responses are not sent in 2026-07-28: answer with `inputResponses` in the repeated request")]
    NoResponses,
    /// The session is unknown, ended, or another's: which of them is not told.
    #[error("Session not found: send `initialize` to open a new one")]
    SessionNotFound,
    /// The version header names no revision that is served with sessions, or is there more than once: a proxy might go by
    /// another of them than we do.
    #[error("Unsupported MCP-Protocol-Version; send it once; supported: 2025-03-26, 2025-06-18, 2025-11-25")]
    UnsupportedVersion,
    /// The version header names another revision than the session's.
    #[error("MCP-Protocol-Version is not the one negotiated for this session, which is {0}")]
    OtherVersion(ProtocolVersion),
    /// The session has as many streams open as it may have.
    #[error("Too many open streams of this session; close one first")]
    TooManyStreams,
    /// The stream cannot be read again from there.
    #[error("Last-Event-ID names no event that is still kept: what followed it cannot be sent again")]
    CannotResume,
    /// An answer for another server is larger than what is left in the store.
    #[error(
        "The answer is larger than {0} bytes, and is not to this server: send less, or to the server that asked"
    )]
    AnswerTooLarge(usize),
    /// The caller has used up what it may do.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// There are as many sessions as there may be.
    #[error("Too many open sessions {0}; end one with DELETE, or try again later")]
    TooManySessions(&'static str),
    /// The store does not answer.
    #[error("The server cannot reach its database at the moment; try again shortly")]
    Unavailable(#[source] StoreError),
    /// The operating system has no randomness to give.
    #[error("The server cannot make a session id at the moment; try again shortly")]
    NoRandomness(#[source] getrandom::Error),
}

impl Refusal {
    /// The code to answer with.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Message(error) => error.code(),
            Self::Batch(_)
            | Self::SessionRequired
            | Self::UnsupportedVersion
            | Self::OtherVersion(_)
            | Self::NoResponses
            | Self::OnlyPost
            | Self::CannotResume
            | Self::AnswerTooLarge(_) => ErrorCode::INVALID_REQUEST,
            Self::Stateless(error) | Self::Denied(error) => error.code,
            Self::SessionNotFound => ErrorCode::SESSION_NOT_FOUND,
            Self::TooManySessions(_) | Self::TooManyStreams | Self::Limited(_) => ErrorCode::LIMITED,
            Self::Unavailable(_) | Self::NoRandomness(_) => ErrorCode::INTERNAL_ERROR,
        }
    }
}

/// For how long a client may take a result for fresh (2026-07-28, "Caching"). Only a revision without sessions tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetime(pub(super) Option<Duration>);

impl Lifetime {
    /// The result is not of a kind that is kept.
    pub(super) const NONE: Self = Self(None);
    /// Lists change when permissions do, and that of resources when a family has another member. Clients are told of both
    /// where they listen.
    pub(super) const LIST: Self = Self(Some(Duration::from_secs(60)));
    /// What is read may have changed the next moment.
    pub(super) const READ: Self = Self(Some(Duration::ZERO));
}

/// The response that carries a result, as the revision of `context` has it. `result` is an object.
pub(super) fn result(context: &RequestContext, lifetime: Lifetime, result: impl Serialize) -> Answer {
    match context.peer() {
        Peer::Session(_) => written(context, result),
        Peer::Rounds(rounds) => {
            let kept = lifetime.0.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
            let dressed = Dressed {
                result_type: ResultType::Complete,
                result,
                ttl_ms: kept,
                cache_scope: kept.map(|_| CacheScope::Private),
                meta: &rounds.server_meta,
            };
            written(context, dressed)
        }
    }
}

/// The response that carries what a tool returned, which is JSON already: with the members that [`result`] gives it.
pub(super) fn of_text(context: &RequestContext, text: &Indented, structured: Option<&RawValue>) -> Answer {
    let rounds = match context.peer() {
        Peer::Session(_) => None,
        Peer::Rounds(rounds) => Some(rounds),
    };
    let members = [
        Some(("content", [r#"[{"type":"text","text":"#, text.as_json(), "}]"])),
        structured.map(|structured| ("structuredContent", ["", structured.get(), ""])),
        rounds.map(|_| ("resultType", ["", r#""complete""#, ""])),
        rounds.map(|rounds| ("_meta", ["", rounds.server_meta.get(), ""])),
    ];
    let mut message = Vec::with_capacity(USUAL_BYTES);
    message.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    if let Err(cause) = serde_json::to_writer(&mut message, context.id()) {
        return unwritable(&cause);
    }
    let mut between = br#","result":{""#.as_slice();
    for (name, json) in members.into_iter().flatten() {
        message.extend_from_slice(between);
        message.extend_from_slice(name.as_bytes());
        message.extend_from_slice(br#"":"#);
        json.into_iter().for_each(|piece| message.extend_from_slice(piece.as_bytes()));
        between = br#",""#;
    }
    message.extend_from_slice(b"}}");
    Answer::Result(message)
}

/// The error that says which limit was reached, and when there is room again.
pub(super) fn limited(limited: &Limited) -> ErrorObject {
    let mut error = ErrorObject::new(ErrorCode::LIMITED, limited.to_string());
    error.data = Some(json!({ "retryAfterSeconds": limited.retry_after.as_secs() }));
    error
}

/// The response that carries questions instead of a result.
pub(super) fn unfinished(context: &RequestContext, result: InputRequiredResult) -> Answer {
    let Peer::Rounds(rounds) = context.peer() else {
        return Answer::error(ErrorCode::INTERNAL_ERROR, "The server failed to ask");
    };
    let result_type = ResultType::InputRequired;
    let dressed = Dressed { result_type, result, ttl_ms: None, cache_scope: None, meta: &rounds.server_meta };
    written(context, dressed)
}

/// The response that ends a subscription (2026-07-28, patterns, "Subscriptions").
pub(super) fn farewell(context: &RequestContext) -> Answer {
    let meta = json!({ meta::SUBSCRIPTION_ID: context.id() });
    written(context, json!({ "resultType": ResultType::Complete, "_meta": meta }))
}

/// A result as revisions without sessions have it. Who the server is stands beside each (2026-07-28, "`_meta`").
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dressed<'a, R> {
    result_type: ResultType,
    #[serde(flatten)]
    result: R,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_scope: Option<CacheScope>,
    #[serde(rename = "_meta")]
    meta: &'a RawValue,
}

fn written(context: &RequestContext, result: impl Serialize) -> Answer {
    let mut message = Vec::with_capacity(USUAL_BYTES);
    match serde_json::to_writer(&mut message, &ResultResponse::new(context.id(), result)) {
        Ok(()) => Answer::Result(message),
        Err(cause) => unwritable(&cause),
    }
}

fn unwritable(cause: &serde_json::Error) -> Answer {
    tracing::error!(%cause, "a result cannot be written as JSON");
    Answer::error(ErrorCode::INTERNAL_ERROR, "The server failed to write its answer")
}

/// The response that carries an error. Without an id for what was no request, or for one whose id could not be read.
pub(super) fn error(id: Option<&RequestId>, error: &ErrorObject) -> Vec<u8> {
    // Strings, integers and JSON values can always be written.
    serde_json::to_vec(&ErrorResponse::new(id, error)).unwrap_or_default()
}
