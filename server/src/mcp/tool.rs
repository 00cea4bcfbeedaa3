//! What a tool is: its definition, its types and its call.
//!
//! A tool is written once, in its own types. The engine makes the schemas from them, checks arguments, permission and
//! time, and turns what the tool returns into what each revision of the protocol wants to see.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use shared::mcp::{JsonObject, content::ContentBlock, input::InputRequests, tools::ToolAnnotations};

use super::{asking::AskError, context::RequestContext, indented::Indented, schema};
use crate::identity::Permission;

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

    /// Whether the output is also sent as `structuredContent`, with its schema as `outputSchema`.
    const STRUCTURED: bool = true;

    /// What the text begins with that says what is wrong with arguments, before a colon; nothing unless it is said.
    const REFUSAL_CODE: Option<&'static str> = None;

    /// The schema of the arguments: made from their type, unless the tool knows a better one.
    #[must_use]
    fn arguments_schema() -> JsonObject {
        schema::of_arguments::<Self::Arguments>()
    }

    /// Does it. Dropped when it takes longer than the engine allows or when it is cancelled: in a session by
    /// `notifications/cancelled` only, never by a connection that drops.
    ///
    /// # Errors
    /// [`ToolError`].
    fn call(
        &self,
        context: RequestContext,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Self::Output, ToolError>> + Send;

    /// The output as text for a model: its JSON, unless the tool shows another value.
    ///
    /// # Errors
    /// When the output cannot be written as JSON.
    fn text(output: &Self::Output) -> serde_json::Result<Indented> {
        Indented::of(output)
    }

    /// The output as blocks of content: the text, unless the tool has more to show.
    ///
    /// # Errors
    /// When the output cannot be written as JSON.
    fn content(output: Self::Output) -> serde_json::Result<Content> {
        Self::text(&output).map(Content::Text)
    }
}

/// What a result shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// One block of text.
    Text(Indented),
    /// Blocks of any kind.
    Blocks(Vec<ContentBlock>),
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
    /// It asked, and the answer comes with the repeated request.
    #[error("the tool asked, and the answer comes with the repeated request")]
    InputRequired(Box<InputRequests>),
    /// It would have to ask, and the client lacks these capabilities.
    #[error("the client cannot be asked")]
    CannotBeAsked(JsonObject),
}

impl From<AskError> for ToolError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Unanswered(questions) => Self::InputRequired(questions),
            AskError::CannotBeAsked(lacking) => Self::CannotBeAsked(lacking),
            AskError::NoAnswer | AskError::Refused(_) | AskError::Unreadable(_) => {
                Self::Refused(format!("no_answer: {error}. Ask the user, then call the tool again."))
            }
        }
    }
}
