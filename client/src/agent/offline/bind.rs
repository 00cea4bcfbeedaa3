//! What a clause says about a tool's parameters.

use std::collections::BTreeSet;

use serde_json::{Number, Value};
use shared::mcp::JsonObject;

use super::act::Act;
use super::candidate::Candidate;
use super::clause::{Clause, Mark};
use super::lexicon::{self, Concept, Strength};
use super::parameter::{Parameter, Takes};
use super::words::{Kind, Token, split_name, stem};

mod number;
mod text;

/// The arguments that a clause gives to a tool.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Binding {
    /// The arguments found.
    pub(super) arguments: JsonObject,
    /// The places of the tokens that said them.
    pub(super) used: BTreeSet<usize>,
    /// Required parameters that the clause does not give.
    pub(super) missing: Vec<String>,
    /// A number beyond what a parameter takes: which one, in words.
    pub(super) beyond: Option<String>,
    /// The clause asks for a single thing.
    pub(super) single: bool,
}

impl Binding {
    /// Binds what a clause says to the parameters of a tool, the surest kinds first.
    pub(super) fn new(clause: &Clause, candidate: &Candidate<'_>) -> Self {
        let mut binding = Self::default();
        for parameter in &candidate.parameters {
            match &parameter.takes {
                Takes::Choice(choices) => binding.bind_choice(clause, parameter, choices),
                Takes::Flag => binding.bind_flag(clause, parameter),
                Takes::Integer | Takes::Number | Takes::Text | Takes::Other => {}
            }
        }
        binding.bind_numbers(clause, candidate);
        binding.bind_texts(clause, candidate);
        for parameter in &candidate.parameters {
            if parameter.required && !binding.arguments.contains_key(&parameter.name) {
                binding.missing.push(parameter.name.clone());
            }
        }
        binding
    }

    fn put(&mut self, parameter: &Parameter, value: Value, used: impl IntoIterator<Item = usize>) {
        self.arguments.insert(parameter.name.clone(), value);
        self.used.extend(used);
    }

    fn is_open(&self, parameter: &Parameter) -> bool {
        !self.arguments.contains_key(&parameter.name)
    }

    fn is_free(&self, clause: &Clause, at: usize) -> bool {
        !self.used.contains(&at) && clause.at(at).is_some_and(|(_, mark)| mark == Mark::Content)
    }

    /// One of the words that a parameter takes stands in the clause, and no other of them.
    fn bind_choice(&mut self, clause: &Clause, parameter: &Parameter, choices: &[String]) {
        let mut found: Vec<(&String, usize)> = Vec::new();
        for choice in choices {
            let [word] = split_name(choice).try_into().unwrap_or([String::new()]);
            let same = |token: &Token| token.text == word || token.stem == stem(&word);
            found.extend(
                clause
                    .tokens
                    .iter()
                    .enumerate()
                    .find(|(at, token)| self.is_free(clause, *at) && token.kind == Kind::Word && same(token))
                    .map(|(at, _)| (choice, at)),
            );
        }
        if let [(choice, at)] = found.as_slice() {
            self.put(parameter, Value::from(choice.as_str()), [*at]);
        }
    }

    /// Every word of a switch's name stands in the clause.
    fn bind_flag(&mut self, clause: &Clause, parameter: &Parameter) {
        let words = parameter.words.iter().filter(|term| {
            !matches!(term.word.as_str(), "is" | "include" | "with" | "only" | "show" | "has")
        });
        let places: Option<Vec<usize>> = words
            .map(|term| {
                clause
                    .tokens
                    .iter()
                    .enumerate()
                    .position(|(at, token)| token.stem == term.stem && self.is_free(clause, at))
            })
            .collect();
        if let Some(mut places) = places.filter(|places| !places.is_empty()) {
            places.extend(
                clause
                    .tokens
                    .iter()
                    .enumerate()
                    .filter(|(_, token)| token.is_any("include including included only"))
                    .map(|(at, _)| at),
            );
            self.put(parameter, Value::Bool(true), places);
        }
    }
}

/// The token names what the tool is about.
pub(super) fn is_noun_of(token: &Token, candidate: &Candidate<'_>) -> bool {
    token.kind == Kind::Word
        && !is_narrowing(token)
        && candidate.name.iter().any(|term| {
            term.stem == token.stem
                || lexicon::meanings(&token.stem).iter().any(|(concept, strength)| {
                    *strength == Strength::Strong && !lexicon::is_modifier(concept) && term.means(concept)
                })
        })
}

/// The token only narrows: "latest", "current".
fn is_narrowing(token: &Token) -> bool {
    let meanings = lexicon::meanings(&token.stem);
    !meanings.is_empty() && meanings.iter().all(|(concept, _)| lexicon::is_modifier(concept))
}

fn is_latest(clause: &Clause, at: usize) -> bool {
    const LATEST: Concept = "latest";
    clause.at(at).is_some_and(|(token, mark)| match mark {
        Mark::Content => lexicon::means(&token.stem, LATEST),
        Mark::Idiom { concepts, .. } => concepts.contains(&LATEST),
        Mark::Filler | Mark::OrderVerb | Mark::Strange => false,
    })
}

/// The number that these digits are; nothing if it cannot be told exactly.
fn exact(digits: &str) -> Option<Number> {
    let bare = |text: &str| match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|b| b == b'0') => whole.to_owned(),
        Some(_) => text.trim_end_matches('0').to_owned(),
        None => text.to_owned(),
    };
    serde_json::from_str::<Number>(digits).ok().filter(|number| bare(&number.to_string()) == bare(digits))
}

fn order_verb(clause: &Clause) -> Option<usize> {
    match clause.act {
        Act::Order(at) => Some(at),
        Act::Read | Act::Unclear => None,
    }
}
