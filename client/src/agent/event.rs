//! What happens while a question is being answered, told as it happens.

use std::time::Duration;

use serde::{Serialize, Serializer};
use shared::mcp::tools::CallToolResult;

/// Hears what happens. It is called in the middle of things, so it must not block for long.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn on(&self, event: &AgentEvent<'_>);
}

/// What happened. Texts come from the model and from the server as they are: a terminal escapes them.
///
/// Written down, `event` says which one it is, in the snake case of the variant's name.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AgentEvent<'a> {
    /// The model is asked for a reply.
    TurnStarted {
        /// Which reply to this question, from 1; the one that sums up at the step limit comes on top.
        step: u32,
    },
    /// The next piece of the reply's text.
    Text {
        /// The piece.
        delta: &'a str,
    },
    /// The reply broke off and will be asked for again: the text of this turn so far is void, and comes anew.
    TextReset,
    /// A tool is about to be called, or to be refused to the model.
    ToolCallStarted {
        /// The call's id, unique in the conversation.
        id: &'a str,
        /// The tool's name as the model wrote it; there may be no such tool.
        name: &'a str,
        /// The arguments as the model wrote them; they may be no JSON.
        arguments: &'a str,
    },
    /// The call has ended. Calls that run in parallel end in any order.
    ToolCallFinished {
        /// The call's id.
        id: &'a str,
        /// The tool's name as the model wrote it.
        name: &'a str,
        /// The arguments as the model wrote them.
        arguments: &'a str,
        /// How long it took; written down as `elapsed_ms`.
        #[serde(rename = "elapsed_ms", serialize_with = "as_milliseconds")]
        elapsed: Duration,
        /// What came of it; everything that went wrong is a tool error.
        result: &'a CallToolResult,
    },
    /// The model gave no reply and is asked again after a wait.
    Retrying {
        /// What happened.
        reason: &'a str,
        /// How long until it is asked again; written down as `wait_ms`.
        #[serde(rename = "wait_ms", serialize_with = "as_milliseconds")]
        wait: Duration,
        /// Which attempt comes next; the first one was 1.
        attempt: u32,
    },
    /// The text that was to be the answer ended before the model was done with it.
    AnswerCutOff,
    /// The steps are used up: one last turn without tools follows.
    StepLimitReached {
        /// How many there were.
        max_steps: u32,
    },
}

fn as_milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
