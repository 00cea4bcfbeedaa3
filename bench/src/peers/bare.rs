//! The ceiling: what HTTP and JSON alone cost. It reads the body of a tool call, and writes the answer of the demo's tool
//! that it names: to whomever it is, whatever the arguments are.

use std::borrow::Cow;

use anyhow::Context as _;
use axum::{
    Router,
    body::Bytes,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::{Deserialize, Serialize};
use shared::jsonrpc::{Incoming, RequestId, ResultResponse};

use super::listen;

/// Serves until it is killed; prints its URL first.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = listen("bare").await?;
    let router = Router::new().route("/mcp", post(answer));
    axum::serve(listener, router).await.context("the bare server failed")
}

async fn answer(body: Bytes) -> Response {
    match answered(&body) {
        Some(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// Which tool is called.
#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// The answer to a tool call, in JSON.
fn answered(body: &[u8]) -> Option<String> {
    let Ok(Incoming::Request { id, params: Some(params), .. }) =
        Incoming::parse(std::str::from_utf8(body).ok()?)
    else {
        return None;
    };
    let called: Called<'_> = serde_json::from_str(params.get()).ok()?;
    match &*called.name {
        "getAccountBalance" => written(&id, BALANCE_TEXT, &BALANCE),
        "getLatestTransactions" => written(&id, LATEST_TEXT, &LATEST),
        _ => None,
    }
}

fn written<T: Serialize>(
    id: &RequestId,
    text: &'static str,
    structured_content: &'static T,
) -> Option<String> {
    let content = [Text { r#type: "text", text }];
    serde_json::to_string(&ResultResponse::new(id, Answer { content, structured_content })).ok()
}

/// The result of a tool call, as MCP has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<T: 'static> {
    content: [Text; 1],
    structured_content: &'static T,
}

#[derive(Serialize)]
struct Text {
    r#type: &'static str,
    text: &'static str,
}

#[derive(Serialize)]
struct Balance {
    username: &'static str,
    balance: i64,
}

#[derive(Serialize)]
struct Transactions {
    transactions: [Transaction; 3],
}

#[derive(Serialize)]
struct Transaction {
    id: u32,
    from: &'static str,
    to: &'static str,
    amount: i64,
    date: &'static str,
}

const BALANCE: Balance = Balance { username: "bob", balance: -200 };
const BALANCE_TEXT: &str = r#"{
  "username": "bob",
  "balance": -200
}"#;

const LATEST: Transactions = Transactions {
    transactions: [
        Transaction { id: 6, from: "alice", to: "bob", amount: 150, date: "2024-03-20" },
        Transaction { id: 5, from: "bob", to: "alice", amount: 200, date: "2024-03-19" },
        Transaction { id: 4, from: "charlie", to: "bob", amount: 25, date: "2024-03-18" },
    ],
};
const LATEST_TEXT: &str = r#"[
  {
    "id": 6,
    "from": "alice",
    "to": "bob",
    "amount": 150,
    "date": "2024-03-20"
  },
  {
    "id": 5,
    "from": "bob",
    "to": "alice",
    "amount": 200,
    "date": "2024-03-19"
  },
  {
    "id": 4,
    "from": "charlie",
    "to": "bob",
    "amount": 25,
    "date": "2024-03-18"
  }
]"#;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::answered;

    #[test]
    fn the_answer_is_that_of_the_tool_and_has_its_size() {
        for (tool, bytes) in [("getAccountBalance", 186), ("getLatestTransactions", 710)] {
            let call = format!(
                r#"{{"jsonrpc":"2.0","method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}},"id":111111111}}"#
            );
            let answer = answered(call.as_bytes()).expect("a tool that is there");
            assert_eq!(answer.len(), bytes);
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            let text = answer.pointer("/result/content/0/text").and_then(Value::as_str).expect("a text");
            let shown: Value = serde_json::from_str(text).expect("JSON in the text");
            let structured = &answer["result"]["structuredContent"];
            assert!(shown == *structured || shown == structured["transactions"], "{answer}");
        }
        assert_eq!(answered(b"{}"), None);
    }
}
