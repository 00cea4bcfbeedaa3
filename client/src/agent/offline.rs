//! The embedded planner: answers what can be answered by matching words, with no key and no network.
//!
//! It is not a language model and says so. It holds the question beside the names, descriptions and parameters of
//! whatever tools the server lists, and calls a tool only if that tool accounts for every word of the question that
//! means something; otherwise it says why not and what can be asked. Its answers contain what the tools gave back and
//! nothing else.
//!
//! A question passes through the rooms in this order: [`words`] cuts it, [`clause`] gives every word a part and [`act`]
//! tells a request to see from an order, [`lexicon`] knows what words mean; [`candidate`] takes a tool apart, [`bind`]
//! fills its parameters, [`fit`] weighs it, [`plan`] decides. [`chain`] goes on where a result asks for one more step,
//! and [`answer`] tells what came back.

mod abstain;
mod act;
mod answer;
mod bind;
mod candidate;
mod chain;
mod clause;
mod datum;
mod fit;
mod lexicon;
mod movement;
mod numbers;
mod parameter;
mod plan;
mod spelling;
mod words;

use async_trait::async_trait;
use serde_json::Value;

use super::conversation::{Conversation, Message, Reply, ToolCall, ToolResult};
use super::model::{Model, ModelError, Prompt};
use plan::Step;

/// The embedded planner.
///
/// It is right or it abstains: a word that no tool accounts for, a name of somebody else, a number that belongs
/// nowhere, an order that no tool carries out, each is a reason to call nothing.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Offline;

impl Offline {
    /// The planner. It keeps nothing between questions: a follow-up is judged by its own words.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    fn answer(prompt: Prompt<'_>) -> Reply {
        let results = results(prompt);
        let question = question(prompt.conversation);
        if !results.is_empty() {
            return match chain::next(question, &results, prompt.tools) {
                Some(step) => Self::call(prompt, [step]),
                None => Reply { text: answer::compose(question, &results), ..Reply::default() },
            };
        }
        match plan::plan(question, prompt.tools) {
            Ok(steps) => Self::call(prompt, steps),
            Err(why) => Reply { text: abstain::explain(&why, prompt.tools), ..Reply::default() },
        }
    }

    fn call(prompt: Prompt<'_>, steps: impl IntoIterator<Item = Step>) -> Reply {
        let made = calls_so_far(prompt.conversation);
        let calls = steps.into_iter().zip(made.saturating_add(1)..).map(|(step, number)| ToolCall {
            id: format!("offline-{number}"),
            name: step.tool,
            arguments: Value::Object(step.arguments).to_string(),
            is_cut_off: false,
        });
        Reply { tool_calls: calls.collect(), ..Reply::default() }
    }
}

#[async_trait]
impl Model for Offline {
    fn label(&self) -> String {
        "offline planner (matches words; not a language model)".to_owned()
    }

    async fn reply(
        &self,
        prompt: Prompt<'_>,
        delta: &mut (dyn for<'t> FnMut(&'t str) + Send),
    ) -> Result<Reply, ModelError> {
        let reply = Self::answer(prompt);
        if !reply.text.is_empty() {
            delta(&reply.text);
        }
        Ok(reply)
    }
}

/// What was asked last.
fn question(conversation: &Conversation) -> &str {
    conversation
        .messages()
        .iter()
        .rev()
        .find_map(|message| match message {
            Message::User(text) => Some(text.as_str()),
            Message::System(_) | Message::Assistant(_) | Message::ToolResult(_) => None,
        })
        .unwrap_or_default()
}

/// The results to answer from: those since the question. On a last turn without tools that was announced by a message
/// of its own, those before that message.
fn results(prompt: Prompt<'_>) -> Vec<&ToolResult> {
    fn of<'m>(messages: impl Iterator<Item = &'m Message>) -> Vec<&'m ToolResult> {
        messages
            .filter_map(|message| match message {
                Message::ToolResult(result) => Some(result),
                Message::System(_) | Message::User(_) | Message::Assistant(_) => None,
            })
            .collect()
    }
    let since = of(prompt.conversation.since_question().iter());
    if !since.is_empty() || !prompt.tools.is_empty() {
        return since;
    }
    let messages = prompt.conversation.messages().iter().rev();
    let announced = messages.skip_while(|message| !matches!(message, Message::ToolResult(_)));
    let mut latest = of(announced.take_while(|message| matches!(message, Message::ToolResult(_))));
    latest.reverse();
    latest
}

/// How many tool calls this conversation has seen, so that the next one gets a name of its own.
fn calls_so_far(conversation: &Conversation) -> usize {
    conversation
        .messages()
        .iter()
        .map(|message| match message {
            Message::Assistant(reply) => reply.tool_calls.len(),
            Message::System(_) | Message::User(_) | Message::ToolResult(_) => 0,
        })
        .sum()
}
