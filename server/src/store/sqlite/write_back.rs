//! Writing the log back into the database, beside the writer.
//!
//! Commits go to the write-ahead log (<https://sqlite.org/wal.html>). Once it is long enough, its pages are copied into the
//! database and the disk confirms both, which takes as long as many commits. A thread with a connection of its own does that,
//! so that nobody waits for it. In the meantime the log grows, and it begins anew only when all of it was copied: so the
//! thread goes over it again, each time over less, and the writer copies the little that is left.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use rusqlite::Connection;

use super::failure::refused;
use crate::store::StoreError;

/// After so many pages it is worth writing them back: four times SQLite's own default, since what is written again meanwhile is
/// copied once, and the disk is waited for a quarter as often.
const ENOUGH: i32 = 4_000;

/// So many pages the writer copies itself.
const FEW: i32 = 32;

/// At so many pages it does not wait for the thread any longer.
const MOST: i32 = 8_000;

/// Stands for how much was copied, while it is being copied.
const UNDER_WAY: i32 = -1;

thread_local! {
    /// How many pages the log had after this thread's last commit.
    static PAGES: Cell<i32> = const { Cell::new(0) };
}

/// Whoever writes the log of a database back; nobody where there is no log.
#[derive(Debug)]
pub(super) struct WriteBack(Option<Copier>);

#[derive(Debug)]
struct Copier {
    ask: SyncSender<()>,
    /// How many pages of the log the thread has copied.
    copied: Arc<AtomicI32>,
    thread: JoinHandle<()>,
}

impl WriteBack {
    /// Takes over from SQLite what is done after the commits of `writing`. `connection` is another one to the same database;
    /// one in memory has none, and no log.
    pub(super) fn start(writing: &Connection, connection: Option<Connection>) -> Result<Self, StoreError> {
        let Some(connection) = connection else { return Ok(Self(None)) };
        writing.wal_hook(Some(|_, pages| {
            PAGES.set(pages);
            Ok(())
        }));
        let (ask, asked) = sync_channel(1);
        let copied = Arc::new(AtomicI32::new(0));
        let told = Arc::clone(&copied);
        let spawned = thread::Builder::new()
            .name("store-write-back".to_owned())
            .spawn(move || write_back_when_asked(&connection, &asked, &told));
        let thread = spawned.map_err(|error| StoreError::Unavailable {
            reason: "start writing the log back".to_owned(),
            source: Some(Box::new(error)),
        })?;
        Ok(Self(Some(Copier { ask, copied, thread })))
    }

    /// After a commit of the writer, in its thread.
    pub(super) fn committed(&self, writing: &Connection) {
        let Some(Copier { ask, copied, .. }) = &self.0 else { return };
        let pages = PAGES.get();
        match copied.load(Ordering::Acquire) {
            UNDER_WAY if pages < MOST => {}
            // It was begun anew.
            done if pages < ENOUGH && done != UNDER_WAY => copied.store(0, Ordering::Release),
            done if pages.saturating_sub(done) > FEW && pages < MOST => {
                copied.store(UNDER_WAY, Ordering::Release);
                // Where the thread is gone, nothing is done until there are too many.
                let _ = ask.try_send(());
            }
            UNDER_WAY => {
                write_back(writing);
            }
            _ => copied.store(write_back(writing), Ordering::Release),
        }
    }

    /// Waits for the end of what is being written back, and lets go of the connection.
    pub(super) fn stop(self) -> Result<(), StoreError> {
        let Some(Copier { ask, thread, .. }) = self.0 else { return Ok(()) };
        drop(ask);
        thread.join().map_err(|_| refused("writing the log back broke off"))
    }
}

fn write_back_when_asked(connection: &Connection, asked: &Receiver<()>, copied: &AtomicI32) {
    while asked.recv().is_ok() {
        copied.store(write_back(connection), Ordering::Release);
    }
}

/// Copies what nobody reads from the log any more; returns how many pages of it are copied by now, none where another process
/// is at it and SQLite says -1. What is left is for the next time.
fn write_back(connection: &Connection) -> i32 {
    connection
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")
        .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i32>(2)))
        .map_or_else(
            |error| {
                tracing::warn!(%error, "the log was not written back into the database");
                0
            },
            |copied| copied.max(0),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_cannot_be_looked_at_is_not_taken_for_one_that_is_being_copied() {
        let without_log = Connection::open_in_memory().unwrap();
        let told: i32 =
            without_log.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2)).unwrap();
        assert_eq!(told, UNDER_WAY, "what SQLite says");
        assert_eq!(write_back(&without_log), 0);
    }
}
