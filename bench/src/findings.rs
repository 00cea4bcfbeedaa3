//! What one mode found: kept in a file of its own as soon as it is there, so that the page can be made again without
//! measuring everything again.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Why something was not measured, where that is nobody's mistake: there is nothing to measure it with, or no time.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LeftOut(pub(crate) &'static str);

/// Where the time of a mode is used up.
pub(crate) const TOO_LATE: LeftOut = LeftOut("the time for this was used up");

/// What one mode found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Findings {
    /// The heading.
    pub(crate) title: String,
    /// What was done, in a sentence or two.
    pub(crate) said: String,
    /// The names of the columns.
    pub(crate) head: Vec<String>,
    /// One row for each that took part.
    pub(crate) rows: Vec<Vec<String>>,
    /// Numbers by name, which targets and plots are made from.
    pub(crate) figures: BTreeMap<String, u64>,
    /// What was left out, and why.
    left_out: Vec<String>,
    /// What went wrong, and how.
    pub(crate) failures: Vec<String>,
    /// When it was measured, how long that took, and of which revision of the code.
    pub(crate) taken: String,
}

impl Findings {
    /// Nothing so far.
    pub(crate) fn new(title: &str, said: &str, head: &[&str]) -> Self {
        let head = head.iter().map(|name| (*name).to_owned()).collect();
        Self { title: title.to_owned(), said: said.to_owned(), head, ..Self::default() }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Notes a number under a name.
    pub(crate) fn figure(&mut self, name: impl Into<String>, value: u64) {
        self.figures.insert(name.into(), value);
    }

    /// Adds to the number under a name.
    pub(crate) fn count(&mut self, name: impl Into<String>, more: u64) {
        *self.figures.entry(name.into()).or_default() += more;
    }

    /// Notes that something was left out or went wrong.
    pub(crate) fn failed(&mut self, what: &str, why: &anyhow::Error) {
        let failure = format!("{what}: {why:#}");
        let noted = if why.is::<LeftOut>() { &mut self.left_out } else { &mut self.failures };
        if !noted.contains(&failure) {
            noted.push(failure);
        }
    }

    /// Reads what was kept of a mode.
    pub(crate) fn read(folder: &Path, mode: &str) -> Option<Self> {
        let text = std::fs::read_to_string(folder.join(format!("{mode}.json"))).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Keeps it.
    pub(crate) fn keep(&self, folder: &Path, mode: &str) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = folder.join(format!("{mode}.json"));
        std::fs::write(&file, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// Keeps nothing of a mode any longer.
    pub(crate) fn forget(folder: &Path, mode: &str) -> anyhow::Result<()> {
        let file = folder.join(format!("{mode}.json"));
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", file.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// As a section in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("## {}\n\n{}\n\n{}", self.title, self.said, line(&self.head));
        text.push_str(&format!("|{}\n", "---|".repeat(self.head.len())));
        text.extend(self.rows.iter().map(|row| line(row)));
        for (heading, noted) in [("Left out", &self.left_out), ("Gone wrong", &self.failures)] {
            if !noted.is_empty() {
                text.push_str(&format!("\n{heading}:\n\n"));
                text.extend(noted.iter().map(|noted| format!("- {}\n", noted.replace('\n', " "))));
            }
        }
        text.push_str(&format!("\n{}\n", self.taken));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Findings, TOO_LATE};

    #[test]
    fn what_was_left_out_is_no_failure() {
        let mut findings = Findings::default();
        findings.failed("round 2", &anyhow::Error::from(TOO_LATE).context("late"));
        assert!(findings.failures.is_empty(), "{findings:?}");
        findings.failed("round 2", &anyhow::anyhow!("no answer"));
        assert_eq!(findings.failures, ["round 2: no answer"]);
        let text = findings.markdown();
        assert!(text.contains("Left out:\n\n- round 2: late: the time for this was used up\n"), "{text}");
        assert!(text.contains("Gone wrong:\n\n- round 2: no answer\n"), "{text}");
    }

    #[test]
    fn what_went_wrong_at_first_is_not_forgotten_when_all_goes_well_later() {
        let mut findings = Findings::default();
        findings.count("errors.balance", 3);
        findings.count("errors.balance", 0);
        assert_eq!(findings.figures["errors.balance"], 3);
    }
}
