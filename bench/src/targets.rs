//! What was aimed at, and whether it was met.

use std::collections::BTreeMap;

use crate::{
    figures::{ratio, thousandths},
    findings::Findings,
};

/// One target: a figure, and its bound, both in thousandths.
struct Target {
    /// What must be true.
    what: &'static str,
    /// The figure, from what was found.
    figure: fn(&Found<'_>) -> Option<u64>,
    /// What it is compared with.
    bound: Bound,
    /// What stands after both.
    unit: &'static str,
}

/// On which side of the bound the figure must be.
enum Bound {
    AtMost(u64),
    AtLeast(u64),
}

/// What was found, by mode and figure.
struct Found<'a>(&'a BTreeMap<&'a str, Findings>);

impl Found<'_> {
    fn figure(&self, mode: &str, name: &str) -> Option<u64> {
        self.0.get(mode)?.figures.get(name).copied()
    }

    /// How often one figure is in another one of the same mode, in thousandths.
    fn ratio(&self, mode: &str, part: &str, whole: &str) -> Option<u64> {
        Some(ratio(self.figure(mode, part)?, self.figure(mode, whole)?))
    }
}

const TARGETS: [Target; 11] = [
    Target {
        what: "a read call in a session: CPU time of the server beside the bare ceiling's",
        figure: |found| found.ratio("sessions", "cpu_nanos.sqlite", "cpu_nanos.bare"),
        bound: Bound::AtMost(1_500),
        unit: "x",
    },
    Target {
        what: "a modern stateless call: CPU time of the server beside the bare ceiling's",
        figure: |found| found.ratio("modern", "cpu_nanos.sqlite", "cpu_nanos.bare"),
        bound: Bound::AtMost(1_700),
        unit: "x",
    },
    Target {
        what: "session churn, durable, beside the rate of rmcp, which keeps nothing",
        figure: |found| found.ratio("churn", "a_second.sqlite", "a_second.rmcp"),
        bound: Bound::AtLeast(2_000),
        unit: "x",
    },
    Target {
        what: "memory of an idle session",
        figure: |found| Some(found.figure("idle", "session_bytes.sqlite")? * 1_000 / 1_024),
        bound: Bound::AtMost(1_000),
        unit: "KiB",
    },
    Target {
        what: "p99 at half of the highest rate, beside the bare ceiling's own",
        figure: |found| found.ratio("latency", "p99_micros.sqlite", "p99_micros.bare"),
        bound: Bound::AtMost(1_200),
        unit: "x",
    },
    Target {
        what: "payments on SQLite, on disk, 64 at once",
        figure: |found| Some(found.figure("payments", "a_second.sqlite")? * 1_000),
        bound: Bound::AtLeast(2_000_000),
        unit: "/s",
    },
    Target {
        what: "payments on PostgreSQL, beside pgbench with the same statements",
        figure: |found| found.ratio("payments", "a_second.postgres", "a_second.pgbench"),
        bound: Bound::AtLeast(700),
        unit: "x",
    },
    Target {
        what: "the balance from the large ledger: CPU time beside that from seven rows",
        figure: |found| found.figure("ledger", "growth.balance"),
        bound: Bound::AtMost(1_300),
        unit: "x",
    },
    Target {
        what: "the latest transactions, likewise",
        figure: |found| found.figure("ledger", "growth.latest"),
        bound: Bound::AtMost(1_300),
        unit: "x",
    },
    Target {
        what: "client: a turn's own overhead, with the answers of server and model",
        figure: |found| found.figure("client", "turn_micros"),
        bound: Bound::AtMost(2_000),
        unit: "ms",
    },
    Target {
        what: "client: `client --help`",
        figure: |found| found.figure("client", "help_micros"),
        bound: Bound::AtMost(15_000),
        unit: "ms",
    },
];

/// The table of the targets, in Markdown.
pub(crate) fn table(found: &BTreeMap<&str, Findings>) -> String {
    let found = Found(found);
    let mut text = String::from("| what | bound | measured | |\n|---|---|---|---|\n");
    for Target { what, figure, bound, unit } in TARGETS {
        let (side, most) = match bound {
            Bound::AtMost(most) => ("at most", most),
            Bound::AtLeast(least) => ("at least", least),
        };
        let (measured, verdict) = match figure(&found) {
            None => ("-".to_owned(), "not measured"),
            Some(value) => {
                let met = match bound {
                    Bound::AtMost(most) => value <= most,
                    Bound::AtLeast(least) => value >= least,
                };
                (format!("{} {unit}", written(value)), if met { "met" } else { "**missed**" })
            }
        };
        text.push_str(&format!("| {what} | {side} {} {unit} | {measured} | {verdict} |\n", written(most)));
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
}
