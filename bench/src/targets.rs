//! What was aimed at, and whether it was met.

use std::collections::BTreeMap;

use crate::{
    figures::{ratio, thousandths},
    findings::Findings,
};

/// One target: a figure of a mode, and its bound.
struct Target {
    /// What must be true.
    what: &'static str,
    /// The mode that it is found in.
    mode: &'static str,
    /// The figure.
    figure: Figure,
    /// What it is compared with, in thousandths.
    bound: Bound,
    /// What stands after both.
    unit: &'static str,
}

/// How a figure is made of the numbers of a mode.
enum Figure {
    /// One of them, so many of which are one of the target's unit.
    Of(&'static str, u64),
    /// How often the second is in the first.
    Ratio(&'static str, &'static str),
}

/// On which side of the bound the figure must be.
enum Bound {
    AtMost(u64),
    AtLeast(u64),
}

impl Figure {
    /// Its value in thousandths of the unit, and how many calls went wrong on the way to it.
    fn of(&self, mode: &Findings) -> Option<(u64, u64)> {
        let number = |name: &str| mode.figures.get(name).copied();
        // Of whom a number is stands after its last dot.
        let errors = |name: &str| {
            let whose = name.rsplit_once('.').map_or(name, |(_, whose)| whose);
            number(&format!("errors.{whose}")).unwrap_or_default()
        };
        Some(match self {
            Self::Of(name, unit) => (ratio(number(name)?, *unit), errors(name)),
            Self::Ratio(part, whole) => (ratio(number(part)?, number(whole)?), errors(part) + errors(whole)),
        })
    }
}

impl Bound {
    const fn holds(&self, value: u64) -> bool {
        match *self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    fn written(&self, unit: &str) -> String {
        let (side, bound) = match *self {
            Self::AtMost(most) => ("at most", most),
            Self::AtLeast(least) => ("at least", least),
        };
        format!("{side} {} {unit}", written(bound))
    }
}

const TARGETS: [Target; 11] = [
    Target {
        what: "a read call in a session: CPU time of the server beside the bare ceiling's",
        mode: "sessions",
        figure: Figure::Ratio("cpu_nanos.sqlite", "cpu_nanos.bare"),
        bound: Bound::AtMost(1_500),
        unit: "x",
    },
    Target {
        what: "a modern stateless call: CPU time of the server beside the bare ceiling's",
        mode: "modern",
        figure: Figure::Ratio("cpu_nanos.sqlite", "cpu_nanos.bare"),
        bound: Bound::AtMost(1_700),
        unit: "x",
    },
    Target {
        what: "session churn, durable, beside the rate of rmcp, which keeps nothing",
        mode: "churn",
        figure: Figure::Ratio("a_second.sqlite", "a_second.rmcp"),
        bound: Bound::AtLeast(2_000),
        unit: "x",
    },
    Target {
        what: "memory of an idle session",
        mode: "idle",
        figure: Figure::Of("session_bytes.sqlite", 1_024),
        bound: Bound::AtMost(1_000),
        unit: "KiB",
    },
    Target {
        what: "p99 at half of the highest rate, beside the bare ceiling's own",
        mode: "latency",
        figure: Figure::Ratio("p99_micros.sqlite", "p99_micros.bare"),
        bound: Bound::AtMost(1_200),
        unit: "x",
    },
    Target {
        what: "payments on SQLite, on disk, 64 at once",
        mode: "payments",
        figure: Figure::Of("a_second.sqlite", 1),
        bound: Bound::AtLeast(2_000_000),
        unit: "/s",
    },
    Target {
        what: "payments on PostgreSQL, beside pgbench with the same statements",
        mode: "payments",
        figure: Figure::Ratio("a_second.postgres", "a_second.pgbench"),
        bound: Bound::AtLeast(700),
        unit: "x",
    },
    Target {
        what: "the balance from the large ledger: CPU time beside that from seven rows",
        mode: "ledger",
        figure: Figure::Of("growth.balance", 1_000),
        bound: Bound::AtMost(1_300),
        unit: "x",
    },
    Target {
        what: "the latest transactions, likewise",
        mode: "ledger",
        figure: Figure::Of("growth.latest", 1_000),
        bound: Bound::AtMost(1_300),
        unit: "x",
    },
    Target {
        what: "client: a turn's own overhead, with the answers of server and model",
        mode: "client",
        figure: Figure::Of("turn_micros", 1_000),
        bound: Bound::AtMost(2_000),
        unit: "ms",
    },
    Target {
        what: "client: `client --help`",
        mode: "client",
        figure: Figure::Of("help_micros", 1_000),
        bound: Bound::AtMost(15_000),
        unit: "ms",
    },
];

/// The table of the targets, in Markdown.
pub(crate) fn table(found: &BTreeMap<&str, Findings>) -> String {
    let mut text = String::from("| what | bound | measured | |\n|---|---|---|---|\n");
    for Target { what, mode, figure, bound, unit } in TARGETS {
        let (measured, verdict) = match found.get(mode).and_then(|mode| figure.of(mode)) {
            None => ("-".to_owned(), "not measured".to_owned()),
            Some((value, 0)) => {
                let verdict = if bound.holds(value) { "met" } else { "**missed**" };
                (format!("{} {unit}", written(value)), verdict.to_owned())
            }
            Some((value, errors)) => {
                (format!("{} {unit}", written(value)), format!("**missed**: {errors} calls went wrong"))
            }
        };
        text.push_str(&format!("| {what} | {} | {measured} | {verdict} |\n", bound.written(unit)));
    }
    text
}

/// Large numbers whole, small ones with two decimal places.
fn written(value: u64) -> String {
    thousandths(value, if value < 100_000 { 2 } else { 0 })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::table;
    use crate::findings::Findings;

    #[test]
    fn a_target_is_met_missed_or_not_measured() {
        let mut sessions = Findings::default();
        sessions.figure("cpu_nanos.bare", 8_000);
        sessions.figure("cpu_nanos.sqlite", 12_000);
        let mut churn = Findings::default();
        churn.figure("a_second.sqlite", 1_500);
        churn.figure("a_second.rmcp", 1_000);
        let table = table(&BTreeMap::from([("sessions", sessions), ("churn", churn)]));
        let verdicts: Vec<&str> = table.lines().skip(2).take(3).collect();
        assert!(verdicts[0].ends_with("| at most 1.50 x | 1.50 x | met |"), "{table}");
        assert!(verdicts[1].ends_with("| - | not measured |"), "{table}");
        assert!(verdicts[2].ends_with("| at least 2.00 x | 1.50 x | **missed** |"), "{table}");
    }

    #[test]
    fn no_target_is_met_with_calls_that_went_wrong() {
        let mut sessions = Findings::default();
        sessions.figure("cpu_nanos.bare", 8_000);
        sessions.figure("cpu_nanos.sqlite", 12_000);
        sessions.figure("errors.sqlite", 3);
        let mut churn = Findings::default();
        churn.figure("a_second.sqlite", 3_000);
        churn.figure("a_second.rmcp", 1_000);
        churn.figure("errors.postgres", 3);
        let table = table(&BTreeMap::from([("sessions", sessions), ("churn", churn)]));
        assert!(table.contains("| at most 1.50 x | 1.50 x | **missed**: 3 calls went wrong |"), "{table}");
        assert!(table.contains("| at least 2.00 x | 3.00 x | met |"), "{table}");
    }
}
