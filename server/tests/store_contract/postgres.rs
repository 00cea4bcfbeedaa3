//! What PostgreSQL adds to the promises: several servers on one database, a schema that refuses what the program would
//! never do, and an end to every wait.

use std::time::Duration;

use jiff::civil::date;
use server::{
    clock::UnixMillis,
    money::{Amount, Currency},
    store::{
        AuditStore as _, DatabaseUrl, Ending, KeyId, KeyStore as _, LedgerStore as _, NewTransfer,
        SealingStore as _, SessionStore as _, Store as _, StoreError, TransferId, UserId,
        postgres::{PostgresSettings, PostgresStore},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{
    audit::record,
    changes::KeyChanges as _,
    engines::{Schema, key, people},
    payments::{at, keep, payment, work},
    sessions::{CAPS, session},
};

pub(crate) async fn open(schema: &Schema) -> PostgresStore {
    PostgresStore::open(&schema.url().parse().unwrap(), &PostgresSettings::default()).await.unwrap()
}

fn transfer(id: i64) -> NewTransfer {
    let amount = Amount::from_minor(100, Currency::USD);
    let (from, to) = (UserId(1), UserId(2));
    NewTransfer { id: Some(TransferId(id)), from, to, amount, date: date(2024, 3, 15) }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_servers_start_at_once_on_an_empty_database_and_see_each_other() {
    let Some(schema) = Schema::create().await else { return };
    let (one, two, three) = tokio::join!(open(&schema), open(&schema), open(&schema));
    people(&one, 2).await;
    two.put_key(key("a", 1, 1)).await.unwrap();
    one.open_session(session(1, "a"), CAPS).await.unwrap();
    assert!(two.session(&session(1, "a").hash).await.unwrap().is_some());
    let before = three.revision().await.unwrap();
    two.revoke_key(&KeyId("a".to_owned()), UnixMillis::from_millis(5)).await.unwrap();
    assert_ne!(three.revision().await.unwrap(), before);
    assert!(one.session(&session(1, "a").hash).await.unwrap().is_none());
    assert!(one.spend_seal([1; 24], at(9_000), at(1)).await.unwrap());
    assert!(!two.spend_seal([1; 24], at(9_000), at(1)).await.unwrap());
    for store in [&one, &two, &three] {
        store.close().await.unwrap();
    }
    let database: DatabaseUrl = schema.database();
    let migration = database.migrate().await.unwrap();
    assert_eq!(migration.before, migration.now);
    schema.drop().await;
}

/// Each of them chains what any of them appended, and the chain is one.
#[tokio::test(flavor = "multi_thread")]
async fn records_of_several_servers_come_into_one_chain() {
    let Some(schema) = Schema::create().await else { return };
    let stores = [open(&schema).await, open(&schema).await, open(&schema).await].map(std::sync::Arc::new);
    let mut appending = tokio::task::JoinSet::new();
    for (server, store) in stores.iter().enumerate() {
        for lane in 0..4 {
            let store = std::sync::Arc::clone(store);
            appending.spawn(async move {
                for number in 0..50 {
                    let number = i64::try_from(server).unwrap() * 1_000 + lane * 100 + number;
                    store.append_audit(record(number)).await.unwrap();
                    if number % 10 == 0 {
                        store.audit_after(None, 5).await.unwrap();
                    }
                }
            });
        }
    }
    appending.join_all().await;
    for store in &stores {
        let verdict = server::audit::chain::verify(&**store, None).await.unwrap();
        assert!(matches!(verdict, server::audit::chain::Verdict::Whole { chained: 600, .. }), "{verdict:?}");
    }
    for store in stores {
        store.close().await.unwrap();
    }
    schema.drop().await;
}

/// An answer that was given outlives the server, whatever becomes of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_appended_record_is_committed_when_that_is_said() {
    let Some(schema) = Schema::create().await else { return };
    let (one, two) = (open(&schema).await, open(&schema).await);
    for number in 1..=5 {
        one.append_audit(record(number)).await.unwrap();
        assert_eq!(two.latest_audit(1).await.unwrap(), [record(number)]);
    }
    one.close().await.unwrap();
    two.close().await.unwrap();
    schema.drop().await;
}

/// Nobody else waits for the disk with whoever ends a session, but they do.
#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_is_on_the_disk_when_that_is_said() {
    let Some(schema) = Schema::create().await else { return };
    let store = open(&schema).await;
    people(&store, 1).await;
    store.put_key(key("a", 1, 1)).await.unwrap();
    for seed in 1..=20 {
        store.open_session(session(seed, "a"), CAPS).await.unwrap();
        let before = schema.ask("SELECT pg_current_wal_insert_lsn()::text").await;
        assert!(store.end_session(&session(seed, "a").hash).await.unwrap());
        let flushed = format!("SELECT (pg_current_wal_flush_lsn() > '{before}'::pg_lsn)::text");
        assert_eq!(schema.ask(&flushed).await, "true", "session {seed}");
    }
    store.close().await.unwrap();
    schema.drop().await;
}

/// Once a revocation was acknowledged, nothing is paid with the key any more, on whatever server.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_waits_for_what_is_being_paid_with_the_key() {
    let Some(schema) = Schema::create().await else { return };
    let (one, two) = (std::sync::Arc::new(open(&schema).await), open(&schema).await);
    people(&*one, 2).await;
    one.put_key(key("a", 1, 1)).await.unwrap();
    let (holds, held) = tokio::sync::watch::channel(false);
    let (ends, end) = tokio::sync::watch::channel(false);
    let paying = {
        let one = std::sync::Arc::clone(&one);
        tokio::spawn(async move {
            let work = work(&*one, move |transaction| {
                let (holds, mut end) = (holds.clone(), end.clone());
                Box::pin(async move {
                    transaction.hold(&[UserId(1)], &KeyId("a".to_owned())).await?.1.unwrap();
                    holds.send_replace(true);
                    end.wait_for(|end| *end).await.unwrap();
                    Ok(Ending::Keep(()))
                })
            });
            work.await.unwrap();
        })
    };
    held.clone().wait_for(|held| *held).await.unwrap();
    let (id, now) = (KeyId("a".to_owned()), UnixMillis::from_millis(5));
    let revoking = two.revoke_key(&id, now);
    tokio::pin!(revoking);
    assert!(
        tokio::time::timeout(Duration::from_millis(200), &mut revoking).await.is_err(),
        "it did not wait"
    );
    ends.send_replace(true);
    paying.await.unwrap();
    assert_eq!(revoking.await.unwrap().unwrap().revoked_at, Some(now));
    one.close().await.unwrap();
    two.close().await.unwrap();
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_connection_is_told_that_there_is_none_and_money_takes_not_all_of_them() {
    let Some(schema) = Schema::create().await else { return };
    let settings = PostgresSettings { connections: 4, ..PostgresSettings::default() };
    let store = PostgresStore::open(&schema.url().parse().unwrap(), &settings).await.unwrap();
    let store = std::sync::Arc::new(store);
    people(&*store, 1).await;
    let (ends, end) = tokio::sync::watch::channel(false);
    let mut holding = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (store, end) = (std::sync::Arc::clone(&store), end.clone());
        holding.spawn(async move {
            let work = work(&*store, move |_| {
                let mut end = end.clone();
                Box::pin(async move {
                    end.wait_for(|end| *end).await.unwrap();
                    Ok(Ending::Undo(()))
                })
            });
            work.await
        });
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = std::time::Instant::now();
    let more = work(&*store, |_| Box::pin(async { Ok(Ending::Undo(())) })).await;
    assert!(matches!(more, Err(StoreError::Unavailable { .. })), "{more:?}");
    assert!(store.balance(UserId(1)).await.is_ok(), "whoever reads is not in that line");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    ends.send_replace(true);
    for ended in holding.join_all().await {
        ended.unwrap();
    }
    assert!(store.check().await.is_ok(), "and it goes on");
    store.close().await.unwrap();
    schema.drop().await;
}

/// Whoever went away while the database was at something leaves nobody waiting behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_caller_went_away_is_not_given_to_another() {
    let Some(schema) = Schema::create().await else { return };
    let settings = PostgresSettings { connections: 1, ..PostgresSettings::default() };
    let store = PostgresStore::open(&schema.url().parse().unwrap(), &settings).await.unwrap();
    people(&store, 1).await;
    store.put_key(key("a", 1, 1)).await.unwrap();
    let (holding, client) = schema.hold("LOCK TABLE checks, sessions IN ACCESS EXCLUSIVE MODE").await;
    for _ in 0..2 {
        let opening = store.open_session(session(1, "a"), CAPS);
        assert!(tokio::time::timeout(Duration::from_millis(200), opening).await.is_err());
        assert!(tokio::time::timeout(Duration::from_millis(200), store.check()).await.is_err());
        let reading = tokio::time::timeout(Duration::from_secs(2), store.balance(UserId(1))).await;
        assert!(matches!(reading, Ok(Ok(_))), "{reading:?}");
    }
    drop(client);
    holding.await.unwrap();
    store.close().await.unwrap();
    schema.drop().await;
}

/// Notes of what was used are in the way of no record, where somebody holds a row of that; nor is a sweep that waits for them.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_held_keeps_no_record_waiting() {
    let Some(schema) = Schema::create().await else { return };
    let store = open(&schema).await;
    people(&store, 1).await;
    store.put_key(key("a", 1, 1)).await.unwrap();
    let (live, expired) = (session(3, "a"), session(1, "a"));
    for session in [&live, &expired] {
        store.open_session(session.clone(), CAPS).await.unwrap();
    }
    let (holding, client) = schema.hold("SELECT FROM sessions WHERE seen_at = 3 FOR UPDATE").await;
    store.touch_session(live.hash, at(9_000)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let append = async |number| {
        let appending =
            tokio::time::timeout(Duration::from_secs(2), store.append_audit(record(number))).await;
        assert!(matches!(appending, Ok(Ok(()))), "record {number}: {appending:?}");
    };
    append(1).await;
    let sweep = async || store.end_expired_sessions(at(2), at(0), at(9_000), 9).await;
    let let_go = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        append(2).await;
        drop(client);
    };
    let (ended, ()) = tokio::join!(sweep(), let_go);
    assert_eq!(ended.unwrap(), [expired.hash], "as soon as the notes are written");
    holding.await.unwrap();
    store.close().await.unwrap();
    assert_eq!(schema.ask("SELECT max(seen_at)::text FROM sessions").await, "9000");
    schema.drop().await;
}

/// What is decided is decided on what is there, whatever the database makes of transactions by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_sees_what_was_committed_before_it() {
    let Some(schema) = Schema::create().await else { return };
    let url = format!("{}%20-c%20default_transaction_isolation%3Drepeatable%5C%20read", schema.url());
    let store = PostgresStore::open(&url.parse().unwrap(), &PostgresSettings::default()).await.unwrap();
    let other = std::sync::Arc::new(open(&schema).await);
    people(&store, 2).await;
    let numbers = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
    let seen = work(&store, move |transaction| {
        let (other, number) = (other.clone(), numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1);
        Box::pin(async move {
            transaction.spent(&KeyId("a".to_owned()), at(0)).await?;
            other.post(transfer(number)).await?;
            let accounts = transaction.lock_accounts(&[UserId(1)]).await?;
            Ok(Ending::Undo((number, accounts[0].balance.minor())))
        })
    });
    assert_eq!(seen.await.unwrap(), (1, -100));
    store.close().await.unwrap();
    schema.drop().await;
}

#[tokio::test]
async fn the_schema_refuses_what_would_break_the_books() {
    let Some(schema) = Schema::create().await else { return };
    let store = open(&schema).await;
    people(&store, 3).await;
    store.post(transfer(1)).await.unwrap();
    keep(&store, payment("pay_1", 1, 2, 10)).await.unwrap();
    store.append_audit(record(1)).await.unwrap();
    store.latest_audit(1).await.unwrap();
    store.append_audit(record(2)).await.unwrap();
    store.close().await.unwrap();
    let insert = "INSERT INTO transfers (id, from_user, to_user, amount_minor, currency, date) VALUES";
    let entry = "INSERT INTO entries VALUES";
    for (sql, reason) in [
        ("UPDATE transfers SET amount_minor = 1".to_owned(), "append-only"),
        ("DELETE FROM transfers".to_owned(), "append-only"),
        ("TRUNCATE transfers CASCADE".to_owned(), "append-only"),
        ("UPDATE entries SET amount_minor = 1, balance_minor = 1".to_owned(), "append-only"),
        ("DELETE FROM entries".to_owned(), "append-only"),
        ("UPDATE audit_records SET tool = ''".to_owned(), "append-only"),
        ("DELETE FROM audit_records".to_owned(), "append-only"),
        ("TRUNCATE audit_records".to_owned(), "append-only"),
        ("UPDATE audit_inbox SET tool = ''".to_owned(), "append-only"),
        ("DELETE FROM audit_inbox".to_owned(), "leaves the inbox for its place"),
        ("DELETE FROM payments".to_owned(), "never removed"),
        ("UPDATE payments SET amount_minor = 1".to_owned(), "does not change"),
        ("UPDATE payments SET status = 'refunded'".to_owned(), "does not move that way"),
        (format!("{entry} (3, 1, 100, 100, '2024-03-15')"), "one side of its transfer"),
        (format!("{entry} (1, 1, -100, -200, '2024-03-15')"), "sum of the entries"),
        (format!("{insert} (2, 1, 2, 0, 'USD', '2024-03-15')"), "check constraint"),
        (format!("{insert} (2, 1, 2, 5, 'USD', 'yesterday')"), "check constraint"),
        (format!("{insert} (2, 1, 1, 5, 'USD', '2024-03-15')"), "two accounts"),
        (format!("{insert} (2, 1, 2, 5, 'EUR', '2024-03-15')"), "two accounts"),
        (format!("{insert} (2, 1, 9, 5, 'USD', '2024-03-15')"), "two accounts"),
        (format!("{insert} (1, 1, 2, 5, 'USD', '2024-03-15')"), "unique constraint"),
        ("UPDATE accounts SET currency = 'EUR'".to_owned(), "keeps its owner"),
        ("DELETE FROM accounts".to_owned(), "never removed"),
    ] {
        let refusal = schema.attempt(&sql).await.expect_err(&sql);
        assert!(refusal.contains(reason), "{sql}: {refusal}");
    }
    schema.drop().await;
}

#[tokio::test]
async fn a_database_of_a_newer_or_another_program_is_refused_and_left_as_it_is() {
    let Some(schema) = Schema::create().await else { return };
    schema.execute("CREATE TABLE letters (text text)").await;
    let url = schema.url().parse().unwrap();
    let refusal = PostgresStore::open(&url, &PostgresSettings::default()).await.unwrap_err();
    assert!(refusal.to_string().contains("another program"), "{refusal}");
    schema.execute("DROP TABLE letters").await;
    open(&schema).await.close().await.unwrap();
    schema.execute("INSERT INTO schema_versions VALUES (99, now ())").await;
    let refusal = PostgresStore::open(&url, &PostgresSettings::default()).await.unwrap_err();
    assert!(matches!(refusal, StoreError::Corrupt(_)));
    assert!(refusal.to_string().contains("version 99"), "{refusal}");
    schema.drop().await;
}

#[tokio::test]
async fn nothing_is_told_to_a_database_elsewhere_that_does_not_encrypt() {
    for how in ["", "&sslmode=prefer", "&sslmode=require"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("postgres://payments:secret@db.example:{port}/payments?hostaddr=127.0.0.1{how}");
        let heard = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut asks_for_tls = [0; 8];
            peer.read_exact(&mut asks_for_tls).await.unwrap();
            peer.write_all(b"N").await.unwrap();
            let mut rest = Vec::new();
            peer.read_to_end(&mut rest).await.unwrap();
            rest
        });
        let opened = PostgresStore::open(&url.parse().unwrap(), &PostgresSettings::default()).await;
        assert!(matches!(opened, Err(StoreError::Unavailable { .. })), "{how}: {opened:?}");
        assert_eq!(heard.await.unwrap(), b"", "{how}");
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_said_to_be_so_and_soon() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgres://somebody:a-secret@127.0.0.1:{port}/payments").parse().unwrap();
    let refused = async || {
        let began = std::time::Instant::now();
        let refusal = PostgresStore::open(&url, &PostgresSettings::default()).await.unwrap_err();
        assert!(matches!(refusal, StoreError::Unavailable { .. }), "{refusal}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert!(!format!("{refusal:?}").contains("a-secret"), "{refusal:?}");
    };
    refused().await;
    drop(silent);
    refused().await;
}
