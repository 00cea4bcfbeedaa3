//! What English words mean, as far as the planner knows: which are synonyms, which only hold a sentence together,
//! which ask for a change.
//!
//! Everyday English, the vocabulary of money and a little of offices and weather. Nothing here names a tool; a word
//! of the question and a word of a tool meet when they share a stem or a [`Concept`].

mod fillers;
mod groups;
mod idioms;
mod verbs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::words::{Kind, Token, stem};

pub(super) use idioms::idioms;
pub(super) use verbs::{Verb, is_change, is_noun_too, is_reading_noun, reads};

/// One meaning that several words have.
pub(super) type Concept = &'static str;

/// How surely a word has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// It may: enough to go along with, not enough to choose a tool by.
    Weak,
    /// It does.
    Strong,
}

static MEANINGS: LazyLock<BTreeMap<String, Vec<(Concept, Strength)>>> = LazyLock::new(|| {
    let mut meanings: BTreeMap<String, Vec<(Concept, Strength)>> = BTreeMap::new();
    for group in groups::GROUPS {
        for (words, strength) in [(group.strong, Strength::Strong), (group.weak, Strength::Weak)] {
            for word in words.split_whitespace() {
                let known = meanings.entry(stem(word)).or_default();
                if known.iter().all(|(concept, _)| *concept != group.concept) {
                    known.push((group.concept, strength));
                }
            }
        }
    }
    meanings
});

static FILLERS: LazyLock<BTreeSet<&'static str>> =
    LazyLock::new(|| fillers::FILLERS.iter().flat_map(|line| line.split_whitespace()).collect());

/// Every word of the lexicon, for mending slips.
pub(super) static WORDS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let groups = groups::GROUPS
        .iter()
        .flat_map(|group| group.strong.split_whitespace().chain(group.weak.split_whitespace()));
    let words = groups.chain(FILLERS.iter().copied()).chain(verbs::all());
    let known = fillers::KNOWN.split_whitespace().chain(fillers::CONDITIONS.split_whitespace());
    words.chain(known).map(str::to_owned).collect()
});

/// The meanings of a stem.
pub(super) fn meanings(stem: &str) -> &'static [(Concept, Strength)] {
    MEANINGS.get(stem).map_or(&[], Vec::as_slice)
}

/// The stem surely means this.
pub(super) fn means(stem: &str, concept: Concept) -> bool {
    meanings(stem).contains(&(concept, Strength::Strong))
}

/// The word holds a sentence together and asks for nothing by itself.
pub(super) fn is_filler(token: &Token) -> bool {
    token.kind == Kind::Break
        || (token.kind == Kind::Word
            && !token.possessive
            && (FILLERS.contains(token.text.as_str()) || is_doing_of_filler(&token.text)))
}

/// "Telling", where "tell" is a filler.
fn is_doing_of_filler(word: &str) -> bool {
    let start = word.strip_suffix("ing").filter(|start| start.len() >= 3 && meanings(&stem(word)).is_empty());
    start.is_some_and(|start| FILLERS.contains(start) || FILLERS.contains(format!("{start}e").as_str()))
}

/// The word speaks of somebody else than the person who asks.
pub(super) fn is_foreign(token: &Token) -> bool {
    token.is_any(fillers::FOREIGN)
}

/// The word may stand in an order without changing it.
pub(super) fn is_filler_of_order(token: &Token) -> bool {
    token.kind == Kind::Break || token.is_any(fillers::FILLERS_OF_ORDERS)
}

/// The word says when something is to be done, how often, or on what condition; or it may have been meant to.
pub(super) fn is_condition(token: &Token) -> bool {
    let mut conditions = fillers::CONDITIONS.split(' ');
    token.kind == Kind::Word
        && conditions.any(|condition| {
            token.text == condition
                || !WORDS.contains(&token.text) && super::spelling::is_near(&token.text, condition)
        })
}

/// The word speaks of the person who asks.
pub(super) fn is_self(token: &Token) -> bool {
    token.is_any("i me my mine myself we our us")
}

/// A meaning that narrows a request and cannot be one by itself.
pub(super) fn is_modifier(concept: Concept) -> bool {
    groups::GROUPS.iter().any(|group| group.concept == concept && group.modifier)
}

/// The word belongs to the surroundings of these meanings and needs no explanation beside them: the bank of a balance.
pub(super) fn is_surrounding(token: &Token, concept: Concept) -> bool {
    matches!(concept, "balance" | "transaction") && token.is_any(fillers::SURROUNDINGS)
}

/// The word is a thing that comes one by one, so that its singular means one.
pub(super) fn is_single(token: &Token) -> bool {
    token.kind == Kind::Word && !token.text.ends_with('s') && !token.is_any(fillers::NOT_ONE)
}

/// The word asks for a part of a list, or for a figure over it, which a list alone does not give.
pub(super) fn is_partial(token: &Token) -> bool {
    token.is_any(fillers::PARTIAL)
}
