//! Texts in a clause: names, places, what stands in quotation marks.

use serde_json::Value;

use super::super::candidate::Candidate;
use super::super::clause::{Clause, Mark};
use super::super::lexicon::{self, Strength};
use super::super::parameter::{Parameter, Role, Takes};
use super::super::words::{Kind, Token};
use super::{Binding, is_narrowing, is_noun_of, order_verb};

impl Binding {
    pub(super) fn bind_texts(&mut self, clause: &Clause, candidate: &Candidate<'_>) {
        let mut texts: Vec<&Parameter> =
            candidate.parameters.iter().filter(|parameter| parameter.takes == Takes::Text).collect();
        // A note is what is left.
        texts.sort_by_key(|parameter| parameter.role == Role::Note);
        for parameter in &texts {
            if parameter.role == Role::Identifier && self.is_open(parameter) {
                let code = clause
                    .tokens
                    .iter()
                    .enumerate()
                    .find(|(at, token)| token.is_identifier() && !self.used.contains(at));
                if let Some((at, token)) = code {
                    self.put(parameter, Value::from(token.raw.as_str()), [at]);
                }
            }
        }
        self.bind_quoted(clause, &texts);
        for parameter in &texts {
            let run = match parameter.role {
                Role::Place => self.run_after(clause, candidate, "in at for near of", true),
                Role::Query => {
                    self.run_after(clause, candidate, "for about matching containing mentioning", true)
                }
                Role::Receiver => self
                    .run_after(clause, candidate, "to", false)
                    .or_else(|| self.object(clause, candidate))
                    .or_else(|| {
                        // Where there are notes, "for" says what it is for.
                        let notes = texts.iter().any(|parameter| parameter.role == Role::Note);
                        (!notes).then(|| self.run_after(clause, candidate, "for", false)).flatten()
                    }),
                Role::Currency => self.currency(clause),
                Role::Note => self.note(clause),
                Role::Person => {
                    self.owner(clause).or_else(|| self.run_after(clause, candidate, "by from of for", false))
                }
                Role::Plain => self.named(clause, candidate, parameter),
                Role::Identifier | Role::Count | Role::Amount | Role::Opaque => None,
            };
            if let Some((words, mut places)) = run.filter(|_| self.is_open(parameter)) {
                let cue = places.first().and_then(|first| first.checked_sub(2)).filter(|cue| {
                    clause
                        .tokens
                        .get(*cue)
                        .is_some_and(|word| word.kind == Kind::Word && parameter.goes_with(&word.stem))
                });
                places.extend(cue.filter(|cue| self.is_free(clause, *cue)));
                self.put(parameter, Value::from(words), places);
            }
        }
    }

    /// What stands in quotation marks goes to the parameter that the word before it names, or to the only one there is.
    fn bind_quoted(&mut self, clause: &Clause, texts: &[&Parameter]) {
        let quoted: Vec<(usize, &Token)> =
            clause.tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Quoted).collect();
        for (at, token) in &quoted {
            let before: Vec<(usize, &Token)> =
                clause.tokens.iter().enumerate().take(*at).rev().take(3).collect();
            let cue = before.iter().find_map(|(place, word)| {
                let named = texts.iter().find(|parameter| self.is_open(parameter) && is_cue(word, parameter));
                named.map(|parameter| (*parameter, *place))
            });
            let open = || {
                let mut open = texts.iter().filter(|parameter| {
                    parameter.required && self.is_open(parameter) && parameter.role != Role::Identifier
                });
                open.next().filter(|_| open.next().is_none() && quoted.len() == 1)
            };
            match cue {
                Some((parameter, place)) => {
                    self.put(parameter, Value::from(token.raw.as_str()), [*at, place])
                }
                None => {
                    if let Some(parameter) = open().copied() {
                        let cues =
                            before.iter().filter(|(_, word)| word.is_any(CUES)).map(|(place, _)| *place);
                        let places: Vec<usize> = cues.chain([*at]).collect();
                        self.put(parameter, Value::from(token.raw.as_str()), places);
                    }
                }
            }
        }
    }

    /// The unknown words after a preposition: "in New York". One word unless `several`.
    fn run_after(
        &self,
        clause: &Clause,
        candidate: &Candidate<'_>,
        prepositions: &str,
        several: bool,
    ) -> Option<(String, Vec<usize>)> {
        let starts = clause.tokens.iter().enumerate().filter(|(_, token)| token.is_any(prepositions));
        starts.map(|(at, _)| at.saturating_add(1)).find_map(|from| self.run(clause, candidate, from, several))
    }

    /// The unknown words from here on.
    fn run(
        &self,
        clause: &Clause,
        candidate: &Candidate<'_>,
        from: usize,
        several: bool,
    ) -> Option<(String, Vec<usize>)> {
        let article = several && clause.tokens.get(from).is_some_and(|token| token.is("the"));
        let from = from.saturating_add(usize::from(article));
        let words: Vec<(usize, &Token)> = clause
            .tokens
            .iter()
            .enumerate()
            .skip(from)
            .take_while(|(at, token)| {
                let next =
                    || clause.tokens.get(at.saturating_add(1)).is_some_and(|next| is_name(next, candidate));
                let begins_name = || several && is_narrowing(token) && next();
                self.is_free(clause, *at) && (is_name(token, candidate) || begins_name())
            })
            .collect();
        let all_capital = words.iter().all(|(_, token)| token.is_capital());
        let words = words.get(..if several || all_capital { words.len() } else { words.len().min(1) })?;
        let text: Vec<&str> = words.iter().map(|(_, token)| token.raw.as_str()).collect();
        (!text.is_empty()).then(|| (text.join(" "), words.iter().map(|(at, _)| *at).collect()))
    }

    /// The name right behind the verb of an order: "pay alice".
    fn object(&self, clause: &Clause, candidate: &Candidate<'_>) -> Option<(String, Vec<usize>)> {
        self.run(clause, candidate, order_verb(clause)?.saturating_add(1), false)
    }

    /// The code right behind an amount: "25 USD".
    fn currency(&self, clause: &Clause) -> Option<(String, Vec<usize>)> {
        let mut pairs = clause.tokens.iter().zip(clause.tokens.iter().skip(1)).enumerate();
        let (at, (_, code)) = pairs.find(|(at, (amount, code))| {
            amount.kind == Kind::Number && self.used.contains(at) && code.is_currency_code()
        })?;
        Some((code.raw.clone(), vec![at.saturating_add(1)]))
    }

    /// What an order says it is for, up to its end: "pay alice 25 for lunch". Words that may be part of the order, and
    /// those that set conditions or name somebody, leave doubt.
    fn note(&self, clause: &Clause) -> Option<(String, Vec<usize>)> {
        order_verb(clause)?;
        let end = clause.tokens.iter().rposition(|token| token.kind != Kind::Break && !token.is("please"))?;
        let amount = clause.tokens.iter().rposition(|token| token.kind == Kind::Number)?;
        let said =
            clause.tokens.iter().enumerate().skip(amount).take(end.saturating_add(1).checked_sub(amount)?);
        let words: Vec<(usize, &Token)> = said.skip_while(|(_, token)| !token.is("for")).skip(1).collect();
        let doubtful = |(at, token): &(usize, &Token)| {
            token.kind != Kind::Word
                || token.is_any(DOUBTFUL)
                || lexicon::is_condition(token)
                || is_adverb(clause, *at, token)
                || NOT_NAMES.split(' ').any(|word| word == token.text)
                || lexicon::is_self(token)
                || token.possessive
                || self.used.contains(at)
                || !clause.at(*at).is_some_and(|(_, mark)| matches!(mark, Mark::Content | Mark::Filler))
        };
        if words.len() > MOST_WORDS_OF_A_NOTE || words.iter().any(doubtful) {
            return None;
        }
        let text: Vec<&str> = words
            .iter()
            .skip_while(|(_, token)| token.is_any("the a an"))
            .map(|(_, token)| token.raw.as_str())
            .collect();
        let before = words.first()?.0.checked_sub(1);
        (!text.is_empty())
            .then(|| (text.join(" "), before.into_iter().chain(words.iter().map(|(at, _)| *at)).collect()))
    }

    /// Whose it is: "alice's".
    fn owner(&self, clause: &Clause) -> Option<(String, Vec<usize>)> {
        let owner = clause
            .tokens
            .iter()
            .enumerate()
            .find(|(at, token)| token.possessive && self.is_free(clause, *at));
        owner.map(|(at, token)| (token.raw.clone(), vec![at]))
    }

    /// The word behind the parameter's own name: "label urgent", "label: urgent".
    fn named(
        &self,
        clause: &Clause,
        candidate: &Candidate<'_>,
        parameter: &Parameter,
    ) -> Option<(String, Vec<usize>)> {
        let (at, token) = clause.tokens.iter().enumerate().find(|(_, token)| {
            token.kind == Kind::Word && parameter.is_called(&token.stem) && !lexicon::is_filler(token)
        })?;
        if is_noun_of(token, candidate) {
            return None;
        }
        let skip = |token: &&Token| token.kind == Kind::Break || token.is_any("is of");
        let gap = clause.tokens.iter().skip(at.saturating_add(1)).take_while(skip).count();
        let (text, mut places) =
            self.run(clause, candidate, at.saturating_add(1).saturating_add(gap), false)?;
        places.push(at);
        Some((text, places))
    }
}

/// A longer note has to be put between quotation marks.
const MOST_WORDS_OF_A_NOTE: usize = 8;

/// Words that may belong to an order rather than to what it is for.
const DOUBTFUL: &str = "and or but then also plus to from by on in at as of now not no never only each every all per \
                        again times today tomorrow tonight day days hour hours him her them it this that \
                        often sometimes always everyday weekday weekdays weekends weeknights ongoing nowadays forever \
                        afterwards thereafter failing excepting depending";

/// Words that end as adverbs do and are none.
const NOUNS_IN_LY: &str =
    "family supply jelly assembly reply butterfly belly rally monopoly lily lolly anomaly";

/// The word is an adverb, as far as its ending and the word before it show: it does not say for what, but how often, when
/// or how surely.
fn is_adverb(clause: &Clause, at: usize, token: &Token) -> bool {
    let before = at.checked_sub(1).and_then(|before| clause.tokens.get(before));
    token.text.ends_with("ly")
        && !token.is_any(NOUNS_IN_LY)
        && !before.is_some_and(|word| word.is_any("for the a an of with"))
}

/// Words that announce a text.
const CUES: &str = "titled title called named entitled saying says say text reading body comment message with about that subject";

/// The word announces this parameter.
fn is_cue(word: &Token, parameter: &Parameter) -> bool {
    let called = |names: &[&str]| parameter.words.iter().any(|term| names.contains(&term.word.as_str()));
    parameter.is_called(&word.stem) && word.kind == Kind::Word
        || (word.is_any("titled called named entitled") && called(&["title", "name", "subject", "summary"]))
        || (word.is_any("saying says say reading")
            && called(&["text", "body", "comment", "message", "content", "description", "note"]))
}

/// The word can be a name: neither the tool nor the lexicon knows it, or it begins with a capital letter.
fn is_name(token: &Token, candidate: &Candidate<'_>) -> bool {
    let excluded = NOT_NAMES.split(' ').any(|word| word == token.text);
    if token.kind != Kind::Word || excluded || lexicon::is_change(&token.text) {
        return false;
    }
    let unknown = !lexicon::is_filler(token)
        && !lexicon::is_surrounding(token, "balance")
        && !lexicon::meanings(&token.stem).iter().any(|(_, strength)| *strength == Strength::Strong);
    let of_tool = candidate.name.iter().chain(&candidate.about).any(|term| term.stem == token.stem);
    !of_tool && (unknown || token.is_capital())
}

/// Words that look unknown and are no names: times, and words that set conditions.
const NOT_NAMES: &str = "month months week weeks weekend year years yesterday monday tuesday wednesday thursday friday \
                         saturday sunday january february march april may june july august september october november \
                         december if because before after since until between without except not why how than next";
