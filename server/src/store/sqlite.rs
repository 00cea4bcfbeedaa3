//! The embedded engine: SQLite in a file, or in memory.
//!
//! Reads run in the caller's own thread on one of a few connections (`seats`): a cached statement answers in
//! microseconds, less than a hop to another thread would cost. Writes wait in one `queue` for the one `writer`,
//! which commits them in groups; the `disk` confirms them while it runs the next.

mod audit;
mod audit_blocks;
mod audit_notes;
mod audit_packs;
mod claims;
mod database;
mod disk;
mod exposures;
mod failure;
mod job;
mod keeper;
mod keys;
mod known_accounts;
mod known_money;
mod known_policies;
mod ledger;
mod lifecycle;
mod location;
mod money;
mod monthly;
mod payments;
mod peppers;
#[cfg(test)]
mod plans;
mod queue;
#[cfg(test)]
mod rewriting;
mod sealing;
mod seats;
mod sessions;
mod settings;
mod spending;
#[cfg(test)]
mod tests;
mod transaction;
mod write_back;
mod writer;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::available_parallelism,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::oneshot;

use self::{
    disk::{Confirm, Disk, Progress},
    failure::{closed, refused, unavailable},
    job::{Behind, Durability, Job, awaited},
    keeper::Keeper,
    known_accounts::KnownAccounts,
    known_money::KnownMoney,
    known_policies::KnownPolicies,
    queue::Queue,
    seats::{Seat, Seats, seat},
    write_back::WriteBack,
};
pub use self::{
    exposures::SqliteExposures,
    location::{NotALocation, SqliteLocation},
    settings::SqliteSettings,
};
use super::{
    AccountHolder, AuditRecord, KeyChange, KeyChanged, KeyDigest, KeyId, KeyStore, KnownSecret, Migration,
    OpenSession, Revision, SessionCaps, SessionFilter, SessionHash, SessionStore, Store, StoreError,
    StoredKey, StoredSession,
    known_keys::{Knowledge, KnownKeys},
};
use crate::clock::UnixMillis;

/// For how long another process's change of a key may go unseen here. To look again costs microseconds.
const KEYS_BELIEVED: Duration = Duration::from_millis(5);

/// The store in a SQLite database. Dropped without [`Store::close`], it still writes what was queued, in the
/// background, for as long as the process lives.
#[derive(Debug)]
pub struct SqliteStore {
    readers: Arc<Seats>,
    /// The writer's.
    writing: Seat,
    queue: Arc<Queue>,
    /// How far the disk has come with what was committed.
    progress: Arc<Progress>,
    known_keys: KnownKeys,
    known_accounts: KnownAccounts,
    /// The writer's too, as is the next.
    known_money: Arc<KnownMoney>,
    known_policies: Arc<KnownPolicies>,
    is_closed: AtomicBool,
}

impl SqliteStore {
    /// Opens the database, creates what is missing and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be opened, [`StoreError::Corrupt`] when it is of a newer program, of
    /// another program, or damaged; then nothing in it was changed.
    pub async fn open(location: &SqliteLocation) -> Result<Self, StoreError> {
        Self::open_with(location, SqliteSettings::default()).await
    }

    /// [`Self::open`] with other settings than the usual ones.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with(location: &SqliteLocation, settings: SqliteSettings) -> Result<Self, StoreError> {
        let location = location.clone();
        let opening =
            tokio::task::spawn_blocking(move || Self::open_blocking(&location, settings, disk::log_of));
        opening.await.unwrap_or_else(|_| Err(refused("opening it broke off")))
    }

    /// Brings the schema up to date, creating the database if it is not there, and says what that meant.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn migrate(location: &SqliteLocation) -> Result<Migration, StoreError> {
        let location = location.clone();
        let migrating = tokio::task::spawn_blocking(move || {
            database::migrate(&mut database::open(&location, SqliteSettings::default().patience)?)
        });
        migrating.await.unwrap_or_else(|_| Err(refused("migrating it broke off")))
    }

    /// `confirm`: what has the disk confirm the log of the database in a file.
    fn open_blocking(
        location: &SqliteLocation,
        settings: SqliteSettings,
        confirm: impl FnOnce(&Path) -> Result<Confirm, StoreError>,
    ) -> Result<Self, StoreError> {
        let mut connection = database::open(location, settings.patience)?;
        database::migrate(&mut connection)?;
        let open = || database::open(location, settings.patience);
        let is_file = matches!(location, SqliteLocation::File(_));
        if is_file {
            database::write_back(&connection)?;
            database::undo_in_one_piece(&connection)?;
            database::commit_to_the_log(&connection)?;
        }
        let (keeper, beside) = if is_file { (Some(open()?), Some(open()?)) } else { (None, None) };
        let write_back = WriteBack::start(&connection, beside)?;
        let writing = seat(connection);
        let readers = if is_file {
            let count = available_parallelism().map_or(2, usize::from).clamp(1, 8);
            (0..count).map(|_| open().map(seat)).collect::<Result<_, _>>()?
        } else {
            // A database in memory belongs to its connection; the writer holds the lock for a whole transaction.
            vec![Arc::clone(&writing)]
        };
        let readers = Arc::new(Seats::new(readers));
        let queue = Arc::new(Queue::new(settings.queue, settings.linger));
        let progress = Arc::new(Progress::new());
        let confirm = match location {
            SqliteLocation::File(path) => Some(confirm(path)?),
            SqliteLocation::Memory => None,
        };
        let known_money = Arc::new(KnownMoney::default());
        let known_policies = Arc::new(KnownPolicies::default());
        let beside = writer::Beside {
            disk: Disk::start(confirm, Arc::clone(&progress), Arc::clone(&queue))?,
            readers: Arc::clone(&readers),
            keeper: Keeper::new(keeper),
            write_back,
            known_money: Arc::clone(&known_money),
            known_policies: Arc::clone(&known_policies),
        };
        writer::start(Arc::clone(&writing), beside, Arc::clone(&queue))?;
        Ok(Self {
            readers,
            writing,
            queue,
            progress,
            known_keys: KnownKeys::new(KEYS_BELIEVED),
            known_accounts: KnownAccounts::default(),
            known_money,
            known_policies,
            is_closed: AtomicBool::new(false),
        })
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> T) -> Result<T, StoreError> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        self.readers.read(read)
    }

    /// The same of money, which only counts when the disk has confirmed it.
    async fn read_confirmed<T>(&self, read: impl FnOnce(&Connection) -> T) -> Result<T, StoreError> {
        let found = self.read(read)?;
        self.progress.catch_up().await?;
        Ok(found)
    }

    /// Queues a write and waits until it is committed. `work` may run again, after all that it did was undone.
    async fn write<T: Send + 'static>(
        &self,
        durability: Durability,
        mut work: impl FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, answered) = awaited(durability, |_| true, move |connection, _| work(connection));
        self.queue.push(job).await?;
        answered.await.unwrap_or_else(|_| Err(refused("the writer stopped before it answered")))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.queue.close(None);
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn check(&self) -> Result<(), StoreError> {
        self.read(sessions::total)?.map_err(unavailable("read the database"))?;
        let at = UnixMillis::now();
        self.write(Durability::Process, move |connection| job::note_check(connection, at)).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.is_closed.store(true, Ordering::Release);
        let (answer, answered) = oneshot::channel();
        self.queue.close(Some(answer));
        answered.await.unwrap_or_else(|_| Err(refused("the writer stopped before it answered")))
    }
}

#[async_trait]
impl KeyStore for SqliteStore {
    async fn key_by_digest(&self, digest: &KeyDigest) -> Result<Option<Arc<StoredKey>>, StoreError> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        if let Knowledge::Believed(key) = self.known_keys.find(digest, Instant::now()) {
            return Ok(Some(key));
        }
        let look = |connection: &Connection| keys::look(connection, &self.known_keys, digest);
        self.read(look)?.map_err(unavailable("read a key"))
    }

    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        self.read(keys::all)?.map_err(unavailable("read the keys"))
    }

    async fn key(&self, id: &KeyId) -> Result<Option<StoredKey>, StoreError> {
        self.read(|connection| lifecycle::by_id(connection, id))?
    }

    async fn change_key(
        &self,
        change: KeyChange,
        record: Option<AuditRecord>,
    ) -> Result<KeyChanged, StoreError> {
        let _changing = self.known_keys.changing();
        let change =
            move |connection: &Connection| lifecycle::change(connection, change.clone(), record.as_ref());
        self.write(Durability::Power, change).await
    }

    async fn touch_key(&self, id: KeyId, at: UnixMillis) -> Result<(), StoreError> {
        self.known_keys.touch(&id, at);
        self.queue.push(Job::Behind(Behind::TouchKey(id, at))).await
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        self.read(lifecycle::revision)?.map_err(unavailable("read the revision"))
    }

    async fn pepper(&self) -> Result<Option<[u8; 32]>, StoreError> {
        self.read(peppers::noted)?.map_err(unavailable("read the pepper's mark"))
    }

    async fn note_pepper(
        &self,
        mark: [u8; 32],
        now: UnixMillis,
        secrets: Vec<KnownSecret>,
    ) -> Result<bool, StoreError> {
        let _changing = self.known_keys.changing();
        let note = move |connection: &Connection| peppers::note(connection, &mark, now, &secrets);
        self.write(Durability::Power, note).await
    }

    async fn put_keys(&self, keys: Vec<StoredKey>) -> Result<(), StoreError> {
        let _changing = self.known_keys.changing();
        self.write(Durability::Power, move |connection| keys::put(connection, &keys)).await
    }

    async fn record_holder(
        &self,
        holder: AccountHolder,
        record: Option<AuditRecord>,
    ) -> Result<(), StoreError> {
        let put = move |connection: &Connection| {
            let is_made = keys::put_holder(connection, &holder)?;
            match &record {
                Some(record) if is_made => audit::append(connection, &[record]),
                Some(_) => Err(holder.taken()),
                None => Ok(()),
            }
        };
        self.write(Durability::Power, put).await
    }

    async fn holders(&self) -> Result<Vec<AccountHolder>, StoreError> {
        self.read(keys::holders)?.map_err(unavailable("read the users"))
    }
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn open_session(
        &self,
        session: StoredSession,
        caps: SessionCaps,
    ) -> Result<OpenSession, StoreError> {
        let open = move |connection: &Connection| sessions::open(connection, &session, caps);
        self.write(Durability::Process, open).await
    }

    async fn sessions(&self, filter: SessionFilter) -> Result<Vec<StoredSession>, StoreError> {
        self.read(|connection| sessions::list(connection, &filter))?.map_err(unavailable("list sessions"))
    }

    async fn session(&self, hash: &SessionHash) -> Result<Option<StoredSession>, StoreError> {
        self.read(|connection| sessions::by_hash(connection, hash))?.map_err(unavailable("read a session"))
    }

    async fn touch_session(&self, hash: SessionHash, seen_at: UnixMillis) -> Result<(), StoreError> {
        self.queue.push(Job::Behind(Behind::Touch(hash, seen_at))).await
    }

    async fn record_end_of_session(
        &self,
        hash: &SessionHash,
        record: Option<AuditRecord>,
    ) -> Result<bool, StoreError> {
        let hash = *hash;
        let durability = if record.is_some() { Durability::Power } else { Durability::Process };
        let end = move |connection: &Connection| {
            let is_ended = sessions::end(connection, &hash)?;
            match &record {
                Some(record) if is_ended => audit::append(connection, &[record]).map(|()| true),
                _ => Ok(is_ended),
            }
        };
        self.write(durability, end).await
    }

    async fn end_expired_sessions(
        &self,
        idle_since: UnixMillis,
        opened_before: UnixMillis,
        _now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<SessionHash>, StoreError> {
        let end = move |connection: &Connection| {
            sessions::end_expired(connection, idle_since, opened_before, limit)
        };
        self.write(Durability::Process, end).await
    }

    async fn count_sessions(&self) -> Result<u64, StoreError> {
        self.read(sessions::total)?.map_err(unavailable("count the sessions"))
    }
}
