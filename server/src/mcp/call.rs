//! `tools/call`: found, allowed, and made a job of.

use std::{borrow::Cow, sync::Arc};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use shared::{
    jsonrpc::ErrorCode,
    mcp::{ProtocolVersion, content::ContentBlock},
};

use super::{
    Engine,
    context::RequestContext,
    dispatch::Answer,
    field::quoted,
    reply::{self, Lifetime},
    tool::Content,
    toolbox::{ListedTool, ToolOutput},
    work::{Attempt, End, Job},
};
use crate::{
    audit::{Call, CallBegun},
    identity::Permission,
    store::Outcome,
};

/// Parameters of `tools/call`, with the arguments as they arrived.
#[derive(Deserialize)]
pub(super) struct Params<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) arguments: Option<&'a RawValue>,
}

impl<'a> Params<'a> {
    pub(super) fn of(params: Option<&'a RawValue>) -> serde_json::Result<Self> {
        serde_json::from_str(params.map_or("{}", RawValue::get))
    }
}

/// Tells `null` from an absent member.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Begins to answer `tools/call`.
pub(super) fn begin(
    engine: &Engine,
    context: RequestContext,
    params: serde_json::Result<Params<'_>>,
) -> BoxFuture<'static, Answer> {
    let (name, arguments) =
        params.as_ref().map_or(("", None), |params| (params.name.as_ref(), params.arguments));
    let (listed, shown) = (engine.toolbox.find(name), arguments.map_or("", RawValue::get));
    let begun = listed.map_or_else(
        || CallBegun::unknown(name, shown),
        |listed| CallBegun::of(listed.definition.name, shown),
    );
    let (needed, attempt) = match &params {
        Ok(_) => attempt(listed, &context, name, arguments),
        Err(error) => {
            let text = format!("tools/call needs the `name` of a tool: {error}");
            (None, Attempt::Over(Outcome::UnknownTool, End::error(ErrorCode::INVALID_PARAMS, text)))
        }
    };
    Job { call: Call { begun, needed }, attempt, answer }.run(engine, context)
}

/// Asks for permission, reads the arguments.
fn attempt(
    listed: Option<&ListedTool>,
    context: &RequestContext,
    name: &str,
    arguments: Option<&RawValue>,
) -> (Option<Permission>, Attempt<ToolOutput>) {
    let Some(listed) = listed else {
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
        return over(Outcome::Denied, End::Refused(text));
    }
    if arguments.is_some_and(|arguments| !arguments.get().starts_with('{')) {
        let text = "`arguments` must be an object; leave it out where there are none".to_owned();
        return over(Outcome::InvalidArguments, End::error(ErrorCode::INVALID_PARAMS, text));
    }
    let tool = Arc::clone(&listed.tool);
    let start = || tool.start(context.clone(), arguments).map_err(|error| error.0);
    (Some(needed), Attempt::begin(context, start))
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

pub(super) fn answer(context: &RequestContext, end: End<ToolOutput>) -> Answer {
    let block = |text| Blocks::Text([Text { r#type: "text", text }]);
    let result = |result: CallResult<'_>| reply::result(context, Lifetime::NONE, result);
    match end {
        End::Output(output) => {
            let shows = context.protocol_version() >= ProtocolVersion::V2025_06_18;
            let structured_content = output.structured.as_deref().filter(|_| shows);
            match &output.content {
                Content::Text(text) => reply::of_text(context, text, structured_content),
                Content::Blocks(blocks) => {
                    result(CallResult { content: Blocks::Any(blocks), structured_content, is_error: None })
                }
            }
        }
        End::Refused(text) | End::Unavailable(text) => {
            result(CallResult { content: block(&text), structured_content: None, is_error: Some(true) })
        }
        End::Error(error) => Answer::Error(error),
        End::InputRequired(questions) => Answer::InputRequired(questions),
        End::Cancelled => Answer::Cancelled,
    }
}
