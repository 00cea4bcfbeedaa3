//! What one mode found: kept in a file of its own as soon as it is there, so that the page can be made again without
//! measuring everything again.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// What one mode found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
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
    /// What could not be measured or went wrong, and why.
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

    /// Notes that something could not be measured or went wrong.
    pub(crate) fn failed(&mut self, what: &str, why: &anyhow::Error) {
        let failure = format!("{what}: {why:#}");
        if !self.failures.contains(&failure) {
            self.failures.push(failure);
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

    /// As a section in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("## {}\n\n{}\n\n{}", self.title, self.said, line(&self.head));
        text.push_str(&format!("|{}\n", "---|".repeat(self.head.len())));
        text.extend(self.rows.iter().map(|row| line(row)));
        if !self.failures.is_empty() {
            text.push_str("\nNot measured, or gone wrong:\n\n");
            text.extend(self.failures.iter().map(|failure| format!("- {}\n", failure.replace('\n', " "))));
        }
        text.push_str(&format!("\n{}\n", self.taken));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Findings;

    #[test]
    fn what_went_wrong_at_first_is_not_forgotten_when_all_goes_well_later() {
        let mut findings = Findings::default();
        findings.count("errors.balance", 3);
        findings.count("errors.balance", 0);
        assert_eq!(findings.figures["errors.balance"], 3);
    }
}
