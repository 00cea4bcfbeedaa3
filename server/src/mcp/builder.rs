//! How an engine is put together: what it offers, and the bounds within which it does.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};
use shared::mcp::{lifecycle::Implementation, modern::meta, parameter_headers};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Engine, Prompt, Resource, ResourceTemplate, Screen, Sealing, ServerIdentity, SessionSettings, Tool,
    library::Library, listeners::Listeners, modern::Desk, sessions::Sessions, toolbox::Toolbox,
};
use crate::{
    audit::{AuditTrail, Refusals},
    limits::Limits,
    store::Store,
};

/// How long a tool call may take unless the builder says otherwise.
const TOOL_TIMEOUT: Duration = Duration::from_secs(30);

/// How many items a page of a list has unless the builder says otherwise.
const PAGE_SIZE: usize = 50;

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
    /// Everything as it is unless something else is said.
    pub(super) fn new(identity: ServerIdentity) -> Self {
        Self {
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

/// What stands beside every result in a revision without sessions.
fn server_meta(identity: &ServerIdentity) -> serde_json::Result<Arc<RawValue>> {
    let info = Implementation::new(&identity.name, &identity.version);
    to_raw_value(&json!({ meta::SERVER_INFO: info })).map(Arc::from)
}
