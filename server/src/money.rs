//! Money: whole minor units of one currency, and arithmetic that cannot be wrong silently.

use std::fmt;

/// A currency: its ISO 4217 code and how many decimal places its major unit has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency {
    code: &'static str,
    exponent: u8,
}

impl Currency {
    /// US dollar, of 100 cents.
    pub const USD: Self = Self { code: "USD", exponent: 2 };

    /// The currencies that accounts can be in.
    const KNOWN: [Self; 1] = [Self::USD];

    /// The currency with this ISO 4217 code; `None` if accounts cannot be in it.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::KNOWN.into_iter().find(|currency| currency.code == code)
    }

    /// Its ISO 4217 code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.code
    }

    /// How many minor units make a major one.
    const fn minor_per_major(self) -> u64 {
        10_u64.pow(self.exponent as u32)
    }
}

/// An amount of one currency, which may be below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Amount {
    minor: i64,
    currency: Currency,
}

impl Amount {
    /// An amount of `minor` minor units.
    #[must_use]
    pub const fn from_minor(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// An amount of `major` major units; `None` where that overflows.
    #[must_use]
    pub fn from_major(major: i64, currency: Currency) -> Option<Self> {
        let per_major = i64::try_from(currency.minor_per_major()).ok()?;
        Some(Self { minor: major.checked_mul(per_major)?, currency })
    }

    /// The amount that a decimal number of major units stands for, exact and more than zero: `25`, `12.50`. What JSON
    /// or people write besides is refused rather than guessed at.
    ///
    /// # Errors
    /// [`NotAnAmount`], which says why.
    pub fn read(text: &str, currency: Currency) -> Result<Self, NotAnAmount> {
        let places = usize::from(currency.exponent);
        if text.starts_with('-') {
            return Err(NotAnAmount::NotPositive);
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_decimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_written_so = !whole.is_empty() && is_decimal(whole) && is_decimal(fraction);
        let is_padded = whole.len() > 1 && whole.starts_with('0');
        if !is_written_so || is_padded || text.ends_with('.') {
            return Err(NotAnAmount::NotDecimal);
        }
        if fraction.len() > places {
            return Err(NotAnAmount::TooFine { code: currency.code, places: currency.exponent });
        }
        let minor = format!("{whole}{fraction:0<places$}").parse().map_err(|_| NotAnAmount::TooLarge)?;
        if minor == 0 { Err(NotAnAmount::NotPositive) } else { Ok(Self { minor, currency }) }
    }

    /// The amount with its currency: `12.50 USD`.
    #[must_use]
    pub fn with_code(self) -> String {
        format!("{self} {}", self.currency.code)
    }

    /// The amount in minor units.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// Its currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The amount in major units as a JSON number, exact: `-200`, `12.5`.
    ///
    /// Whole amounts are written without a fraction, as the original demo's were.
    #[must_use]
    pub fn to_number(self) -> serde_json::Number {
        let (sign, whole, fraction) = self.parts();
        if fraction == 0
            && let Ok(whole) = i64::try_from(whole)
        {
            return if sign.is_empty() { whole.into() } else { whole.wrapping_neg().into() };
        }
        // The shortest decimal that reads back as the same float is the one that was written, up to 15 digits.
        let parsed = self.to_string().parse::<f64>().ok().and_then(serde_json::Number::from_f64);
        parsed.unwrap_or_else(|| self.minor.into())
    }

    fn parts(self) -> (&'static str, u64, u64) {
        let magnitude = self.minor.unsigned_abs();
        let per_major = self.currency.minor_per_major();
        (if self.minor < 0 { "-" } else { "" }, magnitude / per_major, magnitude % per_major)
    }
}

/// The text is no amount that can be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAmount {
    /// It is no plain decimal number.
    #[error("the amount must be a plain decimal number such as 25 or 12.50, without exponent or separators")]
    NotDecimal,
    /// It is zero or less.
    #[error("the amount must be more than 0")]
    NotPositive,
    /// It has more decimal places than the currency.
    #[error("the amount may have {places} decimal places at most, as {code} has")]
    TooFine {
        /// The currency.
        code: &'static str,
        /// How many it may have.
        places: u8,
    },
    /// It is beyond what can be counted.
    #[error("the amount is too large")]
    TooLarge,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, whole, fraction) = self.parts();
        match usize::from(self.currency.exponent) {
            0 => write!(f, "{sign}{whole}"),
            places => write!(f, "{sign}{whole}.{fraction:0places$}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_exactly_or_refused() {
        for (text, minor) in [
            ("25", 2_500),
            ("12.5", 1_250),
            ("12.50", 1_250),
            ("0.01", 1),
            ("1000.0", 100_000),
            ("92233720368547758.07", i64::MAX),
        ] {
            assert_eq!(Amount::read(text, Currency::USD).map(Amount::minor), Ok(minor), "{text}");
        }
        for text in [
            "", ".", "1.", ".5", "1e3", "1E3", "NaN", "Infinity", "1,000", "1_000", "1 000", "+1", "0x10",
            "01", "1.2.3", "\u{661}", " 1", "1 ",
        ] {
            assert_eq!(Amount::read(text, Currency::USD), Err(NotAnAmount::NotDecimal), "{text}");
        }
        for text in ["0", "0.00", "-1", "-0"] {
            assert_eq!(Amount::read(text, Currency::USD), Err(NotAnAmount::NotPositive), "{text}");
        }
        assert!(matches!(Amount::read("1.005", Currency::USD), Err(NotAnAmount::TooFine { places: 2, .. })));
        for text in ["92233720368547758.08", "100000000000000000000"] {
            assert_eq!(Amount::read(text, Currency::USD), Err(NotAnAmount::TooLarge), "{text}");
        }
    }

    #[test]
    fn an_amount_is_written_exactly_and_without_needless_zeros() {
        for (minor, number, text) in [
            (0, "0", "0.00"),
            (10_000, "100", "100.00"),
            (-20_000, "-200", "-200.00"),
            (1_250, "12.5", "12.50"),
            (-1, "-0.01", "-0.01"),
            (123_456_789_012_345, "1234567890123.45", "1234567890123.45"),
        ] {
            let amount = Amount::from_minor(minor, Currency::USD);
            assert_eq!(amount.to_number().to_string(), number);
            assert_eq!(amount.to_string(), text);
        }
    }
}
