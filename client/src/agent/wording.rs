//! What the loop itself says to a model: what happened, in plain words, and what to do next.

use shared::mcp::tools::{CallToolResult, Tool};

use super::{AgentError, ToolCall};
use crate::mcp::{IDEMPOTENCY_KEY, McpError, Repetition, excerpt};

/// How many tools are named in one sentence.
const MAX_NAMES: usize = 50;

/// The model named a tool that is not there.
pub(super) fn unknown_tool(name: &str, tools: &[Tool]) -> CallToolResult {
    let name = excerpt(name);
    if tools.is_empty() {
        return CallToolResult::error(format!("There is no tool named `{name}`: there are no tools at all."));
    }
    CallToolResult::error(format!("There is no tool named `{name}`. The tools are: {}.", names(tools.iter())))
}

/// The arguments are no JSON object.
pub(super) fn malformed_arguments(call: &ToolCall, reason: &str) -> CallToolResult {
    let (name, written) = (excerpt(&call.name), excerpt(&call.arguments));
    CallToolResult::error(format!(
        "`{name}` was not called: its arguments must be one JSON object, and {}. You wrote: {written}\n\
         Call it again with a JSON object that fits the tool's schema.",
        excerpt(reason)
    ))
}

/// The same call again and again.
pub(super) fn repeated(name: &str, times: u32) -> CallToolResult {
    let name = excerpt(name);
    CallToolResult::error(format!(
        "`{name}` was not called: this is the same call with the same arguments {times} times in a row, and you have \
         its results above. Use them, call with other arguments, or answer with what you know."
    ))
}

/// More calls in one reply than are carried out.
pub(super) fn too_many_calls(limit: usize) -> CallToolResult {
    CallToolResult::error(format!(
        "Not called: one reply may have at most {limit} tool calls. Call it in your next reply if you still need it."
    ))
}

/// The question ended before the call's turn came.
pub(super) fn never_begun() -> CallToolResult {
    CallToolResult::error("Not called: the question was ended first.")
}

/// No result came back.
pub(super) fn no_result(
    tool: &Tool,
    error: &McpError,
    repetition: &Repetition,
    tools: &[Tool],
) -> CallToolResult {
    let name = excerpt(&tool.name);
    if !error.may_have_run() {
        return CallToolResult::error(format!("`{name}` was not carried out: {error}."));
    }
    let readers = names(tools.iter().filter(|tool| tool.is_read_only()));
    let how = if readers.is_empty() {
        "No tool here can tell, so ask the user to check.".to_owned()
    } else {
        format!("Find out with a tool that only reads ({readers}), or ask the user to check.")
    };
    CallToolResult::error(match repetition {
        Repetition::Harmless => format!(
            "`{name}` gave no result: {error}. It is safe to call it again; if it keeps failing, say so."
        ),
        Repetition::Keyed(key) => format!(
            "unknown_outcome: nobody knows how `{name}` ended: {error}. It may have been carried out. Called again \
             with the same arguments and `{IDEMPOTENCY_KEY}` `{}` it does nothing twice; with another key it would. {how}",
            excerpt(key)
        ),
        Repetition::Never => format!(
            "unknown_outcome: nobody knows how `{name}` ended: {error}. It may have been carried out. Do not call it \
             again before you know whether it was. {how}"
        ),
    })
}

/// Why there are no tools any more.
pub(super) fn step_limit(max_steps: u32) -> String {
    format!(
        "The limit of {max_steps} steps for this question is reached, so no more tools can be called for it. Sum up \
         for the user what you found out and say what is still open."
    )
}

/// The answer when a model has nothing to say at the step limit.
pub(super) fn nothing_to_sum_up(max_steps: u32) -> String {
    let plural = if max_steps == 1 { "" } else { "s" };
    format!(
        "I stopped after {max_steps} step{plural} and have no answer. Ask for a part of it, or allow more steps."
    )
}

/// What stands in the model's place when a question got no answer; `unfinished` is what the person read of it.
pub(super) fn no_answer(unfinished: &str, error: &AgentError) -> String {
    let why = match error {
        AgentError::Cancelled => "[The user stopped this answer.]",
        AgentError::Model(_) => "[No answer: the model could not be reached.]",
        AgentError::Server(_) => "[No answer: the server of the tools could not be used.]",
    };
    if unfinished.is_empty() { why.to_owned() } else { format!("{unfinished}\n{why}") }
}

fn names<'t>(tools: impl Iterator<Item = &'t Tool>) -> String {
    let mut names: Vec<_> = tools.take(MAX_NAMES + 1).map(|tool| excerpt(&tool.name)).collect();
    if names.len() > MAX_NAMES {
        names.truncate(MAX_NAMES);
        names.push("…".to_owned());
    }
    names.join(", ")
}
