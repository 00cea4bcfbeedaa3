//! What happens while a question is being answered, told as it happens.

use std::time::Duration;

use shared::mcp::tools::CallToolResult;

/// Hears what happens. It is called in the middle of things, so it must not block for long.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn on(&self, event: &AgentEvent<'_>);
}

/// What happened. Texts come from the model and from the server as they are: a terminal escapes them.
#[derive(Debug, Clone, Copy)]
pub enum AgentEvent<'a> {
    /// The model is asked for a reply.
    TurnStarted {
        /// Which reply to this question, from 1; the one that sums up at the step limit comes on top.
        step: u32,
    },
    /// The next piece of the reply's text.
    TextDelta(&'a str),
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
        /// What came of it; everything that went wrong is a tool error.
        result: &'a CallToolResult,
        /// How long it took.
        elapsed: Duration,
    },
    /// The model gave no reply and is asked again after a wait.
    Retrying {
        /// What happened.
        reason: &'a str,
        /// How long until it is asked again.
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
