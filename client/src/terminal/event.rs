//! Everything the program has to say, in one vocabulary. A person reads it rendered; with `--json` each is one line.
//!
//! The names and fields here are what scripts rely on: `event` says which one a line is, in the snake case of the
//! variant's name.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::mcp::{
    prompts::{GetPromptResult, Prompt},
    resources::{ReadResourceResult, Resource, ResourceTemplate},
    tools::{CallToolResult, Tool},
};

use crate::{agent::AgentEvent, mcp::Arguments};

/// One thing to say.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// First line of every run.
    RunStarted {
        /// The program's version.
        version: &'a str,
        /// The server's endpoint.
        url: &'a str,
        /// The revision that is asked for, or `auto`.
        protocol: &'a str,
    },
    /// Who will answer questions.
    ModelChosen {
        /// The model's name for people.
        model: &'a str,
        /// Why this one; empty when that goes without saying.
        why: &'a str,
    },
    /// The demo turns to the next user.
    UserStarted {
        /// Whose access is tested.
        user: &'a str,
    },
    /// The demo turns to a payment.
    PaymentStarted {
        /// Who pays.
        payer: &'a str,
        /// Who is paid.
        payee: &'a str,
    },
    /// A session is open.
    SessionOpened {
        /// In whose name; absent without `--as`.
        user: Option<&'a str>,
        /// The server's name.
        server: &'a str,
        /// The server's version.
        version: &'a str,
        /// The revision that was agreed on.
        protocol: &'a str,
        /// The beginning of the session's id, enough to tell two apart; absent where the server keeps no session.
        session: Option<&'a str>,
        /// The names of the tools.
        tools: Vec<&'a str>,
    },
    /// A question is put to the model.
    Question {
        /// The question.
        text: &'a str,
    },
    /// The answer to a question.
    Answer {
        /// The whole answer.
        text: &'a str,
        /// How many turns it took.
        steps: u32,
        /// Whether it is complete: `false` at the step limit, and where it was cut off.
        complete: bool,
    },
    /// A tool that the server offers (`tools`).
    Tool {
        /// The tool as MCP has it.
        tool: &'a Tool,
    },
    /// A tool whose description cannot be used.
    ToolRejected {
        /// Its name, as far as it has one.
        name: &'a str,
        /// What is wrong.
        reason: &'a str,
    },
    /// The result of a tool that was called directly (`call`).
    ToolResult {
        /// The tool.
        name: &'a str,
        /// The arguments, as they were written.
        arguments: &'a Arguments,
        /// What came back, as MCP has it.
        result: &'a CallToolResult,
    },
    /// A resource that the server lists (`resources`).
    Resource {
        /// The resource as MCP has it.
        resource: &'a Resource,
    },
    /// A family of resources that the server lists (`resources`).
    ResourceTemplate {
        /// The template as MCP has it.
        template: &'a ResourceTemplate,
    },
    /// A resource that was read (`resources URI`).
    ResourceRead {
        /// Which.
        uri: &'a str,
        /// What came back, as MCP has it.
        result: &'a ReadResourceResult,
    },
    /// A prompt that the server lists (`prompts`).
    Prompt {
        /// The prompt as MCP has it.
        prompt: &'a Prompt,
    },
    /// A prompt that was filled in (`prompts NAME`).
    PromptFilled {
        /// The prompt.
        name: &'a str,
        /// The arguments.
        arguments: &'a BTreeMap<String, String>,
        /// What came back, as MCP has it.
        result: &'a GetPromptResult,
    },
    /// The server asks the person.
    Asked {
        /// The server's endpoint.
        server: &'a str,
        /// The question.
        message: &'a str,
    },
    /// One step of `doctor`.
    Check {
        /// What was looked at.
        name: &'a str,
        /// How it stands.
        status: CheckStatus,
        /// What was found.
        found: &'a str,
        /// What to do about it; empty when there is nothing to do.
        next: &'a str,
    },
    /// A word to whoever types (`chat`).
    Notice {
        /// The word.
        text: &'a str,
    },
    /// A session is closed.
    SessionClosed {
        /// In whose name it was; absent without `--as`.
        user: Option<&'a str>,
    },
    /// Something ended the question or the run.
    Error {
        /// The exit code that stands for it.
        exit_code: u8,
        /// What happened.
        message: &'a str,
        /// What to do next.
        next: &'a str,
    },
    /// Last line of every run that was not cut off.
    RunFinished {
        /// The exit code.
        exit_code: u8,
    },
    /// The agent does something. Written down, it is what happened and no event around it.
    #[serde(untagged)]
    Agent(AgentEvent<'a>),
}

/// How a step of `doctor` went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// As it should be.
    Passed,
    /// Not as it should be.
    Failed,
    /// Worth knowing, and no failure.
    Noted,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_the_agent_does_is_written_down_like_everything_else() {
        let result = CallToolResult::default();
        let (id, name, arguments) = ("1", "look", "{}");
        let (elapsed, wait) = (Duration::from_micros(3_999), Duration::from_millis(1_500));
        let told = [
            AgentEvent::TurnStarted { step: 1 },
            AgentEvent::Text { delta: "Hel" },
            AgentEvent::TextReset,
            AgentEvent::ToolCallStarted { id, name, arguments },
            AgentEvent::ToolCallFinished { id, name, arguments, elapsed, result: &result },
            AgentEvent::Retrying { reason: "busy", wait, attempt: 2 },
            AgentEvent::AnswerCutOff,
            AgentEvent::StepLimitReached { max_steps: 20 },
        ]
        .map(|event| serde_json::to_string(&Event::Agent(event)).unwrap());
        let expected = [
            r#"{"event":"turn_started","step":1}"#,
            r#"{"event":"text","delta":"Hel"}"#,
            r#"{"event":"text_reset"}"#,
            r#"{"event":"tool_call_started","id":"1","name":"look","arguments":"{}"}"#,
            r#"{"event":"tool_call_finished","id":"1","name":"look","arguments":"{}","elapsed_ms":3,"result":{"content":[]}}"#,
            r#"{"event":"retrying","reason":"busy","wait_ms":1500,"attempt":2}"#,
            r#"{"event":"answer_cut_off"}"#,
            r#"{"event":"step_limit_reached","max_steps":20}"#,
        ];
        assert_eq!(told, expected);
    }
}
