//! Text cut into tokens, and names cut into words. Nothing here knows what a word means.

use rust_stemmers::{Algorithm, Stemmer};

use super::numbers;

mod contractions;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word, or an identifier such as `PROJ-12`.
    Word,
    /// A number; [`Token::text`] is its digits.
    Number,
    /// What stood between quotation marks.
    Quoted,
    /// Punctuation that separates; `.`, `?`, `!` and `;` end a sentence, the others do not.
    Break,
}

/// One piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// Lower case, contractions written out, spelling mended; the digits of a number.
    pub(super) text: String,
    /// As it was written, without the punctuation around it.
    pub(super) raw: String,
    /// What words of one family have in common.
    pub(super) stem: String,
    /// What it is.
    pub(super) kind: Kind,
    /// It carried `'s`.
    pub(super) possessive: bool,
    /// It carried a currency sign.
    pub(super) money: bool,
    /// The spelling was mended.
    pub(super) mended: bool,
}

impl Token {
    fn new(raw: &str, text: impl Into<String>, kind: Kind) -> Self {
        let text = text.into();
        let stem = if kind == Kind::Word { stem(&text) } else { text.clone() };
        Self { text, raw: raw.to_owned(), stem, kind, possessive: false, money: false, mended: false }
    }

    /// Reads the word as another one.
    pub(super) fn mend(&mut self, word: &str) {
        self.text = word.to_owned();
        self.stem = stem(word);
        self.mended = true;
    }

    /// It is this word.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }

    /// It is one of these words, which stand in a row with a space between each two.
    pub(super) fn is_any(&self, words: &str) -> bool {
        self.kind == Kind::Word && words.split(' ').any(|word| word == self.text)
    }

    /// It begins with a capital letter.
    pub(super) fn is_capital(&self) -> bool {
        self.raw.chars().next().is_some_and(char::is_uppercase)
    }

    /// It looks like an identifier: letters, and digits or a low line, in one piece.
    pub(super) fn is_identifier(&self) -> bool {
        self.kind == Kind::Word
            && self.raw.chars().any(|c| c.is_ascii_digit() || c == '_')
            && self.raw.chars().any(|c| !c.is_ascii_digit())
            && !numbers::is_ordinal(&self.text)
    }

    /// It is written as the code of a currency is: three capital letters.
    pub(super) fn is_currency_code(&self) -> bool {
        self.kind == Kind::Word && self.raw.len() == 3 && self.raw.bytes().all(|b| b.is_ascii_uppercase())
    }

    /// It ends a sentence.
    pub(super) fn ends_sentence(&self) -> bool {
        self.kind == Kind::Break && matches!(self.text.as_str(), "." | "?" | "!" | ";")
    }
}

/// The stem of an English word in lower case; American spelling is taken for British.
pub(super) fn stem(word: &str) -> String {
    if !word.is_ascii() || word.bytes().any(|b| !b.is_ascii_alphabetic()) {
        return word.to_owned();
    }
    let mut word =
        word.replace("colour", "color").replace("favour", "favor").replace("behaviour", "behavior");
    for (british, american) in
        [("isation", "ization"), ("ise", "ize"), ("ised", "ized"), ("ises", "izes"), ("ising", "izing")]
    {
        if word.len() > british.len().saturating_add(3) && word.ends_with(british) {
            word.truncate(word.len().saturating_sub(british.len()));
            word.push_str(american);
            break;
        }
    }
    Stemmer::create(Algorithm::English).stem(&word).into_owned()
}

/// The words of a name, in lower case: `getAllItems2`, `get_all_items` and `get-all-items` fall apart alike.
pub(super) fn split_name(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut letters = name.chars().peekable();
    let mut before: Option<char> = None;
    while let Some(letter) = letters.next() {
        let begins = match before {
            Some(before) if letter.is_uppercase() => {
                !before.is_uppercase() || letters.peek().is_some_and(|next| next.is_lowercase())
            }
            Some(before) => before.is_ascii_digit() != letter.is_ascii_digit(),
            None => false,
        };
        if (begins || !letter.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        }
        before = Some(letter);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The tokens of a text.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let text = text.replace(['\u{2019}', '\u{2018}', '`'], "'").replace(['\u{201c}', '\u{201d}'], "\"");
    let mut tokens = Vec::new();
    for (place, part) in text.split('"').enumerate() {
        if place % 2 == 1 {
            if !part.trim().is_empty() {
                tokens.push(Token::new(part.trim(), part.trim(), Kind::Quoted));
            }
            continue;
        }
        for chunk in part.split_whitespace() {
            push_chunk(chunk, &mut tokens);
        }
    }
    numbers::read(&mut tokens);
    tokens
}

fn push_chunk(chunk: &str, tokens: &mut Vec<Token>) {
    if chunk == "&" {
        tokens.push(Token::new("&", "and", Kind::Word));
        return;
    }
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '$' | '£' | '€' | '%');
    let Some(start) = chunk.find(|c: char| inside(c)) else {
        push_breaks(chunk, tokens);
        return;
    };
    let end = chunk.rfind(inside).map_or(chunk.len(), |end| {
        end.saturating_add(chunk.get(end..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8))
    });
    push_breaks(chunk.get(..start).unwrap_or_default().trim_end_matches('-'), tokens);
    let negative = chunk.get(..start).is_some_and(|before| before.ends_with('-'));
    push_core(chunk.get(start..end).unwrap_or_default(), negative, tokens);
    push_breaks(chunk.get(end..).unwrap_or_default(), tokens);
}

fn push_breaks(signs: &str, tokens: &mut Vec<Token>) {
    let sign = signs.chars().find(|sign| matches!(sign, '.' | '?' | '!' | ';'));
    let sign = sign.or_else(|| {
        signs.chars().find(|sign| matches!(sign, ',' | ':' | '(' | ')' | '-' | '\u{2013}' | '\u{2014}' | '/'))
    });
    if let Some(sign) = sign {
        tokens.push(Token::new(&sign.to_string(), sign.to_string(), Kind::Break));
    }
}

fn push_core(core: &str, negative: bool, tokens: &mut Vec<Token>) {
    if let Some((digits, money)) = numbers::digits(core) {
        let text = if negative { format!("-{digits}") } else { digits };
        let mut token = Token::new(core, text, Kind::Number);
        token.money = money;
        tokens.push(token);
        return;
    }
    let lower = core.to_lowercase();
    if let Some((number, unit)) = core.split_once('-')
        && !unit.is_empty()
        && unit.chars().all(char::is_alphabetic)
        && numbers::digits(number).is_some()
    {
        push_core(number, negative, tokens);
        push_core(unit, false, tokens);
        return;
    }
    if lower.chars().any(|c| c.is_ascii_digit()) {
        tokens.push(Token::new(core, lower, Kind::Word));
        return;
    }
    for (part, raw) in lower.split(['-', '/', ',', '.']).zip(core.split(['-', '/', ',', '.'])) {
        push_word(part, raw, tokens);
    }
}

fn push_word(lower: &str, raw: &str, tokens: &mut Vec<Token>) {
    if lower.is_empty() {
        return;
    }
    if let Some(whole) = contractions::whole(lower) {
        tokens.extend(whole.split(' ').map(|word| Token::new(raw, word, Kind::Word)));
        return;
    }
    for (ending, whole) in [("n't", "not"), ("'re", "are"), ("'ve", "have"), ("'ll", "will"), ("'d", "would")]
    {
        if let Some(word) = lower.strip_suffix(ending).filter(|word| !word.is_empty()) {
            tokens.push(Token::new(raw, word, Kind::Word));
            tokens.push(Token::new(raw, whole, Kind::Word));
            return;
        }
    }
    if let Some(word) = lower.strip_suffix("'s").filter(|word| !word.is_empty()) {
        let mut token = Token::new(raw.get(..word.len()).unwrap_or(raw), word, Kind::Word);
        token.possessive = true;
        tokens.push(token);
        return;
    }
    tokens.push(Token::new(raw.trim_end_matches('\''), lower.replace('\'', ""), Kind::Word));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn names_fall_apart_at_case_signs_and_digits() {
        for name in ["getAllItems", "get_all_items", "get-all-items", "get.all.items", "GetAllItems"] {
            assert_eq!(split_name(name), ["get", "all", "items"], "{name}");
        }
        assert_eq!(split_name("readHTTPLog2"), ["read", "http", "log", "2"]);
        assert!(split_name("__").is_empty());
    }

    #[test]
    fn contractions_are_written_out_and_possessives_are_marked() {
        assert_eq!(texts("What's up? I don't know"), ["what", "is", "up", "?", "i", "do", "not", "know"]);
        let owner = tokens("Alice's balance");
        assert!(owner[0].possessive && owner[0].text == "alice" && owner[0].raw == "Alice");
    }

    #[test]
    fn quotations_numbers_and_identifiers_stay_in_one_piece() {
        let found = tokens("call it \"Log in, again\" for $1,250.50 as PROJ-12, -5");
        assert_eq!(found[2].kind, Kind::Quoted);
        assert_eq!(found[2].raw, "Log in, again");
        assert!(found[4].money && found[4].text == "1250.50");
        assert!(found[6].is_identifier());
        assert_eq!(found.last().unwrap().text, "-5");
    }

    #[test]
    fn british_and_american_words_share_a_stem() {
        assert_eq!(stem("organisation"), stem("organization"));
        assert_eq!(stem("colours"), stem("colors"));
        assert_eq!(stem("transactions"), stem("transaction"));
    }
}
