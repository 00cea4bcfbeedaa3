//! Numbers as people write them: digits, and words.

use super::words::{Kind, Token};

/// The digits of `12`, `1,250.50`, `$20` or `20€`, and whether there was a currency sign.
pub(super) fn digits(text: &str) -> Option<(String, bool)> {
    let bare = text.trim_matches(['$', '£', '€']);
    let plain: String = bare.chars().filter(|c| *c != ',').collect();
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || bare.ends_with(',') || !grouped(bare) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let digits = if plain.contains('.') { format!("{whole}.{fraction}") } else { whole.to_owned() };
    Some((digits, bare.len() != text.len()))
}

/// Whether commas, if there are any, stand before groups of three.
fn grouped(text: &str) -> bool {
    let whole = text.split('.').next().unwrap_or_default();
    whole.split(',').skip(1).all(|group| group.len() == 3)
}

/// `1st`, `2nd`, `23rd`: a place in a row, not a number of things.
pub(super) fn is_ordinal(text: &str) -> bool {
    ["st", "nd", "rd", "th"]
        .iter()
        .filter_map(|ending| text.strip_suffix(ending))
        .any(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Turns number words into numbers: `five`, `twenty-five`, `a dozen`, `half a dozen`, `a couple of`.
pub(super) fn read(tokens: &mut Vec<Token>) {
    let mut at = 0;
    while at < tokens.len() {
        if let Some((value, length)) = spoken(tokens.get(at..).unwrap_or_default()) {
            let raw: Vec<&str> =
                tokens.iter().skip(at).take(length).map(|token| token.raw.as_str()).collect();
            let raw = raw.join(" ");
            let number = Token {
                text: value.to_string(),
                stem: value.to_string(),
                raw,
                kind: Kind::Number,
                possessive: false,
                money: false,
                mended: false,
            };
            tokens.splice(at..at.saturating_add(length), [number]);
        }
        at = at.saturating_add(1);
    }
}

/// The number that these tokens begin with, and how many of them it takes.
fn spoken(tokens: &[Token]) -> Option<(u32, usize)> {
    let word =
        |at: usize| tokens.get(at).filter(|token| token.kind == Kind::Word).map(|token| token.text.as_str());
    let first = word(0)?;
    let of = |length: usize| length.saturating_add(usize::from(word(length) == Some("of")));
    match (first, word(1), word(2)) {
        ("half", Some("a"), Some("dozen")) => return Some((6, of(3))),
        ("a" | "one", Some("dozen"), _) => return Some((12, of(2))),
        ("a" | "one", Some("hundred"), _) => return Some((100, 2)),
        ("a" | "last" | "past", Some("couple" | "pair"), _) if first == "a" => return Some((2, of(2))),
        ("couple" | "pair", Some("of"), _) => return Some((2, 2)),
        ("couple", ..) => return Some((2, 1)),
        ("dozen", ..) => return Some((12, of(1))),
        _ => {}
    }
    let units = position(UNITS, first);
    if let Some(units) = units {
        if word(1) == Some("hundred") {
            return Some((units.saturating_mul(100), 2));
        }
        return Some((units, 1));
    }
    let tens = position(TENS, first)?.saturating_add(2).saturating_mul(10);
    match word(1).and_then(|next| position(UNITS, next)).filter(|units| (1..10).contains(units)) {
        Some(units) => Some((tens.saturating_add(units), 2)),
        None => Some((tens, 1)),
    }
}

fn position(words: &[&str], word: &str) -> Option<u32> {
    words.iter().position(|known| *known == word).and_then(|at| u32::try_from(at).ok())
}

const UNITS: &[&str] = &[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: &[&str] = &["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

#[cfg(test)]
mod tests {
    use super::super::words::tokens;
    use super::*;

    fn numbers(text: &str) -> Vec<String> {
        tokens(text).into_iter().filter(|token| token.kind == Kind::Number).map(|token| token.text).collect()
    }

    #[test]
    fn words_and_digits_give_the_same_numbers() {
        assert_eq!(numbers("last five, twenty-five and twenty six"), ["5", "25", "26"]);
        assert_eq!(numbers("a dozen, half a dozen, a couple of, two hundred"), ["12", "6", "2", "200"]);
        assert_eq!(numbers("1,000 or 007 or 2.50"), ["1000", "7", "2.50"]);
    }

    #[test]
    fn dates_ordinals_and_codes_are_not_numbers() {
        assert!(numbers("2024-03-15 5th 100k 1,2,3 v2 3/4").is_empty());
        assert!(is_ordinal("5th") && !is_ordinal("fifth") && !is_ordinal("th"));
    }

    #[test]
    fn a_currency_sign_is_remembered() {
        assert_eq!(digits("$20"), Some(("20".to_owned(), true)));
        assert_eq!(digits("20€"), Some(("20".to_owned(), true)));
        assert_eq!(digits("20"), Some(("20".to_owned(), false)));
        assert_eq!(digits("$"), None);
    }
}
