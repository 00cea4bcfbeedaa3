//! A model and a toolbox that do what a script says, and an observer that writes down what it heard.

#![cfg(test)]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use client::{
    agent::{AgentEvent, Message, Model, ModelError, Observer, Prompt, Reply, ToolCall, Toolbox},
    mcp::{Arguments, McpError},
};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use shared::mcp::{
    content::ContentBlock,
    tools::{CallToolResult, Tool},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What the model does when it is its turn.
#[derive(Debug, Clone)]
pub(crate) enum Turn {
    /// Says this and ends.
    Say(&'static str),
    /// Says this and wants these calls: id, name, arguments.
    Call(&'static str, Vec<(&'static str, &'static str, &'static str)>),
    /// Says this and fails.
    Fail(&'static str, ModelError),
    /// Says this, lets the test know and never ends.
    Hang(&'static str, Arc<Notify>),
}

/// A model that follows a script, and says the last line of it for ever.
pub(crate) struct ScriptedModel {
    turns: Mutex<VecDeque<Turn>>,
    prompts: Mutex<Vec<(Vec<Message>, usize)>>,
}

impl ScriptedModel {
    pub(crate) fn new(turns: impl IntoIterator<Item = Turn>) -> Self {
        Self { turns: Mutex::new(turns.into_iter().collect()), prompts: Mutex::default() }
    }

    /// What the model was shown, each time: the messages and how many tools.
    pub(crate) fn prompts(&self) -> Vec<(Vec<Message>, usize)> {
        self.prompts.lock().unwrap().clone()
    }

    fn next(&self) -> Turn {
        let mut turns = self.turns.lock().unwrap();
        if turns.len() > 1 { turns.pop_front().unwrap() } else { turns.front().unwrap().clone() }
    }
}

#[async_trait]
impl Model for ScriptedModel {
    fn label(&self) -> String {
        "scripted".to_owned()
    }

    async fn reply(
        &self,
        prompt: Prompt<'_>,
        delta: &mut (dyn for<'t> FnMut(&'t str) + Send),
    ) -> Result<Reply, ModelError> {
        self.prompts.lock().unwrap().push((prompt.conversation.messages().to_vec(), prompt.tools.len()));
        match self.next() {
            Turn::Say(text) => {
                delta(text);
                Ok(Reply { text: text.to_owned(), ..Reply::default() })
            }
            Turn::Call(text, calls) => {
                delta(text);
                let tool_calls = calls.into_iter().map(|(id, name, arguments)| ToolCall {
                    id: id.to_owned(),
                    name: name.to_owned(),
                    arguments: arguments.to_owned(),
                    is_cut_off: false,
                });
                Ok(Reply { text: text.to_owned(), tool_calls: tool_calls.collect(), ..Reply::default() })
            }
            Turn::Fail(text, error) => {
                delta(text);
                Err(error)
            }
            Turn::Hang(text, reached) => {
                delta(text);
                reached.notify_one();
                std::future::pending().await
            }
        }
    }
}

type Outcome = Result<CallToolResult, McpError>;
type Act = Box<dyn Fn(String, Arguments, CancellationToken) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// Tools whose names say what they are: `read…` only reads, `put…` may be repeated, everything else writes.
pub(crate) struct ScriptedToolbox {
    tools: Vec<Tool>,
    act: Act,
    calls: Mutex<Vec<(String, Value)>>,
}

impl ScriptedToolbox {
    pub(crate) fn new<F>(
        names: &[&str],
        act: impl Fn(String, Arguments, CancellationToken) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let act: Act = Box::new(move |name, arguments, cancel| Box::pin(act(name, arguments, cancel)));
        Self { tools: names.iter().map(|name| tool(name)).collect(), act, calls: Mutex::default() }
    }

    /// Every call is answered with the tool's name.
    pub(crate) fn echo(names: &[&str]) -> Self {
        Self::new(names, |name, _, _| async move { Ok(text(&name)) })
    }

    /// Every call fails with `error`.
    pub(crate) fn failing(names: &[&str], error: McpError) -> Self {
        Self::new(names, move |_, _, _| std::future::ready(Err(error.clone())))
    }

    /// The calls that arrived, in their order.
    pub(crate) fn calls(&self) -> Vec<(String, Value)> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl Toolbox for ScriptedToolbox {
    fn tools(&self) -> &[Tool] {
        &self.tools
    }

    async fn call(
        &self,
        name: &str,
        arguments: Arguments,
        cancel: &CancellationToken,
    ) -> Result<CallToolResult, McpError> {
        let parsed = serde_json::from_str(arguments.as_str()).unwrap();
        self.calls.lock().unwrap().push((name.to_owned(), parsed));
        (self.act)(name.to_owned(), arguments, cancel.clone()).await
    }
}

fn tool(name: &str) -> Tool {
    let annotations =
        json!({ "readOnlyHint": name.starts_with("read"), "idempotentHint": name.starts_with("put") });
    let tool = json!({
        "name": name, "description": format!("The tool {name}"), "inputSchema": { "type": "object" },
        "annotations": annotations,
    });
    serde_json::from_value(tool).unwrap()
}

/// A result with one text.
pub(crate) fn text(text: &str) -> CallToolResult {
    CallToolResult { content: vec![ContentBlock::text(text)], ..CallToolResult::default() }
}

/// Writes down what happens, a line each.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The text as a terminal that follows the events shows it in the end.
    pub(crate) fn shown(&self) -> String {
        let mut shown = String::new();
        let mut turn = 0;
        for line in self.lines() {
            match line.split_once(' ') {
                Some(("turn", _)) => turn = shown.len(),
                Some(("text", text)) => shown.push_str(text),
                _ if line == "reset" => shown.truncate(turn),
                _ => {}
            }
        }
        shown
    }
}

impl Observer for Recorder {
    fn on(&self, event: &AgentEvent<'_>) {
        let line = match *event {
            AgentEvent::TurnStarted { step } => format!("turn {step}"),
            AgentEvent::Text { delta } => format!("text {delta}"),
            AgentEvent::TextReset => "reset".to_owned(),
            AgentEvent::ToolCallStarted { id, name, arguments } => format!("start {id} {name} {arguments}"),
            AgentEvent::ToolCallFinished { id, name, result, .. } => {
                let how = if result.failed() { "failed" } else { "ok" };
                format!("end {id} {name} {how}")
            }
            AgentEvent::Retrying { attempt, .. } => format!("retry {attempt}"),
            AgentEvent::AnswerCutOff => "cut off".to_owned(),
            AgentEvent::StepLimitReached { max_steps } => format!("limit {max_steps}"),
        };
        self.0.lock().unwrap().push(line);
    }
}
