//! Keys and what they may pay, as the writer has read them, so that a payment need not read them again.
//!
//! Nothing is believed for a while: each look reads the number of the revision, in the transaction that it is for, and what
//! is known holds for that number alone. A change of a key or of a policy makes another one, whichever process changes it.
//! Only what was undone could come to the same number twice, so then everything is forgotten.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use rusqlite::Connection;

use super::{keys, lifecycle};
use crate::store::{KeyId, PaymentPolicy, Revision, StoredKey};

/// How many keys are known at most.
const KNOWN_MAX: usize = 10_000;

/// The keys that are known, with what they may pay.
#[derive(Debug, Default)]
pub(super) struct KnownPolicies(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<KeyId, Arc<(StoredKey, PaymentPolicy)>>,
    /// As of which revision.
    revision: Option<Revision>,
}

impl KnownPolicies {
    /// The key of this id and what it may pay, as they are in this transaction.
    pub(super) fn look(
        &self,
        connection: &Connection,
        id: &KeyId,
    ) -> rusqlite::Result<Option<Arc<(StoredKey, PaymentPolicy)>>> {
        let revision = lifecycle::key_revision(connection)?;
        let mut known = self.0.lock();
        if known.revision != Some(revision) {
            known.keys.clear();
            known.revision = Some(revision);
        }
        if let Some(found) = known.keys.get(id) {
            return Ok(Some(Arc::clone(found)));
        }
        let Some(found) = keys::with_policy(connection, id)?.map(Arc::new) else { return Ok(None) };
        if known.keys.len() >= KNOWN_MAX {
            known.keys.clear();
        }
        known.keys.insert(id.clone(), Arc::clone(&found));
        Ok(Some(found))
    }

    /// Forgets everything, because a transaction was undone.
    pub(super) fn forget(&self) {
        self.0.lock().keys.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use rusqlite::Connection;

    use super::super::{Durability, SqliteLocation, SqliteStore, failure::unavailable};
    use crate::{
        clock::UnixMillis,
        store::{
            AccountHolder, Ending, KeyChange, KeyChanged, KeyDigest, KeyId, KeyMode, KeyStore as _,
            PaymentPolicy, StoreError, StoredKey, Transaction, UserId, Work, transact,
        },
    };

    const KEY: &str = "a";

    /// Below which amount the key asks nobody, as a transaction sees it.
    struct Look;

    #[async_trait]
    impl Work for Look {
        type Output = Option<i64>;

        async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<Option<i64>>, StoreError> {
            let (_, found) = transaction.hold(&[UserId(1)], &KeyId(KEY.to_owned())).await?;
            Ok(Ending::Keep(found.map(|(_, policy)| policy.automatic_below_minor)))
        }
    }

    /// In memory, so that what is done to its connection is done as if by another process.
    async fn store() -> SqliteStore {
        let store = SqliteStore::open(&SqliteLocation::Memory).await.unwrap();
        let (user, username) = (UserId(1), "bob".to_owned());
        let holder = AccountHolder {
            user,
            username: username.clone(),
            currency: "USD".to_owned(),
            credit_limit_minor: 0,
        };
        store.put_holder(holder).await.unwrap();
        let (id, text) = (KeyId(KEY.to_owned()), String::new);
        let key = StoredKey {
            lineage: id.clone(),
            id,
            digest: KeyDigest([1; 32]),
            user,
            username,
            sources: Vec::new(),
            permissions: 0,
            role: text(),
            name: text(),
            mode: KeyMode::Live,
            last_four: text(),
            created_at: UnixMillis::from_millis(0),
            expires_at: None,
            revoked_at: None,
            service: None,
            used_at: None,
        };
        store.put_key(key).await.unwrap();
        allow(&store, 1).await.unwrap();
        store
    }

    async fn allow(store: &SqliteStore, automatic_below_minor: i64) -> Result<KeyChanged, StoreError> {
        let policy = PaymentPolicy { automatic_below_minor, ..PaymentPolicy::default() };
        store.change_key(KeyChange::Limit(KeyId(KEY.to_owned()), policy.into()), None).await
    }

    fn behind_its_back(store: &SqliteStore, sql: &str) {
        store.read(|connection| connection.execute_batch(sql)).unwrap().unwrap();
    }

    async fn seen(store: &SqliteStore) -> Option<i64> {
        transact(store, Look).await.unwrap()
    }

    #[tokio::test]
    async fn what_another_process_changes_is_seen_by_the_next_transaction() {
        let store = store().await;
        assert_eq!(seen(&store).await, Some(1));
        behind_its_back(&store, "UPDATE payment_policies SET automatic_below_minor = 2");
        assert_eq!(seen(&store).await, Some(2));
        behind_its_back(&store, "DELETE FROM payment_policies");
        assert_eq!(seen(&store).await, Some(0));
        behind_its_back(&store, "INSERT INTO payment_policies VALUES ('a', 3, NULL, NULL, '')");
        assert_eq!(seen(&store).await, Some(3));
        // It is read no more than that.
        let unseen = "DROP TRIGGER policies_are_revised_when_changed; UPDATE payment_policies SET automatic_below_minor = 4";
        behind_its_back(&store, unseen);
        assert_eq!(seen(&store).await, Some(3));
    }

    #[tokio::test]
    async fn what_was_read_in_a_transaction_that_was_undone_is_not_believed() {
        let store = Arc::new(store().await);
        // Keeps the writer busy until the others have come, so that they are one group.
        let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let busy = Arc::clone(&store);
        let first = tokio::spawn(async move {
            let wait = move |_: &Connection| {
                let _ = begin.send(());
                let _ = released.recv();
                Ok(())
            };
            busy.write(Durability::Process, wait).await
        });
        begun.recv().await.unwrap();
        let undo = store.write(Durability::Process, |connection: &Connection| {
            connection.execute_batch("ROLLBACK").map_err(unavailable("undo"))
        });
        // Polled last, when the others are queued.
        let release = async move { release.send(()) };
        let (allowed, looked, undone, _) =
            tokio::join!(biased; allow(&store, 2), transact(&*store, Look), undo, release);
        first.await.unwrap().unwrap();
        assert!(allowed.is_err() && looked.is_err() && undone.is_err(), "{allowed:?} {looked:?} {undone:?}");
        behind_its_back(&store, "UPDATE payment_policies SET automatic_below_minor = 3");
        assert_eq!(seen(&store).await, Some(3));
    }
}
