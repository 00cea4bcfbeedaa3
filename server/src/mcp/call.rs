//! `tools/call`: found, allowed, run, recorded, answered. Every way it can end is recorded.

use std::{any::Any, borrow::Cow, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use shared::{
    jsonrpc::{ErrorCode, ErrorObject},
    mcp::{
        JsonObject, ProtocolVersion, content::ContentBlock, input::InputRequests,
        modern::MissingRequiredClientCapabilityData,
    },
};
use tracing::Instrument;

use super::{
    Engine,
    context::RequestContext,
    dispatch::Answer,
    field::quoted,
    reply::{self, Lifetime},
    session::short,
    tool::{Content, ToolError},
    toolbox::{RunningCall, ToolOutput},
};
use crate::{
    audit::{AuditTrail, CallBegun},
    identity::Permission,
    store::Outcome,
};

/// Parameters of `tools/call`, with the arguments as they arrived.
#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    arguments: Option<&'a RawValue>,
}

/// Tells `null` from an absent member.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// What a call comes to.
enum End {
    Output(ToolOutput),
    ToolError(String),
    Error(ErrorObject),
    InputRequired(Box<InputRequests>),
    Cancelled,
}

impl End {
    fn error(code: ErrorCode, text: impl Into<String>) -> Self {
        Self::Error(ErrorObject::new(code, text))
    }
}

/// A call that is either over before it ran, or running.
enum Attempt {
    Over(Outcome, End),
    Running(RunningCall),
}

/// Begins to answer `tools/call`.
pub(super) fn begin(
    engine: &Engine,
    context: RequestContext,
    params: Option<&RawValue>,
) -> BoxFuture<'static, Answer> {
    let params: Result<Params<'_>, _> = serde_json::from_str(params.map_or("{}", RawValue::get));
    let (name, arguments) =
        params.as_ref().map_or(("", None), |params| (params.name.as_ref(), params.arguments));
    let call = CallBegun::now(name, arguments.map_or("", RawValue::get));
    let (needed, attempt) = match &params {
        Ok(_) => attempt(engine, &context, name, arguments),
        Err(error) => {
            let text = format!("tools/call needs the `name` of a tool: {error}");
            (None, Attempt::Over(Outcome::UnknownTool, End::error(ErrorCode::INVALID_PARAMS, text)))
        }
    };
    let span = tracing::debug_span!(
        "tool call",
        tool.name = name,
        principal.id = context.principal().user().0,
        session.hash = context.session().map(|hash| short(&hash)),
    );
    let audit = Arc::clone(&engine.audit);
    let limit = engine.tool_timeout;
    let work = async move {
        let (outcome, end) = match attempt {
            Attempt::Over(outcome, end) => (outcome, end),
            Attempt::Running(running) => finish(running, limit, &context).await,
        };
        let end = record(&audit, call, &context, needed, outcome, end).await;
        answer(&context, end)
    };
    work.instrument(span).boxed()
}

/// Finds the tool, asks for permission, reads the arguments.
fn attempt(
    engine: &Engine,
    context: &RequestContext,
    name: &str,
    arguments: Option<&RawValue>,
) -> (Option<Permission>, Attempt) {
    let Some(listed) = engine.toolbox.find(name) else {
        let shown: String = quoted(name).trim_matches('`').to_owned();
        let end = End::error(ErrorCode::INVALID_PARAMS, format!("Unknown tool: {shown}"));
        return (None, Attempt::Over(Outcome::UnknownTool, end));
    };
    let needed = listed.definition.permission;
    let over = |outcome, end| (Some(needed), Attempt::Over(outcome, end));
    if context.principal().authorize(needed).is_err() {
        let text = format!(
            "permission_denied: {name} needs the permission {needed}, which this API key does not have. Use a key \
             that has it, or ask whoever issued the key."
        );
        return over(Outcome::Denied, End::ToolError(text));
    }
    if arguments.is_some_and(|arguments| !arguments.get().starts_with('{')) {
        let text = "`arguments` must be an object; leave it out where there are none".to_owned();
        return over(Outcome::InvalidArguments, End::error(ErrorCode::INVALID_PARAMS, text));
    }
    let tool = Arc::clone(&listed.tool);
    match std::panic::catch_unwind(AssertUnwindSafe(|| tool.start(context.clone(), arguments))) {
        Ok(Ok(running)) => (Some(needed), Attempt::Running(running)),
        Ok(Err(error)) => over(Outcome::InvalidArguments, End::ToolError(error.0)),
        Err(panic) => over(Outcome::Failed, panicked(&*panic, context)),
    }
}

/// Waits for a running call: at most as long as a call may take, and no longer than anybody wants its answer.
async fn finish(running: RunningCall, limit: Duration, context: &RequestContext) -> (Outcome, End) {
    let request_id = context.request_id();
    let ended = tokio::select! {
        biased;
        ended = AssertUnwindSafe(running).catch_unwind() => ended,
        () = context.cancelled().cancelled() => return (Outcome::Cancelled, End::Cancelled),
        () = context.stopwatch().reaches(limit) => {
            tracing::warn!(request.id = request_id, "a tool timed out");
            let text =
                format!("timed out: the tool took longer than {} s. Try again later.", limit.as_secs_f32());
            return (Outcome::TimedOut, End::ToolError(text));
        }
    };
    match ended {
        Ok(Ok(output)) => (Outcome::Ok, End::Output(output)),
        Ok(Err(error)) => failed(error, context),
        Err(panic) => (Outcome::Failed, panicked(&*panic, context)),
    }
}

/// What a call comes to that has no output.
fn failed(error: ToolError, context: &RequestContext) -> (Outcome, End) {
    let request_id = context.request_id();
    match error {
        ToolError::Refused(text) => (Outcome::ToolError, End::ToolError(text)),
        ToolError::Unavailable(error) => {
            tracing::warn!(
                request.id = request_id,
                error = &*error as &dyn std::error::Error,
                "a tool lacks its source"
            );
            let text =
                "unavailable: the data cannot be read at the moment. Nothing was changed; try again shortly.";
            (Outcome::Failed, End::ToolError(text.to_owned()))
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
fn cannot_be_asked(lacking: JsonObject, context: &RequestContext) -> End {
    let names = lacking.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let text = format!("This needs a client that announces the capability {names}");
    if context.protocol_version().has_sessions() {
        return End::ToolError(format!("cannot_ask: {text}. Use one that can ask its user."));
    }
    let mut error = ErrorObject::new(ErrorCode::MISSING_CLIENT_CAPABILITY, text);
    error.data =
        serde_json::to_value(MissingRequiredClientCapabilityData { required_capabilities: lacking }).ok();
    End::Error(error)
}

fn panicked(panic: &(dyn Any + Send), context: &RequestContext) -> End {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(request.id = context.request_id(), panic = text, "a tool panicked");
    internal_error(context.request_id())
}

fn internal_error(request_id: &str) -> End {
    let text = format!("The server failed; its operators find the cause under request id {request_id}");
    End::error(ErrorCode::INTERNAL_ERROR, text)
}

/// Records the call. What cannot be recorded is not answered.
async fn record(
    audit: &AuditTrail,
    call: CallBegun,
    context: &RequestContext,
    needed: Option<Permission>,
    outcome: Outcome,
    end: End,
) -> End {
    match audit.record(call, context.origin(), needed, outcome).await {
        Ok(()) => end,
        Err(error) => {
            let request_id = context.request_id();
            tracing::error!(
                request.id = request_id,
                error = &error as &dyn std::error::Error,
                "a call was not recorded"
            );
            let text =
                "The call could not be recorded, so its result is withheld; try again shortly".to_owned();
            End::error(ErrorCode::INTERNAL_ERROR, text)
        }
    }
}

/// Result of `tools/call`, written from what it is made of.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallResult<'a> {
    content: Blocks<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_error: Option<bool>,
}

/// Content on the wire.
#[derive(Serialize)]
#[serde(untagged)]
enum Blocks<'a> {
    Text([Text<'a>; 1]),
    Any(&'a [ContentBlock]),
}

/// A block of text.
#[derive(Serialize)]
struct Text<'a> {
    r#type: &'static str,
    text: &'a str,
}

fn answer(context: &RequestContext, end: End) -> Answer {
    let block = |text| Blocks::Text([Text { r#type: "text", text }]);
    let result = |result: CallResult<'_>| reply::result(context, Lifetime::NONE, result);
    match end {
        End::Output(output) => {
            let shows = context.protocol_version() >= ProtocolVersion::V2025_06_18;
            let structured_content = output.structured.as_deref().filter(|_| shows);
            let content = match &output.content {
                Content::Text(text) => block(text.as_str()),
                Content::Blocks(blocks) => Blocks::Any(blocks),
            };
            result(CallResult { content, structured_content, is_error: None })
        }
        End::ToolError(text) => {
            result(CallResult { content: block(&text), structured_content: None, is_error: Some(true) })
        }
        End::Error(error) => Answer::Error(error),
        End::InputRequired(questions) => Answer::InputRequired(questions),
        End::Cancelled => Answer::Cancelled,
    }
}
