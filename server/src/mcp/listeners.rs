//! How many streams each key has open that no session counts.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use crate::store::KeyId;

/// How many one key may have.
const OF_A_KEY_MAX: usize = 32;

/// The open streams, by key.
#[derive(Default)]
pub(super) struct Listeners(Arc<Mutex<HashMap<KeyId, usize>>>);

/// A stream that is open; dropped, its place is free.
pub(super) struct Place {
    listeners: Arc<Mutex<HashMap<KeyId, usize>>>,
    key: KeyId,
}

impl Listeners {
    /// A place for one more stream of this key, if it may have one.
    pub(super) fn enter(&self, key: &KeyId) -> Option<Place> {
        let mut open = self.0.lock();
        let count = open.entry(key.clone()).or_default();
        if *count >= OF_A_KEY_MAX {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Place { listeners: Arc::clone(&self.0), key: key.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.listeners.lock();
        if let Some(count) = open.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}
