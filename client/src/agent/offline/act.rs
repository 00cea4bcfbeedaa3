//! What is done by saying something: asking to see, or ordering a change.

use super::clause::Mark;
use super::lexicon;
use super::words::{Kind, Token};

/// What is done by saying a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Asking to be shown something. Only tools that read may serve it.
    Read,
    /// Ordering a change; the place of its verb. Only tools that change something may serve it.
    Order(usize),
    /// Neither for sure: nothing may serve it.
    Unclear,
}

/// Words that may stand before an order: polite ones, and those that say whose wish it is.
const BEFORE: &str = "please can could would will you kindly just i want wanna need like love to wish let me us help go \
                      ahead now hey hi hello ok okay so then and also quickly quick should must have going try might \
                      maybe well yes yeah right alright thanks dear bot assistant mate get be able do possibly perhaps \
                      simply again actually really together yo guys computer hope hoping first next finally";

/// Verbs of giving: with "me" behind them they ask to see.
const GIVING: &str = "send give hand forward get message text";

/// Verbs that say what was done when they stand in a question about the past.
const DOING: &str = "pay send spend buy receive transact";

/// Verbs of doing that are nouns as well.
const DOING_OR_NOUN: &str = "transfer purchase wire deposit withdraw";

/// What is done by saying this. Marks the verb of an order, and verbs that speak of what might be done.
pub(super) fn act(tokens: &[Token], marks: &mut [Mark]) -> Act {
    mark_possibilities(tokens, marks);
    for (at, token) in tokens.iter().enumerate() {
        if let Some(Mark::Idiom { concepts, .. }) = marks.get(at) {
            if concepts.is_empty() {
                continue;
            }
            return Act::Read;
        }
        let rest = tokens.get(at.saturating_add(1)..).unwrap_or_default();
        if token.kind == Kind::Word && lexicon::is_change(&token.text) && !(token.is("get")) {
            return verb(at, token, rest, tokens, marks);
        }
        if token.kind != Kind::Break && !token.is_any(BEFORE) {
            return Act::Read;
        }
        if token.is_any("do have") && rest.first().is_some_and(|next| next.is_any("i you we")) {
            return Act::Read;
        }
    }
    Act::Read
}

/// A verb of change stands where an order has its verb.
fn verb(at: usize, token: &Token, rest: &[Token], tokens: &[Token], marks: &mut [Mark]) -> Act {
    if token.is_any(GIVING) && rest.first().is_some_and(|next| next.is_any("me us")) {
        let wants_money = wants_money(rest);
        if let Some(mark) = marks.get_mut(at) {
            *mark = if wants_money { Mark::OrderVerb } else { Mark::Filler };
        }
        return if wants_money { Act::Order(at) } else { Act::Read };
    }
    if lexicon::is_noun_too(&token.text) && is_noun(rest) {
        return Act::Read;
    }
    if let Some(mark) = marks.get_mut(at) {
        *mark = Mark::OrderVerb;
    }
    let before = tokens.get(..at).unwrap_or_default();
    let to_you = before.iter().any(|word| word.is("you"));
    let might = before.iter().any(|word| word.is_any("should can could might will must try"))
        && before.iter().any(|word| word.is("i"));
    let asks = rest.iter().any(|token| token.kind == Kind::Break && token.text == "?");
    let is_a_question = !to_you && (might || asks);
    if is_a_question { Act::Unclear } else { Act::Order(at) }
}

/// "Give me 20 dollars", "send me some money".
fn wants_money(rest: &[Token]) -> bool {
    const SUMS: &str = "money cash funds dollars dollar bucks euros euro pounds quid credit loan refund";
    let mut words =
        rest.iter().skip(1).skip_while(|token| token.is_any("some more a bit of the any all my little"));
    let (first, second) = (words.next(), words.next());
    first.is_some_and(|token| {
        let number = token.kind == Kind::Number;
        let of_money = second.is_none_or(|second| second.is_any(SUMS) || second.kind == Kind::Break);
        token.money || token.is_any(SUMS) || (number && of_money)
    })
}

/// The word before these is a noun or an adjective: "transfer history", "open issues", "order 12".
fn is_noun(rest: &[Token]) -> bool {
    let mut words = rest.iter().filter(|token| token.kind != Kind::Break);
    let (Some(next), after) = (words.next(), words.next()) else { return true };
    let looked_at = |token: &Token| lexicon::is_reading_noun(&token.text);
    match next.kind {
        Kind::Number => after.is_none_or(looked_at),
        Kind::Word => {
            let plural =
                next.text.len() > 3 && next.text.ends_with('s') && !next.possessive && !next.is("this");
            looked_at(next)
                || plural
                || (!lexicon::is_filler(next) && after.is_some_and(looked_at))
                || next.is_any("of from i that are is in which")
        }
        Kind::Quoted | Kind::Break => false,
    }
}

/// Verbs of doing speak of the past only as in "did I pay": "to pay", "should I pay" and a bare "pay" do not.
fn mark_possibilities(tokens: &[Token], marks: &mut [Mark]) {
    for (at, token) in tokens.iter().enumerate() {
        let before: Vec<&Token> = tokens.iter().take(at).collect();
        let near: Vec<&Token> = before.iter().rev().take(3).copied().collect();
        let might = near.first().is_some_and(|word| word.is_any("to you"))
            || near
                .iter()
                .take(2)
                .any(|word| word.is_any("can could should would will may might must shall not"));
        let happened = before.iter().any(|word| word.is_any("did do i have has does"));
        let strange = if token.is_any(DOING) {
            might || !happened
        } else {
            token.is_any(DOING_OR_NOUN)
                && near.first().is_some_and(|word| word.is_any("to you i"))
                && (might || !happened)
        };
        if let (true, Some(mark @ Mark::Content)) = (strange, marks.get_mut(at)) {
            *mark = Mark::Strange;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::clause::Clause;
    use super::*;

    fn said(text: &str) -> Act {
        Clause::sentences(text, &BTreeSet::new()).first().map_or(Act::Read, |clause| clause.act)
    }

    #[test]
    fn imperatives_of_change_are_orders() {
        for text in [
            "transfer 100 to Alice",
            "pay alice",
            "send bob 20",
            "Please could you cancel my last payment",
            "I want to pay Alice",
            "I'd like you to refund this",
            "hey, wire 50 to bob",
            "delete everything",
            "send me some money",
            "give me 100 dollars",
            "make a payment to bob",
            "open an issue",
            "transfer to alice",
            "let's move 20 to savings",
            "go ahead and pay bob",
            "close issue 42",
            "order a pizza",
        ] {
            assert!(matches!(said(text), Act::Order(_)), "{text}: {:?}", said(text));
        }
    }

    #[test]
    fn questions_and_requests_to_see_are_not() {
        for text in [
            "send me my balance",
            "give me my transactions",
            "give me my last 5 payments",
            "did I pay Alice?",
            "transfers I made",
            "what did I send",
            "show my payments",
            "transfer history",
            "open issues",
            "order 12",
            "what have I spent",
            "my last transfer",
            "how do I stand",
            "do I have any money left",
        ] {
            assert_eq!(said(text), Act::Read, "{text}");
        }
    }

    #[test]
    fn asking_whether_one_may_is_neither() {
        assert_eq!(said("can I pay bob 20?"), Act::Unclear);
        assert_eq!(said("should I transfer 20 to bob"), Act::Unclear);
        assert_eq!(said("pay bob 20?"), Act::Unclear);
        assert!(matches!(said("could you pay bob 20?"), Act::Order(_)));
    }
}
