//! The next step of an order that one call has only prepared.
//!
//! "Pay alice 25" is done when alice is paid. Where the result of the call says that something is still required
//! (`"status": "requires_confirmation"`), and exactly one tool does that and takes nothing but the handle that came back,
//! that tool is called. Whoever orders the first step alone ("create a payment") gets the first step alone.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::mcp::{JsonObject, tools::Tool};

use super::{
    super::conversation::ToolResult,
    act::Act,
    candidate::Candidate,
    clause::Clause,
    lexicon,
    parameter::{Parameter, Role, Takes},
    plan::Step,
    words::{split_name, stem},
};

/// What the last result asks for, if it is part of what was ordered and was not done before.
pub(super) fn next(question: &str, results: &[&ToolResult], tools: &[Tool]) -> Option<Step> {
    let last = results.last().filter(|last| !last.result.failed())?;
    let candidates: Vec<Candidate<'_>> = tools.iter().map(Candidate::new).collect();
    let made = candidates.iter().find(|candidate| candidate.tool.name == last.name)?;
    if made.reads || orders_only(question, made, &candidates) {
        return None;
    }
    let record = last.result.structured_content.as_ref()?.as_object()?;
    let wanted: Vec<String> =
        split_name(record.get("status")?.as_str()?).iter().map(|word| stem(word)).collect();
    let mut steps = candidates.iter().filter(|candidate| {
        !candidate.reads && candidate.verb.as_ref().is_some_and(|verb| wanted.contains(&verb.stem))
    });
    let candidate = steps.next().filter(|_| steps.next().is_none())?;
    if results.iter().any(|result| result.name == candidate.tool.name) {
        return None;
    }
    let (name, value) = handle(candidate, record)?;
    let arguments = JsonObject::from_iter([(name, Value::from(value))]);
    Some(Step { tool: candidate.tool.name.clone(), arguments, reads: false })
}

/// The one thing that the tool needs, if the result gave it.
fn handle(candidate: &Candidate<'_>, record: &JsonObject) -> Option<(String, String)> {
    let mut required = candidate.parameters.iter().filter(|parameter: &&Parameter| parameter.required);
    let parameter = required.next().filter(|_| required.next().is_none())?;
    let names_one = parameter.takes == Takes::Text && parameter.role == Role::Identifier;
    let value = record.get(&parameter.name)?.as_str()?;
    names_one.then(|| (parameter.name.clone(), value.to_owned()))
}

/// The order names this very step, by the verb in the tool's name or one like it, and not what it is for.
fn orders_only(question: &str, made: &Candidate<'_>, all: &[Candidate<'_>]) -> bool {
    let vocabulary: BTreeSet<String> =
        all.iter().flat_map(Candidate::vocabulary).map(str::to_owned).collect();
    let sentences = Clause::sentences(question, &vocabulary);
    let verb = sentences.iter().find_map(|clause| match clause.act {
        Act::Order(at) => clause.tokens.get(at),
        Act::Read | Act::Unclear => None,
    });
    let Some(verb) = verb else { return true };
    let creates = lexicon::means(&verb.stem, "create") || verb.is_any("prepare draft");
    creates || made.verb.as_ref().is_some_and(|own| own.stem == verb.stem)
}
