//! Where a SQLite database is.

use std::{path::PathBuf, str::FromStr};

/// Where a SQLite database is: in a file, or in memory for as long as the store is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqliteLocation {
    /// In memory: gone when the store is closed.
    Memory,
    /// In this file; it and its folder are created when they are not there.
    File(PathBuf),
}

/// The text is no location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `sqlite://PATH` (such as sqlite://data/payments.db) or `sqlite::memory:`")]
pub struct NotALocation;

impl FromStr for SqliteLocation {
    type Err = NotALocation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("sqlite:").ok_or(NotALocation)?;
        match rest.strip_prefix("//").unwrap_or(rest) {
            ":memory:" => Ok(Self::Memory),
            path if path.is_empty() || path.starts_with(':') || path.contains(['?', '#', '\0']) => {
                Err(NotALocation)
            }
            path => Ok(Self::File(PathBuf::from(path))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_memory_are_told_apart_and_anything_else_is_refused() {
        assert_eq!("sqlite::memory:".parse(), Ok(SqliteLocation::Memory));
        for (text, path) in [
            ("sqlite://data/p.db", "data/p.db"),
            ("sqlite:///var/p.db", "/var/p.db"),
            ("sqlite:p.db", "p.db"),
        ] {
            assert_eq!(text.parse(), Ok(SqliteLocation::File(PathBuf::from(path))), "{text}");
        }
        for text in ["", "p.db", "sqlite:", "sqlite://", "sqlite://a?mode=ro", "postgres://h/d", "sqlite::x:"]
        {
            assert_eq!(text.parse::<SqliteLocation>(), Err(NotALocation), "{text}");
        }
    }
}
