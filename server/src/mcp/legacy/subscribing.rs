//! `resources/subscribe` and `resources/unsubscribe`: a session is told of changes on its standing streams (resources,
//! "Subscriptions"). They count in this process, on streams that are read here, and end with the session and with the
//! process: a client that has to open its stream anew subscribes anew, at the same server.

use std::sync::{Arc, Weak};

use serde::Deserialize;
use serde_json::{Map, json, value::RawValue};
use shared::{jsonrpc::ErrorCode, mcp::methods};

use crate::mcp::{
    Engine,
    asking::written,
    context::{Peer, RequestContext},
    dispatch::{Answer, Begun},
    reading::nothing_there,
    reply::{self, Lifetime},
    session::Session,
    watching::{Sink, WATCHED_MAX},
};

#[derive(Deserialize)]
struct Params {
    uri: String,
}

/// Begins to answer `resources/subscribe`.
pub(super) fn subscribe(engine: &Engine, context: &RequestContext, params: Option<&RawValue>) -> Begun {
    let refused = |answer: Answer| Begun::counted(engine, context, async move { answer });
    let Ok(Params { uri }) = serde_json::from_str(params.map_or("{}", RawValue::get)) else {
        return refused(invalid("resources/subscribe needs a `uri`"));
    };
    let unwatched = || invalid("this resource cannot be subscribed to: read it again when it is needed");
    let principal = context.principal();
    match engine.library.resource(principal, &uri) {
        Some(found) if found.is_watched => {}
        Some(_) => return refused(unwatched()),
        None if engine.library.family(principal, &uri).is_some() => return refused(unwatched()),
        None => return refused(Answer::Error(nothing_there(context, &uri))),
    }
    let (watching, library) = (Arc::clone(&engine.watching), Arc::clone(&engine.library));
    let (counted, context) = (context, context.clone());
    let work = async move {
        let Peer::Session(activity) = context.peer() else {
            return Answer::error(ErrorCode::INTERNAL_ERROR, "There is no session to subscribe");
        };
        let session = activity.session();
        if session.streams().is_subscribed(&uri) {
            return reply::result(&context, Lifetime::NONE, Map::new());
        }
        let sink = OfResource(activity.weak());
        let watch = watching.watch(&library, context.principal(), &uri, sink).await;
        if session.streams().subscribe(watch) {
            reply::result(&context, Lifetime::NONE, Map::new())
        } else {
            let text = format!(
                "a session subscribes to at most {WATCHED_MAX} resources: unsubscribe from one first"
            );
            Answer::error(ErrorCode::LIMITED, text)
        }
    };
    Begun::counted(engine, counted, work)
}

/// Tells a session that a resource has changed.
struct OfResource(Weak<Session>);

impl Sink for OfResource {
    fn is_heard(&self) -> bool {
        self.0.upgrade().is_some_and(|session| session.streams().is_heard())
    }

    fn tell(&self, uri: &str) {
        if let Some(session) = self.0.upgrade() {
            session.streams().notify(written(methods::RESOURCE_UPDATED, json!({ "uri": uri })));
        }
    }
}

/// Begins to answer `resources/unsubscribe`. What was not subscribed to is not either afterwards.
pub(super) fn unsubscribe(context: &RequestContext, params: Option<&RawValue>) -> Begun {
    let Ok(Params { uri }) = serde_json::from_str(params.map_or("{}", RawValue::get)) else {
        return Begun::Over(invalid("resources/unsubscribe needs a `uri`"));
    };
    if let Peer::Session(activity) = context.peer() {
        activity.session().streams().unsubscribe(&uri);
    }
    Begun::Over(reply::result(context, Lifetime::NONE, Map::new()))
}

fn invalid(text: &str) -> Answer {
    Answer::error(ErrorCode::INVALID_PARAMS, text)
}
