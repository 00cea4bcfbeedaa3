//! Streams that broke: gone on with where the server lets them be, in a call and beside it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use client::mcp::McpError;
use futures_util::future::join_all;
use serde_json::json;

use crate::{
    asking::{QUESTION, with_person},
    call, call_repeatable,
    mcp_server::{Act, STREAM_HEAD, Seen, Step, TestServer, filled, initialized, json_result, status, steps},
    open, open_with, options,
};

/// A stream that breaks after an event.
fn broken_after(event: &'static str) -> Act {
    Arc::new(move |seen| {
        vec![Step::Send(STREAM_HEAD.to_vec()), Step::Send(filled(event, seen).into_bytes()), Step::Close]
    })
}

#[tokio::test]
async fn a_stream_that_broke_is_gone_on_with_after_its_last_event() {
    for (begins, place) in [
        ("id: 7\nretry: 20\ndata:\n\n", "7"),
        ("id: 7\nretry: 20\n\n", "7"),
        ("id: é\nretry: 20\n\n", "é"),
        // No header can name the second place.
        ("id: 7\nretry: 20\n\nid: 8\u{1}\n\n", "7"),
    ] {
        let server = TestServer::start().await;
        server.arm("tools/call", broken_after(begins));
        let resumed: Act = Arc::new(|_| {
            let body = json!({ "jsonrpc": "2.0", "id": 2, "result": { "content": [] } });
            let text = format!("id: 8\ndata: {body}\n\n");
            vec![Step::Send(STREAM_HEAD.to_vec()), Step::Send(text.into_bytes()), Step::Close]
        });
        server.arm("GET", resumed);
        let connection = open(&server).await;
        // A call that may not be sent twice: it is not, and its answer is had all the same.
        let outcome = call(&connection).await;
        assert!(outcome.is_ok(), "{begins:?}: {outcome:?}");
        assert_eq!(server.count("tools/call"), 1);
        assert_eq!(server.first("GET").await.header("last-event-id"), Some(place));
    }
}

const EMPTY: &str = "id: 7\nretry: 0\ndata:\n\n";

/// A stream of a session that begins with this and ends, for so many times, and then has the response to request 2.
fn answers_after(times: usize, before: &'static str) -> Act {
    let opened = AtomicUsize::new(0);
    Arc::new(move |_| {
        let body = json!({ "jsonrpc": "2.0", "id": 2, "result": { "content": [] } });
        let text = match opened.fetch_add(1, Ordering::SeqCst) < times {
            true => before.to_owned(),
            false => format!("data: {body}\n\n"),
        };
        vec![Step::Send(STREAM_HEAD.to_vec()), Step::Send(text.into_bytes()), Step::Close]
    })
}

#[tokio::test]
async fn streams_that_end_at_once_are_gone_on_with_slower_each_time_and_then_no_more() {
    let server = TestServer::start().await;
    server.arm("tools/call", broken_after(EMPTY));
    server.arm_always("GET", broken_after(EMPTY));
    let connection = open(&server).await;
    let began = Instant::now();
    let error = call(&connection).await.unwrap_err();
    assert!(matches!(error, McpError::Broken(_)), "{error}");
    assert!(began.elapsed() >= Duration::from_millis(100 + 200 + 400), "{:?}", began.elapsed());
    assert_eq!((server.count("tools/call"), server.count("GET")), (1, 3));
}

#[tokio::test]
async fn streams_that_deliver_something_or_are_to_be_polled_are_gone_on_with_to_the_answer() {
    let notified = "id: 7\nretry: 0\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\n";
    for before in [notified, "id: 7\nretry: 1000\ndata:\n\n"] {
        let server = TestServer::start().await;
        server.arm("tools/call", broken_after(before));
        server.arm_always("GET", answers_after(4, before));
        let connection = open(&server).await;
        call(&connection).await.unwrap();
        assert_eq!((server.count("tools/call"), server.count("GET")), (1, 5), "{before}");
    }
}

#[tokio::test]
async fn a_stream_of_the_session_that_ends_at_once_is_opened_again_slower_each_time() {
    let server = TestServer::start().await;
    server.arm_always("GET", broken_after(EMPTY));
    let (_, options) = with_person();
    let began = Instant::now();
    let connection = open_with(&server, options).await;
    server
        .wait_until("four streams", |seen| seen.iter().filter(|seen| seen.kind() == "GET").count() >= 4)
        .await;
    assert!(began.elapsed() >= Duration::from_millis(100 + 200 + 400), "{:?}", began.elapsed());
    call(&connection).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_cannot_be_gone_on_with_is_a_broken_one() {
    for refused in [405, 404, 400] {
        let server = TestServer::start().await;
        server.arm("tools/call", broken_after("id: 7\nretry: 1\ndata:\n\n"));
        server.arm_always("GET", status(refused, &[], "", ""));
        let connection = open(&server).await;
        let error = call(&connection).await.unwrap_err();
        assert!(matches!(error, McpError::Broken(_)), "{refused}: {error}");
        assert_eq!((server.count("tools/call"), server.count("GET")), (1, 1), "{refused}");
    }
}

#[tokio::test]
async fn without_an_event_id_there_is_nothing_to_go_on_from() {
    for begins in [": nothing yet\n\n", "id: 7\ndata:\n\nid:\n\n", "id: 7\n"] {
        let server = TestServer::start().await;
        server.arm("tools/call", broken_after(begins));
        let connection = open(&server).await;
        assert!(matches!(call(&connection).await, Err(McpError::Broken(_))), "{begins:?}");
        assert_eq!(server.count("GET"), 0, "{begins:?}");
    }
}

#[tokio::test]
async fn a_pause_that_the_call_has_no_time_for_is_not_begun() {
    let server = TestServer::start().await;
    server.arm("tools/call", broken_after("id: 7\nretry: 5000\ndata:\n\n"));
    let mut options = options();
    options.timeouts.call = Duration::from_secs(2);
    let connection = open_with(&server, options).await;
    let error = call_repeatable(&connection, true).await.unwrap_err();
    assert!(matches!(error, McpError::Broken(_)), "{error:?}");
    assert_eq!((server.count("tools/call"), server.count("GET")), (1, 0));
}

/// What a stream was asked to be gone on with after, each time.
fn places(server: &TestServer) -> Vec<Option<String>> {
    let opened = server.seen().into_iter().filter(|seen| seen.kind() == "GET");
    opened.map(|seen| seen.header("last-event-id").map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_stream_that_says_nothing_new_of_its_place_is_gone_on_with_from_the_same() {
    let server = TestServer::start().await;
    server.arm("tools/call", broken_after("id: 7\nretry: 20\ndata:\n\n"));
    server.arm_always("GET", answers_after(1, ": nothing yet\n\n"));
    let connection = open(&server).await;
    call(&connection).await.unwrap();
    assert_eq!(places(&server), [Some("7".to_owned()), Some("7".to_owned())]);
}

#[tokio::test]
async fn the_stream_of_a_session_keeps_its_place_and_the_pause_that_was_asked_for() {
    let server = TestServer::start().await;
    server.arm("GET", broken_after("id: 7\nretry: 1300\ndata:\n\n"));
    server.arm_always("GET", broken_after(": nothing yet\n\n"));
    let (_, options) = with_person();
    let began = Instant::now();
    let _connection = open_with(&server, options).await;
    server
        .wait_until("three streams", |seen| seen.iter().filter(|seen| seen.kind() == "GET").count() >= 3)
        .await;
    assert!(began.elapsed() >= Duration::from_millis(2 * 1_300), "{:?}", began.elapsed());
    assert_eq!(places(&server)[1..3], [Some("7".to_owned()), Some("7".to_owned())]);
}

/// Refusals that say nothing of the next attempt.
fn passing() -> [(&'static str, Act); 4] {
    let taken = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Stream already has an active connection"},"id":null}"#;
    [
        ("503", status(503, &[("retry-after", "0")], "", "")),
        ("502", status(502, &[], "text/html", "")),
        ("429", status(429, &[], "", "")),
        ("409", status(409, &[], "application/json", taken)),
    ]
}

#[tokio::test]
async fn a_stream_that_cannot_be_gone_on_with_yet_is_asked_for_again() {
    for (name, refused) in passing() {
        let server = TestServer::start().await;
        server.arm("tools/call", broken_after("id: 7\nretry: 1\ndata:\n\n"));
        server.arm("GET", refused);
        server.arm_always("GET", answers_after(0, ""));
        let connection = open(&server).await;
        assert!(call(&connection).await.is_ok(), "{name}");
        assert_eq!(places(&server), [Some("7".to_owned()), Some("7".to_owned())], "{name}");
    }
}

#[tokio::test]
async fn a_stream_of_the_session_that_cannot_be_had_yet_is_asked_for_again() {
    let refused_once = passing().map(|(name, refused)| async move {
        let server = TestServer::start().await;
        server.arm("GET", refused);
        let asks = Step::Send([STREAM_HEAD, QUESTION.as_bytes()].concat());
        server.arm_always("GET", steps(vec![asks, Step::Hang]));
        let (person, options) = with_person();
        let _connection = open_with(&server, options).await;
        server.first("response").await;
        assert_eq!(*person.asked.lock().unwrap(), ["Are you sure?"], "{name}");
    });
    join_all(refused_once).await;
}

#[tokio::test]
async fn a_refusal_is_waited_for_as_long_as_it_says_unless_that_is_too_long() {
    for (seconds, is_waited_for) in [("1", true), ("60", false)] {
        let server = TestServer::start().await;
        server.arm("tools/call", broken_after("id: 7\nretry: 1\ndata:\n\n"));
        server.arm("GET", status(503, &[("retry-after", seconds)], "", ""));
        server.arm_always("GET", answers_after(0, ""));
        let connection = open(&server).await;
        let began = Instant::now();
        assert_eq!(call(&connection).await.is_ok(), is_waited_for, "{seconds}");
        assert_eq!(server.count("GET"), if is_waited_for { 2 } else { 1 }, "{seconds}");
        assert!(!is_waited_for || began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn batches_on_the_stream_of_a_session_are_read_in_the_revision_that_has_them() {
    let server = TestServer::start().await;
    server.keep_no_sessions();
    server.arm("initialize", json_result(initialized("2025-03-26")));
    let ping = |id: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
    let event = format!("data: {}\n\n", json!([ping("a"), ping("b")]));
    server.arm("GET", steps(vec![Step::Send([STREAM_HEAD, event.as_bytes()].concat()), Step::Hang]));
    let (_, options) = with_person();
    let _connection = open_with(&server, options).await;
    let answered = |seen: &[Seen]| {
        let mut ids: Vec<_> = seen
            .iter()
            .filter(|seen| seen.kind() == "response")
            .map(|seen| seen.body["id"].clone())
            .collect();
        ids.sort_by_key(|id| id.to_string());
        ids == ["a", "b"]
    };
    server.wait_until("both answers", answered).await;
}
