//! A question, cut into clauses that each ask for one thing, with every token's part in it.

use std::collections::BTreeSet;

use super::act::{Act, act};
use super::lexicon::{self, Concept};
use super::spelling;
use super::words::{Kind, Token, tokens};

/// What part a token plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// It holds the sentence together.
    Filler,
    /// It is what the sentence is about: a tool has to account for it.
    Content,
    /// It is part of a phrase with these meanings; `first` on one of its tokens only.
    Idiom {
        /// What the phrase means.
        concepts: &'static [Concept],
        /// The token the phrase begins with.
        first: bool,
    },
    /// It is the verb of an order.
    OrderVerb,
    /// It can be accounted for by nothing: it speaks of somebody else, or of what might be done.
    Strange,
}

/// A stretch of a question that asks for one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clause {
    /// Its tokens.
    pub(super) tokens: Vec<Token>,
    /// The part of each.
    pub(super) marks: Vec<Mark>,
    /// What is done by saying it.
    pub(super) act: Act,
}

impl Clause {
    /// The sentences of a question that ask for something. `vocabulary`: the words of the listed tools.
    pub(super) fn sentences(text: &str, vocabulary: &BTreeSet<String>) -> Vec<Self> {
        let mut tokens = tokens(text);
        mend(&mut tokens, vocabulary);
        let ends = |token: &Token| token.ends_sentence();
        let sentences = tokens.split_inclusive(ends).map(|sentence| Self::new(sentence.to_vec()));
        sentences.filter(Self::has_content).collect()
    }

    fn new(tokens: Vec<Token>) -> Self {
        let mut marks: Vec<Mark> = tokens.iter().map(first_mark).collect();
        for idiom in lexicon::idioms(&tokens) {
            for (at, mark) in marks.iter_mut().enumerate().take(idiom.end).skip(idiom.start) {
                *mark = Mark::Idiom { concepts: idiom.concepts, first: at == idiom.start };
            }
        }
        let act = act(&tokens, &mut marks);
        Self { tokens, marks, act }
    }

    /// Its parts between "and", commas and the like, without those that ask for nothing. What is done by the first
    /// part is done by the others too, unless they say otherwise.
    pub(super) fn parts(&self) -> Vec<Self> {
        let mut parts: Vec<Vec<Token>> = vec![Vec::new()];
        for (token, mark) in self.tokens.iter().zip(&self.marks) {
            let separates = token.kind == Kind::Break || token.is_any("and then plus also");
            if separates && !matches!(mark, Mark::Idiom { .. }) {
                parts.push(Vec::new());
            } else if let Some(part) = parts.last_mut() {
                part.push(token.clone());
            }
        }
        let mut parts: Vec<Self> = parts.into_iter().map(Self::new).filter(Self::has_content).collect();
        let mut before = Act::Read;
        for part in &mut parts {
            if let (Act::Order(_) | Act::Unclear, Act::Read) = (before, part.act) {
                part.act = Act::Unclear;
            }
            before = part.act;
        }
        parts
    }

    /// It asks for something, as far as a token shows.
    fn has_content(&self) -> bool {
        self.marks.iter().any(|mark| match mark {
            Mark::Content | Mark::OrderVerb | Mark::Strange => true,
            Mark::Idiom { concepts, .. } => !concepts.is_empty(),
            Mark::Filler => false,
        })
    }

    /// The token and its part at a place.
    pub(super) fn at(&self, at: usize) -> Option<(&Token, Mark)> {
        Some((self.tokens.get(at)?, *self.marks.get(at)?))
    }

    /// The places of tokens with a part of their own, from here on.
    pub(super) fn content_after(&self, at: usize) -> impl Iterator<Item = (usize, &Token)> {
        let from = at.saturating_add(1);
        self.tokens.iter().enumerate().skip(from).filter(|(at, token)| {
            token.kind != Kind::Break
                && self.marks.get(*at).is_some_and(|mark| match mark {
                    Mark::Filler => false,
                    Mark::Idiom { concepts, .. } => !concepts.is_empty(),
                    Mark::Content | Mark::OrderVerb | Mark::Strange => true,
                })
        })
    }

    /// A word or phrase of it surely means this.
    pub(super) fn means(&self, concept: Concept) -> bool {
        self.tokens.iter().zip(&self.marks).any(|(token, mark)| match mark {
            Mark::Content => lexicon::means(&token.stem, concept),
            Mark::Idiom { concepts, .. } => concepts.contains(&concept),
            Mark::Filler | Mark::OrderVerb | Mark::Strange => false,
        })
    }

    /// It tells something and asks for nothing: "I am at the airport."
    pub(super) fn tells(&self) -> bool {
        let begins = self.tokens.first().is_some_and(|token| token.is_any("i my we it the this that"));
        begins
            && self.act == Act::Read
            && !self.tokens.iter().any(|token| token.kind == Kind::Break && token.text == "?")
            && !self.tokens.iter().any(|token| token.is_any("want need like wonder show see know wish not"))
            && !self.marks.contains(&Mark::Strange)
            && !self.names_the_asker()
    }

    /// "I am Alice", "my name is Alice": who asks is for the key to say.
    fn names_the_asker(&self) -> bool {
        let starts = |words: &[&str]| {
            words.iter().enumerate().all(|(at, word)| self.tokens.get(at).is_some_and(|token| token.is(word)))
        };
        let named = self.marks.get(2).is_some_and(|mark| *mark == Mark::Content);
        (starts(&["i", "am"]) || starts(&["this", "is"])) && named || starts(&["my", "name"])
    }

    /// It says whose things it is about: the asker's.
    pub(super) fn is_own(&self) -> bool {
        self.tokens.iter().any(lexicon::is_self)
    }
}

fn first_mark(token: &Token) -> Mark {
    if lexicon::is_foreign(token) {
        Mark::Strange
    } else if lexicon::is_filler(token) {
        Mark::Filler
    } else {
        Mark::Content
    }
}

/// Mends slips in words that are known neither here nor to the tools. A name in the middle of a sentence is none.
fn mend(tokens: &mut [Token], vocabulary: &BTreeSet<String>) {
    let shouted = tokens.iter().all(|token| token.raw.to_uppercase() == token.raw);
    let mut begins = true;
    for token in tokens {
        let is_name = token.is_capital() && !begins && !shouted;
        begins = token.ends_sentence();
        let is_known = lexicon::WORDS.contains(&token.text)
            || vocabulary.contains(&token.text)
            || !lexicon::meanings(&token.stem).is_empty()
            || lexicon::is_foreign(token);
        if token.kind != Kind::Word || is_known || is_name || token.possessive {
            continue;
        }
        let mended =
            spelling::mend(&token.text, vocabulary).or_else(|| spelling::mend(&token.text, &lexicon::WORDS));
        if let Some(word) = mended.map(str::to_owned) {
            token.mend(&word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(text: &str) -> Vec<Clause> {
        Clause::sentences(text, &BTreeSet::new())
    }

    #[test]
    fn sentences_without_a_request_are_dropped() {
        assert_eq!(sentences("Hi there! Could you show me my balance, please? Thanks.").len(), 1);
        assert!(sentences("Hello, how are you?").iter().all(|clause| !clause.means("balance")));
        assert!(sentences("").is_empty());
    }

    #[test]
    fn parts_are_cut_at_conjunctions_but_not_within_a_phrase() {
        assert_eq!(sentences("my balance and my last two payments")[0].parts().len(), 2);
        assert_eq!(sentences("what are my ins and outs")[0].parts().len(), 1);
    }

    #[test]
    fn slips_are_mended_but_names_are_not() {
        let found = &sentences("show my balence for Alize")[0];
        assert!(found.means("balance"));
        assert_eq!(found.tokens.last().unwrap().text, "alize");
    }
}
