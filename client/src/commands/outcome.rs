//! What became of the payments of a run, for its exit code.
//!
//! A payment is known by the shape of a result, not by the name of a tool: an object with a `paymentId` or a `batchId`
//! and a `status`. Tools that only read do not count: to look at a payment that was declined last week is no failure.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde_json::Value;
use shared::mcp::tools::{CallToolResult, Tool};

use super::Run;
use crate::{
    agent::{AgentEvent, Observer},
    exit::Exit,
    terminal::style::{self, Text},
};

/// How the payments of a question stand that tools of a list have changed. Tells the terminal what it
/// hears.
pub(super) struct Outcome<'a> {
    run: &'a Run,
    tools: &'a [Tool],
    standing: Mutex<BTreeMap<String, Standing>>,
}

/// How a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It went on, or ended as somebody wanted.
    Well,
    /// The person said no.
    Declined,
    /// Somebody must act who could not be asked here.
    RequiresAction,
}

impl<'a> Outcome<'a> {
    /// Of nothing yet.
    pub(super) const fn new(run: &'a Run, tools: &'a [Tool]) -> Self {
        Self { run, tools, standing: Mutex::new(BTreeMap::new()) }
    }

    /// Takes in what a tool gave back.
    pub(super) fn note(&self, tool: &str, result: &CallToolResult) {
        if self.tools.iter().any(|known| known.name == tool && known.is_read_only()) {
            return;
        }
        if let Some((handle, standing)) = standing(result) {
            self.standing.lock().unwrap_or_else(PoisonError::into_inner).insert(handle, standing);
        }
    }

    /// The exit code that the payments stand for; says on stderr what to do about one that waits. Where only an error tells
    /// that somebody must act, its text says how: nothing waits under a handle.
    pub(super) fn exit(&self) -> Exit {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = standing.iter().filter(|(_, how)| **how == Standing::RequiresAction);
        for handle in waiting.map(|(handle, _)| handle).filter(|handle| !handle.is_empty()) {
            let remark = format!(
                "{handle} waits for a person, and nobody can be asked here: confirm it at a terminal, or have it \
                 approved where the server runs (`server payments approve {handle}`)"
            );
            self.run.terminal.remark(&Text::new().styled(style::WARNING, "waiting: ").plain(&remark).end());
        }
        if standing.values().all(|how| *how == Standing::Well) { Exit::Answered } else { Exit::Declined }
    }
}

impl Observer for Outcome<'_> {
    fn on(&self, event: &AgentEvent<'_>) {
        match event {
            AgentEvent::ToolCallStarted { .. } => self.run.interrupts.tool_call_begins(),
            AgentEvent::ToolCallFinished { name, result, .. } => self.note(name, result),
            AgentEvent::TurnStarted { .. }
            | AgentEvent::Text { .. }
            | AgentEvent::TextReset
            | AgentEvent::Retrying { .. }
            | AgentEvent::AnswerCutOff
            | AgentEvent::StepLimitReached { .. } => {}
        }
        self.run.terminal.on(event);
    }
}

/// Which payment a result speaks of, and how it stands; the handle is empty where only an error tells of it.
fn standing(result: &CallToolResult) -> Option<(String, Standing)> {
    if result.failed() {
        let text = result.text();
        let (code, _) = text.split_once(':')?;
        let standing = match code.trim() {
            "declined" => Standing::Declined,
            "requires_action" => Standing::RequiresAction,
            _ => return None,
        };
        return Some((String::new(), standing));
    }
    let structured = result.structured_content.as_ref()?;
    let text = |member: &str| structured.get(member).and_then(Value::as_str);
    let handle = text("paymentId").or_else(|| text("batchId"))?;
    let standing = match text("status")? {
        "declined" => Standing::Declined,
        "requires_action" => Standing::RequiresAction,
        _ => Standing::Well,
    };
    Some((handle.to_owned(), standing))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result(value: Value) -> CallToolResult {
        serde_json::from_value(value).unwrap()
    }

    fn of(structured: Value) -> Option<(String, Standing)> {
        standing(&result(json!({ "content": [], "structuredContent": structured })))
    }

    #[test]
    fn a_payment_is_known_by_its_shape() {
        let known = |id: &str, standing| Some((id.to_owned(), standing));
        assert_eq!(
            of(json!({ "paymentId": "pay_1", "status": "declined" })),
            known("pay_1", Standing::Declined)
        );
        assert_eq!(
            of(json!({ "batchId": "bat_1", "status": "requires_action" })),
            known("bat_1", Standing::RequiresAction)
        );
        assert_eq!(
            of(json!({ "paymentId": "pay_1", "status": "succeeded" })),
            known("pay_1", Standing::Well)
        );
        assert_eq!(of(json!({ "status": "declined" })), None);
        assert_eq!(of(json!({ "paymentId": 1, "status": "declined" })), None);
    }

    #[test]
    fn an_error_that_begins_with_a_code_of_a_payment_counts() {
        let error = |text: &str| {
            let error = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
            standing(&result(error)).map(|(_, standing)| standing)
        };
        assert_eq!(error("declined: the user said no."), Some(Standing::Declined));
        assert_eq!(error("requires_action: nobody can be asked."), Some(Standing::RequiresAction));
        assert_eq!(error("insufficient_funds: too much."), None);
        assert_eq!(error("declined"), None);
    }
}
