//! Keys that were looked up a moment ago, so that most requests find theirs in memory.
//!
//! A change by this process is seen by the next look-up. Another process says that it changed something by the number of
//! the revision: that number is read again as soon as nobody has looked at it for [`BELIEVED`], and where it is another
//! one, everything known is forgotten. Keys that do not exist are not remembered: whoever makes some up fills nothing.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::RwLock;
use rusqlite::Connection;

use super::{keys, lifecycle};
use crate::{
    clock::UnixMillis,
    store::{KeyDigest, KeyId, StoredKey},
};

/// For how long another process's change of a key may go unseen here.
const BELIEVED: Duration = Duration::from_millis(5);

/// How many keys are known at most.
const KNOWN_MAX: usize = 10_000;

/// The keys that are known.
#[derive(Debug, Default)]
pub(super) struct KnownKeys {
    known: RwLock<Known>,
    /// Grows with every change by this process.
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<[u8; 32], Arc<StoredKey>>,
    /// As of which revision.
    revision: i64,
    /// When that was last read.
    read_at: Option<Instant>,
}

impl KnownKeys {
    /// The key of this digest, if it is known and need not be looked at again.
    pub(super) fn find(&self, digest: &KeyDigest) -> Option<Arc<StoredKey>> {
        let known = self.known.read();
        let is_fresh = known.read_at.is_some_and(|read_at| read_at.elapsed() < BELIEVED);
        is_fresh.then(|| known.keys.get(&digest.0).map(Arc::clone)).flatten()
    }

    /// Looks for the key in the database, and remembers it.
    pub(super) fn look(
        &self,
        connection: &Connection,
        digest: &KeyDigest,
    ) -> rusqlite::Result<Option<Arc<StoredKey>>> {
        let changes = self.changes.load(Ordering::Acquire);
        let read_at = Instant::now();
        // The revision first: a key that is read after it is at least as new.
        let revision = lifecycle::revision(connection)?;
        if let Some(key) = self.confirm(digest, changes, revision, read_at) {
            return Ok(Some(key));
        }
        let Some(key) = keys::by_digest(connection, digest)?.map(Arc::new) else { return Ok(None) };
        let mut known = self.known.write();
        if self.changes.load(Ordering::Acquire) == changes && known.revision == revision {
            if known.keys.len() >= KNOWN_MAX {
                known.keys.clear();
            }
            known.keys.insert(digest.0, Arc::clone(&key));
        }
        Ok(Some(key))
    }

    /// Takes note of a revision that was read; the key, if it is known as of it.
    fn confirm(
        &self,
        digest: &KeyDigest,
        changes: u64,
        revision: i64,
        read_at: Instant,
    ) -> Option<Arc<StoredKey>> {
        let mut known = self.known.write();
        if self.changes.load(Ordering::Acquire) != changes || revision < known.revision {
            return None;
        }
        if revision > known.revision {
            known.keys.clear();
            known.revision = revision;
        }
        known.read_at = known.read_at.max(Some(read_at));
        known.keys.get(&digest.0).map(Arc::clone)
    }

    /// Takes over when a key was last used, which is no change of it.
    pub(super) fn touch(&self, id: &KeyId, at: UnixMillis) {
        for key in self.known.write().keys.values_mut().filter(|key| key.id == *id) {
            Arc::make_mut(key).used_at = Some(at);
        }
    }

    /// Forgets every key when it is dropped: hold it while this process changes some.
    pub(super) const fn changing(&self) -> Changing<'_> {
        Changing(self)
    }
}

/// Keys are being changed by this process.
pub(super) struct Changing<'a>(&'a KnownKeys);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.changes.fetch_add(1, Ordering::AcqRel);
        self.0.known.write().keys.clear();
    }
}
