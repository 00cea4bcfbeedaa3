//! Text that somebody else wrote: it is data, for people and models to read, and must not be able to be anything else.

/// Whether a character can be seen and does nothing to what is shown around it: it is no control character, no mark that
/// changes the direction of text, and none that is there without being seen.
#[must_use]
pub fn is_visible(char: char) -> bool {
    !char.is_control()
        && !matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

/// Whether a character is harmless in a name, in a log and in a terminal: a letter, a digit, a sign of ASCII or a space.
#[must_use]
pub fn is_plain(char: char) -> bool {
    (char.is_alphanumeric() || char.is_ascii_graphic() || char == ' ') && is_visible(char)
}

/// A text with only its words: what is not visible is left out, spaces and line ends become one space. `None` where
/// nothing is left.
#[must_use]
pub fn cleaned(text: &str) -> Option<String> {
    let visible: String = text
        .chars()
        .map(|char| if char.is_whitespace() { ' ' } else { char })
        .filter(|char| is_visible(*char))
        .collect();
    let words: Vec<_> = visible.split(' ').filter(|word| !word.is_empty()).collect();
    let cleaned = words.join(" ");
    (!cleaned.is_empty()).then_some(cleaned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_words_and_nothing_that_cannot_be_seen() {
        for (written, kept) in [
            ("lunch", Some("lunch")),
            ("  two\n\twords ", Some("two words")),
            ("\u{1b}[31mred\u{7}", Some("[31mred")),
            ("pay \u{202e}ecila\u{202c} now", Some("pay ecila now")),
            ("zero\u{200b}width\u{feff}", Some("zerowidth")),
            ("tag\u{e0041}ged", Some("tagged")),
            ("blank\u{2800}dots", Some("blankdots")),
            ("Zoë, 東京 ✓", Some("Zoë, 東京 ✓")),
            ("\u{200b}\u{202e}\r\n", None),
            ("", None),
        ] {
            assert_eq!(cleaned(written).as_deref(), kept, "{written:?}");
        }
    }

    #[test]
    fn a_letter_that_nobody_sees_is_not_plain() {
        assert!("aä東0 ~".chars().all(is_plain));
        for char in ['\u{3164}', '\u{115f}', '\u{1160}', '\u{ffa0}', '\u{202e}', '\u{7}', '\u{a0}', '✓'] {
            assert!(!is_plain(char), "{char:?}");
        }
    }
}
