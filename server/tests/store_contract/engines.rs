//! The engines under test, each with an empty database of its own.

use std::sync::Arc;

use server::store::{
    AccountHolder, KeyDigest, KeyId, KeyMode, Store, StoredKey, UserId,
    sqlite::{SqliteLocation, SqliteStore},
};
use tempfile::TempDir;

/// An empty store.
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    /// Keeps the database's folder for as long as the store.
    _folder: Option<TempDir>,
}

pub(crate) async fn in_a_file() -> Engine {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&SqliteLocation::File(folder.path().join("a.db"))).await.unwrap();
    Engine { store: Arc::new(store), _folder: Some(folder) }
}

pub(crate) async fn in_memory() -> Engine {
    let store = SqliteStore::open(&SqliteLocation::Memory).await.unwrap();
    Engine { store: Arc::new(store), _folder: None }
}

/// Creates users 1 to `count`, named `user1` and so on, with an account in US dollars each.
pub(crate) async fn people(store: &dyn Store, count: i64) {
    for number in 1..=count {
        let holder = AccountHolder {
            user: UserId(number),
            username: format!("user{number}"),
            currency: "USD".to_owned(),
            credit_limit_minor: 100_000,
        };
        store.put_holder(holder).await.unwrap();
    }
}

/// A key of `user`, with a digest that is made of `seed`.
pub(crate) fn key(id: &str, user: i64, seed: u8) -> StoredKey {
    StoredKey {
        id: KeyId(id.to_owned()),
        digest: KeyDigest([seed; 32]),
        user: UserId(user),
        username: format!("user{user}"),
        lineage: KeyId(id.to_owned()),
        sources: Vec::new(),
        permissions: 79,
        role: "customer".to_owned(),
        name: format!("Key {id}"),
        mode: KeyMode::Demo,
        last_four: "abcd".to_owned(),
        created_at: server::clock::UnixMillis::from_millis(1_000),
        expires_at: None,
        revoked_at: None,
        used_at: None,
        service: None,
    }
}
