//! The ceiling: what HTTP, JSON and the demo's three tools alone cost. It checks the key, reads the body of a tool call, and
//! writes the answer: no protocol beyond that, no session, no store.

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
    headers::API_KEY,
    jsonrpc::{Incoming, RequestId, ResultResponse},
};

use super::{
    demo::{LATEST, Transaction, all, balance, holder, latest},
    listen,
};

/// Serves until it is killed; prints its URL first.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = listen("bare").await?;
    let router = Router::new().route("/mcp", post(answer));
    axum::serve(listener, router).await.context("the bare server failed")
}

async fn answer(headers: HeaderMap, body: Bytes) -> Response {
    let Some(name) = headers.get(API_KEY).and_then(|key| holder(key.as_bytes())) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    match answered(name, &body) {
        Some(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// What is called.
#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    arguments: Arguments,
}

#[derive(Default, Deserialize)]
struct Arguments {
    limit: Option<usize>,
}

/// The answer to a user's tool call, in JSON.
fn answered(name: &'static str, body: &[u8]) -> Option<String> {
    let Ok(Incoming::Request { id, params: Some(params), .. }) =
        Incoming::parse(std::str::from_utf8(body).ok()?)
    else {
        return None;
    };
    let called: Called<'_> = serde_json::from_str(params.get()).ok()?;
    match &*called.name {
        "getAccountBalance" => {
            let balance = Balance { username: name, balance: balance(name) };
            written(&id, &balance, &balance)
        }
        "getLatestTransactions" => listed(&id, &latest(name, called.arguments.limit.unwrap_or(LATEST))),
        "getAllTransactions" => listed(&id, &all(name)),
        _ => None,
    }
}

fn listed(id: &RequestId, transactions: &[Transaction]) -> Option<String> {
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
struct Balance {
    username: &'static str,
    balance: i64,
}

#[derive(Serialize)]
struct Listed<'a> {
    transactions: &'a [Transaction],
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::answered;

    #[test]
    fn the_answer_is_that_of_the_tool_and_has_its_size() {
        for (tool, bytes) in
            [("getAccountBalance", 186), ("getLatestTransactions", 710), ("getAllTransactions", 1_102)]
        {
            let call = format!(
                r#"{{"jsonrpc":"2.0","method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}},"id":111111111}}"#
            );
            let answer = answered("bob", call.as_bytes()).expect("a tool that is there");
            assert_eq!(answer.len(), bytes, "{answer}");
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            let text = answer.pointer("/result/content/0/text").and_then(Value::as_str).expect("a text");
            let shown: Value = serde_json::from_str(text).expect("JSON in the text");
            let structured = &answer["result"]["structuredContent"];
            assert!(shown == *structured || shown == structured["transactions"], "{answer}");
        }
        assert_eq!(answered("bob", b"{}"), None);
    }
}
