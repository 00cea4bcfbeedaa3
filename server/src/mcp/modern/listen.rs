//! `subscriptions/listen`: a stream of change notifications (2026-07-28, patterns, "Subscriptions").

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use shared::{
    jsonrpc::{ErrorCode, ErrorObject},
    mcp::{
        methods,
        modern::{SubscriptionFilter, meta},
        object::object,
    },
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::identity::{Permission, PermissionSet};
use crate::mcp::{
    Engine,
    asking::written,
    context::RequestContext,
    dispatch::Answer,
    event_stream::EventStream,
    live::Presence,
    log::KEEP_ALIVE,
    reply::{self, Refusal},
    sse,
    watching::{Sink, WATCHED_MAX, Watch},
};

/// Which resources have changed since it was last told.
#[derive(Default)]
struct Changed {
    uris: Mutex<BTreeSet<String>>,
    /// The methods of the notifications that lists are others now.
    lists: Mutex<BTreeSet<&'static str>>,
    /// What the key may do now.
    permissions: Mutex<PermissionSet>,
    news: Notify,
}

impl Changed {
    fn note_lists(&self, lists: &[&'static str]) {
        self.lists.lock().extend(lists);
        self.news.notify_one();
    }
}

/// Opens the stream: the acknowledgement first, of what will be told, then what happens. A list changes when the key may
/// do something else than before, and that of resources when there are others; when the key may do less, the stream ends.
pub(super) async fn open(
    engine: &Engine,
    context: RequestContext,
    params: Option<&RawValue>,
) -> Result<EventStream, Refusal> {
    #[derive(Deserialize)]
    struct Params {
        #[serde(deserialize_with = "object")]
        notifications: SubscriptionFilter,
    }
    // For as long as it takes to open it; how many are open has a limit of its own.
    let _held = engine.limits.call(context.principal().lineage())?;
    let Some(Ok(Params { notifications })) = params.map(|params| serde_json::from_str(params.get())) else {
        let text = "subscriptions/listen needs `notifications`: which changes to tell of";
        return Err(ErrorObject::new(ErrorCode::INVALID_PARAMS, text).into());
    };
    let wanted: BTreeSet<_> = notifications.resource_subscriptions.unwrap_or_default().into_iter().collect();
    if wanted.len() > WATCHED_MAX {
        let text = format!("a stream tells of at most {WATCHED_MAX} resources");
        return Err(ErrorObject::new(ErrorCode::INVALID_PARAMS, text).into());
    }
    let place = engine.listeners.enter(context.principal().key()).ok_or_else(|| {
        ErrorObject::new(ErrorCode::LIMITED, "Too many open streams of this key; close one first")
    })?;
    let permissions = Mutex::new(context.principal().permissions());
    let changed = Arc::new(Changed { permissions, ..Changed::default() });
    let mut watches = watch_resources(engine, &context, wanted, &changed).await;
    let wants = [
        (methods::TOOLS_LIST_CHANGED, notifications.tools_list_changed),
        (methods::RESOURCES_LIST_CHANGED, notifications.resources_list_changed),
        (methods::PROMPTS_LIST_CHANGED, notifications.prompts_list_changed),
    ];
    let offered = engine.list_changes();
    let lists: Vec<&'static str> = wants
        .into_iter()
        .filter(|(method, wanted)| *wanted == Some(true) && offered.contains(method))
        .map(|(method, _)| method)
        .collect();
    let told_of = |method| lists.contains(&method).then_some(true);
    let uris: Vec<_> = watches.iter().map(Watch::uri).collect();
    let filter = SubscriptionFilter {
        resource_subscriptions: (!uris.is_empty())
            .then(|| uris.iter().map(|uri| (*uri).to_owned()).collect()),
        tools_list_changed: told_of(methods::TOOLS_LIST_CHANGED),
        resources_list_changed: told_of(methods::RESOURCES_LIST_CHANGED),
        prompts_list_changed: told_of(methods::PROMPTS_LIST_CHANGED),
    };
    if filter.resources_list_changed.is_some() {
        watches.extend(watch_list(engine, &context, &changed).await);
    }
    let acknowledged =
        tagged(&context, methods::SUBSCRIPTIONS_ACKNOWLEDGED, json!({ "notifications": filter }));
    let told = Arc::clone(&changed);
    let permitted = Arc::new(move |permissions| {
        *told.permissions.lock() = permissions;
        told.note_lists(&lists);
    });
    let listener = Listener {
        presence: engine.live.enter(context.principal(), context.principal().proven_until(), permitted),
        context,
        changed,
        alive_at: Instant::now() + KEEP_ALIVE,
        _watches: watches,
        _place: place,
    };
    let rest = stream::unfold(Some(listener), async |listener| listener?.next().await);
    Ok(EventStream::from_pieces(stream::once(async { acknowledged }).chain(rest).boxed()))
}

/// Watches those of the resources that can be watched.
async fn watch_resources(
    engine: &Engine,
    context: &RequestContext,
    wanted: BTreeSet<String>,
    changed: &Arc<Changed>,
) -> Vec<Watch> {
    let mut watches = Vec::new();
    for uri in wanted {
        let found = engine.library.resource(context.principal(), &uri);
        if found.is_some_and(|found| found.is_watched) {
            let sink = OfResource(Arc::clone(changed));
            watches.push(engine.watching.watch(&engine.library, context.principal(), &uri, sink).await);
        }
    }
    watches
}

/// Watches which resources there are.
async fn watch_list(engine: &Engine, context: &RequestContext, changed: &Arc<Changed>) -> Vec<Watch> {
    let sink = |permission| OfList(Arc::clone(changed), permission);
    engine.watching.watch_families(&engine.library, context.principal(), sink).await
}

/// Tells a listener that a resource has changed. Its watches end with it, so it hears of everything.
struct OfResource(Arc<Changed>);

impl Sink for OfResource {
    fn is_heard(&self) -> bool {
        true
    }

    fn tell(&self, uri: &str) {
        self.0.uris.lock().insert(uri.to_owned());
        self.0.news.notify_one();
    }
}

/// Tells a listener that there are other resources, if its key may see them.
struct OfList(Arc<Changed>, Permission);

impl Sink for OfList {
    fn is_heard(&self) -> bool {
        self.0.permissions.lock().contains(self.1)
    }

    fn tell(&self, _family: &str) {
        if self.is_heard() {
            self.0.note_lists(&[methods::RESOURCES_LIST_CHANGED]);
        }
    }
}

/// Whoever listens.
struct Listener {
    presence: Presence,
    context: RequestContext,
    changed: Arc<Changed>,
    alive_at: Instant,
    _watches: Vec<Watch>,
    _place: crate::mcp::listeners::Place,
}

impl Listener {
    /// The next bytes, and whoever goes on listening. When the server stops, the request is answered.
    async fn next(mut self) -> Option<(Bytes, Option<Self>)> {
        loop {
            let list = self.changed.lists.lock().pop_first();
            if let Some(method) = list {
                self.alive_at = Instant::now() + KEEP_ALIVE;
                return Some((tagged(&self.context, method, json!({})), Some(self)));
            }
            let uri = self.changed.uris.lock().pop_first();
            if let Some(uri) = uri {
                let event = tagged(&self.context, methods::RESOURCE_UPDATED, json!({ "uri": uri }));
                self.alive_at = Instant::now() + KEEP_ALIVE;
                return Some((event, Some(self)));
            }
            tokio::select! {
                biased;
                () = self.presence.ended().cancelled() => return Some((farewell(&self.context), None)),
                () = self.context.stopping().cancelled() => return Some((farewell(&self.context), None)),
                () = self.changed.news.notified() => {}
                () = sleep_until(self.alive_at) => {
                    self.alive_at = Instant::now() + KEEP_ALIVE;
                    return Some((Bytes::from_static(sse::KEEP_ALIVE), Some(self)));
                }
            }
        }
    }
}

/// A notification of this subscription.
fn tagged(context: &RequestContext, method: &str, mut params: Value) -> Bytes {
    if let Some(params) = params.as_object_mut() {
        params.insert("_meta".to_owned(), json!({ meta::SUBSCRIPTION_ID: context.id() }));
    }
    sse::plain(&written(method, params))
}

/// The answer to the request, which ends the stream in order.
fn farewell(context: &RequestContext) -> Bytes {
    match reply::farewell(context) {
        Answer::Result(message) => sse::plain(&message),
        Answer::Error(_) | Answer::InputRequired(_) | Answer::Cancelled | Answer::Limited(_) => Bytes::new(),
    }
}
