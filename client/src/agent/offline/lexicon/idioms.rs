//! Phrases whose words do not add up to what they mean.

use super::super::words::{Kind, Token};
use super::{Concept, is_filler, is_foreign, means};

/// A phrase found in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Idiom {
    /// Its first token.
    pub(in super::super) start: usize,
    /// The token after its last one.
    pub(in super::super) end: usize,
    /// What it means; nothing if it only holds the sentence together.
    pub(in super::super) concepts: &'static [Concept],
}

/// The phrases in a text, in order, the longest first where several begin at one word.
pub(in super::super) fn idioms(tokens: &[Token]) -> Vec<Idiom> {
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(rest) = tokens.get(start..).filter(|rest| !rest.is_empty()) {
        let matches = IDIOMS.iter().filter_map(|(pattern, concepts)| {
            let pattern: Vec<&str> = pattern.split(' ').collect();
            Some((length(&pattern, rest)?, *concepts))
        });
        let longest = matches.max_by_key(|(length, concepts)| (*length, concepts.len()));
        if let Some((length, concepts)) = longest {
            let end = start.saturating_add(length);
            found.push(Idiom { start, end, concepts });
            start = end;
        } else {
            start = start.saturating_add(1);
        }
    }
    found
}

/// How many tokens the pattern takes from the start of these.
fn length(pattern: &[&str], tokens: &[Token]) -> Option<usize> {
    let Some((first, pattern)) = pattern.split_first() else { return Some(0) };
    if *first == "_" {
        let gap = tokens.iter().take(4).take_while(|token| fits_gap(token)).count();
        return (0..=gap).find_map(|gap| Some(length(pattern, tokens.get(gap..)?)?.saturating_add(gap)));
    }
    let (token, rest) = tokens.split_first()?;
    let said = if token.kind == Kind::Number { token.raw.to_lowercase() } else { token.text.clone() };
    let is_word = matches!(token.kind, Kind::Word | Kind::Number) && !token.possessive;
    let fits = is_word && first.split('|').any(|word| word == said);
    if fits { Some(length(pattern, rest)?.saturating_add(1)) } else { None }
}

fn fits_gap(token: &Token) -> bool {
    token.kind == Kind::Word
        && !is_foreign(token)
        && (is_filler(token) || means(&token.stem, "now") || token.is_any("money cash ever"))
}

const BALANCE: &[Concept] = &["balance"];
const TRANSACTION: &[Concept] = &["transaction"];
const LATEST: &[Concept] = &["latest", "transaction"];
const ALL: &[Concept] = &["all"];
const NOTHING: &[Concept] = &[];

/// Words in a row; `|` separates alternatives, `_` stands for up to four words without a meaning of their own.
const IDIOMS: &[(&str, &[Concept])] = &[
    ("how much _ i _ have|got|left|own|hold", BALANCE),
    ("how much _ have i _ got|left", BALANCE),
    ("how much _ i _ have|got _ left|remaining|available|over", BALANCE),
    ("how much money|cash|dosh|dough", BALANCE),
    ("how much _ left|remaining|remains|available", BALANCE),
    ("how much is|are _ left|remaining|available|there", BALANCE),
    ("how much _ in|on my|the account|bank|wallet|pocket", BALANCE),
    ("how much do i owe", BALANCE),
    ("how much am i worth|owed|down|up", BALANCE),
    ("how many dollars|bucks|pounds|quid|euros _ i _ have|got|left", BALANCE),
    ("how _ am i doing _ for money|cash", BALANCE),
    ("how am i fixed for money|cash", BALANCE),
    ("how rich|poor|broke|skint am i", BALANCE),
    ("am i _ broke|skint|rich|overdrawn|solvent|poor|negative|positive|bankrupt", BALANCE),
    ("in|into the|my red|black|negative|minus|plus|positive|hole|overdraft", BALANCE),
    ("out of|off money|cash|funds", BALANCE),
    ("low on money|cash|funds", BALANCE),
    ("where|how do i stand", BALANCE),
    ("what do i _ have|got _ left", BALANCE),
    ("what have i _ got|left _ left", BALANCE),
    ("what is _ left", BALANCE),
    ("what is|are _ in my account|bank|wallet", BALANCE),
    ("what am i worth", BALANCE),
    ("have i _ got _ money|cash|funds|dosh", BALANCE),
    ("do i _ have _ money|cash|funds|dosh", BALANCE),
    ("i _ have|got _ any money|cash|funds|dosh", BALANCE),
    ("any _ money|cash|funds left", BALANCE),
    ("money|cash left", BALANCE),
    ("is there _ money|cash|funds", BALANCE),
    ("total _ in|on|of my account|accounts", BALANCE),
    ("how is|are|does _ my _ account|accounts|finances", BALANCE),
    ("what do i _ have _ bank|account|wallet|pocket", BALANCE),
    ("in debt|credit", BALANCE),
    ("financial position|standing|situation|state|health|status", BALANCE),
    ("state|status|standing of my account|finances|accounts", BALANCE),
    ("account standing|status|state", BALANCE),
    ("my net position|worth", BALANCE),
    ("where did|does|has|is|have _ money|cash|dosh|salary|wages _ go|gone|going|went", TRANSACTION),
    ("what did|have i _ do|done _ with my money|cash", TRANSACTION),
    ("money in and|or out", TRANSACTION),
    ("money moved|movements|moving", TRANSACTION),
    ("money|cash coming|going|came|went|comes|goes in|out", TRANSACTION),
    ("ins|in and outs|out", TRANSACTION),
    ("incoming|coming|comings and outgoing|going|goings", TRANSACTION),
    ("outgoing and incoming", TRANSACTION),
    ("in|on my account|statement lately|recently", LATEST),
    ("any|anything new|recent _ on|in|with my account", LATEST),
    (
        "any|anything|what|whatever _ new|happening|happened|happen|up _ on|in|with|to my account|money",
        LATEST,
    ),
    (
        "what is|has _ been|happening|happened _ going|happening|happened _ on _ in|on|with|to my account",
        LATEST,
    ),
    ("everything _ on|in|from|through my account", &["all", "transaction"]),
    ("everything i _ paid|bought|spent|received|sent", &["all", "transaction"]),
    ("did i just", &["latest"]),
    ("have i just", &["latest"]),
    ("i just", &["latest"]),
    ("most recent|recently", &["latest"]),
    ("just now", &["latest"]),
    ("these days", &["latest"]),
    ("of late", &["latest"]),
    ("of all time", ALL),
    ("all time", ALL),
    ("so far", ALL),
    ("to date", ALL),
    ("from|since the _ beginning|start|outset", ALL),
    ("from start to finish", ALL),
    ("since day one", ALL),
    ("in full", ALL),
    ("the lot", ALL),
    ("every single", ALL),
    ("at all", NOTHING),
    ("all right", NOTHING),
    ("right now", &["now"]),
    ("at the moment", &["now"]),
    ("at present", &["now"]),
    ("as of now|today", &["now"]),
    ("how is|are|does|about|was", NOTHING),
    ("how can|do|could|would|might i see|check|view|find|get|know|look", NOTHING),
    ("is there a|any way to see|check|view|find|get|know|look", NOTHING),
    ("why do|can not|you we|you not|just|show", NOTHING),
    ("why do not you", NOTHING),
    ("can|could|would|will not you", NOTHING),
    ("can|could|would|will you not", NOTHING),
    ("i do|can|could not _ know|remember|recall|see", NOTHING),
    ("do|would you know|mind|happen|remember", NOTHING),
    ("i forgot|forget", NOTHING),
    ("remind me", NOTHING),
    ("is|are|do|did not it|they|i|that", NOTHING),
    ("no idea", NOTHING),
    ("not sure", NOTHING),
    ("may i", NOTHING),
    ("which one|ones", NOTHING),
    ("sort|kind of", NOTHING),
    ("quick|just one|question", NOTHING),
    ("two|three things|questions", NOTHING),
    ("what is|are a|an", &["definition"]),
    ("how hot|cold|warm|windy|humid|sunny|chilly", &["weather"]),
    ("is my balance|account _ negative|positive|empty|zero|low|healthy", BALANCE),
    ("another|a|one look", NOTHING),
    ("one moment|second|sec|more", NOTHING),
    ("to me|see|know|check|view|look|find|get|have|take|be|you", NOTHING),
    ("from|in|of|to|at|with|for my account|accounts|bank|end|side|name|profile", NOTHING),
    ("from you", NOTHING),
    ("up to date", NOTHING),
    ("take a look", NOTHING),
    ("a good|quick look", NOTHING),
    ("how|what do|does|is it|they look|looking", NOTHING),
    ("email me|us", &["email"]),
    ("take me to|through", NOTHING),
    ("walk|talk|run me through", NOTHING),
    ("long time no see", NOTHING),
    ("if you can|could|would|please|do", NOTHING),
    ("if possible", NOTHING),
    ("if you would|do not mind", NOTHING),
    ("i wonder|wondered|wondering if|whether", NOTHING),
    ("i was|am _ wondering if|whether|how", NOTHING),
    ("tell me if|whether", NOTHING),
    ("let me know if|whether", NOTHING),
    ("see if|whether", NOTHING),
    ("know if|whether", NOTHING),
    ("check if|whether", NOTHING),
    ("looking to", NOTHING),
    ("how much", &["figure"]),
    ("total number of", &["count"]),
    ("number of", &["count"]),
    ("how many", &["count"]),
];
