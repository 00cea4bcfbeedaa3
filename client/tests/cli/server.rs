//! A small MCP server with the payment server's tools, which answers as a test wants it.

use std::{
    collections::HashSet,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use shared::demo;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
};
use tokio_util::sync::CancellationToken;

use crate::{
    model::{self, ModelScript},
    modern,
    official::Conversation,
};

/// The token of a service that acts for Bob.
pub(crate) const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl";

/// What a tool call is answered with.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A `CallToolResult`.
    Result(Value),
    /// A JSON-RPC error of this code.
    Error(i64),
    /// Nothing, for as long as the client waits; the next calls get the result.
    HangOnce(Value),
    /// As the payment server answers, after a question on the stream of the session; this and the end of the session
    /// wait until the server is told to go on.
    AskBeside,
    /// The same, after a question on the stream of the call, for whose answer it does not wait.
    AskWithin,
    /// What was heard, after a question on the stream of the call, which waits until the server is told to go on.
    AskLate,
    /// As the payment server answers; the tools are listed, after a question on the stream of the session, once the server
    /// is told to go on.
    AskFirst,
    /// The same, and another question on that stream once the server is told to ask again.
    AskTwice,
    /// As the payment server answers; the question on the stream of the session waits until the server is told to go on.
    AskMeanwhile,
}

/// How the server behaves.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) tools: Value,
    pub(crate) reply: Reply,
    pub(crate) model: ModelScript,
}

impl Default for Script {
    fn default() -> Self {
        Self { tools: payment_tools(), reply: Reply::Result(json!(null)), model: ModelScript::Absent }
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    script: Script,
    pub(crate) opened: AtomicUsize,
    pub(crate) closed: AtomicUsize,
    pub(crate) calls: AtomicUsize,
    pub(crate) model_turns: AtomicUsize,
    pub(crate) go_on: CancellationToken,
    pub(crate) ask_again: CancellationToken,
    /// The client has read what was asked again.
    pub(crate) asked_again: CancellationToken,
    /// What the last question was answered with.
    heard: watch::Sender<Value>,
    sessions: Mutex<HashSet<String>>,
    /// The bodies of the tool calls, letter for letter.
    pub(crate) called: Mutex<Vec<String>>,
}

impl Shared {
    pub(crate) fn script(&self) -> &Script {
        &self.script
    }
}

/// The server, on a port of its own; gone when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    pub(crate) seen: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

impl Server {
    pub(crate) fn start(script: Script) -> Self {
        let seen = Arc::new(Shared {
            script,
            opened: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            model_turns: AtomicUsize::new(0),
            go_on: CancellationToken::new(),
            ask_again: CancellationToken::new(),
            asked_again: CancellationToken::new(),
            heard: watch::Sender::default(),
            sessions: Mutex::default(),
            called: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let (started, address) = std::sync::mpsc::channel();
        let state = Arc::clone(&seen);
        thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                started.send(listener.local_addr().unwrap()).unwrap();
                let router = Router::new()
                    .route("/mcp", post(message).get(beside).delete(close))
                    .route("/page", post(|| async { ([(CONTENT_TYPE, "text/html")], "<html>hello</html>") }))
                    .route("/broken", post(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
                    .route("/forbidden", post(forbidden))
                    .route("/v1/chat/completions", post(model::completion))
                    .route("/v1/models", get(model::models))
                    .with_state(state);
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { address: address.recv().unwrap(), seen, _stop: stop }
    }

    pub(crate) fn url(&self) -> String {
        self.at("/mcp")
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Text with this server's port masked.
    pub(crate) fn masked(&self, text: &str) -> String {
        text.replace(&self.address.to_string(), "127.0.0.1:PORT")
    }

    pub(crate) fn opened_and_closed(&self) -> (usize, usize) {
        (self.seen.opened.load(Ordering::SeqCst), self.seen.closed.load(Ordering::SeqCst))
    }
}

/// The three tools of the demo.
pub(crate) fn payment_tools() -> Value {
    let tool = |name: &str, description: &str, properties: Value| {
        json!({
            "name": name, "description": description, "annotations": { "readOnlyHint": true },
            "inputSchema": { "type": "object", "properties": properties },
        })
    };
    let limit = json!({ "limit": {
        "type": "integer", "minimum": 1, "maximum": 100, "default": 3,
        "description": "Number of latest transactions to return",
    } });
    json!([
        tool("getAllTransactions", "Get a list of all transactions for the authenticated user", json!({})),
        tool("getLatestTransactions", "Get the latest transactions for the authenticated user", limit),
        tool("getAccountBalance", "Get the current account balance for the authenticated user", json!({})),
    ])
}

/// A result with one text and the same as structured content.
pub(crate) fn result(structured: &Value) -> Value {
    json!({
        "content": [{ "type": "text", "text": format!("{structured:#}") }],
        "structuredContent": structured,
    })
}

fn payment_result(user: &str, tool: &str) -> Value {
    let balance = if user == "bob" { -200 } else { 180 };
    let row = |id: u32, from: &str, to: &str, amount: u32, date: &str| json!({ "id": id, "from": from, "to": to, "amount": amount, "date": date });
    if tool == "getAccountBalance" {
        result(&json!({ "username": user, "balance": balance }))
    } else {
        result(&json!({ "transactions": [
            row(6, "alice", "bob", 150, "2024-03-20"), row(5, "bob", "alice", 200, "2024-03-19"),
        ] }))
    }
}

async fn message(State(state): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let user = match (header("x-api-key"), header("authorization").strip_prefix("Bearer ")) {
        (demo::BOB_API_KEY, None) | ("", Some(TOKEN)) => "bob",
        (demo::ALICE_API_KEY, None) => "alice",
        ("", None) => return (StatusCode::UNAUTHORIZED, "an API key is required").into_response(),
        _ => return (StatusCode::UNAUTHORIZED, "the API key is not known").into_response(),
    };
    let message: Value = serde_json::from_slice(&body).unwrap();
    let mut conversation = Conversation::default();
    conversation.speaks(header("mcp-protocol-version"));
    conversation.said(&message.to_string());
    let id = message["id"].clone();
    let method = message["method"].as_str().unwrap_or_default();
    if id == AFTERWARDS {
        state.asked_again.cancel();
    } else if method.is_empty() {
        state.heard.send_replace(message["result"]["action"].clone());
    }
    if method == "tools/call" {
        state.called.lock().unwrap().push(String::from_utf8_lossy(&body).into_owned());
    }
    if header("mcp-protocol-version") == "2026-07-28" {
        let body = match modern::answer(method, &message["params"]) {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
        };
        return ([(CONTENT_TYPE, "application/json")], body.to_string()).into_response();
    }
    if method == "initialize" {
        let session = format!("session-of-{user}-{}", state.opened.fetch_add(1, Ordering::SeqCst));
        state.sessions.lock().unwrap().insert(session.clone());
        let result = json!({
            "protocolVersion": message["params"]["protocolVersion"], "capabilities": { "tools": {} },
            "serverInfo": { "name": demo::SERVER_NAME, "version": demo::SERVER_VERSION },
            "instructions": demo::SERVER_INSTRUCTIONS,
        });
        return ([("mcp-session-id", session)], answer(&id, &result)).into_response();
    }
    if !state.sessions.lock().unwrap().contains(header("mcp-session-id")) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match method {
        "tools/list" => {
            if matches!(state.script.reply, Reply::AskFirst | Reply::AskTwice) {
                state.go_on.cancelled().await;
            }
            answer(&id, &json!({ "tools": state.script.tools }))
        }
        "tools/call" => {
            let tool = message["params"]["name"].as_str().unwrap_or_default();
            called(&state, &id, user, tool).await
        }
        "resources/read" => refused(&id, -32002, "there is no such resource"),
        "prompts/get" => refused(&id, -32602, "there is no such prompt"),
        _ => StatusCode::ACCEPTED.into_response(),
    }
}

/// The answer to a tool call.
async fn called(state: &Arc<Shared>, id: &Value, user: &str, tool: &str) -> Response {
    let call = state.calls.fetch_add(1, Ordering::SeqCst);
    match &state.script.reply {
        Reply::Result(Value::Null) | Reply::AskFirst | Reply::AskTwice | Reply::AskMeanwhile => {
            answer(id, &payment_result(user, tool))
        }
        Reply::Result(result) => answer(id, result),
        Reply::Error(code) => refused(id, *code, "Request timed out"),
        Reply::HangOnce(_) if call == 0 => std::future::pending().await,
        Reply::HangOnce(result) => answer(id, result),
        Reply::AskWithin => {
            let result = json!({ "jsonrpc": "2.0", "id": id, "result": payment_result(user, tool) });
            asked_within(state.go_on.clone(), &result)
        }
        Reply::AskLate => asked_late(state, id.clone()),
        Reply::AskBeside => {
            state.go_on.cancelled().await;
            answer(id, &payment_result(user, tool))
        }
    }
}

/// The stream of a call, which ends with `last` once the server is told to go on.
fn asked_within(go_on: CancellationToken, last: &Value) -> Response {
    let last = format!("data: {last}\n\n");
    let last = stream::once(async move {
        go_on.cancelled().await;
        Ok(last)
    });
    let body = Body::from_stream(stream::iter([Ok::<_, Infallible>(question())]).chain(last));
    ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
}

/// The stream of a call: a question once the server is told to go on, and what was heard.
fn asked_late(state: &Arc<Shared>, id: Value) -> Response {
    let (go_on, mut heard) = (state.go_on.clone(), state.heard.subscribe());
    let asked = stream::once(async move {
        go_on.cancelled().await;
        Ok::<_, Infallible>(question())
    });
    let answered = stream::once(async move {
        let heard = heard.wait_for(|heard| !heard.is_null()).await.unwrap().clone();
        let result = json!({ "jsonrpc": "2.0", "id": id, "result": result(&json!({ "heard": heard })) });
        Ok(format!("data: {result}\n\n"))
    });
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(asked.chain(answered))).into_response()
}

/// An event with a question.
fn question() -> String {
    question_of(1)
}

/// The id of a ping behind a question: who answers it has read the question.
const AFTERWARDS: &str = "afterwards";

fn question_of(id: u32) -> String {
    let question = json!({ "jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": {
        "message": "Are you still there?", "requestedSchema": { "type": "object", "properties": {} },
    } });
    format!("data: {question}\n\n")
}

/// The stream of a session.
async fn beside(State(state): State<Arc<Shared>>) -> Response {
    let waits = match state.script.reply {
        Reply::AskBeside | Reply::AskFirst | Reply::AskTwice => false,
        Reply::AskMeanwhile => true,
        _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    };
    let asked = state.clone();
    let event = stream::once(async move {
        if waits {
            asked.go_on.cancelled().await;
        }
        Ok::<_, Infallible>(question())
    });
    let another = stream::once(async move {
        if !matches!(state.script.reply, Reply::AskTwice) {
            std::future::pending::<()>().await;
        }
        state.ask_again.cancelled().await;
        let ping = json!({ "jsonrpc": "2.0", "id": AFTERWARDS, "method": "ping" });
        Ok(format!("{}data: {ping}\n\n", question_of(2)))
    });
    let body = Body::from_stream(event.chain(another).chain(stream::pending()));
    ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
}

/// As the payment server answers a request that names none of its hosts.
async fn forbidden() -> Response {
    let message = "Host not allowed: add it to ALLOWED_HOSTS if this server is meant";
    let body = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32600, "message": message } });
    (StatusCode::FORBIDDEN, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn close(State(state): State<Arc<Shared>>, headers: HeaderMap) -> StatusCode {
    let session = headers.get("mcp-session-id").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if state.sessions.lock().unwrap().remove(session) {
        state.closed.fetch_add(1, Ordering::SeqCst);
    }
    if matches!(state.script.reply, Reply::AskBeside) {
        state.go_on.cancelled().await;
    }
    StatusCode::NO_CONTENT
}

fn refused(id: &Value, code: i64, message: &str) -> Response {
    let body = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } });
    ([(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn answer(id: &Value, result: &Value) -> Response {
    let body = json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
