//! The protocol engine: it serves whatever set of tools it is given, to whoever was authenticated.
//!
//! It knows neither payments nor HTTP. What arrives is an [`Exchange`] and the bytes of a message; what leaves is a
//! [`Reply`] or a [`Refused`]. Which revision a message speaks decides who answers it: `legacy` has the revisions
//! with sessions, `modern` the one without; `dispatch` has the methods, once for both. A tool ([`Tool`]), a [`Resource`]
//! or a [`Prompt`] is written once and never sees the difference.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};
use shared::{
    jsonrpc::MessageError,
    mcp::{
        ProtocolVersion,
        lifecycle::{Implementation, ListCapability, ResourcesCapability, ServerCapabilities},
        methods,
        modern::meta,
        parameter_headers,
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    audit::{AuditTrail, Refusals, RefusedRequest, Sender},
    clock::UnixMillis,
    identity::Principal,
    limits::Limits,
    store::{Outcome, Store, StoreError},
};

mod abilities;
mod answers;
mod arguments;
mod asking;
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
mod legacy;
mod library;
mod listeners;
mod lists;
mod live;
mod log;
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
mod sse;
mod stopwatch;
mod streams;
mod template;
#[cfg(test)]
mod tests;
mod tool;
mod toolbox;
mod trace;
mod watching;
mod work;

pub use asking::AskError;
pub use commitment::Recorded;
pub use context::RequestContext;
pub use decimal::Decimal;
pub use event_stream::EventStream;
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

/// How long a tool call may take unless the builder says otherwise.
const TOOL_TIMEOUT: Duration = Duration::from_secs(30);

/// How many items a page of a list has unless the builder says otherwise.
const PAGE_SIZE: usize = 50;

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
    /// `MCP-Protocol-Version`, as presented.
    pub protocol_version: Option<&'a [u8]>,
    /// Every other header, by its name in lower case.
    pub headers: &'a (dyn Fn(&str) -> Header<'a> + Send + Sync),
}

impl<'a> Exchange<'a> {
    /// A header, by its name in lower case.
    fn header(&self, name: &str) -> Header<'a> {
        (self.headers)(name)
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

/// Why an engine cannot be built: a mistake in how its tools are written.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Two tools have one name.
    #[error("there are two tools of the name {0}")]
    DuplicateTool(&'static str),
    /// Two resources, templates or prompts have one name.
    #[error("there are two of the {kind} {name}")]
    Duplicate {
        /// What they are.
        kind: &'static str,
        /// Their name or URI.
        name: &'static str,
    },
    /// A template of URIs has no variables, or others than plain ones.
    #[error("{0} is no URI template of RFC 6570, level 1")]
    NotATemplate(&'static str),
    /// Arguments and outputs have to be objects.
    #[error("the arguments and the output of {0} must be objects")]
    NotAnObject(&'static str),
    /// The schema of a tool's arguments is none, or needs another document to be fetched.
    #[error("{tool}: the schema of its arguments cannot be used: {problem}")]
    ArgumentsSchema {
        /// The tool.
        tool: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A tool wants parameters in headers that cannot be there.
    #[error("{tool}: {problem}")]
    Header {
        /// The tool.
        tool: &'static str,
        /// What is wrong.
        problem: parameter_headers::HeaderProblem,
    },
    /// A tool's description cannot be written.
    #[error("a tool's description cannot be written as JSON")]
    Schema(#[source] serde_json::Error),
    /// The operating system has no randomness to give.
    #[error("there is no randomness for a sealing key")]
    NoRandomness(#[source] getrandom::Error),
}

/// Collects what an engine is made of.
pub struct EngineBuilder {
    identity: ServerIdentity,
    toolbox: Result<Toolbox, BuildError>,
    library: Result<Library, BuildError>,
    sessions: SessionSettings,
    tool_timeout: Duration,
    page_size: usize,
    offers_logging: bool,
    sealing: Option<Sealing>,
    limits: Limits,
    screen: Option<Screen>,
}

impl EngineBuilder {
    /// Adds a tool; `tools/list` keeps the order.
    #[must_use]
    pub fn tool(mut self, tool: impl Tool) -> Self {
        self.toolbox = self.toolbox.and_then(|mut toolbox| toolbox.add(tool).map(|()| toolbox));
        self
    }

    /// Adds a resource; `resources/list` keeps the order.
    #[must_use]
    pub fn resource(mut self, resource: impl Resource) -> Self {
        self.library = self.library.and_then(|mut library| library.add_resource(resource).map(|()| library));
        self
    }

    /// Adds a family of resources; `resources/templates/list` keeps the order.
    #[must_use]
    pub fn template(mut self, family: impl ResourceTemplate) -> Self {
        self.library = self.library.and_then(|mut library| library.add_template(family).map(|()| library));
        self
    }

    /// Adds a prompt; `prompts/list` keeps the order.
    #[must_use]
    pub fn prompt(mut self, prompt: impl Prompt) -> Self {
        self.library = self.library.and_then(|mut library| library.add_prompt(prompt).map(|()| library));
        self
    }

    /// How many items a page of a list has: 50 unless said otherwise, and at least one.
    #[must_use]
    pub fn page_size(mut self, size: usize) -> Self {
        self.page_size = size.max(1);
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

    /// How often callers may do what costs something: without limit unless said otherwise.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Looks at every text and number that arrives for a tool, a resource or a prompt, and refuses what must not come in.
    #[must_use]
    pub fn screening(mut self, screen: Screen) -> Self {
        self.screen = Some(screen);
        self
    }

    /// What to seal with. Without it the engine makes a key of its own, and nothing that it sealed outlives it.
    #[must_use]
    pub fn sealing(mut self, sealing: Sealing) -> Self {
        self.sealing = Some(sealing);
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
        let sealing = self.sealing.map_or_else(Sealing::of_its_own, Ok).map_err(BuildError::NoRandomness)?;
        let rounds = Desk { sealing, store: Arc::clone(&store) };
        Ok(Engine {
            server_meta: server_meta(&self.identity).map_err(BuildError::Schema)?,
            rounds: Arc::new(rounds),
            identity: self.identity,
            toolbox: self.toolbox?,
            library: Arc::new(self.library?),
            watching: Arc::default(),
            listeners: Listeners::default(),
            live: Arc::default(),
            store: Arc::clone(&store),
            page_size: self.page_size,
            sessions: Sessions::new(Arc::clone(&store), self.sessions),
            audit,
            tool_timeout: self.tool_timeout,
            offers_logging: self.offers_logging,
            left_behind: TaskTracker::new(),
            limits: self.limits,
            screen: self.screen,
            refusals: Refusals::new(Arc::clone(&store)),
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
        EngineBuilder {
            identity,
            toolbox: Ok(Toolbox::default()),
            library: Ok(Library::default()),
            page_size: PAGE_SIZE,
            sessions: SessionSettings::default(),
            tool_timeout: TOOL_TIMEOUT,
            offers_logging: false,
            sealing: None,
            limits: Limits::default(),
            screen: None,
        }
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
        if era::is_stateless(text, exchange.protocol_version, exchange.session_id.is_some()) {
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

    /// Ends the sessions that have expired, and their streams, and forgets what limits need not remember. Call it every few seconds.
    pub async fn sweep(&self) {
        self.limits.sweep();
        self.sessions.sweep().await;
    }

    /// Where it is noted who was turned away.
    #[must_use]
    pub const fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Notes that a caller presented something that it was not given.
    fn note_forgery(&self, principal: &Principal, from: IpAddr, request_id: &str, rule: &str) {
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
        let mut known = None;
        while self.stop.run_until_cancelled(tokio::time::sleep(live::LOOK_EVERY)).await.is_some() {
            self.live.expire(UnixMillis::now());
            let revised = async {
                let revision = self.store.revision().await?;
                if known != Some(revision) {
                    self.sessions.revise().await?;
                    self.live.revise(self.store.as_ref()).await?;
                    known = Some(revision);
                }
                Ok::<(), StoreError>(())
            };
            if let Err(error) = revised.await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "it cannot be told whether keys or sessions were ended");
            }
        }
    }

    /// Looks every second at the resources that somebody watches, and at once after [`Self::nudge`], until the engine
    /// stops.
    pub async fn watch(&self) {
        while self.stop.run_until_cancelled(self.moment()).await.is_some() {
            self.watching.look(&self.library).await;
        }
    }

    /// Something may have changed that resources are made of.
    pub fn nudge(&self) {
        self.watching.nudge();
    }

    async fn moment(&self) {
        tokio::select! {
            () = self.watching.nudged() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
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

/// What stands beside every result in a revision without sessions.
fn server_meta(identity: &ServerIdentity) -> serde_json::Result<Arc<RawValue>> {
    let info = Implementation::new(&identity.name, &identity.version);
    to_raw_value(&json!({ meta::SERVER_INFO: info })).map(Arc::from)
}
