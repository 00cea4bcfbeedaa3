//! Who wants to be told when which resource changes, or which of them there are.
//!
//! A change is found by looking: while somebody watches a resource, its fingerprint is asked for every second, and at
//! once when this process knows that something happened. So changes are found whoever made them, in whatever process.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Weak},
};

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    library::{Library, ShelvedTemplate},
    tool::ToolError,
};
use crate::identity::{Permission, Principal};

/// How many resources one watcher may watch.
pub(super) const WATCHED_MAX: usize = 100;

/// How much of what is watched is looked at at once: with a store that is far away one after the other would be too slow.
const AT_ONCE: usize = 8;

/// Told the URI of a resource that has changed, or that of a family which has other members.
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

/// Whose view of which resource, or of which family.
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

    /// Tells `sink` from now on when `resources/list` is another one for this principal, because a family has other members:
    /// the permission without which it is not seen. Whether the principal has it is not looked at here, for it may change.
    pub(super) async fn watch_families(
        self: &Arc<Self>,
        library: &Library,
        principal: &Principal,
        sink: impl Fn(Permission) + Clone + Send + Sync + 'static,
    ) -> Vec<Watch> {
        let mut watches = Vec::new();
        for family in &library.templates {
            let (sink, permission) = (sink.clone(), family.definition.permission);
            let sink: Sink = Arc::new(move |_| sink(permission));
            watches.push(self.watch(library, principal, family.definition.uri, sink).await);
        }
        watches
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
        let looks = stream::iter(all);
        looks.for_each_concurrent(AT_ONCE, |(key, principal)| self.look_at(library, key, principal)).await;
    }

    async fn look_at(&self, library: &Library, key: Key, principal: Principal) {
        let Some(now) = fingerprint(library, &principal, &key.uri).await else { return };
        let sinks = {
            let mut state = self.state.lock();
            let Some(watched) = state.watched.get_mut(&key) else { return };
            // What could not be looked at until now may have changed since it was first asked for.
            if watched.fingerprint.as_ref() == Some(&now) {
                return;
            }
            watched.fingerprint = Some(now);
            watched.sinks.iter().map(|(_, sink)| Arc::clone(sink)).collect::<Vec<_>>()
        };
        for sink in sinks {
            sink(&key.uri);
        }
    }
}

async fn fingerprint(library: &Library, principal: &Principal, uri: &str) -> Option<String> {
    let looked_at = match library.templates.iter().find(|one| one.definition.uri == uri) {
        Some(found) => members(found, principal).await,
        None => {
            let resource = Arc::clone(&library.resource(principal, uri)?.resource);
            resource.fingerprint(principal.clone()).await
        }
    };
    looked_at
        .inspect_err(|error| {
            let error = error as &dyn std::error::Error;
            tracing::debug!(error, "what is watched cannot be looked at");
        })
        .ok()
}

/// A text that is another one when the family has other members for this principal.
async fn members(found: &ShelvedTemplate, principal: &Principal) -> Result<String, ToolError> {
    let mut hasher = DefaultHasher::new();
    for member in Arc::clone(&found.family).members(principal.clone()).await? {
        member.uri.hash(&mut hasher);
    }
    Ok(hasher.finish().to_string())
}
