//! The revisions with sessions, 2025-03-26 to 2025-11-25: `initialize`, then everything in that session.

use std::sync::{Arc, Weak};

use serde_json::{json, value::RawValue};
use shared::{
    jsonrpc::{ErrorCode, Incoming, MessageError, RequestId},
    mcp::{ProtocolVersion, methods},
};
use tokio_util::sync::CancellationToken;

use super::{
    Engine, Exchange, Header,
    asking::{self, written},
    commitment::Commitment,
    context::{Peer, RequestContext, Scope},
    depth,
    dispatch::{self, Answer, Begun},
    event_stream::EventStream,
    live::{Permitted, Presence},
    log::{Log, Position, Reader, Seat},
    outbox::{Next, Outbox, Progressing, Step},
    reply::{self, Lifetime, Refusal, Refused, Reply},
    run_to_end::RunToEnd,
    session::{Activity, Session},
    stopwatch::Stopwatch,
    streams::CannotResume,
    watching::Sink,
};
use crate::identity::Permission;

mod batch;
mod initialize;
mod notices;
mod subscribing;

/// Answers one POST.
pub(super) async fn post(engine: &Engine, exchange: Exchange<'_>, text: &str) -> Result<Reply, Refused> {
    let refused = |refusal| Refused { id: None, refusal };
    if depth::is_too_deep(text) {
        let reason = format!("it nests deeper than {}", depth::DEPTH_MAX);
        return Err(MessageError::not_a_message(text, reason).into());
    }
    if text.trim_ascii_start().starts_with('[') {
        return batch::answer(engine, exchange, text).await.map_err(refused);
    }
    match Incoming::parse(text)? {
        Incoming::Request { id, method, params } => {
            let reply = if method == methods::INITIALIZE {
                initialize::answer(engine, &exchange, &id, params).await
            } else {
                request(engine, exchange, &id, &method, params).await
            };
            reply.map_err(|refusal| Refused { id: Some(id), refusal })
        }
        Incoming::Notification { method, params } => {
            let activity = session(engine, &exchange).await.map_err(refused)?;
            notices::take(engine, activity.session(), &method, params).await.map_err(refused)?;
            Ok(Reply::Accepted)
        }
        Incoming::Response { id, outcome } => {
            let activity = session(engine, &exchange).await.map_err(refused)?;
            let taken = notices::take_response(engine, activity.session(), id.as_ref(), outcome).await;
            taken.map_err(refused)?;
            Ok(Reply::Accepted)
        }
    }
}

/// The session of this exchange, if the version header does not contradict it.
pub(super) async fn session(engine: &Engine, exchange: &Exchange<'_>) -> Result<Activity, Refusal> {
    let announced = exchange.announced().filter(|version| version.has_sessions());
    let claimed = match exchange.protocol_version {
        Header::Absent => None,
        Header::Once(_) | Header::Repeated => Some(announced.ok_or(Refusal::UnsupportedVersion)?),
    };
    let presented = exchange.session_id.ok_or(Refusal::SessionRequired)?;
    let activity = engine.sessions.find(presented, &exchange.principal).await?;
    let negotiated = activity.session().protocol();
    if claimed.is_some_and(|claimed| claimed != negotiated) {
        return Err(Refusal::OtherVersion(negotiated));
    }
    Ok(activity)
}

/// Whoever speaks a revision without sessions has nothing to open or to end here.
fn refuse_stateless(exchange: &Exchange<'_>) -> Result<(), Refusal> {
    let is_stateless = exchange.announced().is_some_and(|version| !version.has_sessions());
    if is_stateless && exchange.session_id.is_none() { Err(Refusal::OnlyPost) } else { Ok(()) }
}

/// Ends the session of this exchange.
pub(super) async fn end_session(engine: &Engine, exchange: &Exchange<'_>) -> Result<(), Refusal> {
    refuse_stateless(exchange)?;
    let activity = session(engine, exchange).await?;
    engine.sessions.end(activity.session()).await
}

/// Opens a stream of the exchange's session, or goes on with one after `last_event_id`. Where that was a stream without
/// a request and can no longer be read again, a new one takes its place.
pub(super) async fn open_stream(
    engine: &Engine,
    exchange: &Exchange<'_>,
    last_event_id: Option<&[u8]>,
) -> Result<EventStream, Refusal> {
    refuse_stateless(exchange)?;
    let activity = session(engine, exchange).await?;
    let streams = activity.session().streams();
    let is_of_standing = |id| Position::parse(id).is_some_and(|position| position.standing);
    if last_event_id.is_none_or(is_of_standing) {
        // Before there is a seat: what waited for one would be lost with a client that goes away meanwhile.
        watch_lists(engine, exchange, &activity).await;
    }
    let seat = match last_event_id.map(|id| streams.resume(id)) {
        Some(Err(CannotResume::Unknown)) => return Err(Refusal::CannotResume),
        Some(Ok(seat)) => seat,
        Some(Err(CannotResume::Standing)) | None => {
            streams.open_standing().map_err(|_| Refusal::TooManyStreams)?
        }
    };
    let presence = if seat.is_standing() {
        listen(engine, exchange, &activity)
    } else {
        engine.live.wait(&exchange.principal)
    };
    let primed = is_primed(&activity);
    Ok(EventStream::of(Reader::begin(seat, primed, activity, presence, engine.stop.clone())))
}

/// Tells a session from now on when there are other resources. However many streams it has open, it is told once.
async fn watch_lists(engine: &Engine, exchange: &Exchange<'_>, activity: &Activity) {
    let streams = activity.session().streams();
    if !streams.watches_lists() {
        let sink = |permission| OfList(activity.weak(), permission);
        let watches = engine.watching.watch_families(&engine.library, &exchange.principal, sink).await;
        streams.watch_lists(watches);
    }
}

/// Tells a session that its lists are others when the key may do something else than the client was last told of: now,
/// and as long as the presence lives. However many streams it has open, it is told once.
fn listen(engine: &Engine, exchange: &Exchange<'_>, activity: &Activity) -> Presence {
    let told = activity.weak();
    let changes = engine.list_changes();
    let permitted: Permitted = Arc::new(move |permissions| {
        if let Some(session) = told.upgrade()
            && session.streams().permit(permissions)
        {
            changes.iter().for_each(|method| session.streams().notify(written(method, json!({}))));
        }
    });
    let principal = &exchange.principal;
    let presence = engine.live.enter(principal, principal.proven_until(), Arc::clone(&permitted));
    permitted(principal.permissions());
    presence
}

/// Tells a session that there are other resources, if its key may see them.
struct OfList(Weak<Session>, Permission);

impl Sink for OfList {
    fn is_heard(&self) -> bool {
        self.0.upgrade().is_some_and(|session| {
            let streams = session.streams();
            streams.is_heard() && streams.may(self.1)
        })
    }

    fn tell(&self, _family: &str) {
        if let Some(session) = self.0.upgrade()
            && session.streams().may(self.1)
        {
            session.streams().notify(written(methods::RESOURCES_LIST_CHANGED, json!({})));
        }
    }
}

/// Whether the client knows events without data (since 2025-11-25).
fn is_primed(activity: &Activity) -> bool {
    activity.session().protocol() >= ProtocolVersion::V2025_11_25
}

async fn request(
    engine: &Engine,
    exchange: Exchange<'_>,
    id: &RequestId,
    method: &str,
    params: Option<&RawValue>,
) -> Result<Reply, Refusal> {
    let activity = session(engine, &exchange).await?;
    let context = context(engine, &exchange, activity, id, params, Outbox::open());
    let mut work = match begin(engine, &context, method, params) {
        Begun::Over(Answer::Limited(limited)) => return Err(limited.into()),
        Begun::Over(answer) => return Ok(reply(id, answer)),
        Begun::Running(work) => Progressing::new(RunToEnd::new(work, &engine.left_behind)),
    };
    // Made after the work, so dropped before it: what goes on by itself knows from the start that it is alone.
    let unheard = Unheard(Some(context.outbox()));
    let next = work.next(context.outbox()).await;
    unheard.heard();
    match next {
        Next::Answer(Answer::Limited(limited)) => Err(limited.into()),
        Next::Answer(answer) => Ok(reply(id, answer)),
        Next::Step(step) => Ok(Reply::Stream(stream(engine, context, work, step))),
    }
}

/// A request of whose answer nothing was sent yet. Where its client goes away before that, it has no stream to come back
/// to, and nobody reads what it would be asked.
struct Unheard<'a>(Option<&'a Outbox>);

impl Unheard<'_> {
    fn heard(mut self) {
        self.0 = None;
    }
}

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        if let Some(outbox) = self.0 {
            outbox.abandon();
        }
    }
}

/// Moves the work to a task that writes to a stream, and reads that stream.
fn stream(
    engine: &Engine,
    context: RequestContext,
    mut work: Progressing<RunToEnd<Answer>>,
    first: Step,
) -> EventStream {
    let Peer::Session(activity) = context.peer() else { return EventStream::empty() };
    let activity = activity.again();
    let log = activity.session().streams().open_reply();
    let primed = is_primed(&activity);
    let presence = engine.live.wait(context.principal());
    let seat = Seat::take(Arc::clone(&log));
    let reader = Reader::begin(seat, primed, activity, presence, engine.stop.clone());
    take(&log, first);
    engine.left_behind.spawn(async move {
        let answer = loop {
            match work.next(context.outbox()).await {
                Next::Step(step) => take(&log, step),
                Next::Answer(answer) => break answer,
            }
        };
        log.finish(message_of(context.id(), answer).as_deref());
    });
    EventStream::of(reader)
}

fn take(log: &Log, step: Step) {
    match step {
        Step::Message(message) => log.push(&message),
        Step::LetGo(wait) => log.let_go(wait),
    }
}

/// Everything of a request but its method and parameters.
fn context(
    engine: &Engine,
    exchange: &Exchange<'_>,
    activity: Activity,
    id: &RequestId,
    params: Option<&RawValue>,
    outbox: Outbox,
) -> RequestContext {
    let session = activity.session();
    let cancelled = CancellationToken::new();
    session.begin_call(id.clone(), cancelled.clone());
    RequestContext::new(Scope {
        principal: exchange.principal.clone(),
        from: exchange.from,
        http_id: exchange.request_id.clone(),
        id: id.clone(),
        progress_token: asking::progress_token(params),
        protocol: session.protocol(),
        client: session.client(),
        trace: super::trace::of(exchange.header(super::trace::HEADER), params),
        peer: Peer::Session(activity),
        outbox,
        cancelled,
        stopping: engine.stop.clone(),
        stopwatch: Stopwatch::start(),
        sealing: engine.rounds().sealing.clone(),
        commitment: Commitment::default(),
    })
}

/// Begins to answer: by a method of both eras, or by one that only a session has.
fn begin(engine: &Engine, context: &RequestContext, method: &str, params: Option<&RawValue>) -> Begun {
    if !asking::is_meta_sound(params) {
        let refused = Answer::error(ErrorCode::INVALID_PARAMS, "`_meta` must be an object");
        return Begun::counted(engine, context, async move { refused });
    }
    match method {
        methods::PING => Begun::Over(reply::result(context, Lifetime::NONE, serde_json::Map::new())),
        methods::SUBSCRIBE if engine.library.is_watched() => subscribing::subscribe(engine, context, params),
        methods::UNSUBSCRIBE if engine.library.is_watched() => subscribing::unsubscribe(context, params),
        methods::SET_LEVEL if engine.offers_logging => Begun::Over(notices::set_level(context, params)),
        other => dispatch::begin(engine, context, other, params),
    }
}

/// The answer as the whole body of a response.
fn reply(id: &RequestId, answer: Answer) -> Reply {
    message_of(id, answer).map_or_else(|| Reply::Stream(EventStream::empty()), Reply::Message)
}

/// The answer as a message; a request that was cancelled gets none (utilities, "Cancellation").
fn message_of(id: &RequestId, answer: Answer) -> Option<Vec<u8>> {
    match answer {
        Answer::Result(message) => Some(message),
        Answer::Error(error) => Some(reply::error(Some(id), &error)),
        Answer::Limited(limited) => Some(reply::error(Some(id), &reply::limited(&limited))),
        Answer::InputRequired(_) | Answer::Cancelled => None,
    }
}
