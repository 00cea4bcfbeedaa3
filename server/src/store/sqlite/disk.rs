//! The disk's word for what was committed.
//!
//! A commit has written the log when it returns; a thread beside the writer has the disk confirm it, and in the meantime the
//! writer runs the next group. Whoever waits for a write that has to survive the loss of power is answered when the disk has
//! confirmed it, and so is whoever reads what may come of it: nothing that this process says of money can be undone by a loss
//! of power. The log holds commits in their order (<https://sqlite.org/wal.html>), so that none is confirmed without those it
//! builds on. A command that looks into the file beside the server sees a commit a moment before it is confirmed, and has the
//! disk confirm it itself where it says what has to last: the head of the audit trail.
//!
//! What a disk has once failed to confirm may be gone though it confirms what comes later. So from then on nothing is written
//! or read of money until the store is opened anew, which writes what it finds into the database before anything follows it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    iter::once,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use tokio::sync::watch;

use super::{
    failure::{closed, refused},
    job::Awaited,
    queue::{Health, Queue},
};
use crate::store::StoreError;

/// How many groups may be handed over before the first of them is looked at; then the writer waits.
const HANDED: usize = 2;

/// Has the disk confirm all that was written to the log.
pub(super) type Confirm = Box<dyn FnMut() -> io::Result<()> + Send>;

/// What confirms the log of the database in this file, which is open.
pub(super) fn log_of(database: &Path) -> Result<Confirm, StoreError> {
    let open = || -> io::Result<File> {
        // SQLite has the log beside the file itself, wherever a link to it is.
        let mut path = fs::canonicalize(database)?.into_os_string();
        path.push("-wal");
        OpenOptions::new().write(true).open(path)
    };
    let log = open().map_err(|error| StoreError::Unavailable {
        reason: "open the log of the database".to_owned(),
        source: Some(Box::new(error)),
    })?;
    Ok(Box::new(move || log.sync_data()))
}

/// How far the disk has come.
#[derive(Debug)]
pub(super) struct Progress {
    /// How many commits have to be confirmed, those included that are about to be made.
    begun: AtomicU64,
    told: watch::Sender<Told>,
}

/// What the disk has said.
#[derive(Debug, Default)]
struct Told {
    /// How many of them are confirmed.
    confirmed: u64,
    failure: Option<String>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { begun: AtomicU64::new(0), told: watch::Sender::default() }
    }

    /// Waits until all that was read by now is confirmed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it never will be.
    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        let begun = self.begun.load(Ordering::Acquire);
        if self.told.borrow().confirmed >= begun {
            return Ok(());
        }
        let mut told = self.told.subscribe();
        let told = told.wait_for(|told| told.confirmed >= begun || told.failure.is_some()).await;
        let failure = told.map_err(|_| closed())?.failure.as_deref().map(refused);
        failure.map_or(Ok(()), Err)
    }

    /// Why nothing is confirmed any more.
    fn failure(&self) -> Option<String> {
        self.told.borrow().failure.clone()
    }

    fn confirmed(&self, commits: u64) {
        self.told.send_modify(|told| told.confirmed = told.confirmed.saturating_add(commits));
    }

    /// The first reason is the one that counts.
    fn failed(&self, reason: &str) {
        self.told.send_modify(|told| {
            told.failure.get_or_insert_with(|| reason.to_owned());
        });
    }
}

/// Whoever asks the disk; nobody where there is none.
#[derive(Debug)]
pub(super) struct Disk {
    progress: Arc<Progress>,
    queue: Arc<Queue>,
    asking: Option<Asking>,
}

#[derive(Debug)]
struct Asking {
    hand: SyncSender<Vec<Box<dyn Awaited>>>,
    thread: JoinHandle<()>,
}

impl Disk {
    /// `confirm`: `None` where what is written is on no disk.
    pub(super) fn start(
        confirm: Option<Confirm>,
        progress: Arc<Progress>,
        queue: Arc<Queue>,
    ) -> Result<Self, StoreError> {
        let Some(confirm) = confirm else { return Ok(Self { progress, queue, asking: None }) };
        let (hand, handed) = sync_channel(HANDED);
        let (told, places) = (Arc::clone(&progress), Arc::clone(&queue));
        let spawned = thread::Builder::new()
            .name("store-disk".to_owned())
            .spawn(move || confirm_what_is_handed(confirm, &handed, &told, &places));
        let thread = spawned.map_err(|error| StoreError::Unavailable {
            reason: "start asking the disk".to_owned(),
            source: Some(Box::new(error)),
        })?;
        Ok(Self { progress, queue, asking: Some(Asking { hand, thread }) })
    }

    /// Whether something may be committed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where something was not confirmed.
    pub(super) fn works(&self) -> Result<(), StoreError> {
        self.progress.failure().map_or(Ok(()), |reason| Err(refused(&reason)))
    }

    /// Before a commit that has to be confirmed: whoever reads what it does waits for that.
    pub(super) fn begin(&self) {
        if self.asking.is_some() {
            self.progress.begun.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// After it, whether it was made or not: has it confirmed, and then answers whoever waits for that.
    pub(super) fn hand_over(&self, waiting: Vec<Box<dyn Awaited>>) {
        let Some(Asking { hand, .. }) = &self.asking else {
            return answer(waiting, None, &self.queue);
        };
        if let Err(not_handed) = hand.send(waiting) {
            let reason = "the thread that asks the disk has ended";
            self.progress.failed(reason);
            answer(not_handed.0, Some(reason), &self.queue);
        }
    }

    /// Waits until everybody is answered.
    pub(super) fn stop(self) -> Result<(), StoreError> {
        let Some(Asking { hand, thread }) = self.asking else { return Ok(()) };
        drop(hand);
        thread.join().map_err(|_| refused("asking the disk broke off"))
    }
}

fn confirm_what_is_handed(
    mut confirm: Confirm,
    handed: &Receiver<Vec<Box<dyn Awaited>>>,
    progress: &Progress,
    queue: &Queue,
) {
    // However it ends, also by a writer that panicked in the middle of a commit: what was begun is not confirmed any more, and
    // nobody waits for it.
    let _ending = scopeguard::guard(progress, |progress| progress.failed("the writer has stopped"));
    while let Ok(first) = handed.recv() {
        // Whatever was handed over by now was committed by now.
        let groups: Vec<_> = once(first).chain(handed.try_iter()).collect();
        if let Err(error) = confirm() {
            let reason = format!("the disk did not confirm what was committed: {error}");
            tracing::error!(%error, "the disk did not confirm a commit: nothing is written until the next start");
            progress.failed(&reason);
            queue.report(Health::Failing(reason));
        }
        let failure = progress.failure();
        if failure.is_none() {
            progress.confirmed(u64::try_from(groups.len()).unwrap_or(u64::MAX));
        }
        for waiting in groups {
            answer(waiting, failure.as_deref(), queue);
        }
    }
}

/// Answers whoever waits, and gives back their places.
fn answer(waiting: Vec<Box<dyn Awaited>>, failure: Option<&str>, queue: &Queue) {
    let places = waiting.len();
    for write in waiting {
        write.answer(failure);
    }
    queue.give_back(places);
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicU8, time::Duration};

    use jiff::civil::date;
    use tokio::time::timeout;

    use super::*;
    use crate::{
        money::{Amount, Currency},
        store::{
            AccountHolder, AuditStore as _, KeyStore as _, LedgerStore as _, NewTransfer, Store as _, UserId,
            sqlite::{Durability, SqliteLocation, SqliteSettings, SqliteStore, ledger, tests::record},
        },
    };

    const CONFIRMS: u8 = 0;
    const TAKES_ITS_TIME: u8 = 1;
    const FAILS: u8 = 2;

    /// A disk that does as it is told.
    #[derive(Debug, Clone, Default)]
    struct Told(Arc<AtomicU8>);

    impl Told {
        fn to(&self, what: u8) {
            self.0.store(what, Ordering::SeqCst);
        }

        fn confirm(&self) -> io::Result<()> {
            while self.0.load(Ordering::SeqCst) == TAKES_ITS_TIME {
                thread::sleep(Duration::from_millis(1));
            }
            if self.0.load(Ordering::SeqCst) == FAILS { Err(io::Error::other("worn out")) } else { Ok(()) }
        }
    }

    fn transfer() -> NewTransfer {
        let amount = Amount::from_minor(100, Currency::USD);
        NewTransfer { id: None, from: UserId(1), to: UserId(2), amount, date: date(2026, 11, 29) }
    }

    /// Opens a database with two users on such a disk.
    async fn open(path: &Path, told: &Told) -> SqliteStore {
        let (location, told) = (SqliteLocation::File(path.to_owned()), told.clone());
        let open = move || {
            SqliteStore::open_blocking(&location, SqliteSettings::default(), |_| {
                Ok(Box::new(move || told.confirm()))
            })
        };
        let store = tokio::task::spawn_blocking(open).await.unwrap().unwrap();
        for (number, name) in [(1, "bob"), (2, "alice")] {
            let (user, username, currency) = (UserId(number), name.to_owned(), "USD".to_owned());
            store
                .put_holder(AccountHolder { user, username, currency, credit_limit_minor: 0 })
                .await
                .unwrap();
        }
        store
    }

    /// What is in the log, confirmed or not.
    fn written(store: &SqliteStore) -> i64 {
        let balance =
            |connection: &rusqlite::Connection| ledger::balance(connection, &store.known_accounts, UserId(2));
        store.read(balance).unwrap().unwrap().balance.minor()
    }

    async fn is_written(store: &SqliteStore, minor: i64) {
        let written = async {
            while written(store) != minor {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(30), written).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_is_told_of_money_that_the_disk_has_not_confirmed() {
        let (folder, told) = (tempfile::tempdir().unwrap(), Told::default());
        let store = Arc::new(open(&folder.path().join("p.db"), &told).await);
        told.to(TAKES_ITS_TIME);
        let post = || {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.post(transfer()).await })
        };
        let one = post();
        is_written(&store, 100).await;
        // The writer goes on.
        let two = post();
        is_written(&store, 200).await;
        store.check().await.unwrap();
        let read = timeout(Duration::from_millis(100), store.balance(UserId(2))).await;
        assert!(read.is_err(), "{read:?} was said of what may be undone");
        assert!(!one.is_finished() && !two.is_finished());
        told.to(CONFIRMS);
        one.await.unwrap().unwrap();
        two.await.unwrap().unwrap();
        assert_eq!(store.balance(UserId(2)).await.unwrap().balance.minor(), 200);
        store.close().await.unwrap();
    }

    #[tokio::test]
    async fn what_a_disk_did_not_confirm_once_stops_the_store_until_it_is_opened_again() {
        let (folder, told) = (tempfile::tempdir().unwrap(), Told::default());
        let path = folder.path().join("p.db");
        let store = open(&path, &told).await;
        told.to(FAILS);
        let refused = store.post(transfer()).await.unwrap_err();
        assert!(refused.to_string().ends_with("did not confirm what was committed: worn out"), "{refused}");
        told.to(CONFIRMS);
        for _ in 0..2 {
            let again = store.post(transfer()).await;
            assert!(matches!(again, Err(StoreError::Unavailable { .. })), "{again:?}");
            let read = store.balance(UserId(2)).await;
            assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
            assert!(store.check().await.is_err(), "not ready");
        }
        assert_eq!(written(&store), 100, "nothing came after it");
        store.close().await.unwrap();
        let store = SqliteStore::open(&SqliteLocation::File(path)).await.unwrap();
        assert_eq!(store.balance(UserId(2)).await.unwrap().balance.minor(), 100, "the disk had it after all");
        store.post(transfer()).await.unwrap();
        store.close().await.unwrap();
    }

    #[tokio::test]
    async fn what_another_process_has_written_is_flushed_when_the_disk_has_confirmed_it() {
        let (folder, told) = (tempfile::tempdir().unwrap(), Told::default());
        let path = folder.path().join("p.db");
        let store = open(&path, &told).await;
        let beside = SqliteStore::open(&SqliteLocation::File(path)).await.unwrap();
        beside.append_audit(record(1)).await.unwrap();
        let is_read = async { while store.audit_after(None, 1).await.unwrap().is_empty() {} };
        timeout(Duration::from_secs(30), is_read).await.unwrap();
        told.to(TAKES_ITS_TIME);
        let flushed = timeout(Duration::from_millis(100), store.flush_audit()).await;
        assert!(flushed.is_err(), "{flushed:?} was said of what the disk may not have");
        told.to(CONFIRMS);
        store.flush_audit().await.unwrap();
        told.to(FAILS);
        let failed = store.flush_audit().await;
        assert!(matches!(failed, Err(StoreError::Unavailable { .. })), "{failed:?}");
        store.close().await.unwrap();
        beside.close().await.unwrap();
    }

    #[tokio::test]
    async fn whoever_reads_does_not_wait_for_a_writer_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder.path().join("p.db"), &Told::default()).await;
        let panicking = store.write(Durability::Power, |_| -> Result<(), StoreError> { panic!("arranged") });
        assert!(panicking.await.is_err());
        let read = timeout(Duration::from_secs(30), store.balance(UserId(2))).await.expect("it is answered");
        assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
        let _ = store.close().await;
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_log_is_found_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("p.db"), folder.path().join("link.db"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        File::create(&file).unwrap();
        let store = SqliteStore::open(&SqliteLocation::File(link)).await.unwrap();
        log_of(&file).unwrap()().unwrap();
        store.close().await.unwrap();
    }
}
