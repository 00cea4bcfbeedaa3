//! Which database: the one place that knows every engine.

use std::{fmt, str::FromStr, sync::Arc};

use super::{
    Store, StoreError,
    postgres::{PostgresSettings, PostgresStore, PostgresUrl},
    sqlite::{SqliteLocation, SqliteStore},
};

/// A database, as `DATABASE_URL` names it. Shown, it has no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file, or memory.
    Sqlite(SqliteLocation),
    /// A database that other servers may share.
    Postgres(PostgresUrl, PostgresSettings),
}

/// The text names no database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `sqlite://PATH`, `sqlite::memory:` or `postgres://USER:PASSWORD@HOST/DATABASE`")]
pub struct NotADatabaseUrl;

/// What bringing a schema up to date meant, in its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// What it was; 0 where there was none.
    pub before: usize,
    /// What it is.
    pub now: usize,
}

impl DatabaseUrl {
    /// Opens it, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be opened, [`StoreError::Corrupt`] when it is of a newer program, of
    /// another program, or damaged.
    pub async fn open(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match self {
            Self::Sqlite(location) => Arc::new(SqliteStore::open(location).await?),
            Self::Postgres(url, settings) => Arc::new(PostgresStore::open(url, settings).await?),
        })
    }

    /// Brings its schema up to date and does nothing else.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn migrate(&self) -> Result<Migration, StoreError> {
        match self {
            Self::Sqlite(location) => SqliteStore::migrate(location).await,
            Self::Postgres(url, settings) => PostgresStore::migrate(url, settings).await,
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = NotADatabaseUrl;

    fn from_str(text: &str) -> Result<Self, NotADatabaseUrl> {
        if PostgresUrl::is_meant_by(text) {
            let url = text.parse().map_err(|_| NotADatabaseUrl)?;
            return Ok(Self::Postgres(url, PostgresSettings::default()));
        }
        text.parse().map(Self::Sqlite).map_err(|_| NotADatabaseUrl)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(SqliteLocation::Memory) => f.write_str("sqlite::memory:"),
            Self::Sqlite(SqliteLocation::File(path)) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url, _) => url.fmt(f),
        }
    }
}
