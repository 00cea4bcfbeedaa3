//! What SQLite adds to the promises: files that outlive the process, two processes on one file, and a schema that
//! refuses what the program would never do.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use jiff::civil::date;
use rusqlite::Connection;
use server::{
    clock::UnixMillis,
    money::{Amount, Currency},
    payments::demo::{DemoKey, DemoKeys, SeedError, seed_demo},
    store::{
        AccountHolder, AuditStore as _, KeyDigest, KeyStore as _, LedgerStore as _, NewTransfer,
        SessionStore as _, Store as _, StoreError, StoredKey, TransferId, UserId,
        sqlite::{SqliteLocation, SqliteSettings, SqliteStore},
    },
};

use super::{
    audit::record,
    engines::{key, people},
    sessions::{CAPS, session},
};

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(&SqliteLocation::File(path.to_owned())).await.unwrap()
}

fn demo_keys(seed: u8) -> DemoKeys {
    let key = |digest| DemoKey { digest: KeyDigest([digest; 32]), last_four: "demo".to_owned() };
    DemoKeys { bob: key(seed), alice: key(seed + 1), charlie: key(seed + 2), auditor: key(seed + 3) }
}

fn transfer(id: i64) -> NewTransfer {
    NewTransfer {
        id: Some(TransferId(id)),
        from: UserId(1),
        to: UserId(2),
        amount: Amount::from_minor(100, Currency::USD),
        date: date(2024, 3, 15),
    }
}

#[tokio::test]
async fn everything_is_there_after_the_store_was_closed_and_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/payments.db");
    let store = open(&path).await;
    people(&store, 2).await;
    store.put_key(key("a", 1, 1)).await.unwrap();
    store.open_session(session(1, "a"), CAPS).await.unwrap();
    store.post(transfer(1)).await.unwrap();
    store.append_audit(record(1)).await.unwrap();
    store.close().await.unwrap();

    let store = open(&path).await;
    assert_eq!(store.balance(UserId(2)).await.unwrap().balance.minor(), 100);
    assert_eq!(store.session(&session(1, "a").hash).await.unwrap(), Some(session(1, "a")));
    assert_eq!(store.keys().await.unwrap(), [key("a", 1, 1)]);
    assert_eq!(store.latest_audit(9).await.unwrap(), [record(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_dropped_without_closing_still_writes_what_was_queued() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.db");
    let store = open(&path).await;
    for number in 1..=500 {
        store.append_audit(record(number)).await.unwrap();
    }
    drop(store);
    let store = open(&path).await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while store.latest_audit(1_000).await.unwrap().len() < 500 {
        assert!(tokio::time::Instant::now() < deadline, "the queue was lost");
        tokio::task::yield_now().await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_database_can_be_read_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("private/payments.db");
    open(&path).await.close().await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_on_one_file_seed_once_and_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.db");
    let (one, two) = tokio::join!(open(&path), open(&path));
    let keys = demo_keys(1);
    let (first, second) = tokio::join!(seed_demo(&one, &keys), seed_demo(&two, &keys));
    first.unwrap();
    second.unwrap();
    for store in [&one, &two] {
        let mut balances = Vec::new();
        for user in 1..=3 {
            let account = store.balance(UserId(user)).await.unwrap();
            balances.push((account.username, account.balance.minor()));
        }
        assert_eq!(balances, [("bob".into(), -20_000), ("charlie".into(), 2_000), ("alice".into(), 18_000)]);
        assert_eq!(store.keys().await.unwrap().len(), 4);
    }
    one.open_session(session(1, "1"), CAPS).await.unwrap();
    assert!(two.end_session(&session(1, "1").hash).await.unwrap());
    assert_eq!(one.session(&session(1, "1").hash).await.unwrap(), None);
}

#[tokio::test]
async fn the_seed_keeps_what_has_changed_but_follows_a_changed_demo_key() {
    let store = SqliteStore::open(&SqliteLocation::Memory).await.unwrap();
    seed_demo(&store, &demo_keys(1)).await.unwrap();
    let mut revoked = store.keys().await.unwrap().remove(0);
    revoked.revoked_at = Some(UnixMillis::from_millis(5));
    store.put_key(revoked.clone()).await.unwrap();
    store.open_session(session(1, "2"), CAPS).await.unwrap();

    seed_demo(&store, &demo_keys(1)).await.unwrap();
    assert_eq!(store.keys().await.unwrap()[0], revoked, "a restart revives no key");
    assert_eq!(store.count_sessions().await.unwrap(), 1);

    let now = UnixMillis::from_millis(9);
    assert!(store.note_pepper([8; 32], now, demo_keys(8).secrets()).await.unwrap());
    seed_demo(&store, &demo_keys(8)).await.unwrap();
    assert!(store.key_by_digest(&KeyDigest([9; 32])).await.unwrap().is_some());
    assert_eq!(store.count_sessions().await.unwrap(), 0, "the old key's sessions ended with it");
    let renewed = store.keys().await.unwrap().remove(0);
    assert_eq!(
        renewed,
        StoredKey { digest: KeyDigest([8; 32]), ..revoked },
        "another pepper revives no key either"
    );

    let keys = demo_keys(20);
    assert!(store.note_pepper([8; 32], now, keys.secrets()).await.unwrap());
    seed_demo(&store, &keys).await.unwrap();
    let fresh = store.keys().await.unwrap().remove(0);
    assert_eq!((fresh.digest, fresh.revoked_at), (keys.bob.digest, None), "another secret is another key");
}

#[tokio::test]
async fn the_demo_is_not_seeded_into_a_database_of_others() {
    let store = SqliteStore::open(&SqliteLocation::Memory).await.unwrap();
    people(&store, 1).await;
    assert!(matches!(seed_demo(&store, &demo_keys(1)).await, Err(SeedError::SomebodyElses(_))));
    assert_eq!(store.holders().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_demo_goes_on_with_users_who_were_added_to_it_but_with_none_of_its_names() {
    let store = SqliteStore::open(&SqliteLocation::Memory).await.unwrap();
    seed_demo(&store, &demo_keys(1)).await.unwrap();
    let added = |user, username: &str| AccountHolder {
        user: UserId(user),
        username: username.to_owned(),
        currency: "USD".to_owned(),
        credit_limit_minor: 0,
    };
    store.put_holder(added(7, "dave")).await.unwrap();
    seed_demo(&store, &demo_keys(1)).await.unwrap();
    assert_eq!(store.holders().await.unwrap().len(), 5);

    let other = SqliteStore::open(&SqliteLocation::Memory).await.unwrap();
    other.put_holder(added(7, "bob")).await.unwrap();
    assert!(matches!(seed_demo(&other, &demo_keys(1)).await, Err(SeedError::SomebodyElses(_))));
}

#[tokio::test]
async fn the_schema_refuses_what_would_break_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.db");
    let store = open(&path).await;
    people(&store, 3).await;
    store.post(transfer(1)).await.unwrap();
    store.append_audit(record(1)).await.unwrap();
    store.close().await.unwrap();

    let raw = Connection::open(&path).unwrap();
    raw.pragma_update(None, "foreign_keys", true).unwrap();
    for (sql, reason) in [
        ("UPDATE transfers SET amount_minor = 1", "append-only"),
        ("DELETE FROM transfers", "append-only"),
        ("UPDATE entries SET amount_minor = 1, balance_minor = 1", "append-only"),
        ("DELETE FROM entries", "append-only"),
        ("UPDATE audit_packs SET records = '[]'", "append-only"),
        ("DELETE FROM audit_packs", "append-only"),
        ("UPDATE audit_records SET tool = ''", "it is a view"),
        ("DELETE FROM audit_records", "it is a view"),
        ("INSERT INTO audit_packs VALUES (2, zeroblob (111), '[]')", "CHECK"),
        ("INSERT INTO entries VALUES (3, 1, 100, 100, '2024-03-15')", "one side of its transfer"),
        ("INSERT INTO entries VALUES (1, 1, -100, -200, '2024-03-15')", "sum of the entries"),
        ("INSERT INTO transfers VALUES (NULL, 2, 1, 2, 0, 'USD', '2024-03-15')", "CHECK"),
        ("INSERT INTO transfers VALUES (NULL, 2, 1, 2, 1.5, 'USD', '2024-03-15')", "REAL value"),
        ("INSERT INTO transfers VALUES (NULL, 2, 1, 2, 5, 'USD', 'yesterday')", "CHECK"),
        ("INSERT INTO transfers VALUES (NULL, 2, 1, 1, 5, 'USD', '2024-03-15')", "two accounts"),
        ("INSERT INTO transfers VALUES (NULL, 2, 1, 2, 5, 'EUR', '2024-03-15')", "two accounts"),
        ("INSERT INTO transfers VALUES (NULL, 2, 1, 9, 5, 'USD', '2024-03-15')", "two accounts"),
        ("INSERT INTO transfers VALUES (NULL, 1, 1, 2, 5, 'USD', '2024-03-15')", "posted once"),
        ("INSERT OR REPLACE INTO transfers VALUES (1, 1, 1, 2, 5, 'USD', '2024-03-15')", "posted once"),
        ("INSERT OR REPLACE INTO accounts VALUES (1, 'user1', 'EUR', 0)", "there already"),
        ("UPDATE accounts SET currency = 'EUR'", "keeps its owner"),
        ("DELETE FROM accounts", "never removed"),
    ] {
        let error = raw.execute(sql, []).expect_err(sql).to_string();
        assert!(error.contains(reason), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.db");
    open(&path).await.close().await.unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refusal = SqliteStore::open(&SqliteLocation::File(path)).await.unwrap_err();
    assert!(matches!(refusal, StoreError::Corrupt(_)));
    assert!(refusal.to_string().contains("version 99"), "{refusal}");
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    std::fs::write(&path, "Dear reader, this is no database but a letter of some length.\n".repeat(20))
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(SqliteStore::open(&SqliteLocation::File(path.clone())).await.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// Nobody brings a write that would show it: records, without which nothing is done, are refused while commits fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_could_not_commit_finds_out_by_itself_when_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.db");
    let settings = SqliteSettings { patience: Duration::from_millis(20), ..SqliteSettings::default() };
    let store = SqliteStore::open_with(&SqliteLocation::File(path.clone()), settings).await.unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let holder = AccountHolder {
        user: UserId(1),
        username: "user1".to_owned(),
        currency: "USD".to_owned(),
        credit_limit_minor: 0,
    };
    let put = store.put_holder(holder).await;
    assert!(matches!(put, Err(StoreError::Unavailable { .. })), "{put:?}");
    let held = Instant::now();
    while held.elapsed() < Duration::from_millis(500) {
        let appended = store.append_audit(record(1)).await;
        assert!(matches!(appended, Err(StoreError::Unavailable { .. })), "{appended:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    other.execute_batch("COMMIT").unwrap();
    let free = Instant::now();
    while store.append_audit(record(1)).await.is_err() {
        assert!(free.elapsed() < Duration::from_secs(1), "it is still refused");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    store.flush_audit().await.unwrap();
    assert_eq!(store.latest_audit(9).await.unwrap(), [record(1)]);
    store.close().await.unwrap();
}
