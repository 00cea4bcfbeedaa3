//! What a tool is: its definition, its types and its call.
//!
//! A tool is written once, in its own types. The engine makes the schemas from them, checks arguments, permission and
//! time, and turns what the tool returns into what each revision of the protocol wants to see.

use std::{fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use shared::mcp::{ProtocolVersion, tools::ToolAnnotations};

use crate::{
    audit::Origin,
    identity::{Permission, Principal},
    store::SessionHash,
};

/// What a tool says of itself. No member has a default: a tool that names no permission does not compile.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The name to call it by; unique in an engine.
    pub name: &'static str,
    /// A name for people.
    pub title: Option<&'static str>,
    /// What it does, for a model.
    pub description: &'static str,
    /// What a key must be allowed in order to see and to call it.
    pub permission: Permission,
    /// How it behaves.
    pub annotations: ToolAnnotations,
}

/// One tool.
pub trait Tool: Send + Sync + 'static {
    /// What it takes: a struct whose schema is an object. Members it does not name are refused.
    type Arguments: DeserializeOwned + JsonSchema + Send + 'static;
    /// What it returns: a struct whose schema is an object.
    type Output: Serialize + JsonSchema + Send + 'static;

    /// What it says of itself.
    const DEFINITION: Definition;

    /// Does it. Not cancelled when the caller's connection drops; dropped when it takes longer than the engine allows.
    ///
    /// # Errors
    /// [`ToolError`].
    fn call(
        &self,
        context: ToolContext,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Self::Output, ToolError>> + Send;

    /// The output as text for a model: its JSON, indented by two spaces, unless the tool has a better form.
    ///
    /// # Errors
    /// When the output cannot be written as JSON.
    fn text(output: &Self::Output) -> serde_json::Result<String> {
        serde_json::to_string_pretty(output)
    }
}

/// Why a tool has no output.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// What was asked cannot be done. The text goes to the model: what is wrong, and the next step.
    #[error("{0}")]
    Refused(String),
    /// Something that the tool needs does not answer. The model is told to try again; the cause goes to the log.
    #[error("what the tool needs does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The tool has a bug. The caller is told so and no more; the cause goes to the log.
    #[error("the tool failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// For whom and in which exchange a tool runs. Clones are cheap.
#[derive(Debug, Clone)]
pub struct ToolContext(Arc<Scope>);

/// What a context holds.
pub(super) struct Scope {
    pub(super) principal: Principal,
    pub(super) request_id: Arc<str>,
    pub(super) session: Option<SessionHash>,
    pub(super) protocol: ProtocolVersion,
    pub(super) client: Arc<str>,
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

impl ToolContext {
    pub(super) fn new(scope: Scope) -> Self {
        Self(Arc::new(scope))
    }

    /// Whom it runs for.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.0.principal
    }

    /// The id of the HTTP request, as the answer and the log name it.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// The session it was called in. Nothing about money may depend on it.
    #[must_use]
    pub fn session(&self) -> Option<SessionHash> {
        self.0.session
    }

    /// The revision that is spoken.
    #[must_use]
    pub fn protocol_version(&self) -> ProtocolVersion {
        self.0.protocol
    }

    /// The same, as the audit trail wants it.
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin {
            principal: &self.0.principal,
            request_id: &self.0.request_id,
            session: self.0.session,
            protocol: self.0.protocol,
            client: &self.0.client,
        }
    }
}
