//! Numbers, without fractions: how several rounds spread, and how a number is written.

/// How the rounds of one measurement spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spread {
    /// The middle one.
    pub(crate) median: u64,
    /// The least.
    pub(crate) least: u64,
    /// The most.
    pub(crate) most: u64,
}

impl Spread {
    /// Of these.
    pub(crate) fn of(values: impl IntoIterator<Item = u64>) -> Self {
        let mut values: Vec<u64> = values.into_iter().collect();
        values.sort_unstable();
        Self {
            median: values.get(values.len() / 2).copied().unwrap_or_default(),
            least: values.first().copied().unwrap_or_default(),
            most: values.last().copied().unwrap_or_default(),
        }
    }

    /// As `median (least-most)`, as it is.
    pub(crate) fn whole(&self) -> String {
        format!("{} ({}-{})", grouped(self.median), grouped(self.least), grouped(self.most))
    }

    /// As `median (least-most)`, in units of which each value is a thousandth.
    pub(crate) fn thousandths(&self) -> String {
        let [median, least, most] = [self.median, self.least, self.most].map(|value| thousandths(value, 1));
        format!("{median} ({least}-{most})")
    }
}

/// A number of thousandths with `places` decimal places.
pub(crate) fn thousandths(value: u64, places: u32) -> String {
    let unit = 10_u64.pow(3_u32.saturating_sub(places));
    let rounded = (value + unit / 2) / unit;
    let scale = 10_u64.pow(places);
    if places == 0 {
        return grouped(rounded);
    }
    format!(
        "{}.{:0width$}",
        grouped(rounded / scale),
        rounded % scale,
        width = usize::try_from(places).unwrap_or(0)
    )
}

/// How often `part` is in `whole`, in thousandths.
pub(crate) fn ratio(part: u64, whole: u64) -> u64 {
    (part * 1_000).checked_div(whole).unwrap_or_default()
}

/// A number with commas between its thousands.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The value that `percent` of the ascending values stay within.
pub(crate) fn percentile(ascending: &[u64], percent: usize) -> u64 {
    let at = (ascending.len() * percent / 100).min(ascending.len().saturating_sub(1));
    ascending.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Spread, grouped, ratio, thousandths};

    #[test]
    fn numbers_are_written_as_people_read_them() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(thousandths(12_345, 1), "12.3");
        assert_eq!(thousandths(12_950, 1), "13.0");
        assert_eq!(thousandths(1_499, 0), "1");
        assert_eq!(thousandths(ratio(150, 100), 2), "1.50");
    }

    #[test]
    fn rounds_spread_around_the_middle_one() {
        assert_eq!(Spread::of([3, 1, 2]), Spread { median: 2, least: 1, most: 3 });
        assert_eq!(Spread::of([]).median, 0);
    }
}
