//! Promises of the sealing keys, and of seals that are opened once.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use server::{
    clock::UnixMillis,
    store::{SealingKey, Store},
};

const NOW: UnixMillis = UnixMillis::from_millis(1_000_000);
const LATER: UnixMillis = UnixMillis::from_millis(1_060_000);

fn told(keys: &[SealingKey]) -> Vec<(u32, [u8; 32])> {
    keys.iter().map(|key| (key.id, *key.secret.expose_secret())).collect()
}

pub(crate) async fn whoever_asks_first_or_at_once_gets_the_same_sealing_key(store: Arc<dyn Store>) {
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        asking.spawn(async move { told(&store.sealing_keys().await.unwrap()) });
    }
    let all = asking.join_all().await;
    assert_eq!(all[0].len(), 1);
    assert_ne!(all[0][0].1, [0; 32], "the secret is random");
    assert!(all.iter().all(|keys| *keys == all[0]));
    assert_eq!(told(&store.sealing_keys().await.unwrap()), all[0]);
}

pub(crate) async fn a_new_sealing_key_is_made_once_when_it_is_time_and_the_old_one_forgotten(
    store: Arc<dyn Store>,
) {
    const DAY: i64 = 24 * 3_600_000;
    let now = UnixMillis::now().as_millis();
    let on_day = move |day: i64| UnixMillis::from_millis(now + day * DAY + 1_000);
    let first = told(&store.sealing_keys().await.unwrap());
    assert_eq!(told(&store.turn_sealing_keys(on_day(29), false).await.unwrap()), first);
    let mut turning = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        turning.spawn(async move { told(&store.turn_sealing_keys(on_day(30), false).await.unwrap()) });
    }
    let all = turning.join_all().await;
    assert!(all.iter().all(|keys| *keys == all[0]), "of many one makes it");
    assert_eq!(all[0].iter().map(|key| key.0).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(all[0][1], first[0]);
    assert_ne!(all[0][0].1, first[0].1);
    let numbers = |keys: &[SealingKey]| keys.iter().map(|key| key.id).collect::<Vec<_>>();
    assert_eq!(numbers(&store.turn_sealing_keys(on_day(31), true).await.unwrap()), [3, 2, 1]);
    assert_eq!(numbers(&store.turn_sealing_keys(on_day(39), false).await.unwrap()), [3]);
    assert_eq!(numbers(&store.sealing_keys().await.unwrap()), [3]);
}

pub(crate) async fn a_seal_is_spent_once_however_many_try(store: Arc<dyn Store>) {
    let mut spending = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = Arc::clone(&store);
        spending.spawn(async move { store.spend_seal([7; 24], LATER, NOW).await.unwrap() });
    }
    let spent = spending.join_all().await;
    assert_eq!(spent.iter().filter(|first| **first).count(), 1);
    assert!(!store.spend_seal([7; 24], LATER, NOW).await.unwrap());
    assert!(store.spend_seal([8; 24], LATER, NOW).await.unwrap(), "another seal is another one");
}

pub(crate) async fn a_seal_is_remembered_until_it_expires(store: Arc<dyn Store>) {
    assert!(store.spend_seal([1; 24], LATER, NOW).await.unwrap());
    let just_before = UnixMillis::from_millis(1_059_999);
    assert!(!store.spend_seal([1; 24], LATER, just_before).await.unwrap());
    // What has expired is not opened any more, whoever tries: there is nothing left to remember.
    let after = UnixMillis::from_millis(1_060_001);
    let much_later = UnixMillis::from_millis(2_000_000);
    assert!(store.spend_seal([2; 24], much_later, after).await.unwrap());
    assert!(store.spend_seal([1; 24], much_later, after).await.unwrap());
}
