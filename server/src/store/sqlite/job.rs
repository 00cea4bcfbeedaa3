//! What waits in the writer's queue.

use std::fmt;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    audit,
    failure::{refused, unavailable},
    lifecycle, sessions,
};
use crate::{
    clock::UnixMillis,
    store::{AuditRecord, KeyId, SessionHash, StoreError},
};

/// What a commit has to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Durability {
    /// The death of this process.
    Process,
    /// The loss of power: the disk has confirmed it.
    Power,
}

/// One thing for the writer to do.
#[derive(Debug)]
pub(super) enum Job {
    /// A write whose caller waits for the commit.
    Awaited(Durability, Box<dyn Awaited>),
    /// A write that nobody waits for.
    Behind(Behind),
    /// Says when everything before it is committed.
    Flush(oneshot::Sender<Result<(), StoreError>>),
}

impl Job {
    pub(super) const fn is_awaited(&self) -> bool {
        match self {
            Self::Awaited(..) | Self::Flush(_) => true,
            Self::Behind(_) => false,
        }
    }
}

/// A write that nobody waits for: one statement, which can be tried again.
#[derive(Debug)]
pub(super) enum Behind {
    /// Append to the audit trail.
    Audit(Box<AuditRecord>),
    /// Note that a session was used.
    Touch(SessionHash, UnixMillis),
    /// Note that a key was used.
    TouchKey(KeyId, UnixMillis),
}

impl Behind {
    pub(super) fn run(&self, connection: &Connection) -> Result<(), StoreError> {
        match self {
            Self::Audit(record) => audit::append(connection, &[record]),
            Self::Touch(hash, seen_at) => sessions::touch(connection, *hash, *seen_at),
            Self::TouchKey(id, at) => lifecycle::touch(connection, id, *at),
        }
    }
}

/// Writes what shows by itself whether the database can be written to.
pub(super) fn note_check(connection: &Connection, at: UnixMillis) -> Result<(), StoreError> {
    let note = connection.execute("UPDATE checks SET at = ?1", [at.as_millis()]);
    note.map(|_| ()).map_err(unavailable("write to the database"))
}

/// Where the records of a write go that are appended to the audit trail with what it does: to those of the rest of the group,
/// which are appended at its end, or nowhere, and then the write appends them itself.
pub(super) type Records<'a> = Option<&'a mut Vec<AuditRecord>>;

/// A write whose caller waits: it is answered when the fate of its transaction is known. Dropped without an answer it tells
/// its caller that the store is unavailable.
pub(super) trait Awaited: Send {
    /// Runs the write; says whether what it did is to be kept. May run again after all that it did was undone.
    fn run(&mut self, connection: &Connection, records: Records<'_>) -> bool;

    /// Tells the caller how it ended. `failure`: why nothing of the transaction was committed, or not confirmed.
    fn answer(self: Box<Self>, failure: Option<&str>);
}

impl fmt::Debug for dyn Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Awaited")
    }
}

struct Write<T, F> {
    work: F,
    keeps: fn(&T) -> bool,
    outcome: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Awaited for Write<T, F>
where
    T: Send,
    F: FnMut(&Connection, Records<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, connection: &Connection, records: Records<'_>) -> bool {
        let outcome = self.outcome.insert((self.work)(connection, records));
        outcome.as_ref().is_ok_and(self.keeps)
    }

    fn answer(self: Box<Self>, failure: Option<&str>) {
        let outcome = match (failure, self.outcome) {
            (None, Some(outcome)) => outcome,
            (None, None) => Err(refused("the write did not run")),
            (Some(reason), Some(Ok(_)) | None) => Err(refused(reason)),
            // What it says of itself says more than that the others failed too.
            (Some(_), Some(Err(error @ StoreError::Unavailable { .. }))) => Err(error),
            (Some(reason), Some(Err(_))) => Err(refused(reason)),
        };
        // A caller that went away misses the answer and nothing else.
        let _ = self.answer.send(outcome);
    }
}

/// A write as a job, and where its answer arrives. `keeps` says of what it came to whether what it did is kept.
pub(super) fn awaited<T: Send + 'static>(
    durability: Durability,
    keeps: fn(&T) -> bool,
    work: impl FnMut(&Connection, Records<'_>) -> Result<T, StoreError> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T, StoreError>>) {
    let (answer, answered) = oneshot::channel();
    let write = Write { work, keeps, outcome: None, answer };
    (Job::Awaited(durability, Box::new(write)), answered)
}

/// What is undone when a write is refused after it changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undoing {
    /// The group that it is in, which has to run again. To be able to undo one write alone costs a copy of every page that
    /// it changes, and hardly one needs it.
    Group,
    /// That write alone.
    Write,
}

/// Runs one write; `false` when its group has to be undone. An error means that the whole transaction is lost.
pub(super) fn run(
    connection: &Connection,
    write: &mut dyn Awaited,
    records: &mut Vec<AuditRecord>,
    undoing: Undoing,
) -> Result<bool, StoreError> {
    match undoing {
        Undoing::Group => {
            let (before, those_before) = (connection.total_changes(), records.len());
            let is_kept = write.run(connection, Some(records));
            if !is_kept {
                records.truncate(those_before);
            }
            // A full disk makes SQLite roll back everything.
            if connection.is_autocommit() {
                return Err(refused("the transaction was rolled back"));
            }
            Ok(is_kept || connection.total_changes() == before)
        }
        Undoing::Write => in_savepoint(connection, write).map(|()| true),
    }
}

/// Runs one write so that its refusal undoes it alone.
fn in_savepoint(connection: &Connection, write: &mut dyn Awaited) -> Result<(), StoreError> {
    let mark = |statement: &str, doing: &str| {
        connection
            .prepare_cached(statement)
            .and_then(|mut statement| statement.execute([]))
            .map_err(unavailable(doing))
    };
    mark("SAVEPOINT one_write", "begin a write")?;
    if !write.run(connection, None) {
        mark("ROLLBACK TO one_write", "undo a refused write")?;
    }
    mark("RELEASE one_write", "end a write")?;
    Ok(())
}
