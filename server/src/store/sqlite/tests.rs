//! The writer in trouble: a full disk, a write that panics. From outside neither can be arranged. And how SQLite is compiled.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use shared::mcp::ProtocolVersion;
use tokio::time::timeout;

use super::{Durability, SqliteLocation, SqliteSettings, SqliteStore, failure::unavailable, seats::Seats};
use crate::{
    clock::UnixMillis,
    store::{
        AccountHolder, AuditRecord, AuditStore as _, Ending, KeyId, KeyStore as _, LedgerStore as _, Outcome,
        Store as _, StoreError, Transaction, UserId, Work, transact,
    },
};

/// Longer than anything takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(30);

fn holder(number: i64) -> AccountHolder {
    AccountHolder {
        user: UserId(number),
        username: format!("user{number}"),
        currency: "USD".to_owned(),
        credit_limit_minor: 0,
    }
}

pub(super) fn record(number: i64) -> AuditRecord {
    AuditRecord {
        at: UnixMillis::from_millis(number),
        request_id: "x".repeat(2_000).into(),
        user: UserId(1),
        username: "user1".to_owned(),
        key: KeyId("a".to_owned()),
        session: None,
        protocol: ProtocolVersion::V2025_11_25,
        client: "".into(),
        tool: "".into(),
        arguments_digest: [0; 32],
        rule: "".into(),
        outcome: Outcome::Ok,
        duration_us: 0,
        trace: None,
    }
}

/// Lets the database grow to `pages` and no further, as a disk does that gets full. It keeps what it has.
fn limit_pages(store: &SqliteStore, pages: i64) {
    let limit = format!("PRAGMA max_page_count = {pages}");
    store.read(|connection| connection.query_row(&limit, [], |_| Ok(()))).unwrap().unwrap();
}

fn is_unavailable<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Unavailable { .. }))
}

/// In memory, so that the test and the writer have one connection.
async fn store(queue: usize) -> SqliteStore {
    let settings = SqliteSettings { queue, ..SqliteSettings::default() };
    SqliteStore::open_with(&SqliteLocation::Memory, settings).await.unwrap()
}

#[tokio::test]
async fn a_full_disk_refuses_what_is_new_and_keeps_what_was_accepted() {
    let store = store(64).await;
    store.put_holder(holder(1)).await.unwrap();
    limit_pages(&store, 1);

    let mut accepted = 0;
    let refusal = timeout(PATIENCE, async {
        loop {
            match store.append_audit(record(accepted)).await {
                Ok(()) => accepted += 1,
                Err(error) => break error,
            }
        }
    });
    let refusal = refusal.await.expect("a full disk refuses, it does not make anybody wait");
    assert!(refusal.to_string().contains("full"), "{refusal}");
    assert!(accepted > 0);
    for outcome in [store.check().await, store.flush_audit().await] {
        assert!(is_unavailable(&outcome), "{outcome:?}");
    }
    assert_eq!(store.balance(UserId(1)).await.unwrap().balance.minor(), 0, "reading goes on");

    limit_pages(&store, 1_000_000);
    timeout(PATIENCE, async { while store.flush_audit().await.is_err() {} })
        .await
        .expect("it recovers by itself");
    let kept: Vec<_> = store
        .latest_audit(u32::MAX)
        .await
        .unwrap()
        .iter()
        .rev()
        .map(|record| record.at.as_millis())
        .collect();
    assert_eq!(kept, (0..accepted).collect::<Vec<_>>(), "nothing is lost, and the order is kept");
    store.check().await.unwrap();
    store.append_audit(record(0)).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn closing_over_a_full_disk_says_what_was_lost_and_ends() {
    let store = store(4_096).await;
    limit_pages(&store, 1);
    while store.append_audit(record(1)).await.is_ok() {}
    let closing = timeout(PATIENCE, store.close()).await.expect("closing ends");
    let error = closing.expect_err("what was queued could not be written").to_string();
    assert!(error.contains("records could not be written"), "{error}");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_write_that_panics_ends_the_writer_and_nobody_waits_for_it() {
    let store = store(64).await;
    let panicking = store.write(Durability::Process, |_: &Connection| -> Result<(), StoreError> {
        panic!("arranged by a test")
    });
    assert!(is_unavailable(&timeout(PATIENCE, panicking).await.expect("it is answered")));
    for _ in 0..100 {
        let outcome = timeout(PATIENCE, store.append_audit(record(1))).await.expect("it is answered");
        if outcome.is_err() {
            let outcome = timeout(PATIENCE, store.put_holder(holder(1))).await.expect("it is answered");
            assert!(is_unavailable(&outcome), "{outcome:?}");
            let _ = timeout(PATIENCE, store.close()).await.expect("closing ends");
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the writer is gone and records are accepted");
}

#[tokio::test]
async fn a_refused_write_undoes_itself_and_not_its_neighbours() {
    let store = SqliteStore::open(&SqliteLocation::Memory).await.unwrap();
    let half = |connection: &Connection| -> Result<(), StoreError> {
        connection
            .execute("INSERT INTO accounts VALUES (2, 'half', 'USD', 0)", [])
            .map_err(unavailable("insert"))?;
        Err(StoreError::OutOfRange)
    };
    // While this runs the others queue up behind it, so that they share the next commit.
    let (started, has_started) = std::sync::mpsc::channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let first = store.write(Durability::Process, move |_: &Connection| {
        started.send(()).unwrap();
        may_go.recv().unwrap();
        Ok(())
    });
    let rest = async {
        while has_started.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let neighbours = futures_util::future::join3(
            store.put_holder(holder(1)),
            store.write(Durability::Process, half),
            store.put_holder(holder(3)),
        );
        let release = async { go.send(()).unwrap() };
        futures_util::future::join(neighbours, release).await.0
    };
    let (_, (one, refused, three)) = futures_util::future::join(first, rest).await;
    one.unwrap();
    three.unwrap();
    assert!(matches!(refused, Err(StoreError::OutOfRange)));
    let numbers: Vec<_> = store.holders().await.unwrap().iter().map(|holder| holder.user.0).collect();
    assert_eq!(numbers, [1, 3]);
}

#[tokio::test]
async fn the_log_is_written_back_beside_the_writer_and_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (file, log) = (folder.path().join("a.db"), folder.path().join("a.db-wal"));
    let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let store = SqliteStore::open(&SqliteLocation::File(file.clone())).await.unwrap();
    let empty = size(&file);
    let mut longest = 0;
    for number in 0..60_000 {
        store.append_audit(record(number)).await.unwrap();
        if number % 100 == 0 {
            longest = longest.max(size(&log));
        }
    }
    store.flush_audit().await.unwrap();
    // Every record is half a page: the log would be 120 MiB and the database as it was.
    assert!(size(&file) > empty + 60 * 1024 * 1024, "{} bytes are written back", size(&file));
    assert!(longest < 48 * 1024 * 1024, "the log had {longest} bytes");
    store.close().await.unwrap();
    assert_eq!(size(&log), 0, "one file is left");
    let store = SqliteStore::open(&SqliteLocation::File(file)).await.unwrap();
    assert_eq!(store.latest_audit(u32::MAX).await.unwrap().len(), 60_000);
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_a_dead_process_left_in_the_log_is_in_the_database_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let dying = SqliteStore::open(&SqliteLocation::File(path("a.db"))).await.unwrap();
    dying.append_audit(record(1)).await.unwrap();
    dying.flush_audit().await.unwrap();
    for ending in ["", "-wal"] {
        std::fs::copy(path(&format!("a.db{ending}")), path(&format!("left.db{ending}"))).unwrap();
    }
    let store = SqliteStore::open(&SqliteLocation::File(path("left.db"))).await.unwrap();
    std::fs::copy(path("left.db"), path("without-log.db")).unwrap();
    let there = Connection::open(path("without-log.db")).unwrap();
    let records: i64 = there.query_row("SELECT count(*) FROM audit_records", [], |row| row.get(0)).unwrap();
    assert_eq!(records, 1);
    store.close().await.unwrap();
    dying.close().await.unwrap();
}

/// Spends, and has a record of this number kept.
struct Spending(i64);

#[async_trait]
impl Work for Spending {
    type Output = ();

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<()>, StoreError> {
        transaction.append_audit(&record(self.0)).await?;
        transaction.spend(&KeyId(self.0.to_string()), UnixMillis::from_millis(1), 1).await?;
        Ok(Ending::Keep(()))
    }
}

#[tokio::test]
async fn what_cannot_be_on_record_is_not_done_and_its_neighbours_are() {
    let store = store(64).await;
    let refuse = "CREATE TRIGGER not_this_one BEFORE INSERT ON audit_packs
                  WHEN EXISTS (SELECT 1 FROM json_each (NEW.records) r WHERE r.value ->> 0 = 2)
                  BEGIN SELECT RAISE (ABORT, 'no record'); END";
    store.read(|connection| connection.execute_batch(refuse)).unwrap().unwrap();
    // Keeps the writer busy until the others have come, so that they are one group.
    let (release, released) = std::sync::mpsc::channel::<()>();
    let first = store.write(Durability::Process, move |_| {
        let _ = released.recv_timeout(PATIENCE);
        Ok(())
    });
    // Polled last, when the others are queued.
    let release = async move { release.send(()) };
    let spending = |number| transact(&store, Spending(number));
    let (.., one, two, three, _) =
        tokio::join!(biased; first, spending(1), spending(2), spending(3), release);
    assert!(one.is_ok() && three.is_ok(), "{one:?} {three:?}");
    assert!(two.as_ref().is_err_and(|error| error.to_string().contains("no record")), "{two:?}");
    let of_records = |store: &[AuditRecord]| store.iter().map(|one| one.at.as_millis()).collect::<Vec<_>>();
    assert_eq!(of_records(&store.latest_audit(9).await.unwrap()), [3, 1]);
    let spent = |connection: &Connection| {
        let mut statement = connection.prepare("SELECT lineage FROM spendings ORDER BY lineage").unwrap();
        let found = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        found.collect::<rusqlite::Result<Vec<_>>>().unwrap()
    };
    assert_eq!(store.read(spent).unwrap(), ["1", "3"]);
}

#[test]
fn a_reader_that_is_held_is_passed_over() {
    let seats = Seats::new((0..2).map(|_| super::seat(Connection::open_in_memory().unwrap())).collect());
    let inner = seats.read(|_| seats.read(|_| 7).unwrap()).unwrap();
    assert_eq!(inner, 7);
    seats.close();
    assert!(seats.read(|_| ()).is_err());
}

#[tokio::test]
async fn a_record_is_not_replaced_on_a_connection_of_ours() {
    let store = store(64).await;
    store.append_audit(record(1)).await.unwrap();
    store.flush_audit().await.unwrap();
    let replace = "INSERT OR REPLACE INTO audit_packs SELECT * FROM audit_packs WHERE last = 1";
    let refusal = store.read(|connection| connection.execute(replace, [])).unwrap().unwrap_err().to_string();
    assert!(refusal.contains("append-only"), "{refusal}");
    assert_eq!(store.latest_audit(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn sqlite_is_compiled_for_a_server() {
    let options = store(64)
        .await
        .read(|connection| {
            let mut statement = connection.prepare("PRAGMA compile_options").unwrap();
            let options = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
            options.collect::<rusqlite::Result<Vec<_>>>().unwrap()
        })
        .unwrap();
    for wanted in ["DEFAULT_MEMSTATUS=0", "STMTJRNL_SPILL=16777216", "DEFAULT_LOOKASIDE=2400,60"] {
        assert!(options.iter().any(|option| option == wanted), "{wanted}: {options:?}");
    }
    assert!(!options.iter().any(|option| option == "ENABLE_MEMORY_MANAGEMENT"), "{options:?}");
}

#[tokio::test]
async fn the_writer_of_a_file_alone_may_make_temporary_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&SqliteLocation::File(folder.path().join("a.db"))).await.unwrap();
    let temporary = |connection: &Connection| {
        connection.query_row("PRAGMA temp_store", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let (file, memory) = (1, 2);
    assert_eq!(store.read(temporary).unwrap(), memory);
    assert_eq!(temporary(store.writing.lock().borrow().as_ref().unwrap()), file);
    let in_memory = SqliteStore::open(&SqliteLocation::Memory).await.unwrap();
    assert_eq!(
        in_memory.read(temporary).unwrap(),
        memory,
        "of what is in memory nothing is written to a file"
    );
}
