//! What goes on while a person is asked: the stream that asked is read on, and the question can be taken back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use client::mcp::{Answerer, ConnectOptions, McpError, declined};
use serde_json::{Value, json};
use shared::mcp::elicitation::{ElicitRequestParams, ElicitResult};
use tokio::{
    sync::{Barrier, Notify},
    time::timeout,
};

use crate::{
    asking::{QUESTION, Slow, no_stream, with_person},
    call,
    mcp_server::{Act, PATIENCE, STREAM_HEAD, Seen, Step, TestServer, filled, status, steps},
    open_with, options,
};

const PING: &str = "data: {\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}\n\n";

const CANCELLED: &str = concat!(
    r#"data: {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q-1"}}"#,
    "\n\n",
);

/// Never answers, and lets a test know when a question comes and when it is dropped.
#[derive(Debug, Default)]
struct Undecided {
    asked: Arc<Notify>,
    dropped: Arc<Notify>,
}

struct Dropped(Arc<Notify>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[async_trait::async_trait]
impl Answerer for Undecided {
    async fn elicit(&self, _: &ElicitRequestParams) -> ElicitResult {
        let _dropped = Dropped(Arc::clone(&self.dropped));
        self.asked.notify_one();
        std::future::pending().await
    }
}

fn undecided() -> (Arc<Undecided>, ConnectOptions) {
    let person = Arc::<Undecided>::default();
    let answerer: Arc<dyn Answerer> = Arc::<Undecided>::clone(&person);
    (person, ConnectOptions { answerer: Some(answerer), ..options() })
}

/// A stream that begins with a question and goes on as `next` says; the call is answered after that.
fn asks(next: Vec<Step>) -> Act {
    Arc::new(move |seen| {
        let begins = Step::Send([STREAM_HEAD, QUESTION.as_bytes()].concat());
        let answers = Step::Send(filled("data: RESPONSE\n\n", seen).into_bytes());
        [vec![begins], next.clone(), vec![answers, Step::Close]].concat()
    })
}

fn said(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

/// What was answered, by id.
fn answered(seen: &[Seen]) -> Vec<Value> {
    seen.iter().filter(|seen| seen.kind() == "response").map(|seen| seen.body["id"].clone()).collect()
}

#[tokio::test]
async fn a_server_is_heard_and_can_take_its_question_back() {
    let server = TestServer::start().await;
    server.arm_always("GET", no_stream());
    let (person, options) = undecided();
    let dropped = Step::Await(Arc::clone(&person.dropped));
    server.arm("tools/call", asks(vec![said(PING), Step::Arrival("response"), said(CANCELLED), dropped]));
    let connection = open_with(&server, options).await;
    timeout(PATIENCE, call(&connection)).await.expect("the call ends").unwrap();
    assert_eq!(answered(&server.seen()), ["p"]);
}

#[tokio::test]
async fn the_response_to_the_call_takes_its_question_back() {
    let server = TestServer::start().await;
    server.arm_always("GET", no_stream());
    let (person, options) = undecided();
    server.arm("tools/call", asks(vec![Step::Await(Arc::clone(&person.asked))]));
    let connection = open_with(&server, options).await;
    timeout(PATIENCE, call(&connection)).await.expect("the call ends").unwrap();
    timeout(PATIENCE, person.dropped.notified()).await.expect("the question is dropped");
    assert_eq!(server.count("response"), 0);
}

#[tokio::test]
async fn the_stream_of_a_session_is_read_on_too() {
    let server = TestServer::start().await;
    let (person, options) = undecided();
    let head = Step::Send([STREAM_HEAD, QUESTION.as_bytes(), PING.as_bytes()].concat());
    let steps = vec![head, Step::Arrival("response"), said(CANCELLED), Step::Hang];
    server.arm("GET", Arc::new(move |_| steps.clone()));
    let _connection = open_with(&server, options).await;
    timeout(PATIENCE, person.dropped.notified()).await.expect("the question is dropped");
    assert_eq!(answered(&server.seen()), ["p"]);
}

#[tokio::test]
async fn a_question_outlives_the_stream_that_asked_it() {
    let server = TestServer::start().await;
    let cut = Step::Send([STREAM_HEAD, b"id: 7\nretry: 1\n", QUESTION.as_bytes()].concat());
    server.arm("tools/call", Arc::new(move |_| vec![cut.clone(), Step::Close]));
    let result = json!({ "jsonrpc": "2.0", "id": 2, "result": { "content": [] } });
    let answers = format!("data: {result}\n\n");
    let resumed =
        vec![Step::Send(STREAM_HEAD.to_vec()), Step::Arrival("response"), said(&answers), Step::Close];
    let options = ConnectOptions { answerer: Some(Arc::new(Slow)), ..options() };
    server.arm("GET", no_stream());
    server.arm("GET", Arc::new(move |_| resumed.clone()));
    let connection = open_with(&server, options).await;
    timeout(PATIENCE, call(&connection)).await.expect("the call ends").unwrap();
    assert_eq!(answered(&server.seen()), ["q-1"]);
}

#[tokio::test]
async fn while_a_person_is_asked_their_stream_is_asked_for_until_it_can_be_had() {
    let ends_at_once = steps(vec![Step::Send(STREAM_HEAD.to_vec()), Step::Close]);
    for not_yet in [status(503, &[], "", ""), ends_at_once] {
        let server = TestServer::start().await;
        let cut = Step::Send([STREAM_HEAD, b"id: 7\nretry: 1\n", QUESTION.as_bytes()].concat());
        server.arm("tools/call", steps(vec![cut, Step::Close]));
        server.arm("GET", no_stream());
        // More often than it is tried where nobody is asked.
        for _ in 0..4 {
            server.arm("GET", Arc::clone(&not_yet));
        }
        let result = json!({ "jsonrpc": "2.0", "id": 2, "result": { "content": [] } });
        let answers = said(&format!("data: {result}\n\n"));
        server.arm("GET", steps(vec![Step::Send(STREAM_HEAD.to_vec()), answers, Step::Close]));
        let (_, options) = undecided();
        let connection = open_with(&server, options).await;
        timeout(PATIENCE, call(&connection)).await.expect("the call ends").unwrap();
        assert_eq!((server.count("tools/call"), server.count("GET")), (1, 6));
    }
}

#[tokio::test]
async fn a_pause_while_a_person_is_asked_is_begun_however_little_time_is_left_for_the_call() {
    let server = TestServer::start().await;
    let cut = Step::Send([STREAM_HEAD, b"id: 7\nretry: 1000\n", QUESTION.as_bytes()].concat());
    server.arm("tools/call", steps(vec![cut, Step::Close]));
    server.arm("GET", no_stream());
    let result = json!({ "jsonrpc": "2.0", "id": 2, "result": { "content": [] } });
    let answers = said(&format!("data: {result}\n\n"));
    server.arm("GET", steps(vec![Step::Send(STREAM_HEAD.to_vec()), answers, Step::Close]));
    let (_, mut options) = undecided();
    options.timeouts.call = Duration::from_millis(800);
    let connection = open_with(&server, options).await;
    timeout(PATIENCE, call(&connection)).await.expect("the call ends").unwrap();
    assert_eq!((server.count("tools/call"), server.count("GET")), (1, 2));
}

#[tokio::test]
async fn a_pause_that_ends_after_the_call_is_not_waited_for_once_a_person_has_answered() {
    let server = TestServer::start().await;
    let cut = Step::Send([STREAM_HEAD, b"id: 7\nretry: 60000\n", QUESTION.as_bytes()].concat());
    server.arm("tools/call", steps(vec![cut, Step::Close]));
    server.arm("GET", no_stream());
    let mut options = ConnectOptions { answerer: Some(Arc::new(Slow)), ..options() };
    options.timeouts.call = Duration::from_secs(2);
    let connection = open_with(&server, options).await;
    let error = timeout(PATIENCE, call(&connection)).await.expect("the call ends").unwrap_err();
    assert!(matches!(error, McpError::Broken(_)), "{error}");
    assert_eq!((answered(&server.seen()), server.count("GET")), (vec![json!("q-1")], 1));
}

#[tokio::test]
async fn what_a_person_answered_arrives_though_the_stream_that_asked_broke() {
    let server = TestServer::start().await;
    server.arm_always("GET", no_stream());
    let asks = Step::Send([STREAM_HEAD, QUESTION.as_bytes()].concat());
    server.arm("tools/call", Arc::new(move |_| vec![asks.clone(), Step::Arrival("response"), Step::Close]));
    server.arm("response", status(503, &[("retry-after", "0")], "", ""));
    let (_, options) = with_person();
    let connection = open_with(&server, options).await;
    let error = timeout(PATIENCE, call(&connection)).await.expect("the call ends").unwrap_err();
    assert!(matches!(error, McpError::Broken(_)), "{error}");
    assert_eq!(answered(&server.seen()), ["q-1", "q-1"]);
}

/// Answers once so many have been asked, and counts how many are being asked at once.
#[derive(Debug)]
struct Together {
    all: Barrier,
    asked: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait::async_trait]
impl Answerer for Together {
    async fn elicit(&self, _: &ElicitRequestParams) -> ElicitResult {
        self.most.fetch_max(self.asked.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        self.all.wait().await;
        self.asked.fetch_sub(1, Ordering::SeqCst);
        declined()
    }
}

#[tokio::test]
async fn so_many_questions_are_asked_at_once_and_no_more() {
    const AT_ONCE: usize = 16;
    let server = TestServer::start().await;
    server.arm_always("GET", no_stream());
    let questions = (0..3 * AT_ONCE).map(|number| QUESTION.replace("q-1", &number.to_string()));
    server.arm("tools/call", asks(vec![said(&questions.collect::<String>()), Step::Hang]));
    let (asked, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let person = Arc::new(Together { all: Barrier::new(AT_ONCE), asked, most });
    let answerer: Arc<dyn Answerer> = Arc::<Together>::clone(&person);
    let connection = open_with(&server, ConnectOptions { answerer: Some(answerer), ..options() }).await;
    let all_answered = server.wait_until("every answer", |seen| answered(seen).len() == 3 * AT_ONCE);
    tokio::select! {
        outcome = call(&connection) => panic!("{outcome:?}"),
        () = all_answered => {}
    }
    assert_eq!(person.most.load(Ordering::SeqCst), AT_ONCE);
}
