//! The stream of a session, listened to for as long as the session lives.

use crate::{
    asking::{QUESTION, with_person},
    mcp_server::{Act, STREAM_HEAD, Step, TestServer, status, steps},
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
async fn a_stream_of_the_session_that_breaks_the_protocol_is_opened_again() {
    let garbled = Step::Send([STREAM_HEAD, b"data: \xff\n\n"].concat());
    let streams = [steps(vec![garbled, Step::Hang]), asks_after("")];
    assert_eq!(asked_on(streams).await, 2);
}
