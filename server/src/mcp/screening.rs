//! What must not come in, whatever it is meant for: looked for in every text and number of a request's parameters, before
//! anything of them is recorded.

use futures_util::FutureExt;
use serde_json::{Number, value::RawValue};
use shared::{
    jsonrpc::ErrorCode,
    mcp::{lifecycle::Implementation, methods},
};

use super::{
    Engine, call,
    context::RequestContext,
    dispatch::{Answer, Begun},
    tokens::Tokens,
    toolbox::ToolOutput,
    work::{Attempt, End, Job},
};
use crate::{
    audit::{Call, CallBegun},
    store::Outcome,
    text,
};

/// How much of a client's name and of its version is kept, in characters.
const CLIENT_PART_MAX: usize = 64;

/// Why a text must not come in that is none.
const UNREADABLE: &str = "unreadable: a text in the request holds half of a character (\\ud800 to \\udfff by itself). \
                          Nothing of the request was kept. Correct the text and send the request again.";

/// What must not come in.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Whether parameters are worth reading, as they arrived: false where nothing of the kind can be in them. It is asked
    /// of every request, so it should be quick.
    pub glance: fn(&str) -> bool,
    /// Says of a text why it must not come in, if it must not.
    pub judge: fn(&str) -> Option<&'static str>,
}

/// Why parameters, or whatever else a client sent, must not come in, if they must not.
pub(super) fn why_not(engine: &Engine, sent: Option<&RawValue>) -> Option<&'static str> {
    why_not_in(engine, sent?.get())
}

/// The same of what was sent and is written as JSON anew.
pub(super) fn why_not_in(engine: &Engine, json: &str) -> Option<&'static str> {
    let screen = engine.screen?;
    (screen.glance)(json).then(|| find(screen.judge, json)).flatten()
}

/// A client's name and version for the audit: short, plain, and nothing where one of them must not come in, as it was sent
/// or as it would be kept, for what is left out may have stood between the parts of a secret.
pub(super) fn named(engine: &Engine, client: &Implementation) -> String {
    let is_refused = |text: &str| {
        engine.screen.is_some_and(|screen| {
            // A glance is for JSON, where no such character stands as itself.
            let is_odd = text.bytes().any(|byte| byte.is_ascii_control());
            (is_odd || (screen.glance)(text)) && (screen.judge)(text).is_some()
        })
    };
    let mut kept = String::new();
    let mut keep = |text: &str| {
        let before = kept.len();
        kept.extend(text.chars().filter(|char| text::is_plain(*char)).take(CLIENT_PART_MAX));
        kept.len().saturating_sub(before) == text.len()
    };
    let is_whole = keep(&client.name) & keep("/") & keep(&client.version);
    // Where nothing was left out, one glance at both together is one at each of them.
    let is_harmless = is_whole && engine.screen.is_none_or(|screen| !(screen.glance)(&kept));
    if !is_harmless && [&client.name, &client.version, &kept].into_iter().any(|text| is_refused(text)) {
        return String::new();
    }
    kept
}

/// Refuses a request whose parameters must not come in. Nothing of them is kept: neither a name nor a digest.
pub(super) fn refused(
    engine: &Engine,
    context: &RequestContext,
    method: &'static str,
    params: Option<&RawValue>,
) -> Option<Begun> {
    let why = why_not(engine, params)?;
    let attempt = Attempt::Over(Outcome::InvalidArguments, End::Refused(why.to_owned()));
    let answer = if method == methods::CALL_TOOL { call::answer } else { without_result };
    let job =
        Job::<ToolOutput> { call: Call { begun: CallBegun::of(method, ""), needed: None }, attempt, answer };
    Some(Begun::Running(job.run(engine, context.clone()).boxed()))
}

fn without_result(_context: &RequestContext, end: End<ToolOutput>) -> Answer {
    match end {
        End::Refused(text) => Answer::error(ErrorCode::INVALID_PARAMS, text),
        End::Error(error) => Answer::Error(error),
        End::Output(_) | End::Unavailable(_) | End::InputRequired(_) | End::Cancelled => Answer::Cancelled,
    }
}

/// Judges every text and number of `json`, token by token: what is there twice or does not fit a number is looked at like
/// everything else. What cannot be read as a text cannot be judged, and may not come in.
fn find(judge: fn(&str) -> Option<&'static str>, json: &str) -> Option<&'static str> {
    let mut tokens = Tokens::of(json);
    loop {
        let token = tokens.take();
        let why = match token.bytes().next()? {
            b'"' => serde_json::from_str::<String>(token).map_or(Some(UNREADABLE), |text| judge(&text)),
            b'-' | b'0'..=b'9' => judge(token).or_else(|| in_full(token).and_then(|full| judge(&full))),
            _ => None,
        };
        if why.is_some() {
            return why;
        }
    }
}

/// A number without its exponent, where it is one that can be held.
fn in_full(token: &str) -> Option<String> {
    let number = serde_json::from_str::<Number>(token).ok()?;
    Some(number.to_string()).filter(|full| full != token)
}
