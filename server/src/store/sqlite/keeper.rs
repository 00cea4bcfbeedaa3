//! The lock that the readers of this process share.
//!
//! Whoever reads locks the database file against being rewritten, and unlocks it again: two system calls, which cost as
//! much as the reading. SQLite makes them for the first connection of a process to lock and the last to unlock; so while
//! there are writes, and with them reads, one connection holds the lock for all. It lets go for each commit, which may
//! then begin the log anew, and when nothing was written for a while.

use std::time::Duration;

use rusqlite::Connection;

/// How long it holds the lock after the last commit.
pub(super) const HELD: Duration = Duration::from_millis(200);

/// Holds the lock, on a connection of its own.
#[derive(Debug)]
pub(super) struct Keeper(Option<Connection>);

impl Keeper {
    /// One that holds nothing yet; without a connection it never does.
    pub(super) const fn new(connection: Option<Connection>) -> Self {
        Self(connection)
    }

    /// Whether it holds the lock.
    pub(super) fn holds(&self) -> bool {
        self.0.as_ref().is_some_and(|connection| !connection.is_autocommit())
    }

    /// Holds it from now on. Where it cannot, each reader locks for itself.
    pub(super) fn hold(&self) {
        if self.run("BEGIN").is_ok() && self.run("SELECT open FROM session_total").is_err() {
            self.let_go();
        }
    }

    /// Lets go of it.
    pub(super) fn let_go(&self) {
        if self.holds() && self.run("COMMIT").is_err() {
            tracing::warn!("the lock that readers share was not let go of");
        }
    }

    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        let Some(connection) = &self.0 else { return Err(rusqlite::Error::InvalidQuery) };
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }
}
