//! Keys that were looked up a moment ago, so that most requests find theirs in memory.
//!
//! A change by this process is seen by the next look-up. Another process says that it changed something by the
//! [`Revision`]: that is read again as soon as nobody has looked at it for some milliseconds, and where it is another
//! one, everything known is forgotten. Keys that do not exist are not remembered: whoever makes some up fills nothing.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::RwLock;

use super::{KeyDigest, KeyId, Revision, StoredKey};
use crate::clock::UnixMillis;

/// How many keys are known at most.
const KNOWN_MAX: usize = 10_000;

/// The keys that are known.
#[derive(Debug)]
pub(super) struct KnownKeys {
    known: RwLock<Known>,
    /// For how long another process's change of a key may go unseen here.
    believed: Duration,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<[u8; 32], Arc<StoredKey>>,
    /// As of which revision.
    revision: Option<Revision>,
    /// When that was last read.
    read_at: Option<Instant>,
    /// How often everything was forgotten.
    forgotten: u64,
}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Knowledge {
    /// It need not be looked at again.
    Believed(Arc<StoredKey>),
    /// It is believed again once the revision is seen to be the same.
    Doubted,
    /// Nothing.
    Nothing,
}

/// Somebody looks at the database: what is read from now on is as new as this.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    at: Instant,
    /// How often everything had been forgotten by then.
    forgotten: u64,
}

impl Knowledge {
    /// The key, if it need not be looked at again.
    pub(super) fn believed(self) -> Option<Arc<StoredKey>> {
        match self {
            Self::Believed(key) => Some(key),
            Self::Doubted | Self::Nothing => None,
        }
    }
}

impl Look {
    /// When it began.
    pub(super) const fn at(self) -> Instant {
        self.at
    }
}

impl KnownKeys {
    /// None yet. `believed`: for how long another process's change of a key may go unseen.
    pub(super) fn new(believed: Duration) -> Self {
        Self { known: RwLock::default(), believed }
    }

    /// What is known of the key of this digest, for a request that came at `at`.
    pub(super) fn find(&self, digest: &KeyDigest, at: Instant) -> Knowledge {
        let known = self.known.read();
        let Some(key) = known.keys.get(&digest.0) else { return Knowledge::Nothing };
        let is_fresh =
            known.read_at.is_some_and(|read_at| at.saturating_duration_since(read_at) < self.believed);
        if is_fresh { Knowledge::Believed(Arc::clone(key)) } else { Knowledge::Doubted }
    }

    /// Begins to look; the revision is to be read first, so that a key which is read after it is at least as new.
    pub(super) fn look(&self) -> Look {
        let forgotten = self.known.read().forgotten;
        Look { at: Instant::now(), forgotten }
    }

    /// Takes note of the revision that a look found. What is known of another one is forgotten; what was found before
    /// somebody else forgot everything says nothing.
    pub(super) fn confirm(&self, mut look: Look, revision: Revision) -> Look {
        let mut known = self.known.write();
        if known.forgotten != look.forgotten {
            return look;
        }
        if known.revision != Some(revision) {
            known.forget();
            known.revision = Some(revision);
        }
        known.read_at = known.read_at.max(Some(look.at));
        look.forgotten = known.forgotten;
        look
    }

    /// Remembers a key that was read after the revision of a look was confirmed.
    pub(super) fn remember(&self, look: Look, key: &Arc<StoredKey>) {
        let mut known = self.known.write();
        if known.forgotten != look.forgotten {
            return;
        }
        if known.keys.len() >= KNOWN_MAX {
            known.keys.clear();
        }
        known.keys.insert(key.digest.0, Arc::clone(key));
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

impl Known {
    fn forget(&mut self) {
        self.keys.clear();
        self.forgotten = self.forgotten.wrapping_add(1);
    }
}

/// Keys are being changed by this process.
pub(super) struct Changing<'a>(&'a KnownKeys);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.known.write().forget();
    }
}
