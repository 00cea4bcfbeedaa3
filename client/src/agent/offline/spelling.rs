//! Slips of the finger: one edit away from a word that is known.

use std::collections::BTreeSet;

use super::words::stem;

/// Words shorter than this are mended only where two letters changed places.
const LONG: usize = 5;

/// The one known word that `word` is one edit away from. Nothing when there are several of
/// different families, or none.
pub(super) fn mend<'v>(word: &str, known: &'v BTreeSet<String>) -> Option<&'v str> {
    if word.chars().count() < 3 || word.chars().any(|c| !c.is_ascii_alphabetic()) {
        return None;
    }
    let mut near = known.iter().map(String::as_str).filter(|other| is_near(word, other));
    let first = near.next()?;
    let family = stem(first);
    near.all(|other| stem(other) == family).then_some(first)
}

/// One letter too many, missing or wrong in a long word, or two neighbours swapped in any. The first letter is
/// rarely the wrong one.
pub(super) fn is_near(word: &str, known: &str) -> bool {
    let (a, b) = (word.as_bytes(), known.as_bytes());
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (rest_a, rest_b) = (a.get(same..).unwrap_or_default(), b.get(same..).unwrap_or_default());
    if let ([a0, a1, rest_a @ ..], [b0, b1, rest_b @ ..]) = (rest_a, rest_b)
        && a0 == b1
        && a1 == b0
        && a0 != a1
        && rest_a == rest_b
    {
        return true;
    }
    if a.len() < LONG || b.len() < LONG || same == 0 {
        return false;
    }
    match (rest_a, rest_b) {
        ([_, rest_a @ ..], [_, rest_b @ ..]) if rest_a.len() == rest_b.len() => rest_a == rest_b,
        ([_, more @ ..], less) if more.len() == less.len() => more == less,
        (less, [_, more @ ..]) if more.len() == less.len() => more == less,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> BTreeSet<String> {
        ["balance", "transaction", "transactions", "show", "pay", "recent", "cancel"]
            .map(str::to_owned)
            .into()
    }

    #[test]
    fn one_edit_in_a_long_word_is_mended() {
        for (slip, word) in
            [("balence", "balance"), ("blance", "balance"), ("ballance", "balance"), ("recnet", "recent")]
        {
            assert_eq!(mend(slip, &known()), Some(word), "{slip}");
        }
        assert_eq!(mend("shwo", &known()), Some("show"));
    }

    #[test]
    fn other_words_are_left_alone() {
        for word in ["may", "say", "shot", "valance", "trains", "alice", "b", ""] {
            assert_eq!(mend(word, &known()), None, "{word}");
        }
    }
}
