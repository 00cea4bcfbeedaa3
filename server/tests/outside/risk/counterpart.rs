//! A risk service that does as it is told: refuses, hangs, fails, cuts the line and talks nonsense.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, body::Bytes, http::Response, routing::post};
use futures_util::stream;
use serde_json::{Value, json};
use server::risk::RiskSettings;
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

use super::settings;
use crate::support::modern::STATELESS;

/// What becomes of one call.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// It is approved, or released.
    Agree,
    /// It is refused, for this reason.
    Refuse(String),
    /// This is the structured content.
    Say(Value),
    /// The tool says that it did not do it.
    Decline(&'static str),
    /// A JSON-RPC error of this code.
    Error(i64),
    /// An HTTP status, and after how many seconds to come again.
    Status(u16, Option<u32>),
    /// A body of this type.
    Body(&'static str, &'static str),
    /// Nothing, for ever.
    Hang,
    /// The connection breaks in the middle of the answer.
    Cut,
    /// It answers with a question of its own.
    Ask,
    /// The answer is another request's.
    Mistake,
    /// A body of so many bytes.
    Large(usize),
    /// A stream that tells things and has no end.
    Endless,
    /// It is to be asked there.
    Elsewhere(String),
    /// It is approved, as soon as somebody says so.
    Held(Arc<Notify>),
}

#[derive(Debug)]
struct Script {
    next: VecDeque<Act>,
    otherwise: Act,
    /// What becomes of the next request of a method, whatever is said of calls.
    once: Vec<(&'static str, Act)>,
    seen: Vec<Value>,
}

/// A server that follows a script.
pub(super) struct Counterpart {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    serving: JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Counterpart {
    /// Starts it; it agrees to everything.
    pub(super) async fn start() -> Self {
        let (next, once, seen) = (VecDeque::new(), Vec::new(), Vec::new());
        let script = Arc::new(Mutex::new(Script { next, otherwise: Act::Agree, once, seen }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = serve(listener, Arc::clone(&script));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token.jwt"), "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJwYXltZW50cyJ9.c2ln")
            .unwrap();
        Self { address, script, serving, folder }
    }

    /// Does these with the next calls.
    pub(super) fn arm(&self, acts: impl IntoIterator<Item = Act>) -> &Self {
        self.script.lock().unwrap().next.extend(acts);
        self
    }

    /// Does this with every call that nothing else is said about.
    pub(super) fn always(&self, act: Act) -> &Self {
        self.script.lock().unwrap().otherwise = act;
        self
    }

    /// Does this with the next request of this method.
    pub(super) fn arm_once(&self, method: &'static str, act: Act) -> &Self {
        self.script.lock().unwrap().once.push((method, act));
        self
    }

    /// The arguments of the calls so far.
    pub(super) fn seen(&self) -> Vec<Value> {
        self.script.lock().unwrap().seen.clone()
    }

    /// Nobody listens there any more.
    pub(super) async fn stop(&mut self) {
        self.serving.abort();
        // It has let go of the port when it has ended.
        let _ = (&mut self.serving).await;
    }

    /// Somebody listens there again.
    pub(super) async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serving = serve(listener, Arc::clone(&self.script));
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(super) fn token(&self) -> std::path::PathBuf {
        self.folder.path().join("token.jwt")
    }

    /// How it is reached.
    pub(super) fn settings(&self) -> RiskSettings {
        RiskSettings { timeout: Duration::from_millis(400), ..settings(&self.url(), self.token()) }
    }
}

impl Drop for Counterpart {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn serve(listener: TcpListener, script: Arc<Mutex<Script>>) -> JoinHandle<()> {
    let answer = move |body: Bytes| {
        let script = Arc::clone(&script);
        async move { answer(&serde_json::from_slice(&body).unwrap(), &script).await }
    };
    let router = Router::new().route("/mcp", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

async fn answer(request: &Value, script: &Mutex<Script>) -> Response<Body> {
    let complete = |mut result: Value| {
        result["resultType"] = json!("complete");
        json_body(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }))
    };
    let method = request["method"].as_str().unwrap();
    let once = {
        let mut script = script.lock().unwrap();
        let place = script.once.iter().position(|(armed, _)| *armed == method);
        place.map(|place| script.once.remove(place).1)
    };
    if let Some(act) = once {
        return play(act, request, &request["params"]["arguments"], complete).await;
    }
    match method {
        "server/discover" => complete(json!({
            "ttlMs": 0, "cacheScope": "private", "supportedVersions": [STATELESS],
            "capabilities": { "tools": {} },
        })),
        "tools/list" => complete(json!({ "ttlMs": 0, "cacheScope": "private", "tools": [] })),
        "tools/call" => {
            let arguments = &request["params"]["arguments"];
            let act = {
                let mut script = script.lock().unwrap();
                script.seen.push(arguments.clone());
                script.next.pop_front().unwrap_or_else(|| script.otherwise.clone())
            };
            play(act, request, arguments, complete).await
        }
        other => panic!("nobody asks for {other}"),
    }
}

async fn play(
    act: Act,
    request: &Value,
    arguments: &Value,
    complete: impl Fn(Value) -> Response<Body>,
) -> Response<Body> {
    let structured = |content: Value| complete(json!({ "content": [], "structuredContent": content }));
    let decision = if arguments["release"] == true { "released" } else { "approved" };
    let agreed = json!({ "payment": arguments["payment"], "decision": decision });
    match act {
        Act::Agree => structured(agreed),
        Act::Refuse(reason) => {
            structured(json!({ "payment": arguments["payment"], "decision": "refused", "reason": reason }))
        }
        Act::Say(content) => structured(content),
        Act::Decline(text) => {
            complete(json!({ "content": [{ "type": "text", "text": text }], "isError": true }))
        }
        Act::Error(code) => json_body(
            &json!({ "jsonrpc": "2.0", "id": request["id"], "error": { "code": code, "message": "no" } }),
        ),
        Act::Status(status, retry_after) => {
            let mut response = Response::builder().status(status);
            if let Some(seconds) = retry_after {
                response = response.header("retry-after", seconds);
            }
            response.body(Body::empty()).unwrap()
        }
        Act::Body(kind, text) => Response::builder().header("content-type", kind).body(text.into()).unwrap(),
        Act::Hang => std::future::pending().await,
        Act::Cut => {
            let pieces = [Ok(Bytes::from_static(b"{\"jsonrpc\":")), Err(std::io::Error::other("cut"))];
            let body = Body::from_stream(stream::iter(pieces));
            Response::builder().header("content-type", "application/json").body(body).unwrap()
        }
        Act::Ask => json_body(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": {
            "resultType": "input_required", "requestState": "s",
            "inputRequests": { "q": { "method": "elicitation/create", "params": {
                "message": "What is your token?", "requestedSchema": { "type": "object", "properties": {} },
            } } },
        } })),
        Act::Mistake => json_body(&json!({ "jsonrpc": "2.0", "id": "another", "result": {
            "resultType": "complete", "content": [], "structuredContent": agreed,
        } })),
        Act::Large(bytes) => {
            let builder = Response::builder().header("content-type", "application/json");
            builder.body(" ".repeat(bytes).into()).unwrap()
        }
        Act::Endless => {
            let told = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {
                "level": "info", "data": "soon",
            } });
            let event = Bytes::from(format!("data: {told}\n\n"));
            let events = stream::unfold(event, |event| async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Some((Ok::<_, std::io::Error>(event.clone()), event))
            });
            let builder = Response::builder().header("content-type", "text/event-stream");
            builder.body(Body::from_stream(events)).unwrap()
        }
        Act::Elsewhere(url) => {
            Response::builder().status(307).header("location", url).body(Body::empty()).unwrap()
        }
        Act::Held(until) => {
            until.notified().await;
            structured(agreed)
        }
    }
}

fn json_body(value: &Value) -> Response<Body> {
    Response::builder().header("content-type", "application/json").body(value.to_string().into()).unwrap()
}
