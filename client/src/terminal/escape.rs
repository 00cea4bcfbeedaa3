//! Text from the network made harmless for a terminal.
//!
//! A terminal obeys what it is sent, so a server could move the cursor, rewrite what was shown, or turn the direction
//! of a line around. Every character that can do so, and every one that cannot be seen at all, is replaced by its
//! visible name: `\u{1b}`. What remains looks like what it is.

use std::fmt::{self, Write as _};

/// Characters that are invisible or steer the terminal or its text direction, beyond the control characters proper.
const UNSEEN: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),       // soft hyphen
    ('\u{34f}', '\u{34f}'),     // combining grapheme joiner
    ('\u{61c}', '\u{61c}'),     // Arabic letter mark
    ('\u{115f}', '\u{1160}'),   // Hangul fillers
    ('\u{17b4}', '\u{17b5}'),   // Khmer inherent vowels
    ('\u{180b}', '\u{180f}'),   // Mongolian selectors and separator
    ('\u{200b}', '\u{200f}'),   // zero-width, and direction marks
    ('\u{2028}', '\u{202e}'),   // line and paragraph separators, embeddings and overrides
    ('\u{2060}', '\u{206f}'),   // word joiner, invisible operators, isolates
    ('\u{3164}', '\u{3164}'),   // Hangul filler
    ('\u{feff}', '\u{feff}'),   // byte order mark
    ('\u{ffa0}', '\u{ffa0}'),   // half-width Hangul filler
    ('\u{fff0}', '\u{fffb}'),   // unassigned and interlinear marks
    ('\u{1bca0}', '\u{1bca3}'), // shorthand format controls
    ('\u{1d173}', '\u{1d17a}'), // musical format controls
    ('\u{e0000}', '\u{e0fff}'), // tags and selectors
];

/// Whether a character must not reach a terminal as it is. Newline and tab are among them: whether they belong is for
/// the place to say.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control() || (c > '\u{7f}' && UNSEEN.iter().any(|&(first, last)| (first..=last).contains(&c)))
}

/// Text for one line, with every unsafe character by its visible name: newline and tab become `\n` and `\t`.
#[must_use]
pub fn line(text: &str) -> String {
    escaped(text, |_| false)
}

/// Text of several lines: newline and tab stay, a Windows line end becomes a newline, all else as in `line`.
#[must_use]
pub fn text(text: &str) -> String {
    escaped(&text.replace("\r\n", "\n"), |c| matches!(c, '\n' | '\t'))
}

/// JSON text that means the same and holds no unsafe character: within JSON they can stand in strings only, where
/// `\u` and four digits say the same.
#[must_use]
pub fn json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if is_unsafe(c) && !c.is_ascii_whitespace() {
            for unit in c.encode_utf16(&mut units) {
                push(&mut safe, format_args!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

fn escaped(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if keep(c) || !is_unsafe(c) => safe.push(c),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c => push(&mut safe, format_args!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    safe
}

#[expect(clippy::expect_used, reason = "writing to a String cannot fail")]
fn push(text: &mut String, arguments: fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_by_name() {
        assert_eq!(line("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(line("\u{9b}31m\u{7f}\u{0}"), "\\u{9b}31m\\u{7f}\\u{0}");
        assert_eq!(line("bob\u{202e}eciLA\u{2066}\u{200b}\u{2028}\u{feff}"), {
            "bob\\u{202e}eciLA\\u{2066}\\u{200b}\\u{2028}\\u{feff}"
        });
        assert_eq!(line("one\r\ntwo\tthree"), "one\\r\\ntwo\\tthree");
    }

    #[test]
    fn lines_and_tabs_stay_in_text_and_other_scripts_stay_as_they_are() {
        assert_eq!(text("one\r\ntwo\n\tthree\rfour"), "one\ntwo\n\tthree\\rfour");
        assert_eq!(text("Grüße, 你好, שלום, 🎉"), "Grüße, 你好, שלום, 🎉");
    }

    proptest! {
        #[test]
        fn nothing_unsafe_ever_comes_out(input in any::<String>()) {
            prop_assert!(!line(&input).chars().any(is_unsafe));
            prop_assert!(!text(&input).chars().any(|c| is_unsafe(c) && c != '\n' && c != '\t'));
        }

        #[test]
        fn every_control_and_format_character_is_escaped(c in prop_oneof![
            proptest::char::range('\u{0}', '\u{1f}'), proptest::char::range('\u{7f}', '\u{9f}'),
            proptest::char::range('\u{200b}', '\u{200f}'), proptest::char::range('\u{2028}', '\u{202e}'),
            proptest::char::range('\u{2060}', '\u{206f}'),
        ]) {
            let shown = line(&format!("a{c}b"));
            prop_assert!(!shown.contains(c));
        }

        #[test]
        fn harmless_text_comes_out_unchanged(input in "[ -~äöüß€中א🎉]*") {
            prop_assert_eq!(line(&input), input.clone());
            prop_assert_eq!(text(&input), input);
        }

        #[test]
        fn escaped_json_means_the_same(input in any::<String>()) {
            let written = serde_json::to_string(&input).unwrap();
            let safe = json(&written);
            prop_assert!(!safe.chars().any(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), input);
        }
    }
}
