//! The revisions without sessions, since 2026-07-28: every request says by itself what it needs to say.
//!
//! What a request says it says twice: in its body, and in headers for whoever routes it. Both must agree. Nothing of one
//! request is remembered for the next; what a tool needs to remember travels through the client, sealed.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde_json::value::RawValue;
use shared::{
    jsonrpc::{ErrorCode, ErrorObject, Incoming, MessageError, RequestId},
    mcp::{ProtocolVersion, methods},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Engine, Exchange, call,
    commitment::Commitment,
    context::{Peer, RequestContext, Scope},
    depth,
    dispatch::{self, Answer, Begun},
    event_stream::EventStream,
    outbox::{Next, Outbox, Progressing, Step},
    reply::{self, Refusal, Refused, Reply},
    rounds::Rounds,
    run_to_end::RunToEnd,
    screening, sse,
    stopwatch::Stopwatch,
};

mod canonical;
mod discover;
mod headers;
mod listen;
mod meta;
mod params;
mod rounds;

use params::Members;
pub(super) use rounds::Desk;
#[cfg(fuzzing)]
pub(super) use rounds::reads_state;

/// Answers one POST.
pub(super) async fn post(engine: &Engine, exchange: Exchange<'_>, text: &str) -> Result<Reply, Refused> {
    let refused = |refusal| Refused { id: None, refusal };
    if depth::is_too_deep(text) {
        let reason = format!("it nests deeper than {}", depth::DEPTH_MAX);
        return Err(MessageError::not_a_message(text, reason).into());
    }
    if text.trim_ascii_start().starts_with('[') {
        return Err(refused(Refusal::Batch("Batches exist in 2025-03-26 only: send one message a request")));
    }
    match Incoming::parse(text)? {
        Incoming::Request { id, method, params } => {
            let request = Request { id, method: &method, params };
            let answered = request.answer(engine, exchange).await;
            answered.map_err(|refusal| Refused { id: Some(request.id), refusal })
        }
        // No notification of a client's means anything here: closing the stream is what cancels.
        Incoming::Notification { .. } => Ok(Reply::Accepted),
        Incoming::Response { .. } => Err(refused(Refusal::NoResponses)),
    }
}

/// A request as it arrived.
struct Request<'a> {
    id: RequestId,
    method: &'a str,
    params: Option<&'a RawValue>,
}

impl Request<'_> {
    async fn answer(&self, engine: &Engine, exchange: Exchange<'_>) -> Result<Reply, Refusal> {
        let (meta, members) = Members::with_meta(self.params)?;
        let mut meta = meta::read(meta)?;
        headers::check_version(&exchange, &meta.protocol_version)?;
        let protocol = meta::spoken(&meta.protocol_version)?;
        let capabilities = meta.capabilities()?;
        headers::check_method(&exchange, self.method)?;
        if !known(engine, self.method) {
            return Err(not_found(self.method).into());
        }
        let members = members?;
        let subject = headers::check_name(&exchange, self.method, &members)?;
        if self.method == methods::CALL_TOOL {
            headers::check_arguments(engine, &exchange, subject, &members)?;
        }
        let binding = rounds::Binding::of(&exchange.principal, self.method, subject, &members);
        let rounds = Rounds::new(capabilities, meta.log_level, engine.server_meta());
        // What is screened out is not begun, and spends nothing: the same answers are as good without it.
        let is_begun = members.request_state.is_none() || screening::why_not(engine, self.params).is_none();
        let rounds = if is_begun {
            rounds::resume(engine, &exchange, &binding, &members, rounds).await?
        } else {
            rounds
        };
        let client = meta.client_info.as_ref().map(|info| screening::named(engine, info)).unwrap_or_default();
        let cancelled = CancellationToken::new();
        let trace = super::trace::of(exchange.header(super::trace::HEADER), self.params);
        let context = RequestContext::new(Scope {
            principal: exchange.principal,
            from: exchange.from,
            http_id: exchange.request_id,
            id: self.id.clone(),
            progress_token: meta.progress_token,
            protocol,
            client: client.into(),
            trace,
            peer: Peer::Rounds(Box::new(rounds)),
            outbox: Outbox::open(),
            cancelled: cancelled.clone(),
            stopping: engine.stop.clone(),
            stopwatch: Stopwatch::start(),
            sealing: engine.rounds().sealing.clone(),
            commitment: Commitment::default(),
        });
        if self.method == methods::LISTEN {
            return Ok(Reply::Stream(listen::open(engine, context, self.params).await?));
        }
        match self.begin(engine, &context, &members) {
            Begun::Over(Answer::Limited(limited)) => Err(limited.into()),
            Begun::Over(answer) => Ok(Reply::Message(finish(engine, &context, &binding, answer)?)),
            Begun::Running(work) => {
                let work = Progressing::new(RunToEnd::new(work, &engine.left_behind));
                run(engine, Running { context, binding, work, abandoned: cancelled.drop_guard() }).await
            }
        }
    }

    fn begin(&self, engine: &Engine, context: &RequestContext, members: &Members<'_>) -> Begun {
        match (self.method, members.name.as_deref()) {
            (methods::DISCOVER, _) => Begun::Over(discover::answer(engine, context)),
            (methods::CALL_TOOL, Some(name)) => {
                let read = call::Params { name: name.into(), arguments: members.arguments };
                dispatch::begin_call(engine, context, self.params, read)
            }
            (other, _) => dispatch::begin(engine, context, other, self.params),
        }
    }
}

/// Whether this method exists for this engine.
fn known(engine: &Engine, method: &str) -> bool {
    matches!(method, methods::DISCOVER | methods::LISTEN) || dispatch::known(engine, method).is_some()
}

fn not_found(method: &str) -> ErrorObject {
    match dispatch::not_found(method) {
        Answer::Error(error) => error,
        Answer::Result(_) | Answer::InputRequired(_) | Answer::Cancelled | Answer::Limited(_) => {
            ErrorObject::new(ErrorCode::METHOD_NOT_FOUND, "Method not found")
        }
    }
}

/// A request that is being worked on. Dropped before its end it is cancelled: the work is told, records that, and ends.
struct Running {
    context: RequestContext,
    binding: rounds::Binding,
    work: Progressing<RunToEnd<Answer>>,
    abandoned: DropGuard,
}

async fn run(engine: &Engine, mut running: Running) -> Result<Reply, Refusal> {
    match running.work.next(running.context.outbox()).await {
        Next::Answer(answer) => {
            running.abandoned.disarm();
            match answer {
                Answer::Limited(limited) => Err(limited.into()),
                answer => Ok(Reply::Message(finish(engine, &running.context, &running.binding, answer)?)),
            }
        }
        Next::Step(step) => Ok(Reply::Stream(stream(engine, running, step))),
    }
}

/// What comes before the answer, then the answer. It ends with the key that asked, and nobody is told what came of it.
fn stream(engine: &Engine, running: Running, first: Step) -> EventStream {
    let desk = engine.rounds();
    let presence = engine.live.wait(running.context.principal());
    let rest = stream::unfold(Some((running, presence)), move |open| {
        let desk = Arc::clone(&desk);
        async move {
            let (mut running, presence) = open?;
            let next = tokio::select! {
                biased;
                () = presence.ended().cancelled() => return None,
                next = running.work.next(running.context.outbox()) => next,
            };
            match next {
                Next::Step(step) => Some((event_of(step), Some((running, presence)))),
                Next::Answer(answer) => {
                    running.abandoned.disarm();
                    let message = desk
                        .finish(&running.context, &running.binding, answer)
                        .unwrap_or_else(|error| reply::error(Some(running.context.id()), &error));
                    Some((sse::plain(&message), None))
                }
            }
        }
    });
    let first = event_of(first);
    EventStream::from_pieces(
        stream::once(async { first })
            .chain(rest)
            .filter(|piece| {
                let is_something = !piece.is_empty();
                async move { is_something }
            })
            .boxed(),
    )
}

/// A step as bytes. A connection is not let go here: without a session nobody could come back.
fn event_of(step: Step) -> bytes::Bytes {
    match step {
        Step::Message(message) => sse::plain(&message),
        Step::LetGo(_) => bytes::Bytes::new(),
    }
}

fn finish(
    engine: &Engine,
    context: &RequestContext,
    binding: &rounds::Binding,
    answer: Answer,
) -> Result<Vec<u8>, ErrorObject> {
    let answered = engine.rounds().finish(context, binding, answer);
    answered.or_else(|error| match error.code {
        ErrorCode::METHOD_NOT_FOUND | ErrorCode::MISSING_CLIENT_CAPABILITY => Err(error),
        // What a method refuses is an answer like any other.
        _ => Ok(reply::error(Some(context.id()), &error)),
    })
}

/// The revisions that a client can choose from, as discovery and errors name them.
fn spoken_here() -> Vec<String> {
    ProtocolVersion::ALL.iter().rev().map(ToString::to_string).collect()
}
