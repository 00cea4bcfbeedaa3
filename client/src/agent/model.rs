//! What answers questions and chooses tools: a language model, or the embedded planner.

use async_trait::async_trait;
use shared::mcp::tools::Tool;

use super::conversation::{Conversation, Reply};

/// What a model sees when it is its turn.
#[derive(Debug, Clone, Copy)]
pub struct Prompt<'a> {
    /// Everything said so far. The last message is a question or a tool result, or a system message
    /// that says why there are no tools.
    pub conversation: &'a Conversation,
    /// The tools that may be called. Empty on the last turn of a question that ran out of steps.
    pub tools: &'a [Tool],
}

/// Something that answers questions and chooses tools.
#[async_trait]
pub trait Model: Send + Sync {
    /// What it is called, for people: the client says it in its first line.
    fn label(&self) -> String;

    /// One reply. Text is handed to `delta` as it arrives, in pieces that add up to [`Reply::text`].
    ///
    /// One call is one attempt: repeating is the loop's business, which knows what was shown already. Dropping the
    /// future ends the request.
    ///
    /// # Errors
    /// [`ModelError`]; see its variants for what may be repeated.
    async fn reply(
        &self,
        prompt: Prompt<'_>,
        delta: &mut (dyn for<'t> FnMut(&'t str) + Send),
    ) -> Result<Reply, ModelError>;
}

/// Why a model gave no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// Overloaded, rate-limited, failed with 5xx, out of reach, or cut off in the middle of a reply. Trying again later
    /// may help.
    #[error("the model endpoint failed: {reason}")]
    Transient {
        /// What happened.
        reason: String,
        /// How long the endpoint asks to wait.
        retry_after: Option<std::time::Duration>,
    },
    /// The reply is complete, and nothing is in it. Trying again may help unless the endpoint said why.
    #[error("the model endpoint {}", match advice {
        Some(advice) => format!("refused: {advice}"),
        None => "failed: the reply was empty".to_owned(),
    })]
    Empty {
        /// Why, and what to change, where trying again does not help.
        advice: Option<&'static str>,
    },
    /// Refused for good: a wrong key, an unknown model, a request that it does not understand. Trying again does not
    /// help; the text says what to change.
    #[error("the model endpoint refused: {0}")]
    Refused(String),
}
