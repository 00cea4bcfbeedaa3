//! Promises of the pepper that digests are made with.

use std::sync::Arc;

use server::{
    clock::UnixMillis,
    store::{KeyDigest, KeyId, KeyMode, KnownSecret, Store, StoredKey},
};

use super::{
    engines::{key, people},
    sessions::{CAPS, session},
};

const NOW: UnixMillis = UnixMillis::from_millis(2_000);

fn secret(id: &str, seed: u8, last_four: &str) -> KnownSecret {
    KnownSecret { id: KeyId(id.to_owned()), digest: KeyDigest([seed; 32]), last_four: last_four.to_owned() }
}

fn revoked(key: StoredKey) -> StoredKey {
    StoredKey { revoked_at: Some(UnixMillis::from_millis(5)), ..key }
}

pub(crate) async fn a_key_of_the_demo_is_what_it_was_with_another_pepper(store: Arc<dyn Store>) {
    people(&*store, 3).await;
    let note = async |mark, secrets: &[KnownSecret]| {
        store.note_pepper([mark; 32], NOW, secrets.to_vec()).await.unwrap()
    };
    let kept = async || store.keys().await.unwrap();
    assert!(note(1, &[]).await);
    let first = [revoked(key("1", 1, 1)), key("2", 2, 2), key("3", 3, 3)];
    store.put_keys(first.to_vec()).await.unwrap();
    store.open_session(session(1, "2"), CAPS).await.unwrap();

    let [one, two, three] = [secret("1", 11, "abcd"), secret("2", 12, "abcd"), secret("3", 13, "efgh")];
    assert!(note(1, &[one.clone(), two.clone(), three.clone()]).await);
    assert_eq!(kept().await, first, "with the same pepper they are other secrets");
    assert_eq!(store.count_sessions().await.unwrap(), 1);

    // Whoever does not know their secrets cannot say what they hash to.
    assert!(note(2, &[]).await);
    let lost = kept().await;
    let is_other = |(lost, first): (&StoredKey, &StoredKey)| {
        lost.digest != first.digest && StoredKey { digest: first.digest, ..lost.clone() } == *first
    };
    assert!(lost.iter().zip(&first).all(is_other), "{lost:?}");
    assert_eq!(store.count_sessions().await.unwrap(), 0);

    assert!(note(2, &[one.clone(), two.clone(), three.clone()]).await);
    let found = [revoked(key("1", 1, 11)), key("2", 2, 12), lost[2].clone()];
    assert_eq!(kept().await, found, "another end is another secret");
    assert!(store.key_by_digest(&two.digest).await.unwrap().is_some());

    let swapped = [secret("1", 12, "abcd"), secret("2", 11, "abcd")];
    assert!(note(3, &swapped).await);
    assert_eq!(kept().await, [revoked(key("1", 1, 12)), key("2", 2, 11), lost[2].clone()]);
}

pub(crate) async fn a_pepper_stays_noted_while_a_key_is_good_that_was_made_with_it(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    let secrets = [secret("1", 11, "abcd")];
    let note = async |mark| store.note_pepper([mark; 32], NOW, secrets.to_vec()).await.unwrap();
    assert!(note(1).await);
    let all = [key("1", 1, 1), StoredKey { mode: KeyMode::Live, ..key("a", 2, 2) }];
    store.put_keys(all.to_vec()).await.unwrap();
    store.open_session(session(1, "1"), CAPS).await.unwrap();
    assert!(!note(2).await);
    assert_eq!((store.pepper().await.unwrap(), store.keys().await.unwrap()), (Some([1; 32]), all.to_vec()));
    assert_eq!(store.count_sessions().await.unwrap(), 1);
    store.put_key(revoked(all[1].clone())).await.unwrap();
    assert!(note(2).await);
    assert_eq!(store.pepper().await.unwrap(), Some([2; 32]));
    assert_eq!(store.keys().await.unwrap(), [key("1", 1, 11), revoked(all[1].clone())]);
}
