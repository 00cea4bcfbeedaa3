//! `client call`: one tool call without a model.

use shared::mcp::tools::{CallToolResult, Tool};

use super::{
    Failure, Run,
    outcome::Outcome,
    readable,
    session::{Session, in_session},
};
use crate::{
    config::User,
    exit::Exit,
    mcp::{Arguments, CallOptions, IDEMPOTENCY_KEY, Repetition},
    terminal::{Event, style::Text},
};

pub(super) async fn run(run: &Run, user: &User, tool: &str, arguments: &Arguments) -> anyhow::Result<Exit> {
    in_session(run, user, async |session| {
        let tools = &session.tools.tools;
        let Some(tool) = tools.iter().find(|offered| offered.name == tool) else {
            return Err(unknown_tool(tool, tools).into());
        };
        let result = call(session, tool, arguments).await?;
        run.terminal.show(&Event::ToolResult { name: &tool.name, arguments, result: &result });
        let payments = Outcome::new(run, tools);
        payments.note(&tool.name, &result);
        if result.failed() {
            let exit = payments.exit().or(Exit::Failed);
            let message = format!("{} reported an error: {}", tool.name, result.text());
            return Err(Failure::new(exit, message, "").into());
        }
        run.terminal.print(&Text::new().block(&shown(&result)).end());
        Ok(payments.exit())
    })
    .await
}

async fn call(session: &Session<'_>, tool: &Tool, arguments: &Arguments) -> Result<CallToolResult, Failure> {
    let terminal = &session.run.terminal;
    terminal.working(&format!("calling {}", tool.name));
    session.run.interrupts.tool_call_begins();
    let mut arguments = arguments.clone();
    let repetition = Repetition::of(tool, &mut arguments);
    let options = CallOptions {
        repeatable: repetition.is_safe(),
        cancel: session.run.interrupts.stop().clone(),
        progress: Some(&|progress| {
            if let Some(message) = progress.message {
                terminal.progress(&format!("{}: {message}", tool.name));
            }
        }),
        ..CallOptions::default()
    };
    let outcome = session.connection.call_tool(&tool.name, arguments, options).await;
    outcome.map_err(|error| {
        let failure = session.failure(&error);
        if error.may_have_run() { with_unknown_outcome(failure, &tool.name, &repetition) } else { failure }
    })
}

/// Nobody knows whether the tool ran: that is said, and how to find out.
fn with_unknown_outcome(failure: Failure, tool: &str, repetition: &Repetition) -> Failure {
    let next = match repetition {
        Repetition::Harmless => return failure,
        Repetition::Keyed(key) => format!(
            "{tool} may have been carried out; called again with \"{IDEMPOTENCY_KEY}\": \"{key}\" it does nothing twice"
        ),
        Repetition::Never => {
            format!(
                "{tool} may have been carried out; look with a tool that only reads before you call it again"
            )
        }
    };
    Failure::new(failure.exit, format!("unknown outcome: {}", failure.message), next)
}

/// The result for reading: its text, and what else it holds by name; the structured result where there is no text.
fn shown(result: &CallToolResult) -> String {
    let blocks: Vec<String> = result.content.iter().map(readable::block).collect();
    match &result.structured_content {
        Some(structured) if blocks.is_empty() => format!("{structured:#}"),
        _ => blocks.join("\n"),
    }
}

fn unknown_tool(name: &str, tools: &[Tool]) -> Failure {
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    let next = if names.is_empty() {
        "the server offers no tools".to_owned()
    } else {
        format!("the server offers: {}", names.join(", "))
    };
    Failure::new(Exit::Usage, format!("there is no tool \"{name}\""), next)
}
