//! The agent: its loop with a scripted model and scripted tools, and a model behind an endpoint that can be armed to
//! fail.

#![cfg(test)]

mod endings;
mod endpoint_failures;
mod endpoint_replies;
#[path = "../support/openai_server.rs"]
mod openai_server;
mod retries;
#[path = "../support/scripted.rs"]
mod scripted;
mod tool_calls;

use std::time::Duration;

use client::{
    agent::{
        Agent, AgentError, AgentLimits, Answer, Conversation, Message, Model, OpenAi, OpenAiSettings,
        OpenAiTimeouts, ToolResult, Toolbox,
    },
    mcp::RetryPolicy,
};
use tokio_util::sync::CancellationToken;

use self::{openai_server::OpenAiServer, scripted::Recorder};

/// The key that must never be seen.
const KEY: &str = "sk-test-0123456789abcdef";

fn limits() -> AgentLimits {
    let retry =
        RetryPolicy { attempts: 3, base: Duration::from_millis(2), max_wait: Duration::from_secs(30) };
    AgentLimits { retry, ..AgentLimits::default() }
}

/// A question asked and all that came of it.
struct Asked {
    outcome: Result<Answer, AgentError>,
    conversation: Conversation,
    heard: Recorder,
}

async fn ask(model: &dyn Model, toolbox: &dyn Toolbox) -> Asked {
    ask_within(model, toolbox, limits()).await
}

async fn ask_within(model: &dyn Model, toolbox: &dyn Toolbox, limits: AgentLimits) -> Asked {
    let mut conversation = Conversation::new("Be brief.");
    let heard = Recorder::default();
    let never = CancellationToken::new();
    let agent = Agent::new(model, toolbox, limits);
    let outcome = agent.ask(&mut conversation, "How much?", &heard, &never).await;
    assert_fit_for_a_model(&conversation);
    Asked { outcome, conversation, heard }
}

impl Asked {
    fn answer(&self) -> &Answer {
        self.outcome.as_ref().unwrap()
    }

    /// What the model was told about its calls, in the order it was told.
    fn results(&self) -> Vec<&ToolResult> {
        let messages = self.conversation.messages().iter();
        messages
            .filter_map(|message| match message {
                Message::ToolResult(result) => Some(result),
                Message::System(_) | Message::User(_) | Message::Assistant(_) => None,
            })
            .collect()
    }

    fn result_texts(&self) -> Vec<String> {
        self.results().into_iter().map(ToolResult::text_for_model).collect()
    }
}

/// What every endpoint demands: a reply with calls is followed by the result of each, in order, and by nothing else
/// before that; and no two calls share an id.
fn assert_fit_for_a_model(conversation: &Conversation) {
    let mut open: Vec<String> = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    for message in conversation.messages() {
        match message {
            Message::ToolResult(result) => {
                assert!(!open.is_empty(), "a result without a call: {result:?}");
                assert_eq!(open.remove(0), result.call_id);
            }
            Message::Assistant(reply) => {
                assert!(open.is_empty(), "{open:?} have no result");
                open = reply.tool_calls.iter().map(|call| call.id.clone()).collect();
                ids.extend(open.iter().cloned());
            }
            Message::System(_) | Message::User(_) => assert!(open.is_empty(), "{open:?} have no result"),
        }
    }
    assert!(open.is_empty(), "{open:?} have no result");
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() == count && ids.iter().all(|id| !id.is_empty()), "{ids:?}");
}

fn settings(base_url: &str) -> OpenAiSettings {
    OpenAiSettings {
        base_url: Some(base_url.to_owned()),
        api_key: Some(KEY.into()),
        model: "test-model".to_owned(),
        timeouts: OpenAiTimeouts {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(10),
            idle: Duration::from_secs(10),
        },
    }
}

fn model_at(server: &OpenAiServer) -> OpenAi {
    OpenAi::new(settings(server.base())).unwrap()
}
