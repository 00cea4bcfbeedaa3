//! Text that a payer wrote: it is data, for a person to read, and must not be able to be anything else.

/// Longest memo, in characters.
pub(super) const LENGTH_MAX: usize = 140;

/// A memo without what could disturb whoever shows it: control characters, marks that change the direction of text, and
/// characters that cannot be seen are left out, spaces and line ends become one space. `None` where nothing is left.
#[must_use]
pub fn cleaned(text: &str) -> Option<String> {
    let visible: String = text
        .chars()
        .map(|char| if char.is_whitespace() { ' ' } else { char })
        .filter(|char| is_visible(*char))
        .collect();
    let words: Vec<_> = visible.split(' ').filter(|word| !word.is_empty()).collect();
    let memo = words.join(" ");
    (!memo.is_empty()).then_some(memo)
}

fn is_visible(char: char) -> bool {
    !char.is_control()
        && !matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e0fff}'
            | '\u{f0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_keeps_its_words_and_nothing_that_cannot_be_seen() {
        for (written, kept) in [
            ("lunch", Some("lunch")),
            ("  two\n\twords ", Some("two words")),
            ("\u{1b}[31mred\u{7}", Some("[31mred")),
            ("pay \u{202e}ecila\u{202c} now", Some("pay ecila now")),
            ("zero\u{200b}width\u{feff}", Some("zerowidth")),
            ("tag\u{e0041}ged", Some("tagged")),
            ("Zoë, 東京 ✓", Some("Zoë, 東京 ✓")),
            ("\u{200b}\u{202e}\r\n", None),
            ("", None),
        ] {
            assert_eq!(cleaned(written).as_deref(), kept, "{written:?}");
        }
    }
}
