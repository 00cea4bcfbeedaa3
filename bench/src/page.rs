//! The page: what was kept of every mode, the targets beside it, and what was written by hand.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use anyhow::Context as _;

use crate::{findings::Findings, modes::Mode, plot, targets};

/// What is between these lines was written by hand and is kept.
const BY_HAND: (&str, &str) = ("<!-- written by hand: from here -->", "<!-- written by hand: to here -->");

/// Writes the page and its plot into a folder from everything that was kept, and returns the table of the targets.
pub(crate) fn write(kept: &Path, folder: &Path, machine: &str) -> anyhow::Result<String> {
    let findings: BTreeMap<&str, Findings> = Mode::ALL
        .into_iter()
        .filter_map(|mode| Some((mode.name(), Findings::read(kept, mode.name())?)))
        .collect();
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let page = folder.join("performance.md");
    let targets = targets::table(&findings);
    let mut text = format!("{INTRODUCTION}\n{machine}\n");
    let _ = writeln!(text, "## Targets\n\n{targets}");
    let old = std::fs::read_to_string(&page).unwrap_or_default();
    let _ = writeln!(text, "{}\n{}\n{}\n", BY_HAND.0, by_hand(&old), BY_HAND.1);
    if let Some(plot) = plot::calls(&findings)? {
        let file = folder.join("performance.svg");
        std::fs::write(&file, plot).with_context(|| format!("cannot write {}", file.display()))?;
        text.push_str("![CPU time of the server process for one read call](performance.svg)\n\n");
    }
    for mode in Mode::ALL {
        match findings.get(mode.name()) {
            Some(found) => text.push_str(&format!("{}\n", found.markdown())),
            None => text.push_str(&format!("## {}\n\nNot measured.\n\n", mode.name())),
        }
    }
    std::fs::write(&page, text.trim_end().to_owned() + "\n")
        .with_context(|| format!("cannot write {}", page.display()))?;
    Ok(targets)
}

/// What was written by hand in an earlier page.
fn by_hand(page: &str) -> &str {
    let (_, rest) = page.split_once(BY_HAND.0).unwrap_or_default();
    rest.split_once(BY_HAND.1).map_or("", |(kept, _)| kept).trim()
}

const INTRODUCTION: &str = "# What it costs

Made by `scripts/bench`, which builds everything for release and runs it side by side: every contender in turn, several
rounds interleaved, server and load generator on different cores. A figure is the median of the rounds; in parentheses are
the least and the most. The CPU time of the server process is the steady figure; on a machine with neighbours the calls a
second are not. Every answer is checked: one that is missing or wrong is counted as an error, and not as a call. The
payment server authenticates, authorises and audits every call in a durable database; its peers check the key, and answer
from memory. Its settings are the defaults, but for `RATE_LIMIT=off` and `RUST_LOG=warn`, and higher limits of sessions where
there are many. The CPU time is that of the server's own process: where it keeps its data in PostgreSQL, what that takes on the
same core is not in it, and the calls a second say what both take.
";

#[cfg(test)]
mod tests {
    use super::{BY_HAND, by_hand};

    #[test]
    fn what_was_written_by_hand_is_kept() {
        let page = format!("# Title\n\n{}\nWhy so.\n\nTried that.\n{}\n\n## More\n", BY_HAND.0, BY_HAND.1);
        assert_eq!(by_hand(&page), "Why so.\n\nTried that.");
        assert_eq!(by_hand("# Another"), "");
    }
}
