//! Keys and the users they speak for, as they are kept.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::{AuditRecord, StoreError};
use crate::clock::UnixMillis;

mod change;

pub use change::{KeyChange, KeyChanged, Rotation};

/// The ids of the keys that a server of the demo puts anew whenever it starts.
pub const DEMO_KEY_IDS: [&str; 4] = ["1", "2", "3", "4"];

/// A user's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub i64);

/// A key's public id: what lists, logs and the audit name it by. Never secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub String);

/// HMAC-SHA256 of a key under the server's pepper: all that is kept of its secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyDigest(pub [u8; 32]);

impl std::fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyDigest(..)")
    }
}

impl KeyDigest {
    /// What stands with a key of the demo in the place of a digest that was made with another pepper. No secret has it.
    pub(in crate::store) fn lost(id: &str) -> Self {
        Self(Sha256::digest(format!("the lost digest of key {id}")).into())
    }
}

/// A secret that the server knows, of a key that may be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSecret {
    /// The key's id.
    pub id: KeyId,
    /// What the secret hashes to.
    pub digest: KeyDigest,
    /// Its last four characters.
    pub last_four: String,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMode {
    /// Published with the demo; accepted on a loopback address only.
    Demo,
    /// Real.
    Live,
}

/// Somebody who has an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountHolder {
    /// The user's number; chosen by whoever creates the user.
    pub user: UserId,
    /// The name by which others pay the user; unique, lower case.
    pub username: String,
    /// ISO 4217 code of the account's currency.
    pub currency: String,
    /// How far below zero the account may go, in minor units; not negative.
    pub credit_limit_minor: i64,
}

impl AccountHolder {
    /// That the number or the name is somebody's already.
    pub(in crate::store) fn taken(&self) -> StoreError {
        StoreError::Taken(format!("user {} or the name `{}` is taken", self.user.0, self.username))
    }
}

/// A key as it is kept: everything but its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Its public id.
    pub id: KeyId,
    /// What its secret must hash to.
    pub digest: KeyDigest,
    /// For whom it speaks.
    pub user: UserId,
    /// That user's name.
    pub username: String,
    /// The first key of those that replaced each other; its own id where it replaced none. Sessions outlive a rotation.
    pub lineage: KeyId,
    /// From which networks it is accepted, in CIDR notation; from everywhere where there are none.
    pub sources: Vec<String>,
    /// What it may do, as bits (see `identity`).
    pub permissions: u64,
    /// The name of that set of permissions, for people.
    pub role: String,
    /// What its owner calls it.
    pub name: String,
    /// What it is for.
    pub mode: KeyMode,
    /// The last four characters of its secret, to recognise it by.
    pub last_four: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on it is refused.
    pub expires_at: Option<UnixMillis>,
    /// Since when it is refused.
    pub revoked_at: Option<UnixMillis>,
    /// The service that it stands for, where it is proven by a token or a certificate and has no secret.
    pub service: Option<String>,
    /// When it was last accepted, to within a minute.
    pub used_at: Option<UnixMillis>,
}

impl StoredKey {
    /// Why it is refused as of `now`, if it is. One that was revoked is, whatever the clock of whoever did says.
    #[must_use]
    pub fn ended(&self, now: UnixMillis) -> Option<KeyEnd> {
        if self.revoked_at.is_some() {
            return Some(KeyEnd::Revoked);
        }
        self.expires_at.is_some_and(|at| at <= now).then_some(KeyEnd::Expired)
    }
}

/// Why a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyEnd {
    /// Somebody ended it.
    Revoked,
    /// Its time is over.
    Expired,
}

/// What a key that takes another one's place does not share with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// Its number.
    pub id: KeyId,
    /// What its secret hashes to.
    pub digest: KeyDigest,
    /// The last four characters of its secret.
    pub last_four: String,
    /// When it is made.
    pub created_at: UnixMillis,
}

impl Replacement {
    /// The key in the place of `old`, with what that may do at this moment; its life is as long as that of the `newest` of
    /// their line was meant to be, and it is newer than that.
    pub(in crate::store) fn of(self, old: &StoredKey, newest: &StoredKey) -> StoredKey {
        let created_at = self.created_at.max(newest.created_at.plus(Duration::from_millis(1)));
        StoredKey {
            id: self.id,
            digest: self.digest,
            last_four: self.last_four,
            created_at,
            expires_at: newest.expires_at.map(|at| created_at.plus(at.since(newest.created_at))),
            revoked_at: None,
            used_at: None,
            ..old.clone()
        }
    }
}

/// By what it shows that something is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// Grows with each change: of keys and what they may pay, or of these and of which sessions are open.
    pub number: i64,
    /// How often the way to the database had been opened by then: one that takes over from another, or comes back, may have
    /// lost its last moments, and comes to the same number by other changes.
    pub opened: u64,
}

/// Users and their keys.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// The key with this digest, revoked and expired ones too. `None` if there is none. What another process changed a
    /// moment ago may not be seen yet; it is within a tenth of a second.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn key_by_digest(&self, digest: &KeyDigest) -> Result<Option<Arc<StoredKey>>, StoreError>;

    /// Every key, ordered by creation and id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError>;

    /// The key of this id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn key(&self, id: &KeyId) -> Result<Option<StoredKey>, StoreError>;

    /// Those of the keys with these ids that there are, in any order. Where to ask is a way, it is one way for all of them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn keys_by_id(&self, ids: &[KeyId]) -> Result<Vec<StoredKey>, StoreError> {
        let mut found = Vec::new();
        for id in ids {
            found.extend(self.key(id).await?);
        }
        Ok(found)
    }

    /// Changes a key, and appends the record, where there is one, to the audit trail in the same commit: where one of both
    /// cannot be written, neither is. Nothing is recorded where there is no such key, or it cannot be replaced.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the id or the digest of a new key is another key's, [`StoreError::NoSuchAccount`] when
    /// its user is unknown; [`StoreError::Unavailable`].
    async fn change_key(
        &self,
        change: KeyChange,
        record: Option<AuditRecord>,
    ) -> Result<KeyChanged, StoreError>;

    /// Notes that a key was accepted at `at`; written behind.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the queue no longer writes.
    async fn touch_key(&self, id: KeyId, at: UnixMillis) -> Result<(), StoreError>;

    /// Another one whenever a key was changed or a session was ended, in whatever process.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn revision(&self) -> Result<Revision, StoreError>;

    /// By which mark the pepper was noted that digests are made with; `None` where none was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn pepper(&self) -> Result<Option<[u8; 32]>, StoreError>;

    /// Notes which pepper digests are made with, by its mark. `false` where another one was noted, and keys that are good
    /// at `now` were made with it: then it stays noted. The keys of the demo ([`DEMO_KEY_IDS`]) do not count, but others that
    /// were made for it do.
    ///
    /// Where another pepper was noted before, or none and `secrets` may be of another, the keys of the demo lose their digests
    /// and their sessions in the same commit. One that has lost its digest, now or earlier, gets that of its secret, where
    /// there is one with the same last four characters. For the rest it stays what it was, revoked or not.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn note_pepper(
        &self,
        mark: [u8; 32],
        now: UnixMillis,
        secrets: Vec<KnownSecret>,
    ) -> Result<bool, StoreError>;

    /// Creates the keys, or replaces those with the same ids: all of them or none, so that two keys can swap their
    /// secrets. `username` is ignored: it is the user's. A key that gets another digest or another user loses the
    /// sessions that it opened before, in the same commit.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`] when a user is unknown, [`StoreError::Taken`] when a digest is another key's;
    /// [`StoreError::Unavailable`].
    async fn put_keys(&self, keys: Vec<StoredKey>) -> Result<(), StoreError>;

    /// [`Self::put_keys`] of one key.
    ///
    /// # Errors
    /// As above.
    async fn put_key(&self, key: StoredKey) -> Result<(), StoreError> {
        self.put_keys(vec![key]).await
    }

    /// Creates a user with an empty account. A user of the same number and name stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the number or the name belongs to another, [`StoreError::OutOfRange`] when accounts
    /// cannot be in that currency or the credit limit is below zero; [`StoreError::Unavailable`].
    async fn put_holder(&self, holder: AccountHolder) -> Result<(), StoreError> {
        self.record_holder(holder, None).await
    }

    /// [`Self::put_holder`], with the record of it, where there is one, in the audit trail in the same commit. What is
    /// recorded is done: then a user of the same number and name is one that somebody else has made.
    ///
    /// # Errors
    /// As above; with a record [`StoreError::Taken`] when there is a user of the same number and name, too.
    async fn record_holder(
        &self,
        holder: AccountHolder,
        record: Option<AuditRecord>,
    ) -> Result<(), StoreError>;

    /// Everybody who has an account, ordered by number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn holders(&self) -> Result<Vec<AccountHolder>, StoreError>;
}
