//! What is open right now in the name of which key, so that a key that ends takes it along at once, and whoever listens
//! learns what a key may do since it changed.
//!
//! Keys are changed in the store, by whatever process. Several times a second this one asks the store whether anything
//! was, and looks only then; and once at the key of whatever was opened since the last time, which may have been changed
//! between the look that let its request in and the opening.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::UnixMillis,
    identity::{PermissionSet, Principal},
    store::{KeyId, Store, StoreError},
};

/// How often the store is asked whether something was revised. Well below the second within which it is to be known.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Told what the key may do, when that is something else than before.
pub(super) type Permitted = Arc<dyn Fn(PermissionSet) + Send + Sync>;

/// Everything that is open.
#[derive(Default)]
pub(super) struct Live {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Open>>,
}

/// One thing that is open.
struct Open {
    key: KeyId,
    permissions: PermissionSet,
    expires_at: Option<UnixMillis>,
    proven_until: Option<UnixMillis>,
    ended: CancellationToken,
    permitted: Permitted,
    is_new: bool,
}

/// What is held against the keys as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Everything that is open.
    All,
    /// What was opened since the last time.
    New,
}

/// Keeps something open in the name of a key; dropped, it is open no more.
pub(super) struct Presence {
    live: Weak<Live>,
    number: u64,
    ended: CancellationToken,
}

impl Presence {
    /// Cancelled when the key has ended, and when it may do less than when this was opened.
    pub(super) const fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(live) = self.live.upgrade() {
            live.open.lock().remove(&self.number);
        }
    }
}

impl Live {
    /// Something is open in the name of `principal` from now on, and no longer than `proven_until`.
    pub(super) fn enter(
        self: &Arc<Self>,
        principal: &Principal,
        proven_until: Option<UnixMillis>,
        permitted: Permitted,
    ) -> Presence {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let ended = CancellationToken::new();
        let open = Open {
            key: principal.key().clone(),
            permissions: principal.permissions(),
            expires_at: principal.expires_at(),
            proven_until,
            ended: ended.clone(),
            permitted,
            is_new: true,
        };
        self.open.lock().insert(number, open);
        Presence { live: Arc::downgrade(self), number, ended }
    }

    /// Somebody waits for an answer in the name of `principal` from now on. The request was made in time: they get the
    /// answer also when what proved whose it is ends meanwhile.
    pub(super) fn wait(self: &Arc<Self>, principal: &Principal) -> Presence {
        self.enter(principal, None, Arc::new(|_| {}))
    }

    /// Ends what is open in the name of keys whose time is over, or that of what proved whose they are.
    pub(super) fn expire(&self, now: UnixMillis) {
        for open in self.open.lock().values() {
            if open.expires_at.into_iter().chain(open.proven_until).any(|end| end <= now) {
                open.ended.cancel();
            }
        }
    }

    /// Holds what is open against the keys as they are.
    pub(super) async fn revise(&self, store: &dyn Store, whose: Whose) -> Result<(), StoreError> {
        let is_meant = |open: &&Open| whose == Whose::All || open.is_new;
        let mut ids: Vec<KeyId> =
            self.open.lock().values().filter(is_meant).map(|open| open.key.clone()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        ids.sort_unstable();
        ids.dedup();
        let mut keys = store.keys_by_id(&ids).await?;
        let now = UnixMillis::now();
        keys.retain(|key| key.ended(now).is_none());
        let keys: HashMap<_, _> = keys.iter().map(|key| (&key.id, key)).collect();
        let mut told: Vec<(Permitted, PermissionSet)> = Vec::new();
        for open in self.open.lock().values_mut().filter(|open| ids.binary_search(&open.key).is_ok()) {
            open.is_new = false;
            let Some(key) = keys.get(&open.key) else {
                open.ended.cancel();
                continue;
            };
            let permissions = PermissionSet::from_bits(key.permissions);
            open.expires_at = key.expires_at;
            if !permissions.covers(open.permissions) {
                open.ended.cancel();
            } else if permissions != open.permissions {
                open.permissions = permissions;
                told.push((Arc::clone(&open.permitted), permissions));
            }
        }
        told.iter().for_each(|(permitted, permissions)| permitted(*permissions));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        KeyStore as _,
        sqlite::{SqliteLocation, SqliteStore},
    };

    #[tokio::test]
    async fn what_was_opened_with_a_key_that_had_just_ended_ends_without_another_change() {
        let store = SqliteStore::open(&SqliteLocation::Memory).await.unwrap();
        let live = Arc::new(Live::default());
        let principal = Principal::for_test("customer");
        assert!(store.key(principal.key()).await.unwrap().is_none(), "the key is gone");
        let presence = live.enter(&principal, None, Arc::new(|_| {}));
        live.revise(&store, Whose::New).await.unwrap();
        assert!(presence.ended().is_cancelled());
    }
}
