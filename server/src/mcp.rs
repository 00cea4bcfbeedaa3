//! The protocol engine: it serves whatever set of tools it is given, to whoever was authenticated.
//!
//! It knows neither payments nor HTTP. What arrives is an [`Exchange`] and the bytes of a message; what leaves is a
//! [`Reply`] or a [`Refused`]. Which revision a message speaks decides who answers it: `legacy` has the revisions
//! with sessions. A tool ([`Tool`]) is written once and never sees the difference.

use std::{fmt, sync::Arc, time::Duration};

use shared::mcp::{
    ProtocolVersion,
    lifecycle::{ListCapability, ServerCapabilities},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{audit::AuditTrail, identity::Principal, store::Store};

mod abilities;
mod arguments;
mod asking;
mod call;
mod context;
mod depth;
mod dispatch;
mod event_stream;
mod field;
mod legacy;
mod lists;
mod log;
mod outbox;
mod reply;
mod rounds;
mod run_to_end;
mod schema;
mod session;
mod sessions;
mod sse;
mod stopwatch;
mod streams;
#[cfg(test)]
mod tests;
mod tool;
mod toolbox;

pub use asking::AskError;
pub use context::RequestContext;
pub use event_stream::EventStream;
pub use reply::{Refusal, Refused, Reply};
pub use session::SessionId;
pub use sessions::SessionSettings;
pub use tool::{Content, Definition, Tool, ToolError};

use sessions::Sessions;
use toolbox::Toolbox;

/// How long a tool call may take unless the builder says otherwise.
const TOOL_TIMEOUT: Duration = Duration::from_secs(30);

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
#[derive(Debug)]
pub struct Exchange<'a> {
    /// Who sent it.
    pub principal: Principal,
    /// The server's name for it.
    pub request_id: Arc<str>,
    /// `Mcp-Session-Id`, as presented.
    pub session_id: Option<&'a [u8]>,
    /// `MCP-Protocol-Version`, as presented.
    pub protocol_version: Option<&'a [u8]>,
}

/// Why an engine cannot be built: a mistake in how its tools are written.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Two tools have one name.
    #[error("there are two tools of the name {0}")]
    DuplicateTool(&'static str),
    /// Arguments and outputs have to be objects.
    #[error("the arguments and the output of {0} must be objects")]
    NotAnObject(&'static str),
    /// A tool's description cannot be written.
    #[error("a tool's description cannot be written as JSON")]
    Schema(#[source] serde_json::Error),
}

/// Collects what an engine is made of.
pub struct EngineBuilder {
    identity: ServerIdentity,
    toolbox: Result<Toolbox, BuildError>,
    sessions: SessionSettings,
    tool_timeout: Duration,
    offers_logging: bool,
}

impl EngineBuilder {
    /// Adds a tool; `tools/list` keeps the order.
    #[must_use]
    pub fn tool(mut self, tool: impl Tool) -> Self {
        self.toolbox = self.toolbox.and_then(|mut toolbox| toolbox.add(tool).map(|()| toolbox));
        self
    }

    /// How long sessions live and how many there may be.
    #[must_use]
    pub fn sessions(mut self, settings: SessionSettings) -> Self {
        self.sessions = settings;
        self
    }

    /// How long a tool call may take: 30 seconds unless said otherwise.
    #[must_use]
    pub fn tool_timeout(mut self, limit: Duration) -> Self {
        self.tool_timeout = limit;
        self
    }

    /// Announces log messages to the client (utilities, "Logging"), for tools that send them.
    #[must_use]
    pub fn logging(mut self) -> Self {
        self.offers_logging = true;
        self
    }

    /// The engine. Its streams end when `stop` is cancelled.
    ///
    /// # Errors
    /// [`BuildError`], of the first tool that has one.
    pub fn build(
        self,
        store: Arc<dyn Store>,
        audit: Arc<AuditTrail>,
        stop: CancellationToken,
    ) -> Result<Engine, BuildError> {
        Ok(Engine {
            identity: self.identity,
            toolbox: self.toolbox?,
            sessions: Sessions::new(store, self.sessions),
            audit,
            tool_timeout: self.tool_timeout,
            offers_logging: self.offers_logging,
            left_behind: TaskTracker::new(),
            stop,
        })
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// The engine. Everything it does can be done by many at once.
pub struct Engine {
    identity: ServerIdentity,
    toolbox: Toolbox,
    sessions: Sessions,
    audit: Arc<AuditTrail>,
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
        EngineBuilder {
            identity,
            toolbox: Ok(Toolbox::default()),
            sessions: SessionSettings::default(),
            tool_timeout: TOOL_TIMEOUT,
            offers_logging: false,
        }
    }

    /// Answers what was posted. Dropping the future does not stop a tool call that has begun.
    ///
    /// # Errors
    /// [`Refused`] when the request is not served at all.
    pub async fn post(&self, exchange: Exchange<'_>, body: &[u8]) -> Result<Reply, Refused> {
        legacy::post(self, exchange, body).await
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

    /// Ends the sessions that have expired, and their streams. Call it every few seconds.
    pub async fn sweep(&self) {
        self.sessions.sweep().await;
    }

    /// What this engine offers to clients of a revision.
    fn capabilities(&self, _protocol: ProtocolVersion) -> ServerCapabilities {
        ServerCapabilities {
            tools: Some(ListCapability::default()),
            logging: self.offers_logging.then(serde_json::Map::new),
            ..ServerCapabilities::default()
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
