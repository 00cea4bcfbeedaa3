//! Promises of users and keys.

use std::sync::Arc;

use server::store::{AccountHolder, KeyDigest, Store, StoreError, UserId};

use super::{
    engines::{key, people},
    sessions::{CAPS, session},
};

pub(crate) async fn a_key_is_found_by_its_digest_alone(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    store.put_key(key("b", 2, 2)).await.unwrap();
    store.put_key(key("a", 1, 1)).await.unwrap();
    assert_eq!(store.key_by_digest(&KeyDigest([1; 32])).await.unwrap().as_deref(), Some(&key("a", 1, 1)));
    assert_eq!(store.key_by_digest(&KeyDigest([3; 32])).await.unwrap(), None);
    assert_eq!(store.keys().await.unwrap(), [key("a", 1, 1), key("b", 2, 2)]);

    let narrowed =
        server::store::StoredKey { permissions: 67, role: "read-only".to_owned(), ..key("a", 1, 1) };
    store.put_key(narrowed.clone()).await.unwrap();
    assert_eq!(store.key_by_digest(&KeyDigest([1; 32])).await.unwrap().as_deref(), Some(&narrowed));
}

pub(crate) async fn a_user_is_created_once(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    people(&*store, 2).await;
    assert_eq!(store.holders().await.unwrap().len(), 2);
    for (number, name) in [(1, "somebody"), (9, "user2")] {
        let clash = AccountHolder {
            user: UserId(number),
            username: name.to_owned(),
            currency: "USD".to_owned(),
            credit_limit_minor: 0,
        };
        assert!(matches!(store.put_holder(clash).await, Err(StoreError::Taken(_))));
    }
    assert_eq!(store.holders().await.unwrap().len(), 2);
}

pub(crate) async fn a_key_needs_its_user(store: Arc<dyn Store>) {
    assert!(matches!(store.put_key(key("a", 1, 1)).await, Err(StoreError::NoSuchAccount(_))));
    assert!(store.keys().await.unwrap().is_empty());
}

pub(crate) async fn keys_swap_their_secrets_together_or_not_at_all(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    store.put_keys(vec![key("a", 1, 1), key("b", 2, 2)]).await.unwrap();
    let taken = store.put_keys(vec![key("c", 1, 3), key("d", 2, 2)]).await;
    assert!(matches!(taken, Err(StoreError::Taken(_))), "{taken:?}");
    assert_eq!(store.keys().await.unwrap(), [key("a", 1, 1), key("b", 2, 2)], "all or none");
    store.put_keys(vec![key("a", 1, 2), key("b", 2, 1)]).await.unwrap();
    assert_eq!(store.keys().await.unwrap(), [key("a", 1, 2), key("b", 2, 1)]);
}

pub(crate) async fn another_secret_ends_the_sessions_of_the_old_one(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    store.put_key(key("a", 1, 1)).await.unwrap();
    store.put_key(key("b", 2, 2)).await.unwrap();
    store.open_session(session(1, "a"), CAPS).await.unwrap();
    store.open_session(session(2, "b"), CAPS).await.unwrap();

    store.put_key(key("a", 1, 1)).await.unwrap();
    assert!(store.session(&session(1, "a").hash).await.unwrap().is_some(), "the same secret ends nothing");

    store.put_key(key("a", 1, 9)).await.unwrap();
    assert!(store.session(&session(1, "a").hash).await.unwrap().is_none());
    assert!(store.session(&session(2, "b").hash).await.unwrap().is_some());
    assert_eq!(store.count_sessions().await.unwrap(), 1);
    assert_eq!(store.key_by_digest(&KeyDigest([1; 32])).await.unwrap(), None);
}
