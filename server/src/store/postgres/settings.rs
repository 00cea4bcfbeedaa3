//! How the engine connects.

use std::path::PathBuf;

use tokio_postgres::config::SslMode;

use super::{PostgresUrl, connections::roots_in};

/// How many connections there are, and whom they trust. The default suits a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresSettings {
    /// How many connections to the database this process opens at most.
    pub connections: usize,
    /// The roots, in PEM, of the database's certificate; those of this machine where nothing is said.
    pub roots: Option<PathBuf>,
}

impl PostgresSettings {
    /// Whether the roots can be read that the certificate of the database at `url` is checked by, where it is.
    #[must_use]
    pub fn can_check(&self, url: &PostgresUrl) -> bool {
        let is_checked = url.config().get_ssl_mode() != SslMode::Disable;
        !is_checked || self.roots.as_deref().is_none_or(|path| roots_in(path).is_some())
    }
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self { connections: 16, roots: None }
    }
}
