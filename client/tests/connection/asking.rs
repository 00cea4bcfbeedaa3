//! What a server asks and says in a session beside its answers: questions, on either stream.

use std::{sync::Arc, time::Duration};

use client::mcp::{Answerer, ConnectOptions, declined};
use serde_json::{Value, json};
use shared::mcp::elicitation::{ElicitRequestParams, ElicitResult};

use crate::{
    call,
    mcp_server::{Act, STREAM_HEAD, Step, TestServer, filled, status, stream},
    open, open_with, options,
    stateless::Person,
};

/// A question as it stands in a stream.
pub(crate) const QUESTION: &str = concat!(
    r#"data: {"jsonrpc":"2.0","id":"q-1","method":"elicitation/create","params":{"message":"Are you sure?","#,
    r#""requestedSchema":{"type":"object","properties":{"confirm":{"type":"boolean"}}}}}"#,
    "\n\n",
);

/// Takes 1.5 s to say no.
#[derive(Debug)]
pub(crate) struct Slow;

#[async_trait::async_trait]
impl Answerer for Slow {
    async fn elicit(&self, _: &ElicitRequestParams) -> ElicitResult {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        declined()
    }
}

pub(crate) fn with_person() -> (Arc<Person>, ConnectOptions) {
    let person = Arc::new(Person::default());
    let answerer: Arc<dyn Answerer> = Arc::<Person>::clone(&person);
    (person, ConnectOptions { answerer: Some(answerer), ..options() })
}

fn answer(server: &TestServer) -> Value {
    let seen = server.seen().into_iter().find(|seen| seen.kind() == "response");
    seen.map(|seen| seen.body).unwrap_or_default()
}

/// No stream of its own.
pub(crate) fn no_stream() -> Act {
    status(405, &[], "", "")
}

/// Asks, and answers the call once it was answered itself.
pub(crate) fn asks_then_answers() -> Act {
    Arc::new(|seen| {
        let asks = [STREAM_HEAD, QUESTION.as_bytes()].concat();
        let answers = filled("data: RESPONSE\n\n", seen).into_bytes();
        vec![Step::Send(asks), Step::Arrival("response"), Step::Send(answers), Step::Close]
    })
}

#[tokio::test]
async fn a_question_in_the_stream_of_a_call_is_answered_by_the_person() {
    let server = TestServer::start().await;
    server.arm_always("GET", no_stream());
    server.arm("tools/call", asks_then_answers());
    let (person, options) = with_person();
    let connection = open_with(&server, options).await;
    call(&connection).await.unwrap();
    assert_eq!(*person.asked.lock().unwrap(), ["Are you sure?"]);
    let answer = answer(&server);
    assert_eq!(answer["id"], "q-1");
    assert_eq!(answer["result"], json!({ "action": "accept", "content": { "confirm": true } }));
    let opening = server.first("initialize").await;
    assert_eq!(opening.body["params"]["capabilities"], json!({ "elicitation": { "form": {} } }));
}

#[tokio::test]
async fn with_nobody_to_ask_nothing_is_listened_to_and_a_question_is_refused() {
    let server = TestServer::start().await;
    server.arm("tools/call", asks_then_answers());
    let connection = open(&server).await;
    call(&connection).await.unwrap();
    assert_eq!(answer(&server)["error"]["code"], -32602);
    assert_eq!(server.count("GET"), 0);
    let opening = server.first("initialize").await;
    assert_eq!(opening.body["params"]["capabilities"], json!({}));
}

#[tokio::test]
async fn a_page_to_open_is_refused_where_only_forms_were_announced() {
    let server = TestServer::start().await;
    server.arm_always("GET", no_stream());
    let text = concat!(
        r#"data: {"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"mode":"url","message":"Log in","#,
        r#""url":"https://example.com/","elicitationId":"e"}}"#,
        "\n\ndata: RESPONSE\n\n",
    );
    server.arm("tools/call", stream(text));
    let (person, options) = with_person();
    let connection = open_with(&server, options).await;
    call(&connection).await.unwrap();
    assert_eq!(answer(&server)["error"]["code"], -32602);
    assert!(person.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_question_that_cannot_be_read_is_refused_and_the_call_goes_on() {
    let server = TestServer::start().await;
    let text = concat!(
        r#"data: {"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":5}}"#,
        "\n\n",
        r#"data: {"jsonrpc":"2.0","id":2,"method":"roots/list"}"#,
        "\n\ndata: RESPONSE\n\n",
    );
    server.arm("tools/call", stream(text));
    let connection = open(&server).await;
    call(&connection).await.unwrap();
    let answers = server.seen().into_iter().filter(|seen| seen.kind() == "response");
    let mut codes: Vec<_> =
        answers.map(|seen| (seen.body["id"].as_i64(), seen.body["error"]["code"].clone())).collect();
    codes.sort_by_key(|(id, _)| *id);
    assert_eq!(codes, [(Some(1), json!(-32602)), (Some(2), json!(-32601))]);
}

#[tokio::test]
async fn a_question_on_the_stream_of_the_session_is_answered_too() {
    let server = TestServer::start().await;
    let mut head = STREAM_HEAD.to_vec();
    head.extend_from_slice(QUESTION.as_bytes());
    server.arm("GET", Arc::new(move |_| vec![Step::Send(head.clone()), Step::Hang]));
    let (person, options) = with_person();
    let connection = open_with(&server, options).await;
    server.first("response").await;
    assert_eq!(answer(&server)["result"]["action"], "accept");
    assert_eq!(*person.asked.lock().unwrap(), ["Are you sure?"]);
    let listening = server.first("GET").await;
    assert_eq!(listening.header("accept"), Some("text/event-stream"));
    assert!(listening.header("mcp-session-id").is_some());
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_server_without_such_a_stream_is_asked_for_it_once() {
    let server = TestServer::start().await;
    server.arm_always("GET", no_stream());
    let (_, options) = with_person();
    let connection = open_with(&server, options).await;
    call(&connection).await.unwrap();
    // Whatever would ask again has a minute for it, which nobody waits for.
    tokio::time::pause();
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::resume();
    call(&connection).await.unwrap();
    assert_eq!(server.count("GET"), 1);
}

#[tokio::test]
async fn the_time_a_person_takes_is_not_held_against_the_call() {
    let server = TestServer::start().await;
    server.arm_always("GET", no_stream());
    server.arm("tools/call", asks_then_answers());
    let mut options = ConnectOptions { answerer: Some(Arc::new(Slow)), ..options() };
    options.timeouts.call = Duration::from_secs(1);
    let connection = open_with(&server, options).await;
    call(&connection).await.unwrap();
}
