//! What a server said, made fit to stand in an error: short, and unable to move a cursor.

/// How many characters of a server's words are shown.
const MAX_CHARS: usize = 500;

/// `text` with surrounding white space cut, control characters and invisible direction marks escaped, and no longer
/// than 500 characters.
pub(crate) fn excerpt(text: &str) -> String {
    let text = text.trim();
    let mut shown = String::with_capacity(text.len().min(MAX_CHARS));
    let mut characters = text.chars();
    for character in characters.by_ref().take(MAX_CHARS) {
        if is_unprintable(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters, and the marks that reorder or hide what stands next to them.
pub(super) fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_move_the_cursor_is_escaped() {
        assert_eq!(excerpt("  no\u{1b}[2Jkey\u{202e}\n"), "no\\u{1b}[2Jkey\\u{202e}");
        assert_eq!(excerpt("Schlüssel ✓"), "Schlüssel ✓");
    }

    #[test]
    fn long_texts_are_cut() {
        let shown = excerpt(&"ä".repeat(MAX_CHARS + 1));
        assert_eq!(shown.chars().count(), MAX_CHARS + 1);
        assert!(shown.ends_with("ä…"));
    }
}
