//! The agent: a model, the tools it may call, and the loop between them.
//!
//! A question goes to the [`Model`]; the tools it wants called are called through the [`Toolbox`]; the results go back
//! to it; and so on until it answers or runs out of steps. What can be put right by a model goes back to the model as
//! a tool error in plain words: arguments that are no JSON, a tool that does not exist, a tool or a server that
//! failed, a call that nobody knows the end of. A question ends early only when nothing a model could do would help.
//!
//! The loop knows neither HTTP nor a terminal: it tells an [`Observer`] what happens as it happens.
//!
//! However a question ends, the [`Conversation`] stays fit for the next one: no tool call in it is without its result.

mod conversation;
mod event;
mod identifiers;
mod limits;
mod mcp_toolbox;
mod model;
mod offline;
mod openai;
mod planning;
mod reply;
mod running;
mod toolbox;
mod wording;

use std::fmt;

use tokio_util::sync::CancellationToken;

pub use self::{
    conversation::{Conversation, MAX_RESULT_BYTES, Message, Reply, ToolCall, ToolResult},
    event::{AgentEvent, Observer},
    limits::AgentLimits,
    mcp_toolbox::McpToolbox,
    model::{Model, ModelError, Prompt},
    offline::Offline,
    openai::{OpenAi, OpenAiError, OpenAiSettings, OpenAiTimeouts},
    toolbox::Toolbox,
};
use self::{planning::Repetition, reply::Replying, running::ToolTurn};
use crate::mcp::McpError;

/// A model with tools, ready to be asked. It keeps nothing between two questions: what was said is in the
/// [`Conversation`].
#[derive(Clone, Copy)]
pub struct Agent<'a> {
    model: &'a dyn Model,
    toolbox: &'a dyn Toolbox,
    limits: AgentLimits,
}

/// How a question was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The answer.
    pub text: String,
    /// How many replies of the model it took; the one that sums up at the step limit is not counted.
    pub steps: u32,
    /// Why the loop ended.
    pub stop: Stop,
}

/// Why the loop ended with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The model had all it needed.
    Answered,
    /// The model still wanted tools when the steps were used up, and summed up what it had.
    StepLimit,
    /// The model stopped in the middle of its answer: its tokens were used up, or a filter stopped it.
    CutOff,
}

/// Why a question got no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AgentError {
    /// The model gave no reply, however often it was asked.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The server of the tools refuses the key or every request, or is not there, or there is nothing to show it:
    /// [`McpError::Unauthorized`], [`McpError::Forbidden`], [`McpError::Unreachable`] or [`McpError::NoCredentials`].
    #[error(transparent)]
    Server(McpError),
    /// The person cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl<'a> Agent<'a> {
    /// An agent that asks `model` and calls tools through `toolbox`.
    #[must_use]
    pub const fn new(model: &'a dyn Model, toolbox: &'a dyn Toolbox, limits: AgentLimits) -> Self {
        Self { model, toolbox, limits }
    }

    /// Answers a question.
    ///
    /// The question and all that is said and done about it are added to `conversation`. When there is no answer, a
    /// last message in the model's place says so, and the next question can be asked. Cancelling ends the question at
    /// the next await; a tool call that is under way gets a moment to tell its server. Dropping the future leaves
    /// the turn that was under way out of the conversation.
    ///
    /// # Errors
    /// [`AgentError`]. What a tool or its server did wrong is mostly not one: the model hears it and goes on.
    pub async fn ask(
        &self,
        conversation: &mut Conversation,
        question: &str,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Result<Answer, AgentError> {
        conversation.push(Message::User(question.to_owned()));
        let mut unfinished = String::new();
        let mut asking = Asking { agent: self, conversation, observer, cancel, unfinished: &mut unfinished };
        let outcome = asking.run().await;
        if let Err(error) = &outcome {
            let text = wording::no_answer(&unfinished, error);
            conversation.push(Message::Assistant(Reply { text, ..Reply::default() }));
        }
        outcome
    }
}

impl fmt::Debug for Agent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("model", &self.model.label())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// One question being answered.
struct Asking<'q, 'a> {
    agent: &'q Agent<'a>,
    conversation: &'q mut Conversation,
    observer: &'q dyn Observer,
    cancel: &'q CancellationToken,
    /// What the person has read of a reply that is not complete.
    unfinished: &'q mut String,
}

impl Asking<'_, '_> {
    async fn run(&mut self) -> Result<Answer, AgentError> {
        let limits = self.agent.limits;
        let mut repetition = Repetition::default();
        for step in 1..=limits.max_steps {
            let reply = self.reply(step, true).await?;
            if reply.tool_calls.is_empty() {
                let stop = if reply.is_cut_off { Stop::CutOff } else { Stop::Answered };
                return Ok(self.answered(reply, step, stop));
            }
            self.call_tools(reply, &mut repetition).await?;
        }
        self.sum_up(limits.max_steps).await
    }

    async fn reply(&mut self, step: u32, with_tools: bool) -> Result<Reply, AgentError> {
        self.observer.on(&AgentEvent::TurnStarted { step });
        let tools = if with_tools { self.agent.toolbox.tools() } else { &[] };
        let prompt = Prompt { conversation: self.conversation, tools };
        let replying = Replying {
            model: self.agent.model,
            retry: self.agent.limits.retry,
            observer: self.observer,
            cancel: self.cancel,
        };
        replying.reply(prompt, self.unfinished).await
    }

    /// Calls what a reply wants called. The reply and all of its results enter the conversation in one piece.
    async fn call_tools(&mut self, mut reply: Reply, repetition: &mut Repetition) -> Result<(), AgentError> {
        identifiers::make_unique(&mut reply.tool_calls, self.conversation);
        let limits = self.agent.limits;
        let plans =
            planning::plan(&reply.tool_calls, self.agent.toolbox.tools(), limits.calls_per_turn, repetition);
        let turn = ToolTurn::new(self.agent.toolbox, limits.parallel_reads, self.observer, self.cancel);
        let results = turn.run(&plans).await;
        let results: Vec<_> =
            reply.tool_calls.iter().zip(results).map(|(call, result)| call.answered(result)).collect();
        self.conversation.push(Message::Assistant(reply));
        for result in results {
            self.conversation.push(Message::ToolResult(result));
        }
        turn.end()
    }

    /// The last turn of a question that used up its steps: no tools, and the model is told why.
    async fn sum_up(&mut self, max_steps: u32) -> Result<Answer, AgentError> {
        self.observer.on(&AgentEvent::StepLimitReached { max_steps });
        self.conversation.push(Message::System(wording::step_limit(max_steps)));
        let mut reply = match self.reply(max_steps.saturating_add(1), false).await {
            Err(AgentError::Model(ModelError::Empty { .. })) => Reply::default(),
            reply => reply?,
        };
        // A model that wants tools even now gets none.
        reply.tool_calls.clear();
        if reply.text.trim().is_empty() {
            reply = Reply { text: wording::nothing_to_sum_up(max_steps), ..Reply::default() };
            self.observer.on(&AgentEvent::Text { delta: &reply.text });
        }
        Ok(self.answered(reply, max_steps, Stop::StepLimit))
    }

    /// The reply is the answer.
    fn answered(&mut self, reply: Reply, steps: u32, stop: Stop) -> Answer {
        if reply.is_cut_off {
            self.observer.on(&AgentEvent::AnswerCutOff);
        }
        let text = reply.text.clone();
        self.conversation.push(Message::Assistant(reply));
        Answer { text, steps, stop }
    }
}
