//! An MCP server over a raw socket that behaves until it is armed not to: each request can be answered byte by byte as
//! a test wants it, and everything that arrived is kept to be counted.

#![cfg(test)]

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::JoinHandle,
    time::timeout,
};

use crate::official::Conversation;

/// How long a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) http_method: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
    /// The body letter for letter.
    pub(crate) text: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The JSON-RPC method; `response` for a response; the HTTP method where there is no body.
    pub(crate) fn kind(&self) -> &str {
        match (&self.body, self.body["method"].as_str()) {
            (Value::Null, _) => &self.http_method,
            (_, Some(method)) => method,
            (_, None) => "response",
        }
    }
}

/// One thing the server does on the connection.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    /// Every byte in a write of its own.
    Bytewise(Vec<u8>),
    /// The same again and again without a pause, for as long as a test may wait.
    Flood(Vec<u8>),
    Await(Arc<Notify>),
    /// Waits until a request of this kind has arrived.
    Arrival(&'static str),
    /// Lets time pass.
    Pause(Duration),
    /// Says nothing until the client hangs up.
    Hang,
    /// Hangs up in the middle, the rude way.
    Reset,
    Close,
}

/// How a request is answered.
pub(crate) type Act = Arc<dyn Fn(&Seen) -> Vec<Step> + Send + Sync>;

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    once: Vec<(String, Act)>,
    always: Vec<(String, Act)>,
    sessions: HashSet<String>,
    opened: usize,
    keeps_no_sessions: bool,
    forgets_at_once: bool,
}

/// A server on a port of its own; gone when dropped.
pub(crate) struct TestServer {
    url: String,
    state: Arc<Mutex<State>>,
    arrivals: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let (arrived, arrivals) = watch::channel(0);
        let arrived = Arc::new(arrived);
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                connections.spawn(converse(stream, Arc::clone(&shared), Arc::clone(&arrived)));
            }
        });
        Self { url, state, arrivals, task }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Answers the next request of this kind so.
    pub(crate) fn arm(&self, kind: &str, act: Act) {
        self.state.lock().unwrap().once.push((kind.to_owned(), act));
    }

    /// Answers every request of this kind so.
    pub(crate) fn arm_always(&self, kind: &str, act: Act) {
        self.state.lock().unwrap().always.push((kind.to_owned(), act));
    }

    pub(crate) fn keep_no_sessions(&self) {
        self.state.lock().unwrap().keeps_no_sessions = true;
    }

    pub(crate) fn forget_sessions(&self) {
        self.state.lock().unwrap().sessions.clear();
    }

    /// From now on every session is forgotten as soon as the client is ready.
    pub(crate) fn forget_sessions_at_once(&self) {
        let mut state = self.state.lock().unwrap();
        state.forgets_at_once = true;
        state.sessions.clear();
        state.always.push(("notifications/initialized".to_owned(), status(202, &[], "", "")));
    }

    pub(crate) fn live_sessions(&self) -> usize {
        self.state.lock().unwrap().sessions.len()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    pub(crate) fn count(&self, kind: &str) -> usize {
        self.seen().iter().filter(|seen| seen.kind() == kind).count()
    }

    /// The first request of this kind; waits for it.
    pub(crate) async fn first(&self, kind: &str) -> Seen {
        self.wait_until(kind, |seen| seen.iter().any(|seen| seen.kind() == kind)).await;
        self.seen().into_iter().find(|seen| seen.kind() == kind).unwrap()
    }

    /// Waits until what arrived is as wanted.
    pub(crate) async fn wait_until(&self, what: &str, is_so: impl Fn(&[Seen]) -> bool) {
        let mut arrivals = self.arrivals.clone();
        let waiting = async {
            while !is_so(&self.seen()) {
                arrivals.changed().await.unwrap();
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "{what} did not arrive; this did: {:?}", self.seen());
    }

    /// Stops listening and hangs up everywhere. Returns what had arrived.
    pub(crate) async fn stop(mut self) -> Vec<Seen> {
        self.task.abort();
        assert!((&mut self.task).await.unwrap_err().is_cancelled());
        self.seen()
    }
}

async fn converse(stream: TcpStream, state: Arc<Mutex<State>>, arrived: Arc<watch::Sender<usize>>) {
    let mut stream = BufReader::new(stream);
    let mut conversation = Conversation::default();
    while let Some(seen) = read_request(&mut stream).await {
        if let Some(revision) = seen.header("mcp-protocol-version") {
            conversation.speaks(revision);
        }
        conversation.said(&seen.body.to_string());
        let steps = {
            let mut state = state.lock().unwrap();
            state.seen.push(seen.clone());
            state.answer(&seen)
        };
        arrived.send_modify(|count| *count += 1);
        for step in steps {
            match step {
                Step::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Step::Bytewise(bytes) => {
                    for byte in bytes {
                        if stream.write_all(&[byte]).await.is_err() {
                            return;
                        }
                        tokio::task::yield_now().await;
                    }
                }
                Step::Flood(bytes) => {
                    let began = Instant::now();
                    while began.elapsed() < PATIENCE {
                        if stream.write_all(&bytes).await.is_err() {
                            return;
                        }
                    }
                }
                Step::Await(signal) => signal.notified().await,
                Step::Arrival(kind) => {
                    let has_arrived =
                        |_: &usize| state.lock().unwrap().seen.iter().any(|seen| seen.kind() == kind);
                    arrived.subscribe().wait_for(has_arrived).await.unwrap();
                }
                Step::Pause(span) => tokio::time::sleep(span).await,
                Step::Hang => {
                    let mut rest = Vec::new();
                    drop(stream.read_to_end(&mut rest).await);
                    return;
                }
                Step::Reset => {
                    stream.get_ref().set_zero_linger().unwrap();
                    return;
                }
                Step::Close => return,
            }
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut first = String::new();
    if stream.read_line(&mut first).await.ok()? == 0 {
        return None;
    }
    let http_method = first.split(' ').next()?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    let text = String::from_utf8(body).unwrap();
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
    Some(Seen { http_method, headers, body, text })
}

impl State {
    fn answer(&mut self, seen: &Seen) -> Vec<Step> {
        if let Some(at) = self.once.iter().position(|(kind, _)| kind == seen.kind()) {
            return self.once.remove(at).1(seen);
        }
        if let Some((_, act)) = self.always.iter().find(|(kind, _)| kind == seen.kind()) {
            return act(seen);
        }
        if seen.kind() == "initialize" {
            return self.open(seen);
        }
        let session = seen.header("mcp-session-id").unwrap_or_default();
        if !self.keeps_no_sessions && !self.sessions.contains(session) {
            return status(404, &[], "text/plain", "session not found")(seen);
        }
        let result = match seen.kind() {
            "DELETE" => {
                self.sessions.remove(session);
                return status(204, &[], "", "")(seen);
            }
            "ping" => json!({}),
            "tools/list" => json!({ "tools": [{ "name": "echo", "inputSchema": { "type": "object" } }] }),
            "tools/call" => text_result(&seen.body["params"]["arguments"].to_string()),
            _ => return status(202, &[], "", "")(seen),
        };
        json_result(result)(seen)
    }

    fn open(&mut self, seen: &Seen) -> Vec<Step> {
        self.opened += 1;
        if self.keeps_no_sessions {
            return json_result(initialized("2025-11-25"))(seen);
        }
        let id = format!("{:032x}-session", self.opened);
        if !self.forgets_at_once {
            self.sessions.insert(id.clone());
        }
        let body = response(seen, initialized("2025-11-25")).to_string();
        status(200, &[("mcp-session-id", &id)], "application/json", &body)(seen)
    }
}

/// The result of `initialize`.
pub(crate) fn initialized(version: &str) -> Value {
    json!({
        "protocolVersion": version,
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "test-server", "version": "0.0.1" },
    })
}

/// A tool result with one text.
pub(crate) fn text_result(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

/// The response to a request.
pub(crate) fn response(seen: &Seen, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": seen.body["id"], "result": result })
}

/// A whole HTTP answer.
pub(crate) fn status(code: u16, headers: &[(&str, &str)], media_type: &str, body: &str) -> Act {
    let mut head = format!("HTTP/1.1 {code} Whatever\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !media_type.is_empty() {
        head += &format!("content-type: {media_type}\r\n");
    }
    if code != 204 {
        head += &format!("content-length: {}\r\n", body.len());
    }
    let answer = format!("{head}\r\n{body}").into_bytes();
    Arc::new(move |_| vec![Step::Send(answer.clone())])
}

/// A result in a JSON body.
pub(crate) fn json_result(result: Value) -> Act {
    Arc::new(move |seen| {
        status(200, &[], "application/json; charset=utf-8", &response(seen, result.clone()).to_string())(seen)
    })
}

/// The given steps, whatever was asked.
pub(crate) fn steps(steps: Vec<Step>) -> Act {
    Arc::new(move |_| steps.clone())
}

/// The head of a stream that ends with the connection.
pub(crate) const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// A stream with the given text, `RESPONSE` in it standing for the response with one text.
pub(crate) fn stream(text: &'static str) -> Act {
    Arc::new(move |seen| {
        vec![Step::Send(STREAM_HEAD.to_vec()), Step::Send(filled(text, seen).into_bytes()), Step::Close]
    })
}

/// `text` with `RESPONSE` replaced by the response to `seen`, and `ID` by the id of the request.
pub(crate) fn filled(text: &str, seen: &Seen) -> String {
    let response = response(seen, text_result("Grüße ✓ 👍")).to_string();
    text.replace("RESPONSE", &response).replace("ID", &seen.body["id"].to_string())
}
