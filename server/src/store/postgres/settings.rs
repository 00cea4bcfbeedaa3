//! How the engine connects.

use std::path::PathBuf;

/// How many connections there are, and whom they trust. The default suits a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresSettings {
    /// How many connections to the database this process opens at most.
    pub connections: usize,
    /// The roots, in PEM, of the database's certificate; those of this machine where nothing is said.
    pub roots: Option<PathBuf>,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self { connections: 16, roots: None }
    }
}
