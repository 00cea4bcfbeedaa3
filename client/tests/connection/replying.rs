//! A person's answer on its way to a server that does not take it at once, and calls that wait while a person is asked.

use std::{sync::Arc, time::Duration};

use client::mcp::{ConnectOptions, McpError, TimedOut};
use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    asking::{QUESTION, Slow, asks_then_answers, no_stream, with_person},
    call,
    mcp_server::{Act, STREAM_HEAD, Seen, Step, TestServer, json_result, status, steps, stream, text_result},
    open_with, options,
};

fn answers(server: &TestServer) -> Vec<Value> {
    let seen = server.seen().into_iter().filter(|seen| seen.kind() == "response");
    seen.map(|seen| seen.body).collect()
}

#[tokio::test]
async fn an_answer_that_did_not_arrive_is_sent_again_and_nobody_is_asked_twice() {
    for (failure, what) in [
        (status(503, &[], "text/plain", "no"), "503"),
        (status(429, &[("retry-after", "0")], "", ""), "429"),
        (steps(vec![Step::Reset]), "reset"),
        (steps(vec![Step::Hang]), "silence"),
    ] {
        let server = TestServer::start().await;
        server.arm_always("GET", no_stream());
        server.arm("tools/call", asks_then_answers());
        server.arm("response", failure);
        let (person, mut options) = with_person();
        options.timeouts.first_byte = Duration::from_secs(1);
        let connection = open_with(&server, options).await;
        call(&connection).await.unwrap();
        let answers = answers(&server);
        assert_eq!(answers.len(), 2, "{what}");
        assert_eq!(answers[0], answers[1], "{what}");
        assert_eq!(person.asked.lock().unwrap().len(), 1, "{what}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_delivered_ends_the_call() {
    let server = TestServer::start().await;
    server.arm_always("GET", no_stream());
    let asks = Step::Send([STREAM_HEAD, b"id: 7\n", QUESTION.as_bytes()].concat());
    server.arm("tools/call", steps(vec![asks, Step::Hang]));
    server.arm_always("response", status(500, &[], "", ""));
    let (_, options) = with_person();
    let connection = open_with(&server, options).await;
    let error = call(&connection).await.unwrap_err();
    assert!(error.to_string().contains("did not take the answer to its question"), "{error}");
    assert!(matches!(error, McpError::Protocol(_)) && error.may_have_run(), "{error:?}");
    assert_eq!((answers(&server).len(), server.count("tools/call")), (3, 1));
}

#[tokio::test]
async fn an_answer_that_is_refused_or_no_question_of_a_person_does_not_end_the_call() {
    let ping = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n\ndata: RESPONSE\n\n";
    for (asks, refused) in [(asks_then_answers(), 400), (stream(ping), 500)] {
        let server = TestServer::start().await;
        server.arm_always("GET", no_stream());
        server.arm("tools/call", asks);
        server.arm_always("response", status(refused, &[], "text/plain", "too late"));
        let (_, options) = with_person();
        let connection = open_with(&server, options).await;
        call(&connection).await.unwrap();
    }
}

/// The stream of the session, which asks once a call has arrived.
fn asks_once(called: &Arc<Notify>) -> Act {
    steps(vec![
        Step::Send(STREAM_HEAD.to_vec()),
        Step::Await(Arc::clone(called)),
        Step::Send(QUESTION.as_bytes().to_vec()),
        Step::Hang,
    ])
}

#[tokio::test]
async fn no_answer_has_to_begin_while_a_person_is_asked_on_the_stream_of_the_session() {
    let server = TestServer::start().await;
    let (called, answered) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    server.arm("GET", asks_once(&called));
    let heard = Arc::clone(&answered);
    server.arm(
        "tools/call",
        Arc::new(move |seen: &Seen| {
            called.notify_one();
            let result = json_result(text_result("done"))(seen);
            [vec![Step::Await(Arc::clone(&heard))], result].concat()
        }),
    );
    server.arm(
        "response",
        Arc::new(move |seen: &Seen| {
            answered.notify_one();
            status(202, &[], "", "")(seen)
        }),
    );
    let mut options = ConnectOptions { answerer: Some(Arc::new(Slow)), ..options() };
    options.timeouts.first_byte = Duration::from_secs(1);
    let connection = open_with(&server, options).await;
    assert_eq!(call(&connection).await.unwrap().text(), "done");
    assert_eq!(server.count("tools/call"), 1);
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle_times_out_once_the_person_was_asked() {
    let server = TestServer::start().await;
    let called = Arc::new(Notify::new());
    server.arm("GET", asks_once(&called));
    let half = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{".to_vec();
    server.arm(
        "tools/call",
        Arc::new(move |_| {
            called.notify_one();
            vec![Step::Send(half.clone()), Step::Hang]
        }),
    );
    let mut options = ConnectOptions { answerer: Some(Arc::new(Slow)), ..options() };
    options.timeouts.idle = Duration::from_secs(1);
    let connection = open_with(&server, options).await;
    let error = call(&connection).await.unwrap_err();
    assert!(matches!(error, McpError::TimedOut(TimedOut::Idle)), "{error:?}");
    server.first("notifications/cancelled").await;
    assert_eq!((answers(&server).len(), server.count("notifications/cancelled")), (1, 1));
}
