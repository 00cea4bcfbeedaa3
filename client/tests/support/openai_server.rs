//! An OpenAI-compatible endpoint that answers each request as a test has armed it to, and keeps what arrived.

#![cfg(test)]

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
}

/// How one request is answered.
#[derive(Debug, Clone)]
pub(crate) enum Arm {
    /// A status, a header and a body.
    Status(u16, (&'static str, &'static str), String),
    /// A stream.
    Stream(Vec<Piece>),
}

/// What a stream does next.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Send(String),
    /// Every byte in a piece of its own.
    Bytewise(String),
    /// Lets the test know and says nothing any more.
    Hang(Arc<Notify>),
    /// Hangs up in the middle.
    Cut,
}

#[derive(Default)]
struct Script {
    arms: VecDeque<Arm>,
    seen: Vec<Seen>,
}

/// An endpoint on a port of its own; gone when dropped. The last thing it was armed with is repeated.
pub(crate) struct OpenAiServer {
    base: String,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
}

impl Drop for OpenAiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl OpenAiServer {
    pub(crate) async fn armed(arms: impl IntoIterator<Item = Arm>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script { arms: arms.into_iter().collect(), seen: Vec::new() }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base, script, task }
    }

    /// Where it is, without `/v1`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.script.lock().unwrap().seen.clone()
    }
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let authorization = head.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let body = serde_json::from_slice(&body).unwrap();
    let arm = {
        let mut script = script.lock().unwrap();
        script.seen.push(Seen { path: head.uri.path().to_owned(), authorization, body });
        let arms = &mut script.arms;
        if arms.len() > 1 { arms.pop_front().unwrap() } else { arms.front().unwrap().clone() }
    };
    match arm {
        Arm::Status(status, (name, value), body) => {
            Response::builder().status(status).header(name, value).body(Body::from(body)).unwrap()
        }
        Arm::Stream(pieces) => {
            let pieces = stream::iter(pieces).flat_map(|piece| match piece {
                Piece::Send(text) => stream::iter([Ok(Bytes::from(text))]).boxed(),
                Piece::Bytewise(text) => {
                    let bytes: Vec<_> =
                        text.into_bytes().into_iter().map(|byte| Ok(Bytes::from(vec![byte]))).collect();
                    stream::iter(bytes)
                        .then(|byte| async {
                            tokio::task::yield_now().await;
                            byte
                        })
                        .boxed()
                }
                Piece::Hang(reached) => {
                    reached.notify_one();
                    stream::pending().boxed()
                }
                Piece::Cut => {
                    let cut = async {
                        tokio::task::yield_now().await;
                        Err(io::Error::other("cut"))
                    };
                    stream::once(cut).boxed()
                }
            });
            let body = Body::from_stream(pieces);
            Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
        }
    }
}

/// An error as OpenAI words it.
pub(crate) fn refuse(status: u16, code: &str, message: &str) -> Arm {
    let body = json!({ "error": { "message": message, "type": code, "param": null, "code": code } });
    Arm::Status(status, ("content-type", "application/json"), body.to_string())
}

/// One event of a stream.
pub(crate) fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// A chunk with something new.
pub(crate) fn delta(delta: &Value) -> String {
    event(&json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": null }],
    }))
}

/// The chunk that ends a reply, and the end of the stream.
pub(crate) fn finish(reason: &str) -> String {
    let last = event(&json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] }));
    last + "data: [DONE]\n\n"
}

/// A reply with text as OpenAI streams it: the role, the pieces, the reason, what was used, the end.
pub(crate) fn says(pieces: &[&str]) -> Vec<Piece> {
    let mut stream = delta(&json!({ "role": "assistant", "content": "", "refusal": null }));
    for piece in pieces {
        stream += &delta(&json!({ "content": piece }));
    }
    stream += &event(&json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] }));
    stream += &event(&json!({ "choices": [], "usage": { "total_tokens": 3 } }));
    vec![Piece::Send(stream + "data: [DONE]\n\n")]
}

/// A reply with tool calls as OpenAI streams it, the arguments in two fragments. Id, name, arguments.
pub(crate) fn calls(calls: &[(&str, &str, &str)]) -> Vec<Piece> {
    let mut stream = delta(&json!({ "role": "assistant", "content": null }));
    for (index, (id, name, arguments)) in calls.iter().enumerate() {
        let (front, back) = arguments.split_at(arguments.len() / 2);
        let begun = json!({ "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": "" } });
        stream += &delta(&json!({ "tool_calls": [begun] }));
        for part in [front, back] {
            stream +=
                &delta(&json!({ "tool_calls": [{ "index": index, "function": { "arguments": part } }] }));
        }
    }
    vec![Piece::Send(stream + &finish("tool_calls"))]
}
