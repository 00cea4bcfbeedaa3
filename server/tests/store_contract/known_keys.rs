//! Keys that a store knows: it believes them for a moment, and not when they are others by then.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use server::{
    clock::UnixMillis,
    store::{
        KeyDigest, KeyId, KeyStore, SessionStore as _, Store, StoreError, StoredKey,
        postgres::{PostgresSettings, PostgresStore},
        sqlite::{SqliteLocation, SqliteStore},
    },
};

use super::{
    between::{Between, Way},
    changes::KeyChanges as _,
    engines::{Schema, key, people},
    sessions::{CAPS, session},
};

/// The longest that a change may go unseen in another process.
const UNSEEN: Duration = Duration::from_millis(100);

const RENAME: &str = "UPDATE api_keys SET name = 'another'";

async fn in_file(path: &Path) -> SqliteStore {
    SqliteStore::open(&SqliteLocation::File(path.to_owned())).await.unwrap()
}

async fn in_schema(url: &str) -> PostgresStore {
    PostgresStore::open(&url.parse().unwrap(), &PostgresSettings::default()).await.unwrap()
}

async fn execute(url: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

async fn found(store: &dyn KeyStore) -> StoredKey {
    let found = store.key_by_digest(&digest()).await.unwrap().unwrap();
    StoredKey::clone(&found)
}

async fn permit(store: &dyn KeyStore, permissions: u64) {
    store.permit_key(&KeyId("a".to_owned()), permissions, "custom".to_owned()).await.unwrap();
}

async fn are_seen_to_change(here: &dyn Store, there: &dyn Store) {
    people(here, 1).await;
    here.put_key(key("a", 1, 1)).await.unwrap();
    for number in 1..=20 {
        for store in [here, there] {
            found(store).await;
        }
        permit(here, number).await;
        let changed = Instant::now();
        assert_eq!(found(here).await.permissions, number, "here");
        loop {
            let asked = changed.elapsed();
            if found(there).await.permissions == number {
                break;
            }
            assert!(asked < UNSEEN, "there, after {asked:?}");
            tokio::task::yield_now().await;
        }
    }
    let used_at = UnixMillis::from_millis(7);
    here.touch_key(KeyId("a".to_owned()), used_at).await.unwrap();
    assert_eq!(found(here).await.used_at, Some(used_at), "it is not noted again and again");
    here.close().await.unwrap();
    let closed = here.key_by_digest(&digest()).await.unwrap_err();
    assert!(matches!(closed, StoreError::Unavailable { .. }), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_at_once_here_and_soon_in_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.db");
    are_seen_to_change(&in_file(&path).await, &in_file(&path).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_at_once_here_and_soon_at_another_server() {
    let Some(schema) = Schema::create().await else { return };
    let (here, there) = (in_schema(&schema.url()).await, in_schema(&schema.url()).await);
    are_seen_to_change(&here, &there).await;
    there.close().await.unwrap();
    schema.drop().await;
}

/// `rename` gives the key another name without a word to anybody.
async fn is_not_read_again_because_a_session_ends(store: &dyn Store, rename: impl AsyncFnOnce()) {
    people(store, 1).await;
    store.put_key(key("a", 1, 1)).await.unwrap();
    let before = found(store).await;
    rename().await;
    let session = session(1, "a");
    let hash = session.hash;
    store.open_session(session, CAPS).await.unwrap();
    assert!(store.end_session(&hash).await.unwrap());
    tokio::time::sleep(UNSEEN).await;
    assert_eq!(found(store).await, before);
    permit(store, 1).await;
    assert_ne!(found(store).await.name, before.name);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_session_that_ends_is_no_change_of_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.db");
    let store = in_file(&path).await;
    is_not_read_again_because_a_session_ends(&store, async || {
        rusqlite::Connection::open(&path).unwrap().execute_batch(RENAME).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ends_is_no_change_of_a_key_on_postgresql() {
    let Some(schema) = Schema::create().await else { return };
    let store = in_schema(&schema.url()).await;
    is_not_read_again_because_a_session_ends(&store, async || schema.execute(RENAME).await).await;
    schema.drop().await;
}

/// A database that takes over from another one, or comes back, may have lost its last moments: then the number of the revision
/// says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_not_read_again_before_something_changes_or_the_way_to_the_database_is_another() {
    let Some(schema) = Schema::create().await else { return };
    let name = schema.name();
    schema.execute(&format!("CREATE DATABASE {name}")).await;
    let url = schema.url_of(name);
    let store = in_schema(&url).await;
    people(&store, 1).await;
    store.put_key(key("a", 1, 1)).await.unwrap();
    assert_eq!(found(&store).await.permissions, 79);
    execute(&url, "ALTER TABLE api_keys DISABLE TRIGGER USER; UPDATE api_keys SET permissions = 1").await;
    tokio::time::sleep(UNSEEN).await;
    assert_eq!(found(&store).await.permissions, 79, "the revision is what it was");
    let cut = format!("SELECT pg_terminate_backend (pid) FROM pg_stat_activity WHERE datname = '{name}'");
    schema.execute(&cut).await;
    let changed = Instant::now();
    // What was asked on a way that is being cut has no answer, which is not the old one.
    while !store.key_by_digest(&digest()).await.is_ok_and(|found| found.unwrap().permissions == 1) {
        assert!(changed.elapsed() < Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    execute(&url, "UPDATE api_keys SET permissions = 2; UPDATE revision SET keys = keys + 1").await;
    tokio::time::sleep(UNSEEN).await;
    assert_eq!(found(&store).await.permissions, 2);
    store.close().await.unwrap();
    schema.execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
    schema.drop().await;
}

fn digest() -> KeyDigest {
    KeyDigest([1; 32])
}

/// A store that knows a key, far enough back that it has to look whether that is what it was.
async fn knowing(schema: &Schema) -> (Between, PostgresStore) {
    let between = Between::before(schema).await;
    let store = in_schema(&between.url(schema)).await;
    people(&store, 1).await;
    store.put_key(key("a", 1, 1)).await.unwrap();
    found(&store).await;
    tokio::time::sleep(UNSEEN).await;
    (between, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_come_while_somebody_looks_share_a_look_however_far_the_database_is() {
    let Some(schema) = Schema::create().await else { return };
    let (between, store) = knowing(&schema).await;
    between.becomes(Way::Late(Duration::from_millis(100)));
    let askers = (0..50).map(async |number| {
        tokio::time::sleep(Duration::from_millis(2 * number)).await;
        found(&store).await
    });
    join_all(askers).await;
    assert!(between.asked() < 10, "{}", between.asked());
    // And who it is about is asked in one go, however many there are.
    let ids: Vec<_> = (0..50).map(|number| KeyId(number.to_string())).collect();
    let sessions: Vec<_> = (0..50).map(|seed| session(seed, "a").hash).collect();
    store.keys_by_id(&ids).await.unwrap();
    store.still_open(&sessions).await.unwrap();
    between.becomes(Way::Late(Duration::ZERO));
    assert_eq!(store.keys_by_id(&ids).await.unwrap(), []);
    assert_eq!(store.still_open(&sessions).await.unwrap(), []);
    assert!(between.asked() < 10, "{}", between.asked());
    store.close().await.unwrap();
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_wait_for_a_look_that_finds_a_change_read_their_keys_beside_each_other() {
    let Some(schema) = Schema::create().await else { return };
    let (between, store) = knowing(&schema).await;
    let keys: Vec<_> = (2..32).map(|seed| key(&format!("key {seed}"), 1, seed)).collect();
    store.put_keys(keys.clone()).await.unwrap();
    let ask = || join_all(keys.iter().map(|key| store.key_by_digest(&key.digest)));
    ask().await;
    tokio::time::sleep(UNSEEN).await;
    schema.execute("UPDATE revision SET keys = keys + 1").await;
    between.becomes(Way::Late(Duration::from_millis(100)));
    let began = Instant::now();
    assert!(ask().await.into_iter().all(|found| found.unwrap().is_some()));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    between.becomes(Way::Late(Duration::ZERO));
    store.close().await.unwrap();
    schema.drop().await;
}

/// Neither a connection that is never set up nor one that is never answered on keeps others waiting behind whoever has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_comes_to_nothing_is_shared_as_well() {
    let Some(schema) = Schema::create().await else { return };
    for (way, longest) in [(Way::Unfinished, 6), (Way::Silent, 18)] {
        let (between, store) = knowing(&schema).await;
        between.becomes(way);
        let began = Instant::now();
        let askers = [0, 1_100, 1_200, 1_300].map(async |after| {
            tokio::time::sleep(Duration::from_millis(after)).await;
            store.key_by_digest(&digest()).await.unwrap_err()
        });
        for refusal in join_all(askers).await {
            assert!(matches!(refusal, StoreError::Unavailable { .. }), "{refusal:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(longest), "{way:?}: {:?}", began.elapsed());
    }
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_whose_asker_goes_away_has_come_to_nothing_for_those_who_waited_long() {
    let Some(schema) = Schema::create().await else { return };
    let (between, store) = knowing(&schema).await;
    between.becomes(Way::Silent);
    let began = Instant::now();
    let wanted = digest();
    let gone = tokio::time::timeout(Duration::from_secs(2), store.key_by_digest(&wanted));
    let waits = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        store.key_by_digest(&digest()).await.unwrap_err()
    };
    let (gone, refusal) = tokio::join!(gone, waits);
    assert!(gone.is_err() && matches!(refusal, StoreError::Unavailable { .. }), "{gone:?} {refusal:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    schema.drop().await;
}
