//! The ceiling: what HTTP, JSON and the demo's three tools alone cost. It checks the key, reads the body of a tool call, and
//! writes the answer: no protocol beyond that, no session, no store. Whoever opens a session and ends it is answered, and
//! nothing is kept of it.

use std::borrow::Cow;

use anyhow::Context as _;
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::{Deserialize, Serialize};
use shared::{
    headers::{API_KEY, SESSION_ID},
    jsonrpc::{Incoming, RequestId, ResultResponse},
};

use super::{
    demo::{LATEST, all, balance, holder, latest},
    listen,
};

/// Every session's id.
const SESSION: &str = "bare-session-bare-session-bare-session-bare";

/// Serves until it is killed; prints its URL first.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = listen("bare").await?;
    let router = Router::new().route("/mcp", post(answer).delete(ended));
    axum::serve(listener, router).await.context("the bare server failed")
}

/// Whose key a request has.
pub(super) fn caller(headers: &HeaderMap) -> Option<&'static str> {
    headers.get(API_KEY).and_then(|key| holder(key.as_bytes()))
}

async fn ended(headers: HeaderMap) -> StatusCode {
    if caller(&headers).is_none() { StatusCode::UNAUTHORIZED } else { StatusCode::NO_CONTENT }
}

async fn answer(headers: HeaderMap, body: Bytes) -> Response {
    let Some(name) = caller(&headers) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    match answered(name, &body) {
        Some(Answered::Result(json)) => json_answer(json),
        Some(Answered::Session(json)) => ([(SESSION_ID, SESSION)], json_answer(json)).into_response(),
        Some(Answered::Nothing) => StatusCode::ACCEPTED.into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

pub(super) fn json_answer(json: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

/// What a message comes to.
#[derive(Debug, PartialEq)]
enum Answered {
    Result(String),
    Session(String),
    Nothing,
}

/// What is called.
#[derive(Deserialize)]
pub(super) struct Called<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(default)]
    pub(super) arguments: Arguments,
}

#[derive(Default, Deserialize)]
pub(super) struct Arguments {
    limit: Option<u32>,
}

impl Arguments {
    /// How many transactions are wanted.
    pub(super) fn limit(&self) -> u32 {
        self.limit.unwrap_or(LATEST)
    }
}

/// The answer to a user's message, in JSON.
fn answered(name: &'static str, body: &[u8]) -> Option<Answered> {
    match Incoming::parse(std::str::from_utf8(body).ok()?).ok()? {
        Incoming::Request { id, method, .. } if method == "initialize" => {
            serde_json::to_string(&ResultResponse::new(&id, Initialized::AGREED)).ok().map(Answered::Session)
        }
        Incoming::Request { id, params: Some(params), .. } => {
            let called = serde_json::from_str(params.get()).ok()?;
            tool(name, &id, &called).map(Answered::Result)
        }
        Incoming::Notification { .. } => Some(Answered::Nothing),
        Incoming::Request { .. } | Incoming::Response { .. } => None,
    }
}

fn tool(name: &'static str, id: &RequestId, called: &Called<'_>) -> Option<String> {
    match &*called.name {
        "getAccountBalance" => balance_of(id, name, balance(name)),
        "getLatestTransactions" => listed(id, &latest(name, called.arguments.limit())),
        "getAllTransactions" => listed(id, &all(name)),
        _ => None,
    }
}

/// The answer that tells a balance.
pub(super) fn balance_of(id: &RequestId, username: &str, balance: i64) -> Option<String> {
    let balance = Balance { username, balance };
    written(id, &balance, &balance)
}

/// The answer that lists transactions.
pub(super) fn listed(id: &RequestId, transactions: &[impl Serialize]) -> Option<String> {
    written(id, &transactions, &Listed { transactions })
}

/// A result as MCP has it: for people, and for programs.
fn written(id: &RequestId, shown: &impl Serialize, structured_content: &impl Serialize) -> Option<String> {
    let content = [Text { r#type: "text", text: serde_json::to_string_pretty(shown).ok()? }];
    serde_json::to_string(&ResultResponse::new(id, Answer { content, structured_content })).ok()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a, T> {
    content: [Text; 1],
    structured_content: &'a T,
}

#[derive(Serialize)]
struct Text {
    r#type: &'static str,
    text: String,
}

#[derive(Serialize)]
struct Balance<'a> {
    username: &'a str,
    balance: i64,
}

#[derive(Serialize)]
struct Listed<'a, T> {
    transactions: &'a [T],
}

/// The answer to `initialize`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Initialized {
    protocol_version: &'static str,
    capabilities: Capabilities,
    server_info: Named,
}

#[derive(Serialize)]
struct Capabilities {
    tools: Nothing,
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Named {
    name: &'static str,
    version: &'static str,
}

impl Initialized {
    const AGREED: Self = Self {
        protocol_version: "2025-11-25",
        capabilities: Capabilities { tools: Nothing {} },
        server_info: Named { name: "bare", version: "1" },
    };
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{Answered, answered};

    #[test]
    fn the_answer_is_that_of_the_tool_and_has_its_size() {
        for (tool, bytes) in
            [("getAccountBalance", 186), ("getLatestTransactions", 710), ("getAllTransactions", 1_102)]
        {
            let call = format!(
                r#"{{"jsonrpc":"2.0","method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}},"id":111111111}}"#
            );
            let Some(Answered::Result(answer)) = answered("bob", call.as_bytes()) else {
                panic!("no {tool}")
            };
            assert_eq!(answer.len(), bytes, "{answer}");
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            let text = answer.pointer("/result/content/0/text").and_then(Value::as_str).expect("a text");
            let shown: Value = serde_json::from_str(text).expect("JSON in the text");
            let structured = &answer["result"]["structuredContent"];
            assert!(shown == *structured || shown == structured["transactions"], "{answer}");
        }
        assert_eq!(answered("bob", b"{}"), None);
        let told = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(answered("bob", told), Some(Answered::Nothing));
    }
}
