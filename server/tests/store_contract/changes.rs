//! What tests do to keys as an operator does, one thing at a time and without a record.

use async_trait::async_trait;
use server::{
    clock::UnixMillis,
    store::{
        KeyChange, KeyChanged, KeyId, KeyStore, PolicyChange, Replacement, Rotation, StoreError, StoredKey,
    },
};

/// [`KeyStore::change_key`], by what is done.
#[async_trait]
pub(crate) trait KeyChanges: KeyStore {
    async fn create_key(&self, key: StoredKey, limits: PolicyChange) -> Result<(), StoreError> {
        self.change_key(KeyChange::Create(Box::new(key), limits), None).await.map(drop)
    }

    async fn rotate_key(
        &self,
        old: &KeyId,
        until: UnixMillis,
        replacement: Replacement,
    ) -> Result<Rotation, StoreError> {
        self.change_key(KeyChange::Rotate { old: old.clone(), until, replacement }, None).await
    }

    /// The key as it is then; `None` if there is none.
    async fn revoke_key(&self, id: &KeyId, at: UnixMillis) -> Result<Option<StoredKey>, StoreError> {
        self.change_key(KeyChange::Revoke(id.clone(), at), None).await.map(KeyChanged::done)
    }

    /// The key as it is then; `None` if there is none.
    async fn permit_key(
        &self,
        id: &KeyId,
        permissions: u64,
        role: String,
    ) -> Result<Option<StoredKey>, StoreError> {
        let permit = KeyChange::Permit { id: id.clone(), permissions, role };
        self.change_key(permit, None).await.map(KeyChanged::done)
    }

    /// `None` if there is no such key.
    async fn change_policy(&self, key: &KeyId, change: PolicyChange) -> Result<Option<()>, StoreError> {
        let changed = self.change_key(KeyChange::Limit(key.clone(), change), None).await?;
        Ok(changed.done().map(drop))
    }
}

impl<S: KeyStore + ?Sized> KeyChanges for S {}
