//! What is written in groups: audit records that stand alone, whose callers wait until they are committed, and notes of
//! what was used, for which nobody waits.
//!
//! One task writes records, and one notes. While either waits for the database, its next group gathers; so a thousand callers
//! share a few commits, and one caller waits for no other.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::Pool;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    attempts::Attempts,
    audit,
    connections::{free, in_time, let_go},
    failure::{Failure, closed, refused},
    rows::execute,
};
use crate::{
    clock::UnixMillis,
    store::{AuditRecord, KeyId, SessionHash, StoreError},
};

/// How many callers may wait; whoever comes then waits for a place.
const PLACES: usize = 8_192;

/// The most records in one statement.
const GROUP: usize = 1_024;

/// How long notes gather.
const LINGER: Duration = Duration::from_millis(40);

/// How long they wait where they could not be written.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How often arrivals are moved to the chain while some arrive, and how often it is looked for those of a server that died.
const CHAIN_EVERY: Duration = Duration::from_millis(250);
const CHAIN_AT_LEAST_EVERY: Duration = Duration::from_secs(5);

type Answer = oneshot::Sender<Result<(), StoreError>>;

enum Job {
    Append(Box<AuditRecord>, Answer),
    Flush(Answer),
    Close(Answer),
}

/// The way to the task that writes.
#[derive(Debug)]
pub(super) struct Behind {
    jobs: mpsc::Sender<Job>,
    writer: Writer,
    is_closed: AtomicBool,
    /// Stops the tasks beside the one that writes records.
    stop: CancellationToken,
    _stops: DropGuard,
}

/// What was used since it was last written.
#[derive(Debug, Default)]
struct Notes {
    noted: Mutex<Noted>,
    came: Notify,
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Noted {
    since: Option<Instant>,
    sessions: HashMap<SessionHash, UnixMillis>,
    keys: HashMap<KeyId, UnixMillis>,
}

impl Behind {
    /// Starts the tasks. They end when this is dropped, after what was queued is written.
    pub(super) fn start(pool: &Pool) -> Self {
        let (jobs, queue) = mpsc::channel(PLACES);
        let (notes, arrived) = (Arc::new(Notes::default()), Arc::new(Notify::new()));
        let writer = Writer { pool: pool.clone(), notes, arrived: Arc::clone(&arrived) };
        let stop = CancellationToken::new();
        tokio::spawn(writer.clone().note(stop.clone()));
        tokio::spawn(writer.clone().run(queue));
        tokio::spawn(chain(pool.clone(), arrived, stop.clone()));
        let (is_closed, _stops) = (AtomicBool::new(false), stop.clone().drop_guard());
        Self { jobs, writer, is_closed, stop, _stops }
    }

    /// Returns when the record is committed.
    pub(super) async fn append(&self, record: AuditRecord) -> Result<(), StoreError> {
        self.ask(|answer| Job::Append(Box::new(record), answer)).await
    }

    /// Returns when everything that came before is committed.
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        self.ask(Job::Flush).await
    }

    /// Returns when what was used before is written. No record waits for that, where somebody holds a row of it.
    pub(super) async fn flush_notes(&self) -> Result<(), StoreError> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let writer = self.writer.clone();
        // To its end, also where whoever asked goes away: while it is written it is noted nowhere else.
        let writing = tokio::spawn(async move { writer.write_notes().await });
        writing.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Takes nothing more; returns when everything that came before is committed.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job::Close(answer)).await.map_err(|_| closed())?;
        let written = answered.await.unwrap_or_else(|_| Err(closed()));
        self.stop.cancel();
        written
    }

    async fn ask(&self, job: impl FnOnce(Answer) -> Job) -> Result<(), StoreError> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let (answer, answered) = oneshot::channel();
        self.jobs.send(job(answer)).await.map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(super) fn touch_session(&self, hash: SessionHash, at: UnixMillis) -> Result<(), StoreError> {
        self.note(|noted| newer(noted.sessions.entry(hash).or_insert(at), at))
    }

    pub(super) fn touch_key(&self, id: KeyId, at: UnixMillis) -> Result<(), StoreError> {
        self.note(|noted| newer(noted.keys.entry(id).or_insert(at), at))
    }

    fn note(&self, note: impl FnOnce(&mut Noted)) -> Result<(), StoreError> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let mut noted = self.writer.notes.noted.lock();
        note(&mut noted);
        if noted.since.is_none() {
            noted.since = Some(Instant::now());
            self.writer.notes.came.notify_one();
        }
        Ok(())
    }

    /// There is something in the inbox that belongs into the chain.
    pub(super) fn something_arrived(&self) {
        self.writer.arrived.notify_one();
    }
}

fn newer(kept: &mut UnixMillis, at: UnixMillis) {
    *kept = (*kept).max(at);
}

#[derive(Debug, Clone)]
struct Writer {
    pool: Pool,
    notes: Arc<Notes>,
    arrived: Arc<Notify>,
}

impl Writer {
    async fn run(self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(GROUP);
        let mut is_last = false;
        while !is_last {
            is_last = queue.recv_many(&mut jobs, GROUP).await == 0;
            is_last |= self.write(&mut jobs).await;
        }
        // Whoever still waits is told when the queue is dropped.
    }

    /// Writes what was used, until `stop`: beside the records, which do not wait where somebody holds a row of that.
    async fn note(self, stop: CancellationToken) {
        while stop.run_until_cancelled(self.notes.due()).await.is_some() {
            if let Err(error) = self.write_notes().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "notes of use wait to be written");
                stop.run_until_cancelled(sleep(AGAIN_AFTER)).await;
            }
        }
    }

    /// Does the jobs; says whether nothing comes after them.
    async fn write(&self, jobs: &mut Vec<Job>) -> bool {
        let (mut records, mut answers, mut flushes) = (Vec::new(), Vec::new(), Vec::new());
        let mut is_last = false;
        for job in jobs.drain(..) {
            match job {
                Job::Append(record, answer) => {
                    records.push(*record);
                    answers.push(answer);
                }
                Job::Flush(answer) => flushes.push(answer),
                Job::Close(answer) => {
                    is_last = true;
                    flushes.push(answer);
                }
            }
        }
        if !records.is_empty() {
            self.append(&records, answers).await;
        }
        if !flushes.is_empty() {
            let written = self.write_notes().await;
            for answer in flushes {
                let told = written.as_ref().copied().map_err(|error| refused(&error.to_string()));
                let _ = answer.send(told);
            }
        }
        is_last
    }

    async fn append(&self, records: &[AuditRecord], answers: Vec<Answer>) {
        let together = self.arrive(records).await;
        for (record, answer) in records.iter().zip(answers) {
            let told = match &together {
                Ok(()) => Ok(()),
                // One that the database does not take must not be in the way of the others.
                Err(StoreError::Corrupt(_)) => self.arrive(std::slice::from_ref(record)).await,
                Err(error) => Err(refused(&error.to_string())),
            };
            // A caller that went away misses the answer and nothing else.
            let _ = answer.send(told);
        }
        self.arrived.notify_one();
    }

    async fn arrive(&self, records: &[AuditRecord]) -> Result<(), StoreError> {
        let client = free(&self.pool).await?;
        let records: Vec<_> = records.iter().collect();
        let done = in_time(audit::arrive(&client, &records)).await;
        let_go(client, done.as_ref().err());
        done.map_err(|failure| failure.told("append to the audit trail"))
    }

    /// Writes what was used. What could not be written is noted again.
    async fn write_notes(&self) -> Result<(), StoreError> {
        let _one_after_the_other = self.notes.writing.lock().await;
        let noted = std::mem::take(&mut *self.notes.noted.lock());
        if noted.since.is_none() {
            return Ok(());
        }
        let written = self.try_to_write(&noted).await;
        if written.is_err() {
            self.notes.note_again(noted);
        }
        written
    }

    async fn try_to_write(&self, noted: &Noted) -> Result<(), StoreError> {
        let mut attempts = Attempts::default();
        loop {
            let client = free(&self.pool).await?;
            let done = in_time(write(&client, noted)).await;
            let_go(client, done.as_ref().err());
            match done {
                Err(failure) if attempts.go_on_after(&failure).await => {}
                done => return done.map_err(|failure| failure.told("note what was used")),
            }
        }
    }
}

async fn write(client: &deadpool_postgres::Object, noted: &Noted) -> Result<(), Failure> {
    let sessions = "UPDATE sessions s SET seen_at = t.seen_at
                    FROM unnest ($1::bytea[], $2::bigint[]) AS t (hash, seen_at)
                    WHERE s.hash = t.hash AND s.seen_at < t.seen_at";
    let (hashes, times): (Vec<_>, Vec<_>) =
        noted.sessions.iter().map(|(hash, at)| (hash.0.as_slice(), at.as_millis())).unzip();
    if !hashes.is_empty() {
        execute(client, sessions, &[&hashes, &times]).await?;
    }
    let keys = "INSERT INTO key_uses AS u (key_id, used_at)
                SELECT t.id, t.used_at FROM unnest ($1::text[], $2::bigint[]) AS t (id, used_at)
                JOIN api_keys k ON k.id = t.id ORDER BY t.id
                ON CONFLICT (key_id) DO UPDATE SET used_at = EXCLUDED.used_at WHERE u.used_at < EXCLUDED.used_at";
    let (ids, times): (Vec<_>, Vec<_>) =
        noted.keys.iter().map(|(id, at)| (id.0.as_str(), at.as_millis())).unzip();
    if !ids.is_empty() {
        execute(client, keys, &[&ids, &times]).await?;
    }
    Ok(())
}

impl Notes {
    /// Returns when there are notes that have waited long enough.
    async fn due(&self) {
        loop {
            let since = self.noted.lock().since;
            match since {
                Some(since) => return sleep_until(since + LINGER).await,
                None => self.came.notified().await,
            }
        }
    }

    fn note_again(&self, old: Noted) {
        let mut noted = self.noted.lock();
        for (hash, at) in old.sessions {
            newer(noted.sessions.entry(hash).or_insert(at), at);
        }
        for (id, at) in old.keys {
            newer(noted.keys.entry(id).or_insert(at), at);
        }
        noted.since = Some(Instant::now());
        self.came.notify_one();
    }
}

/// Moves what arrives to the chain, until `stop`. Another server may do the same.
async fn chain(pool: Pool, arrived: Arc<Notify>, stop: CancellationToken) {
    let next = async || {
        tokio::select! {
            () = arrived.notified() => {}
            () = sleep(CHAIN_AT_LEAST_EVERY) => {}
        }
    };
    while stop.run_until_cancelled(next()).await.is_some() {
        let moved = stop.run_until_cancelled(move_all(&pool)).await;
        if let Some(Err(error)) = moved {
            tracing::warn!(error = &error as &dyn std::error::Error, "audit records wait to be chained");
        }
        if stop.run_until_cancelled(sleep(CHAIN_EVERY)).await.is_none() {
            return;
        }
    }
}

async fn move_all(pool: &Pool) -> Result<(), StoreError> {
    loop {
        let mut client = free(pool).await?;
        let done = in_time(audit::move_some(&mut client, false)).await;
        let_go(client, done.as_ref().err());
        if !done.map_err(|failure| failure.told("chain the audit trail"))? {
            return Ok(());
        }
    }
}
