//! Promises of users and keys.

use std::sync::Arc;

use server::{
    clock::UnixMillis,
    store::{
        AccountHolder, KeyDigest, KeyEnd, KeyId, PolicyChange, Replacement, Rotation, Store, StoreError,
        StoredKey, StoredSession, UserId,
    },
};

use super::{
    audit::record,
    changes::KeyChanges as _,
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
    let [a, b, c] = ["a", "b", "c"].map(|id| KeyId(id.to_owned()));
    assert_eq!(store.keys_by_id(&[c, b.clone()]).await.unwrap(), [key("b", 2, 2)]);
    let mut both = store.keys_by_id(&[b, a]).await.unwrap();
    both.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(both, [key("a", 1, 1), key("b", 2, 2)]);
    assert!(store.keys_by_id(&[]).await.unwrap().is_empty());

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

pub(crate) async fn a_user_whose_making_is_recorded_was_not_there_before(store: Arc<dyn Store>) {
    let holder = |credit_limit_minor| AccountHolder {
        user: UserId(1),
        username: "carol".to_owned(),
        currency: "USD".to_owned(),
        credit_limit_minor,
    };
    let (first, second) = (holder(0), holder(100_000));
    store.record_holder(first.clone(), Some(record(1))).await.unwrap();
    let again = store.record_holder(second, Some(record(2))).await;
    assert!(matches!(again, Err(StoreError::Taken(_))), "{again:?}");
    store.put_holder(first.clone()).await.unwrap();
    store.flush_audit().await.unwrap();
    assert_eq!(store.holders().await.unwrap(), [first]);
    assert_eq!(store.latest_audit(9).await.unwrap(), [record(1)]);
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

pub(crate) async fn what_a_key_loses_ends_its_sessions_however_weak_and_what_it_gains_ends_none(
    store: Arc<dyn Store>,
) {
    people(&*store, 1).await;
    store.put_keys(vec![key("a", 1, 1), key("b", 1, 2)]).await.unwrap();
    for (seed, id) in [(1, "a"), (2, "b")] {
        let weak = StoredSession { permissions: 1, ..session(seed, id) };
        store.open_session(weak, CAPS).await.unwrap();
    }
    let a = KeyId("a".to_owned());
    // From 79.
    for (permissions, left) in [(79 | 128, 2), (79 | 16 | 128, 2), (79 | 16, 1)] {
        store.permit_key(&a, permissions, "custom".to_owned()).await.unwrap().unwrap();
        assert_eq!(store.count_sessions().await.unwrap(), left, "{permissions}");
    }
    assert!(store.session(&session(2, "b").hash).await.unwrap().is_some());
}

pub(crate) async fn a_key_is_replaced_once_by_one_that_may_as_much_and_lives_as_long(store: Arc<dyn Store>) {
    people(&*store, 1).await;
    let at = UnixMillis::from_millis;
    let id = |id: &str| KeyId(id.to_owned());
    let made = StoredKey { expires_at: Some(at(90_002)), created_at: at(2), ..key("a", 1, 1) };
    store.create_key(made, PolicyChange::default()).await.unwrap();
    store.permit_key(&id("a"), 1, "custom".to_owned()).await.unwrap().unwrap();
    let rotate = async |old: &str, new: &str, seed: u8, now: i64| {
        let (digest, last_four) = (KeyDigest([seed; 32]), "0000".to_owned());
        let new = Replacement { id: id(new), digest, last_four, created_at: at(now) };
        store.rotate_key(&id(old), at(now + 100), new).await.unwrap()
    };
    let Rotation::Done(second) = rotate("a", "b", 2, 1_000).await else { panic!("it is not replaced") };
    assert_eq!(store.key(&id("b")).await.unwrap(), Some(*second.clone()));
    assert_eq!((second.permissions, second.role.as_str(), second.lineage), (1, "custom", id("a")));
    assert_eq!(second.expires_at, Some(at(91_000)));
    assert_eq!(store.key(&id("a")).await.unwrap().unwrap().expires_at, Some(at(1_100)));

    assert_eq!(rotate("a", "c", 3, 1_000).await, Rotation::Replaced(id("b")));
    // Its secret was lost: the first one is good for another one, which lives as long as this was to.
    store.revoke_key(&id("b"), at(1_000)).await.unwrap().unwrap();
    let Rotation::Done(third) = rotate("a", "c", 3, 1_000).await else { panic!("it is not replaced") };
    assert_eq!((third.created_at, third.expires_at), (at(1_001), Some(at(91_001))));
    assert_eq!(rotate("a", "d", 4, 1_050).await, Rotation::Replaced(id("c")));
    assert_eq!(rotate("a", "d", 4, 1_100).await, Rotation::Ended(KeyEnd::Expired));
    assert_eq!(store.keys().await.unwrap().len(), 3);

    let forever = StoredKey { id: id("e"), lineage: id("e"), ..key("e", 1, 5) };
    store.create_key(forever, PolicyChange::default()).await.unwrap();
    let Rotation::Done(next) = rotate("e", "f", 6, 2_000).await else { panic!("it is not replaced") };
    assert_eq!(next.expires_at, None);
}

pub(crate) async fn a_service_has_another_key_once_its_last_one_has_ended(store: Arc<dyn Store>) {
    people(&*store, 1).await;
    let service = |id: &str, created_at: i64, expires_at: Option<i64>| StoredKey {
        service: Some("certificate of billing".to_owned()),
        created_at: UnixMillis::from_millis(created_at),
        expires_at: expires_at.map(UnixMillis::from_millis),
        ..key(id, 1, 1)
    };
    let whose = async || store.key_by_digest(&KeyDigest([1; 32])).await.unwrap().unwrap().id.0.clone();
    store.create_key(service("a", 1_000, Some(2_000)), PolicyChange::default()).await.unwrap();
    assert!(matches!(
        store.create_key(service("b", 1_999, None), PolicyChange::default()).await,
        Err(StoreError::Taken(_))
    ));
    store.create_key(service("b", 2_000, None), PolicyChange::default()).await.unwrap();
    assert_eq!(whose().await, "b");
    assert!(matches!(
        store.create_key(service("c", 3_000, None), PolicyChange::default()).await,
        Err(StoreError::Taken(_))
    ));
    store.revoke_key(&KeyId("b".to_owned()), UnixMillis::from_millis(3_000)).await.unwrap().unwrap();
    store.create_key(service("c", 3_000, None), PolicyChange::default()).await.unwrap();
    assert_eq!(whose().await, "c");
    // A secret that was revoked stays so.
    store.create_key(key("d", 1, 2), PolicyChange::default()).await.unwrap();
    store.revoke_key(&KeyId("d".to_owned()), UnixMillis::from_millis(3_000)).await.unwrap().unwrap();
    assert!(matches!(
        store.create_key(key("e", 1, 2), PolicyChange::default()).await,
        Err(StoreError::Taken(_))
    ));
}
