//! Numbers in a clause: how many, which one, how much.

use serde_json::Value;

use super::super::candidate::Candidate;
use super::super::clause::Clause;
use super::super::lexicon;
use super::super::parameter::{Parameter, Role, Takes};
use super::super::words::{Kind, Token};
use super::{Binding, exact, is_latest, is_narrowing, is_noun_of, order_verb};

/// Units that make a number a stretch of time and not a number of rows.
const TIME: &str = "day days week weeks month months year years hour hours minute minutes";

/// Words before a number that limit a list to it.
const LIMITING: &str = "top limit limited max maximum only just";

impl Binding {
    pub(super) fn bind_numbers(&mut self, clause: &Clause, candidate: &Candidate<'_>) {
        let numeric = |parameter: &&Parameter| matches!(parameter.takes, Takes::Integer | Takes::Number);
        for parameter in candidate.parameters.iter().filter(numeric) {
            for (at, token) in numbers(clause) {
                if self.used.contains(&at) || !self.is_open(parameter) {
                    continue;
                }
                if let Some(also) = places(clause, candidate, parameter, at, token) {
                    self.bind_number(parameter, token, at, also);
                }
            }
            if parameter.role == Role::Count && self.is_open(parameter) && self.beyond.is_none() {
                self.bind_single(clause, candidate, parameter);
            }
        }
        let names =
            |parameter: &&Parameter| parameter.takes == Takes::Text && parameter.role == Role::Identifier;
        for parameter in candidate.parameters.iter().filter(names) {
            let plain = numbers(clause).find(|(at, _)| {
                !self.used.contains(at) && identifies(clause, candidate, parameter, *at).is_some()
            });
            if let Some((at, token)) = plain {
                self.put(parameter, Value::from(token.text.as_str()), [at]);
                self.used.extend(identifies(clause, candidate, parameter, at).into_iter().flatten());
            }
        }
    }

    fn bind_number(&mut self, parameter: &Parameter, token: &Token, at: usize, also: Vec<usize>) {
        let Some(number) = exact(&token.text) else { return };
        if parameter.takes == Takes::Integer && !(number.is_i64() || number.is_u64()) {
            self.beyond = Some(format!("`{}` takes a whole number, not {}", parameter.name, token.text));
            return;
        }
        let (least, most) = parameter.range;
        let value = number.as_i64();
        let below = least.is_some_and(|least| value.is_some_and(|value| value < least));
        let above = most.is_some_and(|most| value.map_or(number.is_u64(), |value| value > most));
        if below || above {
            let range = match (least, most) {
                (Some(least), Some(most)) => format!("from {least} to {most}"),
                (Some(least), None) => format!("of at least {least}"),
                (None, Some(most)) => format!("of at most {most}"),
                (None, None) => return,
            };
            self.beyond = Some(format!("`{}` takes a number {range}, not {}", parameter.name, token.text));
            self.used.insert(at);
            return;
        }
        self.put(parameter, Value::Number(number), also.into_iter().chain([at]));
    }

    /// "My last payment" asks for one.
    fn bind_single(&mut self, clause: &Clause, candidate: &Candidate<'_>, parameter: &Parameter) {
        let bounds = parameter.range;
        if !candidate.has("latest")
            || bounds.0.is_some_and(|least| least > 1)
            || bounds.1.is_some_and(|most| most < 1)
        {
            return;
        }
        let mut words = clause.tokens.iter().enumerate().skip_while(|(at, _)| !is_latest(clause, *at));
        let next = words.find(|(at, token)| {
            token.is("thing")
                || (!is_latest(clause, *at)
                    && !lexicon::is_filler(token)
                    && token.kind == Kind::Word
                    && !is_narrowing(token))
        });
        let single = match next {
            Some((_, token)) => {
                lexicon::is_single(token) && (token.is("thing") || is_noun_of(token, candidate))
            }
            None => clause.tokens.iter().any(|token| token.is_any("who whom when")) && clause.means("latest"),
        };
        if single {
            self.single = true;
            self.put(parameter, Value::from(1), []);
        }
    }
}

fn numbers(clause: &Clause) -> impl Iterator<Item = (usize, &Token)> {
    clause.tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Number)
}

/// The other tokens that go with the number, if it is one for this parameter.
fn places(
    clause: &Clause,
    candidate: &Candidate<'_>,
    parameter: &Parameter,
    at: usize,
    token: &Token,
) -> Option<Vec<usize>> {
    let next = clause.tokens.get(at.saturating_add(1)).filter(|next| next.kind == Kind::Word);
    if let Some(next) = next.filter(|next| parameter.is_called(&next.stem) || parameter.is_called(&next.text))
    {
        let taken = !next.is_any("to from for") && !token.money;
        return taken.then(|| vec![at.saturating_add(1)]);
    }
    match parameter.role {
        Role::Count => counts(clause, candidate, at, token),
        Role::Identifier => identifies(clause, candidate, parameter, at),
        Role::Amount => amounts(clause, candidate, at, token),
        Role::Opaque => None,
        Role::Place
        | Role::Receiver
        | Role::Person
        | Role::Currency
        | Role::Note
        | Role::Query
        | Role::Plain => named(clause, parameter, at),
    }
}

/// "Five payments", "the last 5", "top 3 of my payments".
fn counts(clause: &Clause, candidate: &Candidate<'_>, at: usize, token: &Token) -> Option<Vec<usize>> {
    let before = at.checked_sub(1);
    let limiting: Vec<usize> = before
        .filter(|before| clause.tokens.get(*before).is_some_and(|word| word.is_any(LIMITING)))
        .into_iter()
        .collect();
    let after_latest = before.is_some_and(|before| is_latest(clause, before));
    let next = clause.content_after(at).find(|(at, token)| !is_latest(clause, *at) && !is_narrowing(token));
    let fits = match next {
        Some((place, next)) => {
            let near = place.saturating_sub(at) <= 5;
            let of_it = is_noun_of(next, candidate) && near && !next.is_any(TIME);
            of_it
                && (next.text.ends_with('s')
                    || token.text == "1"
                    || !lexicon::is_single(next)
                    || after_latest)
        }
        None => after_latest || !limiting.is_empty(),
    };
    (fits && !token.money && !token.text.contains('.')).then_some(limiting)
}

/// "Issue 42", "ticket number 42", "close 42".
fn identifies(
    clause: &Clause,
    candidate: &Candidate<'_>,
    parameter: &Parameter,
    at: usize,
) -> Option<Vec<usize>> {
    let mut also = Vec::new();
    let mut place = at;
    while let Some(before) = place.checked_sub(1) {
        let word = clause.tokens.get(before)?;
        if word.is_any("number no nr id identifier") {
            also.push(before);
        } else if !word.is_any("with the a is") {
            let named = is_noun_of(word, candidate) || order_verb(clause) == Some(before);
            let by_own_name = !word.is("id") && parameter.is_called(&word.stem) && !lexicon::is_filler(word);
            return (named || by_own_name).then_some(also);
        }
        place = before;
    }
    None
}

/// An amount in an order: the only number in it, without a currency that nobody asked about.
fn amounts(clause: &Clause, candidate: &Candidate<'_>, at: usize, token: &Token) -> Option<Vec<usize>> {
    let alone = numbers(clause).all(|(other, _)| other == at);
    let next = clause.tokens.get(at.saturating_add(1));
    let asks_currency = candidate.parameters.iter().any(|parameter| parameter.role == Role::Currency);
    let bare = next.is_none_or(|next| {
        next.kind == Kind::Break || lexicon::is_filler(next) || (asks_currency && next.is_currency_code())
    });
    (alone && bare && order_verb(clause).is_some() && !token.money && !token.text.starts_with('-'))
        .then(Vec::new)
}

/// "Days 3", "page: 2".
fn named(clause: &Clause, parameter: &Parameter, at: usize) -> Option<Vec<usize>> {
    let mut before = at.checked_sub(1)?;
    while clause.tokens.get(before).is_some_and(|word| word.kind == Kind::Break || word.is_any("is of to")) {
        before = before.checked_sub(1)?;
    }
    clause.tokens.get(before).filter(|word| parameter.is_called(&word.stem)).map(|_| vec![before])
}
