//! The protocol engine: it serves whatever set of tools it is given, to whoever was authenticated.
//!
//! It knows neither payments nor HTTP. What arrives is an [`Exchange`] and the bytes of a message; what leaves is a
//! [`Reply`] or a [`Refused`]. Which revision a message speaks decides who answers it: `legacy` has the revisions
//! with sessions, `modern` the one without; `dispatch` has the methods, once for both. A tool ([`Tool`]), a [`Resource`]
//! or a [`Prompt`] is written once and never sees the difference.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use serde_json::value::RawValue;
use shared::{
    jsonrpc::MessageError,
    mcp::{
        ProtocolVersion,
        lifecycle::{ListCapability, ResourcesCapability, ServerCapabilities},
        methods,
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    audit::{AuditTrail, Refusals, RefusedRequest, Sender},
    clock::UnixMillis,
    identity::Principal,
    limits::Limits,
    store::{Outcome, Revision, Store, StoreError},
};

mod abilities;
mod answers;
mod arguments;
mod asking;
mod builder;
mod call;
mod commitment;
mod context;
mod cursors;
mod decimal;
mod depth;
mod dispatch;
mod era;
mod event_stream;
mod field;
#[cfg(fuzzing)]
pub mod fuzzing;
mod indented;
mod legacy;
mod library;
mod listeners;
mod lists;
mod live;
mod log;
mod mail;
mod modern;
mod outbox;
mod prompt;
mod reading;
mod reply;
mod resource;
mod rounds;
mod run_to_end;
mod schema;
mod screening;
mod sealing;
mod session;
mod sessions;
mod sole;
mod sse;
mod stopwatch;
mod streams;
mod template;
#[cfg(test)]
mod tests;
mod tokens;
mod tool;
mod toolbox;
mod trace;
mod watching;
mod work;

pub use asking::AskError;
pub use builder::{BuildError, EngineBuilder};
pub use commitment::Recorded;
pub use context::RequestContext;
pub use decimal::Decimal;
pub use event_stream::EventStream;
pub use indented::Indented;
pub use prompt::{ArgumentDefinition, Prompt, PromptArguments, PromptDefinition};
pub use reply::{Refusal, Refused, Reply};
pub use resource::{Part, Parts, Resource, ResourceDefinition, ResourceTemplate, Typing, Variables};
pub use screening::Screen;
pub use sealing::Sealing;
pub use session::SessionId;
pub use sessions::SessionSettings;
pub use tool::{Content, Definition, Tool, ToolError};

use library::Library;
use listeners::Listeners;
use modern::Desk;
use sessions::Sessions;
use toolbox::Toolbox;
use watching::Watching;

/// How often watched resources are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Who the server says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerIdentity {
    /// `serverInfo.name`.
    pub name: String,
    /// `serverInfo.version`.
    pub version: String,
    /// How a model should use the server.
    pub instructions: Option<String>,
}

/// What the engine needs to know of one HTTP request.
pub struct Exchange<'a> {
    /// Who sent it.
    pub principal: Principal,
    /// From which address.
    pub from: IpAddr,
    /// The server's name for it.
    pub request_id: Arc<str>,
    /// `Mcp-Session-Id`, as presented.
    pub session_id: Option<&'a [u8]>,
    /// `MCP-Protocol-Version`.
    pub protocol_version: Header<'a>,
    /// Every other header, by its name in lower case.
    pub headers: &'a (dyn Fn(&str) -> Header<'a> + Send + Sync),
}

impl<'a> Exchange<'a> {
    /// A header, by its name in lower case.
    fn header(&self, name: &str) -> Header<'a> {
        (self.headers)(name)
    }

    /// The revision that the header names, where it names one.
    fn announced(&self) -> Option<ProtocolVersion> {
        let Header::Once(version) = self.protocol_version else { return None };
        str::from_utf8(version).ok()?.parse().ok()
    }
}

impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// A header of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header<'a> {
    /// It is not there.
    Absent,
    /// It is there once, with this value.
    Once(&'a [u8]),
    /// It is there more than once.
    Repeated,
}

/// The engine. Everything it does can be done by many at once.
pub struct Engine {
    identity: ServerIdentity,
    /// The identity as it stands beside results.
    server_meta: Arc<RawValue>,
    rounds: Arc<Desk>,
    toolbox: Toolbox,
    library: Arc<Library>,
    watching: Arc<Watching>,
    listeners: Listeners,
    live: Arc<live::Live>,
    store: Arc<dyn Store>,
    page_size: usize,
    sessions: Sessions,
    audit: Arc<AuditTrail>,
    limits: Limits,
    refusals: Refusals,
    screen: Option<Screen>,
    tool_timeout: Duration,
    offers_logging: bool,
    /// Calls whose client went away, and those that answer on a stream.
    left_behind: TaskTracker,
    stop: CancellationToken,
}

impl Engine {
    /// Begins an engine without tools.
    #[must_use]
    pub fn builder(identity: ServerIdentity) -> EngineBuilder {
        EngineBuilder::new(identity)
    }

    /// Answers what was posted. Dropping the future does not stop a tool call that has begun.
    ///
    /// # Errors
    /// [`Refused`] when the request is not served at all.
    pub async fn post(&self, exchange: Exchange<'_>, body: &[u8]) -> Result<Reply, Refused> {
        let text = str::from_utf8(body).map_err(|error| Refused {
            id: None,
            refusal: MessageError::NotJson(error.to_string()).into(),
        })?;
        if era::is_stateless(text, exchange.announced(), exchange.session_id.is_some()) {
            modern::post(self, exchange, text).await
        } else {
            legacy::post(self, exchange, text).await
        }
    }

    /// Opens a stream of the exchange's session, or goes on with one after the event `last_event_id`; there may be
    /// several at once.
    ///
    /// # Errors
    /// [`Refused`] when there is no such session, when it has too many streams, and when the stream of a request cannot
    /// be gone on with.
    pub async fn open_stream(
        &self,
        exchange: Exchange<'_>,
        last_event_id: Option<&[u8]>,
    ) -> Result<EventStream, Refused> {
        let stream = legacy::open_stream(self, &exchange, last_event_id).await;
        stream.map_err(|refusal| Refused { id: None, refusal })
    }

    /// Ends the exchange's session and its streams. When it returns, nobody finds the session any more.
    ///
    /// # Errors
    /// [`Refused`] when there is no such session, also when it was ended before.
    pub async fn end_session(&self, exchange: Exchange<'_>) -> Result<(), Refused> {
        legacy::end_session(self, &exchange).await.map_err(|refusal| Refused { id: None, refusal })
    }

    /// Ends the sessions that have expired, and their streams, clears away what was left in sessions and nobody took, and
    /// forgets what limits need not remember. Call it every few seconds.
    pub async fn sweep(&self) {
        self.limits.sweep();
        self.sessions.sweep().await;
        self.sweep_mail().await;
    }

    /// Where it is noted who was turned away.
    #[must_use]
    pub const fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Notes that a caller presented something that it was not given, or not for this time.
    fn note_denied(&self, principal: &Principal, from: IpAddr, request_id: &str, rule: &str) {
        self.refusals.note(RefusedRequest {
            sender: Sender::known(principal),
            from,
            rule,
            outcome: Outcome::Denied,
            request_id,
            session: None,
        });
    }

    fn server_meta(&self) -> Arc<RawValue> {
        Arc::clone(&self.server_meta)
    }

    fn rounds(&self) -> Arc<Desk> {
        Arc::clone(&self.rounds)
    }

    /// What this engine offers to clients of a revision.
    fn capabilities(&self, _protocol: ProtocolVersion) -> ServerCapabilities {
        ServerCapabilities {
            tools: Some(ListCapability { list_changed: Some(true) }),
            resources: self.library.has_resources().then(|| ResourcesCapability {
                subscribe: self.library.is_watched().then_some(true),
                list_changed: Some(true),
            }),
            prompts: (!self.library.prompts.is_empty())
                .then_some(ListCapability { list_changed: Some(true) }),
            completions: self.library.can_complete().then(serde_json::Map::new),
            logging: self.offers_logging.then(serde_json::Map::new),
            ..ServerCapabilities::default()
        }
    }

    /// What a client is told when its key may do something else than before: every list may be another one.
    fn list_changes(&self) -> Vec<&'static str> {
        let mut changes = vec![methods::TOOLS_LIST_CHANGED];
        if self.library.has_resources() {
            changes.push(methods::RESOURCES_LIST_CHANGED);
        }
        if !self.library.prompts.is_empty() {
            changes.push(methods::PROMPTS_LIST_CHANGED);
        }
        changes
    }

    /// Keeps what is open in step with keys and sessions that were ended or changed in the store, by whatever process,
    /// until the engine stops. What was ended is over here within a fraction of a second.
    pub async fn keep_step(&self) {
        tokio::join!(self.keep_time(), self.keep_looking());
    }

    /// Ends what is over by its time, for which nothing has to be asked or waited for.
    async fn keep_time(&self) {
        while self.stop.run_until_cancelled(tokio::time::sleep(live::LOOK_EVERY)).await.is_some() {
            self.live.expire(UnixMillis::now());
        }
    }

    async fn keep_looking(&self) {
        let mut known = None;
        while self.stop.run_until_cancelled(tokio::time::sleep(live::LOOK_EVERY)).await.is_some() {
            // After a failure the store may be one that lost its last moment, and the same number may stand for something
            // else than before.
            known = match self.revise(known).await {
                Ok(revision) => Some(revision),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "it cannot be told whether keys or sessions were ended");
                    None
                }
            };
            if let Err(error) = self.fetch_mail().await {
                known = None;
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "what other servers were told is not known here");
            }
        }
    }

    /// Holds what is open against the store, all of it where the revision is not the one that is known. Keys and sessions are
    /// asked for beside each other: neither waits for the other, nor is left out where the other cannot be had.
    async fn revise(&self, known: Option<Revision>) -> Result<Revision, StoreError> {
        let revision = self.store.revision().await?;
        if known == Some(revision) {
            self.live.revise(self.store.as_ref(), live::Whose::New).await?;
            return Ok(revision);
        }
        let keys = self.live.revise(self.store.as_ref(), live::Whose::All);
        let (keys, sessions) = tokio::join!(keys, self.sessions.revise());
        keys.and(sessions).map(|()| revision)
    }

    /// Looks every second at the resources that somebody watches and hears of, until the engine stops.
    pub async fn watch(&self) {
        while self.stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            self.watching.look(&self.library).await;
        }
    }

    /// Returns when every call whose client went away has ended. Call it when no request comes in any more.
    pub async fn drained(&self) {
        self.left_behind.close();
        self.left_behind.wait().await;
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("identity", &self.identity).finish_non_exhaustive()
    }
}
