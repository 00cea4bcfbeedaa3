//! An OpenAI-compatible endpoint that answers as a test wants it.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::server::Shared;

/// How the model behaves.
#[derive(Debug, Clone)]
pub(crate) enum ModelScript {
    /// There is no such endpoint.
    Absent,
    /// It does not even say which models it has.
    Hangs,
    /// It refuses every key.
    Refuses,
    /// It wants one more tool call, again and again, each with other arguments.
    NeverDone,
    /// It calls the tool that the demo's question is about, and then says what it found, with a table.
    Clerk,
    /// It calls a tool with these arguments, letter for letter, and then is done.
    Writes(&'static str),
    /// It calls a tool, and then says this, and stops for this reason.
    FallsSilent(&'static str, &'static str),
    /// It calls a tool, and then refuses every key.
    ThenRefuses,
    /// It says this, in pieces.
    Says(Vec<String>),
    /// It says this, and stops for this reason.
    Stops(&'static str, &'static str),
    /// It sends this in place of a piece.
    Sends(&'static str),
}

pub(crate) async fn models(State(state): State<Arc<Shared>>) -> Response {
    match state.script().model {
        ModelScript::Absent => StatusCode::NOT_FOUND.into_response(),
        ModelScript::Hangs => {
            state.model_turns.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        }
        ModelScript::Refuses => StatusCode::UNAUTHORIZED.into_response(),
        ModelScript::NeverDone
        | ModelScript::Clerk
        | ModelScript::Writes(_)
        | ModelScript::FallsSilent(..)
        | ModelScript::ThenRefuses
        | ModelScript::Says(_)
        | ModelScript::Stops(..)
        | ModelScript::Sends(_) => json!({ "data": [] }).to_string().into_response(),
    }
}

pub(crate) async fn completion(State(state): State<Arc<Shared>>, body: String) -> Response {
    let turn = state.model_turns.fetch_add(1, Ordering::SeqCst);
    let asked: Value = serde_json::from_str(&body).unwrap();
    let may_call = asked["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    match &state.script().model {
        ModelScript::Absent => StatusCode::NOT_FOUND.into_response(),
        ModelScript::Hangs => std::future::pending().await,
        ModelScript::FallsSilent(..) | ModelScript::ThenRefuses if turn == 0 => {
            call(turn, "getLatestTransactions", "{}")
        }
        ModelScript::Refuses | ModelScript::ThenRefuses => {
            let error =
                json!({ "error": { "message": "Incorrect API key", "type": "invalid_request_error" } });
            (StatusCode::UNAUTHORIZED, [(CONTENT_TYPE, "application/json")], error.to_string())
                .into_response()
        }
        ModelScript::FallsSilent(text, reason) | ModelScript::Stops(text, reason) => {
            stream(&[json!({ "content": text })], reason)
        }
        ModelScript::NeverDone if may_call => {
            call(turn, "getLatestTransactions", &json!({ "limit": turn % 100 + 1 }).to_string())
        }
        ModelScript::Clerk => clerk(turn, asked["messages"].as_array().unwrap().last().unwrap()),
        ModelScript::Writes(arguments) if turn == 0 => call(turn, "getLatestTransactions", arguments),
        ModelScript::Writes(_) => stream(&[json!({ "content": "Done." })], "stop"),
        ModelScript::NeverDone => stream(&[json!({ "content": "This is what I know so far." })], "stop"),
        ModelScript::Says(pieces) => {
            let deltas: Vec<Value> = pieces.iter().map(|piece| json!({ "content": piece })).collect();
            stream(&deltas, "stop")
        }
        ModelScript::Sends(text) => streamed(format!("data: {text}\n\n")),
    }
}

fn clerk(turn: usize, last: &Value) -> Response {
    if last["role"] == "tool" {
        let pieces = ["Here it is:\n\n| found | length |\n|---", "|--:|\n| this | 3 |\n\nThat is ", "all."];
        return stream(&pieces.map(|piece| json!({ "content": piece })), "stop");
    }
    let question = last["content"].to_string();
    let tool = if question.contains("balance") { "getAccountBalance" } else { "getLatestTransactions" };
    call(turn, tool, "{}")
}

fn call(turn: usize, tool: &str, arguments: &str) -> Response {
    let call = json!({
        "index": 0, "id": format!("call_{turn}"), "type": "function",
        "function": { "name": tool, "arguments": arguments },
    });
    stream(&[json!({ "role": "assistant", "tool_calls": [call] })], "tool_calls")
}

fn stream(deltas: &[Value], finish: &str) -> Response {
    let chunk = |delta: &Value, finish: Value| {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "test",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        })
    };
    let mut events: Vec<Value> = deltas.iter().map(|delta| chunk(delta, Value::Null)).collect();
    events.push(chunk(&json!({}), json!(finish)));
    let mut body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    body.push_str("data: [DONE]\n\n");
    streamed(body)
}

fn streamed(body: String) -> Response {
    ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
}
