//! Slips of the finger: one edit away from a word that is known.

use std::collections::BTreeSet;

use super::words::stem;

/// Words shorter than this are mended only where two letters changed places.
const LONG: usize = 5;

/// How a word may have come of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slip {
    /// Two neighbours changed places, or a letter was left out or struck twice: what comes of it is hardly a word.
    Plain,
    /// A letter is another one, or one too many: what comes of it is often a word too, as "lager" is beside "later".
    Doubtful,
}

/// The one known word that `word` is one edit away from. Nothing when there are several of
/// different families, or none. `needs_certainty`: of the known words, those that only a plain slip stands for.
pub(super) fn mend<'v>(
    word: &str,
    known: &'v BTreeSet<String>,
    needs_certainty: impl Fn(&str) -> bool,
) -> Option<&'v str> {
    if word.chars().count() < 3 || word.chars().any(|c| !c.is_ascii_alphabetic()) {
        return None;
    }
    let mut near = known.iter().map(String::as_str).filter(|other| match slip(word, other) {
        Some(Slip::Plain) => true,
        Some(Slip::Doubtful) => !needs_certainty(other),
        None => false,
    });
    let first = near.next()?;
    let family = stem(first);
    near.all(|other| stem(other) == family).then_some(first)
}

/// One letter too many, missing or wrong in a long word, or two neighbours swapped in any. The first letter is
/// rarely the wrong one.
fn slip(word: &str, known: &str) -> Option<Slip> {
    let (a, b) = (word.as_bytes(), known.as_bytes());
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (rest_a, rest_b) = (a.get(same..).unwrap_or_default(), b.get(same..).unwrap_or_default());
    if let ([a0, a1, rest_a @ ..], [b0, b1, rest_b @ ..]) = (rest_a, rest_b)
        && a0 == b1
        && a1 == b0
        && a0 != a1
        && rest_a == rest_b
    {
        return Some(Slip::Plain);
    }
    let before = a.get(same.checked_sub(1)?)?;
    if a.len() < LONG || b.len() < LONG {
        return None;
    }
    match (rest_a, rest_b) {
        ([_, rest_a @ ..], [_, rest_b @ ..]) if rest_a.len() == rest_b.len() => {
            (rest_a == rest_b).then_some(Slip::Doubtful)
        }
        ([one, more @ ..], less) if more.len() == less.len() => {
            (more == less).then_some(if one == before { Slip::Plain } else { Slip::Doubtful })
        }
        (less, [_, more @ ..]) if more.len() == less.len() => (more == less).then_some(Slip::Plain),
        _ => None,
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
            assert_eq!(mend(slip, &known(), |_| false), Some(word), "{slip}");
        }
        assert_eq!(mend("shwo", &known(), |_| false), Some("show"));
    }

    #[test]
    fn other_words_are_left_alone() {
        for word in ["may", "say", "shot", "valance", "trains", "alice", "b", ""] {
            assert_eq!(mend(word, &known(), |_| false), None, "{word}");
        }
    }

    #[test]
    fn where_certainty_is_needed_a_word_that_may_be_one_is_left_alone() {
        let known = BTreeSet::from(["later", "daily", "unless"].map(str::to_owned));
        for word in ["lager", "layer", "lather", "dairy", "dailey"] {
            assert_eq!(mend(word, &known, |_| true), None, "{word}");
        }
        for (slip, word) in [("unlses", "unless"), ("unles", "unless"), ("dailly", "daily")] {
            assert_eq!(mend(slip, &known, |_| true), Some(word), "{slip}");
        }
        let known = BTreeSet::from(["later", "latest"].map(str::to_owned));
        assert_eq!(mend("lates", &known, |word| word == "later"), Some("latest"));
    }
}
