//! How well a tool fits a clause: whether it accounts for every word, and how much speaks for it.

use super::act::Act;
use super::bind::{Binding, is_noun_of};
use super::candidate::{Candidate, Term};
use super::clause::{Clause, Mark};
use super::lexicon::{self, Concept, Strength};
use super::parameter::Role;
use super::words::{Kind, Token};

/// A name counts more than a description, a word itself more than one of the same meaning.
const NAME: u32 = 300;
const NAME_MEANING: u32 = 220;
const ABOUT: u32 = 150;
const ABOUT_MEANING: u32 = 110;
const BOUND: u32 = 100;
const OUTPUT: u32 = 30;
/// What a word of a tool's name costs that the clause does not mention.
const UNSAID: u32 = 60;
/// What it costs if the word only narrows.
const UNSAID_NARROWING: u32 = 20;

/// Words for creating that are also said of what is there already: "raise the payment", "add 5 to the payment".
const OF_WHAT_IS_THERE: &str = "add raise open file";

/// A tool beside a clause.
#[derive(Debug)]
pub(super) struct Fit<'c, 't> {
    /// The tool.
    pub(super) candidate: &'c Candidate<'t>,
    /// The arguments that the clause gives it.
    pub(super) binding: Binding,
    /// How much speaks for it.
    pub(super) points: u32,
    /// The clause names what the tool is about.
    pub(super) anchored: bool,
    /// Words of the clause that the tool does not account for.
    pub(super) unexplained: Vec<String>,
    /// The clause names everything in the tool's name.
    pub(super) whole: bool,
    /// The clause names what the tool's name is a name of.
    pub(super) headed: bool,
}

/// What speaks for a tool in one token.
#[derive(Debug, Clone, Copy, Default)]
struct Evidence {
    explained: bool,
    points: u32,
    anchor: bool,
}

impl Evidence {
    const EXPLAINED: Self = Self { explained: true, points: 0, anchor: false };

    const fn points(points: u32, anchor: bool) -> Self {
        Self { explained: true, points, anchor }
    }
}

impl<'c, 't> Fit<'c, 't> {
    /// Holds a tool beside a clause. `all`: every tool that is considered, for what tells them apart.
    pub(super) fn new(clause: &Clause, candidate: &'c Candidate<'t>, all: &[Candidate<'t>]) -> Self {
        let binding = Binding::new(clause, candidate);
        let mut described = false;
        let mut fit = Self {
            candidate,
            binding,
            points: 0,
            anchored: false,
            unexplained: Vec::new(),
            whole: true,
            headed: true,
        };
        for (at, (token, mark)) in clause.tokens.iter().zip(&clause.marks).enumerate() {
            let evidence = fit.evidence(clause, at, token, *mark);
            let weight = share(token, all);
            fit.points = fit.points.saturating_add(evidence.points.saturating_mul(weight) / 100);
            fit.anchored |= evidence.anchor;
            described |=
                evidence.anchor && !is_word_of(token, &candidate.name) && is_word_of(token, &candidate.about);
            let in_order = clause.act != Act::Read
                && !lexicon::is_filler_of_order(token)
                && !fit.binding.used.contains(&at);
            let needed = !matches!(mark, Mark::Filler) || in_order;
            let sure = clause.act == Act::Read || !(token.mended || (in_order && *mark == Mark::Filler));
            if needed && !(evidence.explained && sure) && !fit.unexplained.contains(&token.raw) {
                fit.unexplained.push(token.raw.clone());
            }
        }
        for term in &candidate.name {
            if !is_said(term, clause) {
                fit.whole = false;
                fit.headed &= described || candidate.head.as_ref() != Some(&term.stem);
                fit.points = fit.points.saturating_sub(cost(term));
            }
        }
        fit
    }

    /// Nothing stands between this fit and a call.
    pub(super) fn is_callable(&self) -> bool {
        self.is_understood() && self.binding.missing.is_empty() && self.binding.beyond.is_none()
    }

    /// The tool accounts for every word, whether or not the arguments suffice.
    pub(super) fn is_understood(&self) -> bool {
        self.anchored && self.unexplained.is_empty()
    }

    fn evidence(&self, clause: &Clause, at: usize, token: &Token, mark: Mark) -> Evidence {
        if self.binding.used.contains(&at) {
            let named = self.by_words(token, clause.act);
            return Evidence::points(named.points.max(BOUND), named.anchor);
        }
        match mark {
            Mark::Filler => self.by_filler(token),
            Mark::Strange => Evidence::default(),
            Mark::OrderVerb => self.by_verb(token),
            Mark::Idiom { concepts, first } => self.by_idiom(clause, concepts, first),
            Mark::Content if token.kind != Kind::Word => Evidence::default(),
            Mark::Content => self.by_content(clause, at, token),
        }
    }

    /// A filler asks for nothing, and may still be a word of the tool's name: "list", "show".
    fn by_filler(&self, token: &Token) -> Evidence {
        let verb = self.candidate.verb.as_ref().is_some_and(|verb| verb.stem == token.stem);
        Evidence::points(if verb { OUTPUT } else { 0 }, false)
    }

    fn by_content(&self, clause: &Clause, at: usize, token: &Token) -> Evidence {
        let found = self.by_words(token, clause.act);
        if found.explained {
            return found;
        }
        let around = ["balance", "transaction"]
            .iter()
            .any(|concept| lexicon::is_surrounding(token, concept) && self.candidate.has(concept));
        if clause.act != Act::Read {
            let explained =
                around || self.says_verb(token) || self.is_given(token) || self.says_which(clause, at, token);
            return if explained { Evidence::EXPLAINED } else { Evidence::default() };
        }
        let all_of_the_latest =
            lexicon::means(&token.stem, "all") && self.candidate.has("latest") && clause.means("latest");
        let all_of_a_list = lexicon::means(&token.stem, "all")
            && self.candidate.verb.as_ref().is_some_and(|verb| verb.word == "list");
        let latest_is_now = lexicon::means(&token.stem, "latest")
            && !token.is_any("last previous new")
            && self.candidate.has("now");
        if latest_is_now || around || all_of_the_latest || all_of_a_list {
            return Evidence::EXPLAINED;
        }
        let given =
            ["when", "who", "where"].iter().any(|concept| token.is(concept) && self.candidate.gives(concept));
        let output = self.candidate.outputs.iter().any(|term| term.stem == token.stem);
        if given || output || (token.is("whom") && self.candidate.gives("who")) {
            return Evidence::points(OUTPUT, false);
        }
        Evidence::default()
    }

    /// The words that the tool is known by. In an order only those of its name: its description also tells of what is
    /// done with other arguments, and of what is not done.
    fn by_words(&self, token: &Token, act: Act) -> Evidence {
        if token.possessive && lexicon::meanings(&token.stem).is_empty() {
            return Evidence::default();
        }
        let meanings = lexicon::meanings(&token.stem);
        let names_a_thing = meanings.is_empty() || meanings.iter().any(|(concept, _)| is_anchor(concept));
        let can_anchor = names_a_thing && !token.is("account") && !token.is("accounts");
        let verb = self.candidate.verb.as_ref();
        if verb.is_some_and(|verb| verb.stem == token.stem) {
            return Evidence::points(OUTPUT, false);
        }
        let name = (&self.candidate.name, NAME, NAME_MEANING);
        let about = (act == Act::Read).then_some((&self.candidate.about, ABOUT, ABOUT_MEANING));
        let mut best = Evidence::default();
        for (terms, exact, by_meaning) in [name].into_iter().chain(about) {
            if terms.iter().any(|term| term.stem == token.stem) && best.points < exact {
                best = Evidence::points(exact, can_anchor);
            }
            for (concept, strength) in meanings {
                let points = if *strength == Strength::Strong { by_meaning } else { by_meaning / 3 };
                if terms.iter().any(|term| term.means(concept)) && best.points < points {
                    best = Evidence::points(points, *strength == Strength::Strong && is_anchor(concept));
                }
            }
        }
        best
    }

    /// The token names what the tool is given or must be given: the issue of an `issue_number`.
    fn is_given(&self, token: &Token) -> bool {
        let given =
            self.candidate.parameters.iter().filter(|parameter| {
                parameter.required || self.binding.arguments.contains_key(&parameter.name)
            });
        given.flat_map(|parameter| &parameter.words).any(|term| {
            let same = |(concept, strength): &(Concept, Strength)| {
                *strength == Strength::Strong && is_anchor(concept) && term.means(concept)
            };
            term.stem == token.stem || lexicon::meanings(&token.stem).iter().any(same)
        })
    }

    /// Where an order names one thing by its identifier: the token says that all of it is meant, of a tool that takes all
    /// or a part, or what the tool's description, too, calls that thing: the prepared payment.
    fn says_which(&self, clause: &Clause, at: usize, token: &Token) -> bool {
        let candidate = self.candidate;
        let is_bound = |role| {
            let mut having = candidate.parameters.iter().filter(|parameter| parameter.role == role);
            having.any(|parameter| self.binding.arguments.contains_key(&parameter.name))
        };
        let mut nouns = clause.tokens.iter().filter(|token| is_noun_of(token, candidate));
        if !is_bound(Role::Identifier) || !nouns.all(lexicon::is_single) {
            return false;
        }
        let next = at.checked_add(1).and_then(|at| clause.tokens.get(at));
        let all =
            token.is_any("whole full entire") || (token.is("all") && next.is_some_and(|next| next.is("of")));
        if all && candidate.about.iter().any(|term| term.means("all")) && !is_bound(Role::Amount) {
            return true;
        }
        token.text.ends_with("ed")
            && next.is_some_and(|next| {
                let mut pairs = candidate.about.iter().zip(candidate.about.iter().skip(1));
                is_noun_of(next, candidate)
                    && pairs.any(|(one, noun)| one.word == token.text && noun.stem == next.stem)
            })
    }

    /// The tool has every meaning of the phrase.
    fn by_idiom(&self, clause: &Clause, concepts: &[Concept], first: bool) -> Evidence {
        let has = |concept: &&Concept| match **concept {
            "figure" => {
                (self.binding.single && self.candidate.gives("much")) || self.candidate.has("balance")
            }
            "count" => self.candidate.lists_all() && !clause.means("latest"),
            "all" => self.candidate.lists_all(),
            "latest" => self.candidate.has("latest") || self.candidate.has("now"),
            concept => self.candidate.has(concept),
        };
        if !concepts.iter().all(|concept| has(&concept)) {
            return Evidence::default();
        }
        let meant = concepts.iter().filter(|concept| self.candidate.has(concept)).count();
        let points = u32::try_from(meant).unwrap_or(0).saturating_mul(if first { NAME_MEANING } else { 0 });
        Evidence::points(
            points,
            concepts.iter().any(|concept| is_anchor(concept) && self.candidate.has(concept)),
        )
    }

    /// The verb of the order is the verb of the tool, or it makes what the tool makes: to pay is to create a payment.
    fn by_verb(&self, token: &Token) -> Evidence {
        let Some(verb) = &self.candidate.verb else { return Evidence::default() };
        if self.says_verb(token) {
            return Evidence::points(NAME, false);
        }
        let meanings = lexicon::meanings(&token.stem);
        let makes = matches!(
            verb.word.as_str(),
            "create" | "make" | "send" | "submit" | "start" | "initiate" | "add" | "post"
        );
        let made = self.candidate.name.iter().any(|term| {
            term.stem == token.stem
                || meanings.iter().any(|(concept, strength)| {
                    *strength == Strength::Strong && is_anchor(concept) && term.means(concept)
                })
        });
        if makes && made { Evidence::points(NAME, true) } else { Evidence::default() }
    }

    /// The verb of the tool, or a word of the same meaning: what is created is new. Where money moves, a word that is also
    /// said of what is there already is none.
    fn says_verb(&self, token: &Token) -> bool {
        let Some(verb) = &self.candidate.verb else { return false };
        if verb.stem == token.stem {
            return true;
        }
        let moves_money = self.candidate.parameters.iter().any(|parameter| parameter.role == Role::Amount);
        !(moves_money && token.is_any(OF_WHAT_IS_THERE))
            && lexicon::meanings(&token.stem).iter().any(|(concept, strength)| {
                *strength == Strength::Strong && lexicon::is_modifier(concept) && verb.means(concept)
            })
    }
}

fn is_word_of(token: &Token, terms: &[Term]) -> bool {
    terms.iter().any(|term| term.stem == token.stem)
}

/// What it costs that the clause does not mention this word of a name.
fn cost(term: &Term) -> u32 {
    let meanings = lexicon::meanings(&term.stem);
    if term.means("all") || term.means("person") {
        0
    } else if !meanings.is_empty() && meanings.iter().all(|(concept, _)| lexicon::is_modifier(concept)) {
        UNSAID_NARROWING
    } else {
        UNSAID
    }
}

/// A meaning that a tool can be chosen by.
fn is_anchor(concept: Concept) -> bool {
    !lexicon::is_modifier(concept) && !matches!(concept, "person" | "place")
}

/// The clause says this word of a name, or one of the same meaning.
fn is_said(term: &Term, clause: &Clause) -> bool {
    clause.tokens.iter().zip(&clause.marks).any(|(token, mark)| {
        let by_meaning = |(concept, strength): &(Concept, Strength)| {
            *strength == Strength::Strong && term.means(concept) && *mark != Mark::Filler
        };
        token.stem == term.stem
            || lexicon::meanings(&token.stem).iter().any(by_meaning)
            || matches!(mark, Mark::Idiom { concepts, .. } if concepts.iter().any(|concept| term.means(concept)))
    })
}

/// How much a word tells about which tool is meant, in percent: 100 if one tool has it, 40 if all have it.
fn share(token: &Token, all: &[Candidate<'_>]) -> u32 {
    let having = all
        .iter()
        .filter(|candidate| candidate.name.iter().chain(&candidate.about).any(|term| term.stem == token.stem))
        .count();
    let (Ok(having), Ok(all)) = (u32::try_from(having), u32::try_from(all.len())) else { return 100 };
    if having <= 1 || all <= 1 {
        return 100;
    }
    100_u32.saturating_sub(60_u32.saturating_mul(having.saturating_sub(1)) / all.saturating_sub(1))
}
