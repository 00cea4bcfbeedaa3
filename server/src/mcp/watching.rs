//! Who wants to be told when which resource changes.
//!
//! A change is found by looking: while somebody watches a resource, its fingerprint is asked for every second, and at
//! once when this process knows that something happened. So changes are found whoever made them, in whatever process.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::library::Library;
use crate::identity::Principal;

/// How many resources one watcher may watch.
pub(super) const WATCHED_MAX: usize = 100;

/// Told the URI of a resource that has changed.
pub(super) type Sink = Arc<dyn Fn(&str) + Send + Sync>;

/// Everything that is watched.
#[derive(Default)]
pub(super) struct Watching {
    state: Mutex<State>,
    nudged: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    watched: HashMap<Key, Watched>,
}

/// Whose view of which resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    user: i64,
    uri: String,
}

struct Watched {
    principal: Principal,
    fingerprint: Option<String>,
    sinks: Vec<(u64, Sink)>,
}

/// Keeps somebody watching; dropped, they are told nothing more.
pub(super) struct Watch {
    watching: Weak<Watching>,
    key: Key,
    number: u64,
}

impl Watch {
    pub(super) fn uri(&self) -> &str {
        &self.key.uri
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(watching) = self.watching.upgrade() else { return };
        let mut state = watching.state.lock();
        if let Some(watched) = state.watched.get_mut(&self.key) {
            watched.sinks.retain(|(number, _)| *number != self.number);
            if watched.sinks.is_empty() {
                state.watched.remove(&self.key);
            }
        }
    }
}

impl Watching {
    /// Tells `sink` from now on when the resource changes for this principal. What it is at this moment is asked first,
    /// so that no change is missed after this returns; where that cannot be had, whatever it is later counts as a change.
    pub(super) async fn watch(
        self: &Arc<Self>,
        library: &Library,
        principal: &Principal,
        uri: &str,
        sink: Sink,
    ) -> Watch {
        let key = Key { user: principal.user().0, uri: uri.to_owned() };
        let fingerprint = fingerprint(library, principal, uri).await;
        let mut state = self.state.lock();
        state.next = state.next.wrapping_add(1);
        let number = state.next;
        let watched = state.watched.entry(key.clone()).or_insert_with(|| Watched {
            principal: principal.clone(),
            fingerprint,
            sinks: Vec::new(),
        });
        watched.sinks.push((number, sink));
        Watch { watching: Arc::downgrade(self), key, number }
    }

    /// Something may have changed.
    pub(super) fn nudge(&self) {
        self.nudged.notify_one();
    }

    /// Returns when something may have changed.
    pub(super) async fn nudged(&self) {
        self.nudged.notified().await;
    }

    /// Looks at everything that is watched and tells of what has changed.
    pub(super) async fn look(&self, library: &Library) {
        let all: Vec<_> = {
            let state = self.state.lock();
            state.watched.iter().map(|(key, watched)| (key.clone(), watched.principal.clone())).collect()
        };
        for (key, principal) in all {
            let Some(now) = fingerprint(library, &principal, &key.uri).await else { continue };
            let sinks = {
                let mut state = self.state.lock();
                let Some(watched) = state.watched.get_mut(&key) else { continue };
                // What could not be looked at until now may have changed since it was first asked for.
                if watched.fingerprint.as_ref() == Some(&now) {
                    continue;
                }
                watched.fingerprint = Some(now);
                watched.sinks.iter().map(|(_, sink)| Arc::clone(sink)).collect::<Vec<_>>()
            };
            for sink in sinks {
                sink(&key.uri);
            }
        }
    }
}

async fn fingerprint(library: &Library, principal: &Principal, uri: &str) -> Option<String> {
    let resource = Arc::clone(&library.resource(principal, uri)?.resource);
    match resource.fingerprint(principal.clone()).await {
        Ok(fingerprint) => Some(fingerprint),
        Err(error) => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "a watched resource cannot be looked at"
            );
            None
        }
    }
}
