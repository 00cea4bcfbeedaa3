//! Promises of sessions.

use std::sync::Arc;

use server::{
    clock::UnixMillis,
    store::{ClientAbilities, KeyId, OpenSession, SessionCaps, SessionHash, Store, StoredSession, UserId},
};
use shared::mcp::ProtocolVersion;

use super::{
    audit::record,
    engines::{key, people},
};

pub(crate) const CAPS: SessionCaps = SessionCaps { per_key: 1_000, total: 10_000 };

/// Session number `seed`, opened and last used at that millisecond.
pub(crate) fn session(seed: u16, key: &str) -> StoredSession {
    let mut hash = [0; 32];
    hash[..2].copy_from_slice(&seed.to_be_bytes());
    StoredSession {
        hash: SessionHash(hash),
        user: UserId(1),
        key: KeyId(key.to_owned()),
        lineage: KeyId(key.to_owned()),
        permissions: u64::MAX,
        protocol: ProtocolVersion::V2025_06_18,
        client: "a client 1.0".to_owned(),
        abilities: ClientAbilities(5),
        created_at: UnixMillis::from_millis(i64::from(seed)),
        seen_at: UnixMillis::from_millis(i64::from(seed)),
    }
}

async fn with_keys(store: &dyn Store) {
    people(store, 1).await;
    store.put_key(key("a", 1, 1)).await.unwrap();
    store.put_key(key("b", 1, 2)).await.unwrap();
}

pub(crate) async fn a_session_is_there_until_it_is_ended(store: Arc<dyn Store>) {
    with_keys(&*store).await;
    let one = session(1, "a");
    assert_eq!(store.session(&one.hash).await.unwrap(), None);
    assert_eq!(store.open_session(one.clone(), CAPS).await.unwrap(), OpenSession::Opened);
    assert_eq!(store.session(&one.hash).await.unwrap(), Some(one.clone()));
    let two = session(2, "b");
    assert_eq!(store.still_open(&[one.hash, two.hash]).await.unwrap(), [one.hash]);
    store.open_session(two.clone(), CAPS).await.unwrap();
    let mut open = store.still_open(&[two.hash, session(3, "").hash, one.hash]).await.unwrap();
    open.sort_unstable();
    assert_eq!(open, [one.hash, two.hash]);
    assert!(store.still_open(&[]).await.unwrap().is_empty());
    assert!(store.end_session(&one.hash).await.unwrap());
    assert_eq!(store.still_open(&[one.hash, two.hash]).await.unwrap(), [two.hash]);
    assert!(!store.end_session(&one.hash).await.unwrap(), "it has ended already");
    assert_eq!(store.session(&one.hash).await.unwrap(), None);
    store.touch_session(one.hash, UnixMillis::from_millis(9)).await.unwrap();
    store.flush_audit().await.unwrap();
    assert_eq!(store.session(&one.hash).await.unwrap(), None, "a touch does not bring it back");
}

pub(crate) async fn the_end_of_a_session_is_recorded_once(store: Arc<dyn Store>) {
    with_keys(&*store).await;
    let one = session(1, "a");
    store.open_session(one.clone(), CAPS).await.unwrap();
    assert!(store.record_end_of_session(&one.hash, Some(record(1))).await.unwrap());
    assert!(!store.record_end_of_session(&one.hash, Some(record(2))).await.unwrap(), "it has ended already");
    assert_eq!(store.session(&one.hash).await.unwrap(), None);
    store.flush_audit().await.unwrap();
    assert_eq!(store.latest_audit(9).await.unwrap(), [record(1)]);
}

pub(crate) async fn caps_hold_under_a_hundred_concurrent_openings(store: Arc<dyn Store>) {
    with_keys(&*store).await;
    let caps = SessionCaps { per_key: 30, total: 50 };
    let mut openings = tokio::task::JoinSet::new();
    for seed in 0..100 {
        let store = Arc::clone(&store);
        let key = if seed % 2 == 0 { "a" } else { "b" };
        openings.spawn(async move { store.open_session(session(seed, key), caps).await.unwrap() });
    }
    let outcomes = openings.join_all().await;
    let opened = outcomes.iter().filter(|outcome| **outcome == OpenSession::Opened).count();
    assert_eq!(opened, 50);
    assert_eq!(store.count_sessions().await.unwrap(), 50);

    // One that ends makes room for one.
    let mut seeds = 0..100;
    let (some, key) = loop {
        let seed = seeds.next().unwrap();
        if let Some(found) = store.session(&session(seed, "").hash).await.unwrap() {
            break (seed, found.key.0);
        }
    };
    store.end_session(&session(some, "").hash).await.unwrap();
    assert_eq!(store.open_session(session(200, &key), caps).await.unwrap(), OpenSession::Opened);

    // A cap of a key is its own; the other key is not to blame.
    let tight = SessionCaps { per_key: 1, total: 1_000 };
    assert_eq!(store.open_session(session(201, "a"), tight).await.unwrap(), OpenSession::KeyCapReached);
    assert_eq!(store.open_session(session(202, "a"), caps).await.unwrap(), OpenSession::TotalCapReached);
}

pub(crate) async fn a_touch_moves_time_forward_only(store: Arc<dyn Store>) {
    with_keys(&*store).await;
    let one = session(100, "a");
    store.open_session(one.clone(), CAPS).await.unwrap();
    for (touch, expected) in [(50, 100), (150, 150), (120, 150)] {
        store.touch_session(one.hash, UnixMillis::from_millis(touch)).await.unwrap();
        store.flush_audit().await.unwrap();
        let seen = store.session(&one.hash).await.unwrap().unwrap().seen_at.as_millis();
        assert_eq!(seen, expected, "after a touch at {touch}");
    }
}

pub(crate) async fn expired_sessions_end_in_portions(store: Arc<dyn Store>) {
    with_keys(&*store).await;
    for seed in 1..=20 {
        store.open_session(session(seed, "a"), CAPS).await.unwrap();
    }
    let old = UnixMillis::from_millis(11);
    let (never, now) = (UnixMillis::from_millis(0), UnixMillis::from_millis(20));
    assert_eq!(store.end_expired_sessions(old, never, now, 4).await.unwrap().len(), 4);
    assert_eq!(store.end_expired_sessions(old, never, now, 100).await.unwrap().len(), 6);
    assert_eq!(store.end_expired_sessions(old, never, now, 100).await.unwrap().len(), 0);
    let by_age = store.end_expired_sessions(never, UnixMillis::from_millis(13), now, 100).await.unwrap();
    let mut ended: Vec<_> = by_age.into_iter().collect();
    ended.sort_unstable();
    assert_eq!(ended, [session(11, "a").hash, session(12, "a").hash]);
    assert_eq!(store.count_sessions().await.unwrap(), 8);
}

pub(crate) async fn a_session_that_was_used_just_now_is_not_ended_as_idle(store: Arc<dyn Store>) {
    with_keys(&*store).await;
    let [used, idle] = [session(1, "a"), session(2, "a")];
    store.open_session(used.clone(), CAPS).await.unwrap();
    store.open_session(idle.clone(), CAPS).await.unwrap();
    store.touch_session(used.hash, UnixMillis::from_millis(20)).await.unwrap();
    let (idle_since, never) = (UnixMillis::from_millis(10), UnixMillis::from_millis(0));
    let ended =
        store.end_expired_sessions(idle_since, never, UnixMillis::from_millis(20), 100).await.unwrap();
    assert_eq!(ended, [idle.hash]);
    assert!(store.session(&used.hash).await.unwrap().is_some());
}
