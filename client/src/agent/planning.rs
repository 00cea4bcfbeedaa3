//! What is to become of each tool call of a reply, decided before any of them runs: it is carried out, or the model
//! is told why not.

use shared::mcp::tools::{CallToolResult, Tool};

use super::{ToolCall, wording};
use crate::mcp::{Arguments, NotArguments};

/// The repetition that is answered with a note.
const REPEATED: u32 = 3;

/// Why arguments are none that a reply broke off in.
const CUT_OFF: &str = "your reply was cut off before they were complete";

/// One call and what is to become of it.
#[derive(Debug)]
pub(super) struct Plan<'t> {
    pub(super) call: &'t ToolCall,
    pub(super) step: Step<'t>,
}

/// What is to become of a call.
#[derive(Debug)]
pub(super) enum Step<'t> {
    /// Call the tool. `readers` are the tools that can find out how it ended, should that be unknown.
    Run { tool: &'t Tool, arguments: Arguments, readers: &'t [Tool] },
    /// Nothing can be called; this is what the model hears.
    Tell(CallToolResult),
}

/// How often the same call with the same arguments has come in a row, within one question.
#[derive(Debug, Default)]
pub(super) struct Repetition {
    last: Option<(String, String)>,
    times: u32,
}

impl Repetition {
    fn count(&mut self, name: &str, arguments: &str) -> u32 {
        if self.last.as_ref().is_some_and(|(last, with)| last == name && with == arguments) {
            self.times = self.times.saturating_add(1);
        } else {
            self.last = Some((name.to_owned(), arguments.to_owned()));
            self.times = 1;
        }
        self.times
    }
}

impl Plan<'_> {
    /// Whether the call may run beside others: it changes nothing.
    pub(super) fn is_parallel(&self) -> bool {
        match &self.step {
            Step::Run { tool, .. } => tool.is_read_only(),
            Step::Tell(_) => true,
        }
    }
}

/// A plan for each call, in the model's order.
pub(super) fn plan<'t>(
    calls: &'t [ToolCall],
    tools: &'t [Tool],
    calls_per_turn: usize,
    repetition: &mut Repetition,
) -> Vec<Plan<'t>> {
    let mut plans = Vec::with_capacity(calls.len());
    for (position, call) in calls.iter().enumerate() {
        let step = if position < calls_per_turn {
            step(call, tools, repetition)
        } else {
            Step::Tell(wording::too_many_calls(calls_per_turn))
        };
        plans.push(Plan { call, step });
    }
    plans
}

fn step<'t>(call: &ToolCall, tools: &'t [Tool], repetition: &mut Repetition) -> Step<'t> {
    let arguments = if call.is_cut_off {
        Err(CUT_OFF.to_owned())
    } else {
        read_arguments(&call.arguments).map_err(|reason| reason.to_string())
    };
    let compared = match &arguments {
        Ok(arguments) => in_order(arguments),
        Err(_) => call.arguments.clone(),
    };
    let times = repetition.count(&call.name, &compared);
    if times >= REPEATED {
        return Step::Tell(wording::repeated(&call.name, times));
    }
    let Some(tool) = tools.iter().find(|tool| tool.name == call.name) else {
        return Step::Tell(wording::unknown_tool(&call.name, tools));
    };
    match arguments {
        Ok(arguments) => Step::Run { tool, arguments, readers: tools },
        Err(reason) => Step::Tell(wording::malformed_arguments(call, &reason)),
    }
}

/// The arguments that a model wrote; nothing at all is none.
fn read_arguments(text: &str) -> Result<Arguments, NotArguments> {
    if text.trim().is_empty() { Ok(Arguments::default()) } else { Arguments::parse(text) }
}

/// Arguments as they are compared: in whatever order the members came.
fn in_order(arguments: &Arguments) -> String {
    let members = arguments.members();
    members.iter().map(|(name, value)| format!("{name:?}:{value},")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_an_empty_object_and_only_objects_are_arguments() {
        for empty in ["", "  \n", "{}"] {
            assert_eq!(read_arguments(empty), Ok(Arguments::default()), "{empty:?}");
        }
        assert_eq!(read_arguments(r#"{"limit":5}"#).unwrap().as_str(), r#"{"limit":5}"#);
        for wrong in ["[]", "null", "5", "\"x\"", "true", "{\"limit\":", "{} {}", "limit=5"] {
            assert!(read_arguments(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_the_same_call_in_a_row_is_a_repetition() {
        let mut repetition = Repetition::default();
        let mut count = |name, text| repetition.count(name, &in_order(&read_arguments(text).unwrap()));
        assert_eq!(count("a", r#"{"x":1,"y":2}"#), 1);
        assert_eq!(count("a", r#"{ "y": 2, "x": 1 }"#), 2);
        assert_eq!(count("a", r#"{"x":2}"#), 1);
        assert_eq!(count("a", r#"{"x":2.0}"#), 1, "a server may take one and refuse the other");
        assert_eq!(count("b", r#"{"x":2}"#), 1);
        assert_eq!(count("a", r#"{"x":2}"#), 1);
    }
}
