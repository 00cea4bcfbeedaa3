//! `tools/call`: found, allowed, run, recorded, answered. Every way it can end is recorded.

use std::{any::Any, borrow::Cow, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use shared::jsonrpc::{ErrorCode, RequestId};
use shared::mcp::ProtocolVersion;
use tracing::Instrument;

use super::{
    Engine,
    field::quoted,
    reply,
    run_to_end::RunToEnd,
    session::short,
    tool::{ToolContext, ToolError},
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
enum Answer {
    Output(ToolOutput),
    ToolError(String),
    Error(ErrorCode, String),
}

/// A call that is either over before it ran, or running.
enum Attempt {
    Over(Outcome, Answer),
    Running(RunningCall),
}

/// Answers `tools/call`.
pub(super) async fn answer(
    engine: &Engine,
    context: ToolContext,
    id: &RequestId,
    params: Option<&RawValue>,
) -> Vec<u8> {
    let protocol = context.protocol_version();
    let params: Result<Params<'_>, _> = serde_json::from_str(params.map_or("{}", RawValue::get));
    let (name, arguments) =
        params.as_ref().map_or(("", None), |params| (params.name.as_ref(), params.arguments));
    let call = CallBegun::now(name, arguments.map_or("", RawValue::get));
    let (needed, attempt) = match &params {
        Ok(_) => attempt(engine, &context, name, arguments),
        Err(error) => {
            let text = format!("tools/call needs the `name` of a tool: {error}");
            (None, Attempt::Over(Outcome::UnknownTool, Answer::Error(ErrorCode::INVALID_PARAMS, text)))
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
        let (outcome, answer) = match attempt {
            Attempt::Over(outcome, answer) => (outcome, answer),
            Attempt::Running(running) => finish(running, limit, &context).await,
        };
        record(&audit, call, &context, needed, outcome, answer).await
    };
    let work = work.instrument(span);
    write(id, protocol, RunToEnd::new(work, &engine.left_behind).await)
}

/// Finds the tool, asks for permission, reads the arguments.
fn attempt(
    engine: &Engine,
    context: &ToolContext,
    name: &str,
    arguments: Option<&RawValue>,
) -> (Option<Permission>, Attempt) {
    let Some(listed) = engine.toolbox.find(name) else {
        let shown: String = quoted(name).trim_matches('`').to_owned();
        let answer = Answer::Error(ErrorCode::INVALID_PARAMS, format!("Unknown tool: {shown}"));
        return (None, Attempt::Over(Outcome::UnknownTool, answer));
    };
    let needed = listed.definition.permission;
    let over = |outcome, answer| (Some(needed), Attempt::Over(outcome, answer));
    if context.principal().authorize(needed).is_err() {
        let text = format!(
            "permission_denied: {name} needs the permission {needed}, which this API key does not have. Use a key \
             that has it, or ask whoever issued the key."
        );
        return over(Outcome::Denied, Answer::ToolError(text));
    }
    if arguments.is_some_and(|arguments| !arguments.get().starts_with('{')) {
        let text = "`arguments` must be an object; leave it out where there are none".to_owned();
        return over(Outcome::InvalidArguments, Answer::Error(ErrorCode::INVALID_PARAMS, text));
    }
    let tool = Arc::clone(&listed.tool);
    match std::panic::catch_unwind(AssertUnwindSafe(|| tool.start(context.clone(), arguments))) {
        Ok(Ok(running)) => (Some(needed), Attempt::Running(running)),
        Ok(Err(error)) => over(Outcome::InvalidArguments, Answer::ToolError(error.0)),
        Err(panic) => over(Outcome::Failed, panicked(&*panic, context)),
    }
}

/// Waits for a running call, at most as long as a call may take.
async fn finish(running: RunningCall, limit: Duration, context: &ToolContext) -> (Outcome, Answer) {
    let request_id = context.request_id();
    match tokio::time::timeout(limit, AssertUnwindSafe(running).catch_unwind()).await {
        Ok(Ok(Ok(output))) => (Outcome::Ok, Answer::Output(output)),
        Ok(Ok(Err(ToolError::Refused(text)))) => (Outcome::ToolError, Answer::ToolError(text)),
        Ok(Ok(Err(ToolError::Unavailable(error)))) => {
            tracing::warn!(
                request.id = request_id,
                error = &*error as &dyn std::error::Error,
                "a tool lacks its source"
            );
            let text =
                "unavailable: the data cannot be read at the moment. Nothing was changed; try again shortly.";
            (Outcome::Failed, Answer::ToolError(text.to_owned()))
        }
        Ok(Ok(Err(ToolError::Failed(error)))) => {
            tracing::error!(
                request.id = request_id,
                error = &*error as &dyn std::error::Error,
                "a tool failed"
            );
            (Outcome::Failed, internal_error(request_id))
        }
        Ok(Err(panic)) => (Outcome::Failed, panicked(&*panic, context)),
        Err(_elapsed) => {
            tracing::warn!(request.id = request_id, "a tool timed out");
            let text =
                format!("timed out: the tool took longer than {} s. Try again later.", limit.as_secs_f32());
            (Outcome::TimedOut, Answer::ToolError(text))
        }
    }
}

fn panicked(panic: &(dyn Any + Send), context: &ToolContext) -> Answer {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(request.id = context.request_id(), panic = text, "a tool panicked");
    internal_error(context.request_id())
}

fn internal_error(request_id: &str) -> Answer {
    let text = format!("The server failed; its operators find the cause under request id {request_id}");
    Answer::Error(ErrorCode::INTERNAL_ERROR, text)
}

/// Records the call. What cannot be recorded is not answered.
async fn record(
    audit: &AuditTrail,
    call: CallBegun,
    context: &ToolContext,
    needed: Option<Permission>,
    outcome: Outcome,
    answer: Answer,
) -> Answer {
    match audit.record(call, context.origin(), needed, outcome).await {
        Ok(()) => answer,
        Err(error) => {
            let request_id = context.request_id();
            tracing::error!(
                request.id = request_id,
                error = &error as &dyn std::error::Error,
                "a call was not recorded"
            );
            let text =
                "The call could not be recorded, so its result is withheld; try again shortly".to_owned();
            Answer::Error(ErrorCode::INTERNAL_ERROR, text)
        }
    }
}

/// Result of `tools/call`, written from what it is made of.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallResult<'a> {
    content: [Text<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_error: Option<bool>,
}

/// A block of text.
#[derive(Serialize)]
struct Text<'a> {
    r#type: &'static str,
    text: &'a str,
}

fn write(id: &RequestId, protocol: ProtocolVersion, answer: Answer) -> Vec<u8> {
    let block = |text| [Text { r#type: "text", text }];
    match &answer {
        Answer::Output(output) => {
            let structured_content =
                (protocol >= ProtocolVersion::V2025_06_18).then_some(&*output.structured);
            reply::result(id, CallResult { content: block(&output.text), structured_content, is_error: None })
        }
        Answer::ToolError(text) => {
            let result = CallResult { content: block(text), structured_content: None, is_error: Some(true) };
            reply::result(id, result)
        }
        Answer::Error(code, text) => reply::error(id, *code, text.as_str()),
    }
}
