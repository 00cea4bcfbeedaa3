//! The one writer: a thread with a connection of its own that commits in groups.
//!
//! It takes all that waits in the [`Queue`], runs it in one transaction, commits once and then answers everybody: a hundred
//! callers share one commit, and whoever waits for the disk as well is answered beside it (`disk`). One refused write does not undo its neighbours: where it has changed something, the group is
//! undone and runs again, this time with a savepoint for each write.
//! Writes that nobody waits for are kept until a commit succeeds with them; in the meantime no more of them are taken.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{
    audit,
    audit_notes::{self, Appended},
    audit_packs,
    disk::Disk,
    failure::{refused, unavailable},
    job::{self, Awaited, Behind, Durability, Job, Undoing},
    keeper::{self, Keeper},
    known_money::KnownMoney,
    known_policies::KnownPolicies,
    queue::{Health, Queue},
    seats::{Seat, Seats},
    write_back::WriteBack,
};
use crate::{
    clock::UnixMillis,
    store::{AuditRecord, StoreError},
};

/// How long the writer waits after a failed commit before it tries again, what nobody waits for or whether commits succeed.
const PAUSE: Duration = Duration::from_millis(200);

/// How long the last writes are tried for when the store is closed and commits fail.
const LAST_ATTEMPTS: Duration = Duration::from_secs(1);

/// How long it waits between them.
const LAST_PAUSE: Duration = Duration::from_millis(50);

/// The connections beside the writer's own.
pub(super) struct Beside {
    pub(super) readers: Arc<Seats>,
    pub(super) keeper: Keeper,
    pub(super) write_back: WriteBack,
    pub(super) disk: Disk,
    pub(super) known_money: Arc<KnownMoney>,
    pub(super) known_policies: Arc<KnownPolicies>,
}

/// Starts the writer's thread. It ends when the queue is closed, and then lets go of every connection.
pub(super) fn start(seat: Seat, beside: Beside, queue: Arc<Queue>) -> Result<(), StoreError> {
    let writer = Writer { seat, beside, appended: Appended::default(), ending: Ending(queue) };
    let spawned = thread::Builder::new().name("store-writer".to_owned()).spawn(move || writer.run());
    spawned.map(|_| ()).map_err(|error| StoreError::Unavailable {
        reason: "start the writer".to_owned(),
        source: Some(Box::new(error)),
    })
}

/// Closes the queue when the thread ends, whatever ends it, so that nobody waits for a writer that is gone.
struct Ending(Arc<Queue>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end(&Err(refused("the writer has stopped")));
    }
}

struct Writer {
    seat: Seat,
    beside: Beside,
    appended: Appended,
    ending: Ending,
}

impl Writer {
    fn run(mut self) {
        let mut kept = Vec::new();
        loop {
            let is_failing = self.ending.0.well().is_err();
            let wait = if is_failing || !kept.is_empty() {
                Some(PAUSE)
            } else {
                self.beside.keeper.holds().then_some(keeper::HELD)
            };
            let batch = self.ending.0.next(wait);
            self.beside.keeper.let_go();
            if !kept.is_empty() || !batch.jobs.is_empty() || (is_failing && !batch.is_last) {
                kept = self.commit(kept, batch.jobs);
                // The log may be begun anew while nobody holds the lock.
                if let Some(connection) = &*self.seat.lock().borrow() {
                    self.beside.write_back.committed(connection);
                }
                self.beside.keeper.hold();
            }
            if batch.is_last {
                break;
            }
        }
        let give_up = Instant::now() + LAST_ATTEMPTS;
        while !kept.is_empty() && Instant::now() < give_up {
            thread::sleep(LAST_PAUSE);
            kept = self.commit(kept, Vec::new());
        }
        drop(self.beside.keeper);
        if let Err(error) = self.beside.disk.stop() {
            tracing::error!(%error, "the last commits may not be confirmed");
        }
        if let Err(error) = self.beside.write_back.stop() {
            tracing::error!(%error, "the log may not be written back");
        }
        // The last connection to close writes the log back into the database, so that one file is left.
        self.beside.readers.close();
        drop(self.seat.lock().borrow_mut().take());
        let outcome = if kept.is_empty() {
            Ok(())
        } else {
            tracing::error!(lost = kept.len(), "the last writes could not be committed");
            Err(refused(&format!("{} records could not be written", kept.len())))
        };
        self.ending.0.end(&outcome);
    }

    /// Commits what was kept and what is new. Callers are answered, now or when the disk has confirmed it; returns the writes
    /// behind that are not committed.
    fn commit(&mut self, kept: Vec<Behind>, jobs: Vec<Job>) -> Vec<Behind> {
        let mut group: Vec<_> = kept.into_iter().map(Job::Behind).chain(jobs).map(Step::new).collect();
        let is_confirmed = group.iter().any(|step| step.durability() == Some(Durability::Power));
        if is_confirmed {
            self.beside.disk.begin();
        }
        let outcome = self.beside.disk.works().and_then(|()| self.transact(&mut group));
        let failure = outcome.as_ref().err().map(said);
        let behind = group.iter_mut().find_map(|step| step.refusal.take());
        let trouble = failure.clone().or_else(|| behind.as_ref().map(said));
        // First the health: whoever is answered and asks again finds it.
        let is_news = self.ending.0.report(trouble.clone().map_or(Health::Well, Health::Failing));
        let total = group.len();
        let (mut kept, mut unconfirmed) = (Vec::new(), Vec::new());
        for step in group {
            step.settle(failure.as_deref(), &mut kept, &mut unconfirmed);
        }
        self.ending.0.give_back(total.saturating_sub(kept.len()).saturating_sub(unconfirmed.len()));
        if is_confirmed {
            self.beside.disk.hand_over(unconfirmed);
        }
        match trouble {
            Some(error) if is_news => tracing::error!(%error, kept = kept.len(), "a commit failed"),
            None if is_news => tracing::info!("commits succeed again"),
            Some(_) | None => {}
        }
        kept
    }

    /// Runs the group in one transaction. Unless it returns `Ok`, nothing of the group was committed. While commits fail,
    /// nobody brings what could show that they succeed again: then a group that writes nothing is such a try, too.
    fn transact(&mut self, group: &mut [Step]) -> Result<(), StoreError> {
        let is_a_try = group.iter().all(|step| step.durability().is_none());
        if is_a_try && self.ending.0.well().is_ok() {
            return Ok(());
        }
        let seat = Arc::clone(&self.seat);
        let held = seat.lock();
        let connection = held.borrow();
        let connection = connection.as_ref().ok_or_else(|| refused("the store is closed"))?;
        if is_a_try {
            return job::note_check(connection, UnixMillis::now());
        }
        let is_awaited = group.iter().any(|step| step.job.is_awaited());
        // Lets whoever has a request to answer go first, where nobody waits for the writer.
        let yield_now = || {
            if !is_awaited {
                thread::yield_now();
            }
        };
        // Only what nobody waits for is known to be no money.
        let _changing = is_awaited.then(|| self.beside.known_money.changing());
        // Unless it is committed, what was read in it may never have been.
        let known = (&self.beside.known_policies, &mut self.appended);
        let mut undone = scopeguard::guard(known, |(policies, appended)| {
            policies.forget();
            appended.forget();
        });
        if !attempt(connection, group, Undoing::Group, undone.1, &yield_now)? {
            tracing::debug!(
                writes = group.len(),
                "a group runs again, because one of its writes was refused"
            );
            undone.0.forget();
            undone.1.forget();
            attempt(connection, group, Undoing::Write, undone.1, &yield_now)?;
        }
        scopeguard::ScopeGuard::into_inner(undone);
        Ok(())
    }
}

/// Runs the group in a transaction and commits it; `false` when it was undone instead, because one of its writes was refused
/// and could not be undone alone.
fn attempt(
    connection: &Connection,
    group: &mut [Step],
    undoing: Undoing,
    appended: &mut Appended,
    yield_now: &dyn Fn(),
) -> Result<bool, StoreError> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
        .map_err(unavailable("begin a transaction"))?;
    for step in &mut *group {
        (step.refusal, step.is_kept) = (None, false);
    }
    yield_now();
    let (mut done, mut records) = (0, Vec::new());
    while let Some(rest) = group.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let together = Step::append_together(rest, &transaction, appended, yield_now)?;
        if let (0, Some(step)) = (together, rest.first_mut())
            && !step.run(&transaction, &mut records, undoing)?
        {
            transaction.rollback().map_err(unavailable("undo a group"))?;
            return Ok(false);
        }
        done = done.saturating_add(together.max(1));
    }
    if let Err(error) =
        audit::append_all(&transaction, &records.iter().collect::<Vec<_>>(), appended, yield_now)
    {
        // A full disk makes SQLite roll back everything.
        if transaction.is_autocommit() {
            return Err(error);
        }
        transaction.rollback().map_err(unavailable("undo a group"))?;
        return Ok(false);
    }
    audit_notes::note_full(&transaction, appended)?;
    yield_now();
    transaction.commit().map(|()| true).map_err(unavailable("commit a transaction"))
}

/// A job of the group that is being committed.
struct Step {
    job: Job,
    /// Why a write behind was not done, although the transaction goes on.
    refusal: Option<StoreError>,
    is_kept: bool,
}

impl Step {
    const fn new(job: Job) -> Self {
        Self { job, refusal: None, is_kept: false }
    }

    /// What its commit has to survive; `None` for what writes nothing.
    const fn durability(&self) -> Option<Durability> {
        match &self.job {
            Job::Awaited(durability, _) => Some(*durability),
            Job::Behind(_) => Some(Durability::Process),
            Job::Flush(_) => None,
        }
    }

    /// The record that it appends, if that is all it does.
    fn record(&self) -> Option<&AuditRecord> {
        match &self.job {
            Job::Behind(Behind::Audit(record)) => Some(record),
            Job::Behind(Behind::Touch(..) | Behind::TouchKey(..)) | Job::Awaited(..) | Job::Flush(_) => None,
        }
    }

    /// Appends the records that come first as one pack, and says how many those were: none where there are too few
    /// of them, or where one is refused, which is then found out one by one. An error means that the whole transaction
    /// is lost.
    fn append_together(
        steps: &[Self],
        transaction: &Transaction<'_>,
        appended: &mut Appended,
        yield_now: &dyn Fn(),
    ) -> Result<usize, StoreError> {
        let records: Vec<_> = steps.iter().map_while(Self::record).take(audit_packs::MOST).collect();
        if records.len() <= 1 {
            return Ok(0);
        }
        match audit::append_all(transaction, &records, appended, yield_now) {
            Ok(()) => Ok(records.len()),
            // A full disk makes SQLite roll back everything.
            Err(error) if transaction.is_autocommit() => Err(error),
            Err(_) => Ok(0),
        }
    }

    /// Does the job; `false` when the group has to be undone. An error means that the whole transaction is lost.
    fn run(
        &mut self,
        transaction: &Transaction<'_>,
        records: &mut Vec<AuditRecord>,
        undoing: Undoing,
    ) -> Result<bool, StoreError> {
        match &mut self.job {
            Job::Awaited(_, write) => job::run(transaction, write.as_mut(), records, undoing),
            Job::Behind(write) => {
                // One statement, which undoes itself.
                self.refusal = write.run(transaction).err();
                self.is_kept = self.refusal.is_some();
                // A full disk makes SQLite roll back everything.
                let is_lost = transaction.is_autocommit();
                self.refusal.take_if(|_| is_lost).map_or(Ok(true), Err)
            }
            Job::Flush(_) => Ok(true),
        }
    }

    /// Tells the caller, unless that is for when the disk has confirmed it, or keeps what is to be tried again.
    fn settle(self, failure: Option<&str>, kept: &mut Vec<Behind>, unconfirmed: &mut Vec<Box<dyn Awaited>>) {
        match self.job {
            Job::Awaited(Durability::Power, write) if failure.is_none() => unconfirmed.push(write),
            Job::Awaited(_, write) => write.answer(failure),
            Job::Behind(write) => {
                if self.is_kept || failure.is_some() {
                    kept.push(write);
                }
            }
            Job::Flush(answer) => {
                let is_flushed = kept.is_empty() && failure.is_none();
                let told = if is_flushed {
                    Ok(())
                } else {
                    Err(refused(failure.unwrap_or("a record could not be written")))
                };
                let _ = answer.send(told);
            }
        }
    }
}

/// What went wrong and what caused it, in one line.
fn said(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable { reason, source: Some(source) } => format!("{reason}: {source}"),
        StoreError::Unavailable { reason, source: None } => reason.clone(),
        StoreError::Corrupt(_)
        | StoreError::NoSuchAccount(_)
        | StoreError::Taken(_)
        | StoreError::TransferExists(_)
        | StoreError::OutOfRange => error.to_string(),
    }
}
