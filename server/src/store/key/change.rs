//! A change of a key, which is recorded as it is made.

use super::{KeyEnd, KeyId, Replacement, StoredKey};
use crate::{clock::UnixMillis, store::PolicyChange};

/// What is done to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// It is made, and may pay so much. It was not there before.
    Create(Box<StoredKey>, PolicyChange),
    /// Another one takes the place of `old`, which is accepted until then. Of two rotations of one key at once one is done.
    Rotate {
        /// Which one is replaced.
        old: KeyId,
        /// Until when it is accepted, unless it ends earlier.
        until: UnixMillis,
        /// By what.
        replacement: Replacement,
    },
    /// It is refused from then on, or stays revoked as it was, and the sessions that it opened end.
    Revoke(KeyId, UnixMillis),
    /// It may do something else. The sessions of its lineage that are stronger than that end.
    Permit {
        /// Which key.
        id: KeyId,
        /// What it may do, as bits.
        permissions: u64,
        /// The name of that set of permissions.
        role: String,
    },
    /// It may pay something else, and the same as before of what the change does not name.
    Limit(KeyId, PolicyChange),
}

/// How a change of a key ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChanged {
    /// It is done, and the key is this now; of a rotation it is the new one, and the old one ends when it was said to.
    Done(Box<StoredKey>),
    /// There is no such key. Nothing was changed.
    Unknown,
    /// Another key is in its place already, and has not ended. Nothing was changed.
    Replaced(KeyId),
    /// The old key has ended already. Nothing was changed.
    Ended(KeyEnd),
}

/// How an attempt to replace a key ended.
pub type Rotation = KeyChanged;

impl KeyChanged {
    /// The key as it is now; `None` where nothing was changed.
    #[must_use]
    pub fn done(self) -> Option<StoredKey> {
        match self {
            Self::Done(key) => Some(*key),
            Self::Unknown | Self::Replaced(_) | Self::Ended(_) => None,
        }
    }
}

/// Of a change that is done wherever there is the key.
impl From<Option<StoredKey>> for KeyChanged {
    fn from(found: Option<StoredKey>) -> Self {
        found.map_or(Self::Unknown, |key| Self::Done(Box::new(key)))
    }
}
