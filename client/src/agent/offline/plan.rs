//! What to do about a question: which tools to call with which arguments, or why not to.

use std::collections::BTreeSet;

use shared::mcp::JsonObject;
use shared::mcp::tools::Tool;

use super::act::Act;
use super::candidate::Candidate;
use super::clause::Clause;
use super::fit::Fit;

/// More calls than this are not made for one question.
const MOST_CALLS: usize = 3;

/// One tool call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// Which tool.
    pub(super) tool: String,
    /// Its arguments.
    pub(super) arguments: JsonObject,
    /// The tool only reads.
    pub(super) reads: bool,
}

/// Why nothing is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Abstention {
    /// The server lists no tools.
    NoTools,
    /// The question asks for nothing that a tool is about.
    NothingFits,
    /// A tool is about it, but not about these words of the question.
    NotAbout {
        /// The tool that came closest.
        tool: String,
        /// The words it does not account for.
        words: Vec<String>,
    },
    /// The question orders a change, and no tool makes it.
    NoSuchOrder {
        /// The verb of the order.
        verb: String,
    },
    /// A tool fits and needs more than the question gives.
    Missing {
        /// The tool.
        tool: String,
        /// Its parameters.
        parameters: Vec<String>,
    },
    /// A tool fits and does not take the number in the question.
    Beyond {
        /// The tool.
        tool: String,
        /// Which number, in words.
        rule: String,
    },
    /// It is not clear whether a change is ordered or asked about.
    Unclear,
    /// A change together with something else.
    OneOrderAtATime,
    /// More than can be asked at once.
    TooMuch,
}

/// Plans a question over the listed tools.
///
/// # Errors
/// [`Abstention`] when it is not sure.
pub(super) fn plan(question: &str, tools: &[Tool]) -> Result<Vec<Step>, Abstention> {
    if tools.is_empty() {
        return Err(Abstention::NoTools);
    }
    let candidates: Vec<Candidate<'_>> = tools.iter().map(Candidate::new).collect();
    let vocabulary: BTreeSet<String> =
        candidates.iter().flat_map(Candidate::vocabulary).map(str::to_owned).collect();
    let mut steps: Vec<Step> = Vec::new();
    let mut told: Option<Abstention> = None;
    let mut own = false;
    for sentence in Clause::sentences(question, &vocabulary) {
        match plan_sentence(&sentence, &candidates) {
            Ok(more) => {
                own |= sentence.is_own();
                steps.extend(more);
            }
            Err(why) if sentence.tells() => told = Some(why),
            Err(why) => return Err(why),
        }
    }
    if let Some(why) = told
        && (!own || steps.iter().any(|step| !step.reads))
    {
        return Err(why);
    }
    let mut unique: Vec<Step> = Vec::new();
    for step in steps {
        if !unique.contains(&step) {
            unique.push(step);
        }
    }
    match unique.len() {
        0 => Err(Abstention::NothingFits),
        1 => Ok(unique),
        _ if unique.iter().any(|step| !step.reads) => Err(Abstention::OneOrderAtATime),
        many if many > MOST_CALLS => Err(Abstention::TooMuch),
        _ => Ok(unique),
    }
}

/// Its parts one by one if there are several and each makes sense, else all of it at once.
fn plan_sentence(sentence: &Clause, candidates: &[Candidate<'_>]) -> Result<Vec<Step>, Abstention> {
    let parts = sentence.parts();
    if parts.len() > 1 {
        let steps: Result<Vec<Step>, Abstention> =
            parts.iter().map(|part| plan_clause(part, candidates)).collect();
        if let Ok(steps) = steps {
            return Ok(steps);
        }
    }
    plan_clause(sentence, candidates).map(|step| vec![step])
}

fn plan_clause(clause: &Clause, candidates: &[Candidate<'_>]) -> Result<Step, Abstention> {
    let reads = match clause.act {
        Act::Unclear => return Err(Abstention::Unclear),
        Act::Read => true,
        Act::Order(_) => false,
    };
    let mut fits: Vec<Fit<'_, '_>> = candidates
        .iter()
        .filter(|candidate| candidate.reads == reads)
        .map(|candidate| Fit::new(clause, candidate, candidates))
        .filter(|fit| fit.anchored && fit.headed && (reads || fit.whole_order(clause)))
        .collect();
    fits.sort_by_key(|fit| (!fit.is_understood(), std::cmp::Reverse(fit.points), !fit.is_callable()));
    let Some(best) = fits.first() else { return Err(nothing(clause)) };
    let tool = best.candidate.tool.name.clone();
    if best.is_callable() {
        return Ok(Step { tool, arguments: best.binding.arguments.clone(), reads });
    }
    if !best.unexplained.is_empty() {
        let closest = fits.iter().min_by_key(|fit| fit.unexplained.len()).unwrap_or(best);
        let tool = closest.candidate.tool.name.clone();
        return Err(Abstention::NotAbout { tool, words: closest.unexplained.clone() });
    }
    match &best.binding.beyond {
        Some(rule) => Err(Abstention::Beyond { tool, rule: rule.clone() }),
        None => Err(Abstention::Missing { tool, parameters: best.binding.missing.clone() }),
    }
}

/// No tool is about the clause.
fn nothing(clause: &Clause) -> Abstention {
    match clause.act {
        Act::Order(at) => {
            let verb = clause.tokens.get(at).map(|token| token.text.clone()).unwrap_or_default();
            Abstention::NoSuchOrder { verb }
        }
        Act::Read | Act::Unclear => Abstention::NothingFits,
    }
}

impl Fit<'_, '_> {
    /// An order names all that the tool's name names, and its verb is the tool's.
    fn whole_order(&self, clause: &Clause) -> bool {
        let verb = match clause.act {
            Act::Order(at) => clause.tokens.get(at),
            Act::Read | Act::Unclear => None,
        };
        self.whole && verb.is_some_and(|verb| !self.unexplained.contains(&verb.raw))
    }
}
