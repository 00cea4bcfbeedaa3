//! What must not come in, whatever it is meant for: looked for in every text and number of a request's parameters, before
//! anything of them is recorded.

use futures_util::FutureExt;
use serde_json::{Value, value::RawValue};
use shared::{jsonrpc::ErrorCode, mcp::methods};

use super::{
    Engine, call,
    context::RequestContext,
    dispatch::{Answer, Begun},
    toolbox::ToolOutput,
    work::{Attempt, End, Job},
};
use crate::{
    audit::{Call, CallBegun},
    store::Outcome,
};

/// Says of a text why it must not come in, if it must not.
pub type Screen = fn(&str) -> Option<&'static str>;

/// Refuses a request whose parameters must not come in. Nothing of them is kept: neither a name nor a digest.
pub(super) fn refused(
    engine: &Engine,
    context: &RequestContext,
    method: &str,
    params: Option<&RawValue>,
) -> Option<Begun> {
    let screen = engine.screen?;
    // What has too few digits and nothing escaped is not worth reading.
    let text = params?.get();
    let why = is_worth_reading(text).then(|| find(screen, &serde_json::from_str(text).ok()?)).flatten()?;
    let attempt = Attempt::Over(Outcome::InvalidArguments, End::Refused(why.to_owned()));
    let answer = if method == methods::CALL_TOOL { call::answer } else { without_result };
    let job = Job::<ToolOutput> {
        call: Call { begun: CallBegun::now(method, ""), needed: None },
        name: method.to_owned(),
        attempt,
        answer,
    };
    Some(Begun::Running(job.run(engine, context.clone()).boxed()))
}

fn without_result(_context: &RequestContext, end: End<ToolOutput>) -> Answer {
    match end {
        End::Refused(text) => Answer::error(ErrorCode::INVALID_PARAMS, text),
        End::Error(error) => Answer::Error(error),
        End::Output(_) | End::InputRequired(_) | End::Cancelled => Answer::Cancelled,
    }
}

/// What a screen looks for has at least a dozen digits, unless they are written as escapes.
fn is_worth_reading(text: &str) -> bool {
    text.contains('\\') || text.bytes().filter(u8::is_ascii_digit).count() > 12
}

fn find(screen: Screen, value: &Value) -> Option<&'static str> {
    match value {
        Value::String(text) => screen(text),
        Value::Number(number) => screen(&number.to_string()),
        Value::Array(items) => items.iter().find_map(|item| find(screen, item)),
        Value::Object(members) => {
            members.iter().find_map(|(name, value)| screen(name).or_else(|| find(screen, value)))
        }
        Value::Null | Value::Bool(_) => None,
    }
}
