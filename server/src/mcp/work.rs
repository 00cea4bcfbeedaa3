//! Work that a request asks for: run within its time, recorded, and answered. Every way it can end is recorded.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use shared::{
    jsonrpc::{ErrorCode, ErrorObject},
    mcp::{JsonObject, input::InputRequests, modern::MissingRequiredClientCapabilityData},
};
use tracing::Instrument;

use super::{
    Engine,
    context::{Peer, RequestContext},
    dispatch::Answer,
    tool::ToolError,
};
use crate::{
    audit::{AuditTrail, Call},
    limits::{Admission, Limited},
    store::Outcome,
};

/// What work came to.
pub(super) enum End<T> {
    Output(T),
    /// What was asked cannot be done; the text says why and what to do.
    Refused(String),
    /// It could not be done now, through no fault of what was asked; the text says so.
    Unavailable(String),
    Error(ErrorObject),
    InputRequired(Box<InputRequests>),
    Cancelled,
}

impl<T> End<T> {
    pub(super) fn error(code: ErrorCode, text: impl Into<String>) -> Self {
        Self::Error(ErrorObject::new(code, text))
    }
}

/// Work that is either over before it ran, or running.
pub(super) enum Attempt<T> {
    Over(Outcome, End<T>),
    Running(BoxFuture<'static, Result<T, ToolError>>),
}

impl<T> Attempt<T> {
    /// Begins work that may panic while it is begun.
    pub(super) fn begin(
        context: &RequestContext,
        begin: impl FnOnce() -> Result<BoxFuture<'static, Result<T, ToolError>>, String>,
    ) -> Self {
        match std::panic::catch_unwind(AssertUnwindSafe(begin)) {
            Ok(Ok(running)) => Self::Running(running),
            Ok(Err(refusal)) => Self::Over(Outcome::InvalidArguments, End::Refused(refusal)),
            Err(panic) => Self::Over(Outcome::Failed, panicked(&*panic, context)),
        }
    }
}

/// Work that was looked at: what it is called, what decided about it, and how it goes on.
pub(super) struct Job<T> {
    /// What is called and what decided about it, for the record.
    pub(super) call: Call,
    pub(super) attempt: Attempt<T>,
    /// Dresses what came out of it.
    pub(super) answer: fn(&RequestContext, End<T>) -> Answer,
}

impl<T: Send + 'static> Job<T> {
    /// Waits for the work, records how it ended, and answers. What cannot be recorded is not answered.
    pub(super) fn run(self, engine: &Engine, context: RequestContext) -> BoxFuture<'static, Answer> {
        let Self { call, attempt, answer } = self;
        let span = tracing::debug_span!(
            "tool call",
            tool.name = call.begun.tool(),
            principal.id = context.principal().user().0,
            session.hash = context.session().map(|hash| hash.short()),
        );
        context.commitment().begin(call);
        let audit = Arc::clone(&engine.audit);
        let admission = admission(engine, &context);
        let limit = engine.tool_timeout;
        let work = async move {
            // What is over before it ran costs a record and an answer, so it counts like what runs.
            let (outcome, end) = match (admission, attempt) {
                (Err(limited), _) => {
                    let recorded = record(&audit, &context, Outcome::Limited).await;
                    return recorded.map_or_else(Answer::Error, |()| Answer::Limited(limited));
                }
                (Ok(_held), Attempt::Over(outcome, end)) => (outcome, end),
                (Ok(_held), Attempt::Running(running)) => finish(running, limit, &context).await,
            };
            let recorded = record(&audit, &context, outcome).await;
            answer(&context, recorded.map_or_else(End::Error, |()| end))
        };
        work.instrument(span).boxed()
    }
}

/// Room for the call. It is asked for once: what goes on with a state has asked before that was looked at, and holds it.
fn admission(engine: &Engine, context: &RequestContext) -> Result<Admission, Limited> {
    if let Peer::Rounds(rounds) = context.peer()
        && let Some(asked) = &rounds.admission
    {
        return asked.as_ref().map(|_held| Admission::default()).map_err(|limited| *limited);
    }
    engine.limits.call(context.principal().lineage())
}

/// Waits for running work: at most as long as it may take, and no longer than anybody wants its answer.
async fn finish<T>(
    running: BoxFuture<'static, Result<T, ToolError>>,
    limit: Duration,
    context: &RequestContext,
) -> (Outcome, End<T>) {
    let request_id = context.request_id();
    let ended = tokio::select! {
        biased;
        ended = AssertUnwindSafe(running).catch_unwind() => ended,
        () = cancelled(context) => return (Outcome::Cancelled, End::Cancelled),
        () = out_of_time(context, limit) => {
            tracing::warn!(request.id = request_id, "a tool timed out");
            let text =
                format!("timed out: the tool took longer than {} s. Try again later.", limit.as_secs_f32());
            return (Outcome::TimedOut, End::Unavailable(text));
        }
    };
    match ended {
        Ok(Ok(output)) => (Outcome::Ok, End::Output(output)),
        Ok(Err(error)) => failed(error, context),
        Err(panic) => (Outcome::Failed, panicked(&*panic, context)),
    }
}

/// Returns when nobody wants the answer any more; what is being committed by then is waited for.
async fn cancelled(context: &RequestContext) {
    context.cancelled().cancelled().await;
    context.commitment().settled().await;
}

/// Returns when the work has taken as long as it may; what is being committed by then is waited for. Where that holds the
/// record of the call it is done, and has as long again to come to its end.
async fn out_of_time(context: &RequestContext, limit: Duration) {
    context.stopwatch().reaches(limit).await;
    context.commitment().settled().await;
    if context.commitment().is_recorded() {
        tokio::time::sleep(limit).await;
    }
}

/// What work comes to that has no output.
fn failed<T>(error: ToolError, context: &RequestContext) -> (Outcome, End<T>) {
    let request_id = context.request_id();
    match error {
        ToolError::Refused(text) => (Outcome::ToolError, End::Refused(text)),
        ToolError::Unavailable(error) => {
            tracing::warn!(
                request.id = request_id,
                error = &*error as &dyn std::error::Error,
                "a tool lacks its source"
            );
            let text =
                "unavailable: the data cannot be read at the moment. Nothing was changed; try again shortly.";
            (Outcome::Failed, End::Unavailable(text.to_owned()))
        }
        ToolError::Failed(error) => {
            tracing::error!(
                request.id = request_id,
                error = &*error as &dyn std::error::Error,
                "a tool failed"
            );
            (Outcome::Failed, internal_error(request_id))
        }
        ToolError::InputRequired(questions) => (Outcome::InputRequired, End::InputRequired(questions)),
        ToolError::CannotBeAsked(lacking) => (Outcome::ToolError, cannot_be_asked(lacking, context)),
    }
}

/// In a session the model is told; without sessions the protocol has an error for it (2026-07-28, "Multi Round-Trip
/// Requests").
fn cannot_be_asked<T>(lacking: JsonObject, context: &RequestContext) -> End<T> {
    let names = lacking.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let text = format!("This needs a client that announces the capability {names}");
    if context.protocol_version().has_sessions() {
        return End::Refused(format!("cannot_ask: {text}. Use one that can ask its user."));
    }
    let mut error = ErrorObject::new(ErrorCode::MISSING_CLIENT_CAPABILITY, text);
    error.data =
        serde_json::to_value(MissingRequiredClientCapabilityData { required_capabilities: lacking }).ok();
    End::Error(error)
}

fn panicked<T>(panic: &(dyn Any + Send), context: &RequestContext) -> End<T> {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(request.id = context.request_id(), panic = text, "a tool panicked");
    internal_error(context.request_id())
}

fn internal_error<T>(request_id: &str) -> End<T> {
    let text = format!("The server failed; its operators find the cause under request id {request_id}");
    End::error(ErrorCode::INTERNAL_ERROR, text)
}

/// Records how the call ended, unless its record was committed with what it did.
async fn record(audit: &AuditTrail, context: &RequestContext, outcome: Outcome) -> Result<(), ErrorObject> {
    let Some(call) = context.commitment().call() else { return Ok(()) };
    if context.commitment().is_recorded() {
        audit.count(call);
        return Ok(());
    }
    audit.record(call, context.origin(), outcome).await.map_err(|error| {
        let request_id = context.request_id();
        tracing::error!(
            request.id = request_id,
            error = &error as &dyn std::error::Error,
            "a call was not recorded"
        );
        let text = "The call could not be recorded, so its result is withheld. If it changes something, nobody can say \
                    whether it did: look before you repeat it";
        ErrorObject::new(ErrorCode::INTERNAL_ERROR, text)
    })
}
