//! Card numbers, which have no business here: whoever pastes one must not find it kept.

use std::ops::RangeInclusive;

use crate::text::decimal_digit;

/// Fewest and most digits of a card number (ISO/IEC 7812).
const DIGITS: RangeInclusive<usize> = 13..=19;

/// How many hexadecimal digits there are in each part of what is no card number whatever its digits are: a UUID, and the
/// `traceparent` of W3C Trace Context.
const UUID: [usize; 5] = [8, 4, 4, 4, 12];
const TRACEPARENT: [usize; 4] = [2, 32, 16, 2];

/// How many there are in a UUID or a trace id by itself.
const BARE: usize = 32;

/// Whether there is a card number in a text: 13 to 19 digits of any script, alone or in groups with a space or a dash
/// between them, that begin with 2 to 6 as those of all card networks do, and whose check digit holds (Luhn). What stands
/// before and after them may be digits, too: a card is often followed by the month in which it ends. A UUID, with hyphens
/// or without, and a `traceparent` have digits of their own and are passed over; without a letter, what has no hyphens is
/// none of them.
#[must_use]
pub fn is_in(text: &str) -> bool {
    let mut run = Run::default();
    let (mut rest, mut is_begun, mut follows_digit) = (text, false, false);
    while let Some(char) = rest.chars().next() {
        if let Some(after) = (!is_begun).then(|| after_hexadecimal(rest)).flatten() {
            if run.ends_with_a_card() {
                return true;
            }
            (run, rest, is_begun, follows_digit) = (Run::default(), after, false, false);
            continue;
        }
        let digit = decimal_digit(char);
        match digit {
            Some(digit) => run.add(digit, follows_digit),
            None => {
                if follows_digit && run.ends_with_a_card() {
                    return true;
                }
                if !is_gap(char) || !follows_digit {
                    run = Run::default();
                }
            }
        }
        rest = rest.get(char.len_utf8()..).unwrap_or_default();
        follows_digit = digit.is_some();
        is_begun = follows_digit || char.is_ascii_alphanumeric();
    }
    run.ends_with_a_card()
}

/// What may stand between two groups of digits: a space, a hyphen or one of the dashes.
fn is_gap(char: char) -> bool {
    matches!(
        char,
        ' ' | '-' | '\u{a0}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    )
}

/// What follows the UUID or the `traceparent` that a text begins with, if it does.
fn after_hexadecimal(text: &str) -> Option<&str> {
    // Most that is passed here is no digit.
    if !text.starts_with(|first: char| first.is_ascii_hexdigit()) {
        return None;
    }
    let bare = || after_parts(text, &[BARE]).filter(|_| has_letter(text));
    let after = after_parts(text, &UUID).or_else(|| after_parts(text, &TRACEPARENT)).or_else(bare)?;
    let goes_on = |next: char| next.is_ascii_alphanumeric() || decimal_digit(next).is_some();
    (!after.starts_with(goes_on)).then_some(after)
}

/// What follows parts of so many hexadecimal digits, with hyphens between them.
fn after_parts<'a>(text: &'a str, parts: &[usize]) -> Option<&'a str> {
    parts.iter().enumerate().try_fold(text, |rest, (place, length)| {
        let rest = if place == 0 { rest } else { rest.strip_prefix('-')? };
        let (part, after) = rest.split_at_checked(*length)?;
        part.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(after)
    })
}

/// Whether there is a letter where a number without hyphens would be, and not only that of an exponent.
fn has_letter(text: &str) -> bool {
    text.bytes().take(BARE).any(|byte| byte.is_ascii_alphabetic() && !byte.eq_ignore_ascii_case(&b'e'))
}

/// Digits in groups.
#[derive(Default)]
struct Run {
    digits: Vec<u32>,
    /// Where each group begins.
    groups: Vec<usize>,
}

impl Run {
    fn add(&mut self, digit: u32, continues: bool) {
        if !continues {
            self.groups.push(self.digits.len());
        }
        self.digits.push(digit);
    }

    /// Whether the last groups are a card number, however many of them.
    fn ends_with_a_card(&self) -> bool {
        let tails = self.groups.iter().rev().filter_map(|start| self.digits.get(*start..));
        tails.take_while(|tail| tail.len() <= *DIGITS.end()).any(is_a_card)
    }
}

fn is_a_card(digits: &[u32]) -> bool {
    let begins_right = digits.first().is_some_and(|first| (2..=6).contains(first));
    begins_right && DIGITS.contains(&digits.len()) && check_digit_holds(digits)
}

/// Luhn: from the right, every second digit counts double, and its own digits are added.
fn check_digit_holds(digits: &[u32]) -> bool {
    let weigh = |(place, digit): (usize, &u32)| match (place % 2, *digit) {
        (0, digit) => digit,
        (_, digit @ 0..=4) => digit * 2,
        (_, digit) => (digit * 2).saturating_sub(9),
    };
    digits.iter().rev().enumerate().map(weigh).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_test_numbers_are_found_however_they_are_written() {
        for text in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "pay with 5555-5555-5555-4444, please",
            "378282246310005.",
            "6011111111111117",
            "2223003122003222",
            "card:4222222222222",
            "4111 1111 1111 1111 12/27 123",
            "4111-1111-1111-1111 12 27",
            "12 27 4111 1111 1111 1111",
            "1 4111111111111111",
            "x4111111111111111x",
            "3782 822463 10005 9",
            "4111\u{2013}1111\u{2013}1111\u{2013}1111",
            "4111\u{a0}1111\u{a0}1111\u{a0}1111",
            "４１１１ １１１１ １１１１ １１１１",
            "４１１１－１１１１－１１１１－１１１１",
            "٤١١١١١١١١١١١١١١١",
            "𝟒𝟏𝟏𝟏 1111 𝟣𝟣𝟣𝟣 １１１１",
            "４111111111111111aaaaaaaaaaaaaaaaa",
            "123e4567-e89b-42d3-a456-426614174000 4111111111111111",
            "00000000-0000-0000-0000-aaaa41111111１１１１１１１１",
            "aaaaaaaaaaaaaaaaaaaaaaaa41111111１１１１１１１１",
            "4111111111111111-",
            "4111111111111111 aaaaaaaaaaaaaaaa",
            "4111111111111111aaaaaaaaaaaaaaa",
            "4111111111111111aaaaaaaaaaaaaaaaa",
            "4111111111111111gggggggggggggggg",
            "4111111111111111e000000000000000",
            "00-4111111111111111-00f067aa0ba902b7-01",
            "00-4111111111111111aaaaaaaaaaaaaaaa-4111111111111111-x1",
            "4111111111111111aaaaaaaaaaaaaaaa 4111111111111111",
            "4111111111111111-4111111111111111aaaaaaaaaaaaaaaa",
        ] {
            assert!(is_in(text), "{text}");
        }
    }

    #[test]
    fn other_numbers_are_not() {
        for text in [
            "",
            "4111111111111112",
            "411111111111",
            "41111111111111114111111111111111",
            "4111  1111  1111  1111",
            "1234567812345670",
            "2026-11-24 14:00 and 150 dollars",
            "12345678-1234-1234-1234-123456789012",
            "pay_7Q3J-4K",
            "41111111-1111-4111-8111-111111111111",
            "4111.1111.1111.1111",
            "４１１１１１１１１１１１１１１２",
            "４１１１．１１１１．１１１１．１１１１",
            "4111111111111111aaaaaaaaaaaaaaaa",
            "key:AAAAAAAAAAAAAAAA4111111111111111.",
            "00-4111111111111111aaaaaaaaaaaaaaaa-00f067aa0ba902b7-01",
            "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-4111111111111111-01",
        ] {
            assert!(!is_in(text), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_card_is_found_between_any_other_groups(before in "([0-9]{1,4} ){0,3}", after in "( [0-9]{1,4}){0,3}") {
            let text = format!("{before}4111 1111 1111 1111{after}");
            proptest::prop_assert!(is_in(&text), "{}", text);
        }

        #[test]
        fn no_uuid_is_taken_for_a_card(bytes in proptest::array::uniform16(0_u8..)) {
            let hex = data_encoding::HEXLOWER.encode(&bytes);
            let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
            proptest::prop_assert!(!is_in(&parts.join("-")));
        }

        #[test]
        fn nothing_of_32_hexadecimal_digits_is_taken_for_a_card(digits in "[0-9]{0,31}", rest in "[a-d]{32}") {
            let id = format!("{digits}{}", &rest[digits.len()..]);
            let parent = format!("00-{id}-{}-01", &id[..16]);
            proptest::prop_assert!(!is_in(&id) && !is_in(&parent), "{}", parent);
        }
    }
}
