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

/// The zeros of the decimal digits beyond ASCII (Unicode 17, general category Nd): the other nine follow each.
const ZEROS: [u32; 76] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
    0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50,
    0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x10d40, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730,
    0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50, 0x11da0, 0x11de0, 0x11f50, 0x16130, 0x16a60, 0x16ac0,
    0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0,
    0x1e5f1, 0x1e950, 0x1fbf0,
];

/// The decimal digit that a character is, of whatever script.
#[must_use]
pub fn decimal_digit(char: char) -> Option<u32> {
    if char.is_ascii() {
        return char.to_digit(10);
    }
    let code = u32::from(char);
    let next = ZEROS.partition_point(|zero| *zero <= code);
    let zero = ZEROS.get(next.checked_sub(1)?)?;
    code.checked_sub(*zero).filter(|digit| *digit < 10)
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
    fn a_digit_is_one_in_every_script_and_nothing_else_is() {
        for digits in ["0123456789", "０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "𝟶𝟷𝟸𝟹𝟺𝟻𝟼𝟽𝟾𝟿"]
        {
            assert!(digits.chars().map(decimal_digit).eq((0..10).map(Some)), "{digits}");
        }
        for char in ['a', 'ä', '/', ':', '／', '：', '½', '²', '①', '四', '٪', '\u{65f}', '\u{10ffff}']
        {
            assert_eq!(decimal_digit(char), None, "{char:?}");
        }
        assert!(ZEROS.is_sorted());
        let mut all = ZEROS.iter().flat_map(|zero| *zero..zero + 10);
        assert!(all.all(|code| char::from_u32(code).is_some_and(char::is_numeric)));
    }

    #[test]
    fn a_letter_that_nobody_sees_is_not_plain() {
        assert!("aä東0 ~".chars().all(is_plain));
        for char in ['\u{3164}', '\u{115f}', '\u{1160}', '\u{ffa0}', '\u{202e}', '\u{7}', '\u{a0}', '✓'] {
            assert!(!is_plain(char), "{char:?}");
        }
    }
}
