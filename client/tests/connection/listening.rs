//! The stream of a session, listened to for as long as the session lives.

use std::{sync::Arc, time::Duration};

use client::mcp::{CallOptions, McpError};
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    arguments,
    asking::{QUESTION, no_stream, with_person},
    mcp_server::{Act, STREAM_HEAD, Seen, Step, TestServer, status, steps},
    open_with,
};

/// A stream that begins so, asks and stays open.
fn asks_after(begins: &str) -> Act {
    steps(vec![Step::Send([STREAM_HEAD, begins.as_bytes(), QUESTION.as_bytes()].concat()), Step::Hang])
}

/// What a person was asked, in the end, on streams that behave so one after the other.
async fn asked_on(streams: impl IntoIterator<Item = Act>) -> usize {
    let server = TestServer::start().await;
    for stream in streams {
        server.arm("GET", stream);
    }
    let (person, options) = with_person();
    let _connection = open_with(&server, options).await;
    server.first("response").await;
    assert_eq!(*person.asked.lock().unwrap(), ["Are you sure?"]);
    server.count("GET")
}

fn gets_in(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| seen.kind() == "GET").count()
}

const NOTIFICATION: &str = "data: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\n";

#[tokio::test]
async fn a_stream_of_the_session_is_asked_for_until_it_can_be_had() {
    let soon = Step::Send([STREAM_HEAD, b"retry: 0\n", NOTIFICATION.as_bytes()].concat());
    let refused = status(503, &[], "", "");
    let streams = [steps(vec![soon, Step::Close])].into_iter();
    let streams = streams.chain(std::iter::repeat_n(refused, 5)).chain([asks_after("")]);
    assert_eq!(asked_on(streams).await, 7);
}

#[tokio::test]
async fn however_much_was_said_on_a_stream_of_the_session_it_is_listened_to() {
    assert_eq!(asked_on([asks_after(&NOTIFICATION.repeat(100_001))]).await, 1);
}

#[tokio::test]
async fn a_stream_of_the_session_that_is_refused_after_an_event_is_asked_for_without_it() {
    let cut = Step::Send([STREAM_HEAD, b"id: 7\nretry: 0\n", NOTIFICATION.as_bytes()].concat());
    let knows_no_event: Act = Arc::new(|seen| match seen.header("last-event-id") {
        Some(_) => status(400, &[], "", "")(seen),
        None => asks_after("")(seen),
    });
    let streams = [steps(vec![cut, Step::Close]), Arc::clone(&knows_no_event), knows_no_event];
    assert_eq!(asked_on(streams).await, 3);
}

#[tokio::test]
async fn where_get_is_not_implemented_nothing_is_listened_to() {
    let server = TestServer::start().await;
    let soon = Step::Send([STREAM_HEAD, b"retry: 0\n", NOTIFICATION.as_bytes()].concat());
    server.arm("GET", steps(vec![soon, Step::Close]));
    server.arm_always("GET", status(501, &[], "", ""));
    let (_, options) = with_person();
    let _connection = open_with(&server, options).await;
    let gets = |count| server.wait_until("a GET", move |seen| gets_in(seen) >= count);
    gets(2).await;
    // It would be the next within a fifth of this.
    assert!(timeout(Duration::from_secs(1), gets(3)).await.is_err(), "it is asked for again");
}

#[tokio::test]
async fn a_stream_of_the_session_that_breaks_the_protocol_is_opened_again() {
    let garbled = Step::Send([STREAM_HEAD, b"data: \xff\n\n"].concat());
    let streams = [steps(vec![garbled, Step::Hang]), asks_after("")];
    assert_eq!(asked_on(streams).await, 2);
}

#[tokio::test]
async fn a_session_that_could_not_begin_is_not_listened_to() {
    let server = TestServer::start().await;
    server.arm("GET", no_stream());
    let (person, options) = with_person();
    let connection = open_with(&server, options).await;
    server.forget_sessions();
    server.arm("DELETE", status(405, &[], "", ""));
    let gate = Arc::new(Notify::new());
    let asks = [STREAM_HEAD, QUESTION.as_bytes()].concat();
    server.arm("GET", steps(vec![Step::Await(Arc::clone(&gate)), Step::Send(asks), Step::Hang]));
    let cancel = CancellationToken::new();
    let cancelling = async {
        server.wait_until("the stream of the next session", |seen| gets_in(seen) == 2).await;
        cancel.cancel();
    };
    let options = CallOptions { cancel: cancel.clone(), ..CallOptions::default() };
    let (called, ()) = tokio::join!(connection.call_tool("echo", arguments(), options), cancelling);
    assert!(matches!(called, Err(McpError::Cancelled)), "{called:?}");
    server.first("DELETE").await;
    gate.notify_one();
    let answer = timeout(Duration::from_secs(1), server.first("response")).await;
    assert!(answer.is_err() && person.asked.lock().unwrap().is_empty(), "{answer:?}");
}
