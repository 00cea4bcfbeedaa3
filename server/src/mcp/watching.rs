//! Who wants to be told when which resource changes, or which of them there are.
//!
//! A change is found by looking: while somebody watches a resource and hears of it, its fingerprint is asked for every
//! second. So changes are found whoever made them, in whatever process. What changed while nobody heard of it is found when
//! somebody does again.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Weak},
};

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;

use super::{
    library::{Library, ShelvedTemplate},
    tool::ToolError,
};
use crate::identity::{Permission, Principal};

/// How many resources one watcher may watch.
pub(super) const WATCHED_MAX: usize = 100;

/// How much of what is watched is looked at at once: with a store that is far away one after the other would be too slow.
const AT_ONCE: usize = 8;

/// Who is told of what has changed.
pub(super) trait Sink: Send + Sync {
    /// Whether somebody hears of it at the moment.
    fn is_heard(&self) -> bool;
    /// Tells the URI of a resource that has changed, or that of a family which has other members.
    fn tell(&self, uri: &str);
}

/// Everything that is watched.
#[derive(Default)]
pub(super) struct Watching {
    state: Mutex<State>,
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
    sinks: Vec<(u64, Arc<dyn Sink>)>,
}

impl Watched {
    fn sinks(&self) -> Vec<Arc<dyn Sink>> {
        self.sinks.iter().map(|(_, sink)| Arc::clone(sink)).collect()
    }
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
        sink: impl Sink + 'static,
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
        watched.sinks.push((number, Arc::new(sink)));
        Watch { watching: Arc::downgrade(self), key, number }
    }

    /// Tells from now on when `resources/list` is another one for this principal, because a family has other members: the sink
    /// that `sink` makes for the permission without which that family is not seen. Whether the principal has it is not looked at
    /// here, for it may change.
    pub(super) async fn watch_families<S: Sink + 'static>(
        self: &Arc<Self>,
        library: &Library,
        principal: &Principal,
        sink: impl Fn(Permission) -> S,
    ) -> Vec<Watch> {
        let mut watches = Vec::new();
        for family in &library.templates {
            let sink = sink(family.definition.permission);
            watches.push(self.watch(library, principal, family.definition.uri, sink).await);
        }
        watches
    }

    /// Looks at everything that is watched and heard of, and tells of what has changed.
    pub(super) async fn look(&self, library: &Library) {
        let all: Vec<_> = {
            let state = self.state.lock();
            let all = state.watched.iter();
            all.map(|(key, watched)| (key.clone(), watched.principal.clone(), watched.sinks())).collect()
        };
        // Asked with nothing locked: whoever is asked may be the last to hold a session, and with it its watches.
        let heard = all.into_iter().filter(|(_, _, sinks)| sinks.iter().any(|sink| sink.is_heard()));
        let looks = stream::iter(heard);
        looks.for_each_concurrent(AT_ONCE, |(key, principal, _)| self.look_at(library, key, principal)).await;
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
            watched.sinks()
        };
        for sink in sinks {
            sink.tell(&key.uri);
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
