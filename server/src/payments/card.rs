//! Card numbers, which have no business here: whoever pastes one must not find it kept.

/// Fewest and most digits of a card number (ISO/IEC 7812).
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Whether there is a card number in a text: a run of 13 to 19 digits, alone or with single spaces or hyphens between
/// them, that begins with 2 to 6 as those of all card networks do, and whose check digit holds (Luhn).
#[must_use]
pub fn is_in(text: &str) -> bool {
    let mut run = Vec::new();
    let mut before = ' ';
    for char in text.chars().chain([' ', ' ']) {
        let is_gap = matches!(char, ' ' | '-') && before.is_ascii_digit();
        match char.to_digit(10) {
            Some(digit) => run.push(digit),
            None if is_gap => {}
            None => {
                if is_a_card(&run) {
                    return true;
                }
                run.clear();
            }
        }
        before = char;
    }
    false
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
        ] {
            assert!(!is_in(text), "{text}");
        }
    }
}
