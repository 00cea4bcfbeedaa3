//! The session of a connection: opened with `initialize`, and opened again, once for all callers, when the server does
//! not know it any more.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::header::HeaderValue;
use serde_json::Value;
use shared::mcp::{
    JsonObject, ProtocolVersion,
    lifecycle::{InitializeRequestParams, InitializeResult},
    methods,
};
use tokio::{sync::Mutex, time::timeout};
use tokio_util::sync::DropGuard;

use super::{
    hearing::Answered,
    peer::{Call, Patience, Peer},
    read,
};
use crate::mcp::{
    McpError, TimedOut, asking,
    exchange::{Failure, SessionHeaders},
};

/// How long ending a session may take that could not begin.
const ABANDONING_LIMIT: Duration = Duration::from_millis(500);

/// An open session, or the agreement with a server that keeps none.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) headers: SessionHeaders,
    pub(super) server: InitializeResult,
    /// Listens to what the server says unasked, for as long as this is the session.
    listening: Option<DropGuard>,
}

/// The present session of a connection.
pub(super) struct Sessions {
    current: RwLock<Arc<Session>>,
    /// Held by whoever opens the session again. What the last one who failed learned waits here for those who were
    /// waiting while it happened.
    reopening: Mutex<Option<McpError>>,
    /// How many have tried to open the session again, and ended.
    finished: AtomicU64,
}

impl Sessions {
    pub(super) fn new(session: Session) -> Self {
        Self {
            current: RwLock::new(Arc::new(session)),
            reopening: Mutex::new(None),
            finished: AtomicU64::new(0),
        }
    }

    /// The session that calls are to be made in.
    pub(super) fn current(&self) -> Arc<Session> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// As [`Sessions::current`], after whoever is opening the session again has ended.
    pub(super) async fn last(&self) -> Arc<Session> {
        let _nobody_reopens = self.reopening.lock().await;
        self.current()
    }

    /// A session in place of `gone`, which the server does not know. However many callers find out at once, the
    /// server sees one `initialize`, and if it fails they all learn why.
    ///
    /// # Errors
    /// Nothing that was asked has run. [`McpError::SessionEnded`] when there is no new session to be had; what says
    /// what to do about it ([`McpError::Unauthorized`], [`McpError::NoCredentials`], [`McpError::Forbidden`],
    /// [`McpError::Unreachable`], [`McpError::Busy`]) stays as it is.
    pub(super) async fn reopen(
        &self,
        gone: &Arc<Session>,
        peer: &Arc<Peer>,
        patience: &Patience<'_>,
        closing: &AtomicBool,
    ) -> Result<Arc<Session>, McpError> {
        let finished_before = self.finished.load(Ordering::Acquire);
        let mut failed = patience.bound(async { Ok::<_, McpError>(self.reopening.lock().await) }).await?;
        let current = self.current();
        if !Arc::ptr_eq(&current, gone) {
            return Ok(current);
        }
        if closing.load(Ordering::Acquire) {
            return Err(McpError::SessionEnded);
        }
        if let Some(error) = &*failed
            && self.finished.load(Ordering::Acquire) != finished_before
        {
            return Err(error.clone());
        }
        tracing::debug!("the server does not know the session; opening a new one");
        // Under the limits of this caller, who could not keep them otherwise. If it gives up, the next in line tries.
        let mut patience = patience.afresh();
        let outcome = peer.initialize(&mut patience).await.map_err(as_seen_by_a_call);
        match outcome {
            Ok(session) => {
                let session = Arc::new(session);
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&session);
                *failed = None;
                self.finished.fetch_add(1, Ordering::Release);
                Ok(session)
            }
            Err(error @ (McpError::Cancelled | McpError::TimedOut(TimedOut::Call))) => Err(error),
            Err(error) => {
                *failed = Some(error.clone());
                self.finished.fetch_add(1, Ordering::Release);
                Err(error)
            }
        }
    }
}

/// What a failed `initialize` means to a call that waits for it: the call did not run, whatever came of `initialize`.
fn as_seen_by_a_call(error: McpError) -> McpError {
    match error {
        McpError::Unauthorized(_)
        | McpError::NoCredentials(_)
        | McpError::Forbidden(_)
        | McpError::Unreachable { .. }
        | McpError::Busy { .. }
        | McpError::TimedOut(TimedOut::Connect | TimedOut::Call)
        | McpError::Cancelled
        | McpError::SessionEnded => error,
        McpError::NotMcp { .. }
        | McpError::Protocol(_)
        | McpError::Rpc(_)
        | McpError::ServerFailed { .. }
        | McpError::TimedOut(TimedOut::FirstByte | TimedOut::Idle | TimedOut::Progress)
        | McpError::Broken(_) => {
            tracing::debug!(reason = %error, "no new session could be opened");
            McpError::SessionEnded
        }
    }
}

impl Peer {
    /// Opens a session: `initialize`, then `notifications/initialized`.
    ///
    /// # Errors
    /// What a call has, and [`McpError::Protocol`] for a revision that is not spoken here or a session id that cannot
    /// be one.
    pub(super) async fn initialize(
        self: &Arc<Self>,
        patience: &mut Patience<'_>,
    ) -> Result<Session, McpError> {
        let params = InitializeRequestParams {
            protocol_version: ProtocolVersion::LATEST_WITH_SESSIONS.to_string(),
            capabilities: asking::capabilities(self.answerer.as_ref()),
            client_info: self.client.clone(),
            meta: None,
        };
        let params = match serde_json::to_value(params) {
            Ok(Value::Object(params)) => params,
            Ok(_) | Err(_) => JsonObject::new(),
        };
        let mut call = Call::repeatable(methods::INITIALIZE, params);
        let answered = self.call(None, &mut call, patience).await.map_err(outside_a_session)?;
        let mut session = match self.agree(&answered) {
            Ok(session) => session,
            Err(error) => {
                // In whatever revision: it is the id that counts.
                let version = ProtocolVersion::LATEST_WITH_SESSIONS;
                self.abandon(&SessionHeaders { id: answered.session_id.filter(can_be_one), version }).await;
                return Err(error);
            }
        };
        match self.begin(&session.headers, patience).await {
            Ok(listening) => {
                session.listening = listening;
                Ok(session)
            }
            Err(error) => {
                self.abandon(&session.headers).await;
                Err(error)
            }
        }
    }

    /// Says that the session can begin, and listens in it.
    async fn begin(
        self: &Arc<Self>,
        headers: &SessionHeaders,
        patience: &mut Patience<'_>,
    ) -> Result<Option<DropGuard>, McpError> {
        patience.renew_attempts();
        self.notify(headers, methods::INITIALIZED, patience).await.map_err(outside_a_session)?;
        patience.bound(async { Ok(self.listen(headers).await) }).await
    }

    /// Ends a session that nobody will use, so that it takes up no room at the server until it expires. The caller
    /// waits, so there is one short attempt.
    async fn abandon(&self, headers: &SessionHeaders) {
        if headers.id.is_some() && !matches!(timeout(ABANDONING_LIMIT, self.end(headers)).await, Ok(Ok(()))) {
            tracing::debug!("a session that could not begin could not be ended either");
        }
    }

    fn agree(&self, answered: &Answered) -> Result<Session, McpError> {
        let server: InitializeResult = read(methods::INITIALIZE, &answered.result, self)?;
        let version: Option<ProtocolVersion> = server.protocol_version.parse().ok();
        let version = version.filter(|version| version.has_sessions()).ok_or_else(|| {
            let spoken = ProtocolVersion::WITH_SESSIONS.map(ProtocolVersion::as_str).join(", ");
            let theirs = self.quote(&server.protocol_version);
            McpError::Protocol(format!(
                "it wants to speak revision {theirs} of MCP; this client speaks {spoken}"
            ))
        })?;
        let id = answered.session_id.clone().map(|mut id| {
            id.set_sensitive(true);
            id
        });
        if !id.as_ref().is_none_or(can_be_one) {
            return Err(McpError::Protocol(
                "its session id is not made of visible ASCII characters".to_owned(),
            ));
        }
        Ok(Session { headers: SessionHeaders { id, version }, server, listening: None })
    }
}

/// Whether a session id is made of what one is made of (transports, "Session Management").
fn can_be_one(id: &HeaderValue) -> bool {
    !id.is_empty() && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// What it means to something beside the calls that the session is unknown.
pub(super) fn outside_a_session(failure: Failure) -> McpError {
    match failure {
        Failure::SessionUnknown => McpError::SessionEnded,
        Failure::Error { error, .. } => error,
    }
}
