//! Limits and cancellation: every call ends, and the server is told when nobody waits any more.

#![cfg(test)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use client::mcp::{CallOptions, ConnectOptions, Connection, Era, McpError, TimedOut, Timeouts};
use futures_util::future::join_all;
use serde_json::json;
use tokio::{net::TcpSocket, sync::Notify};
use tokio_util::sync::CancellationToken;

use crate::{
    arguments, call, endpoint,
    mcp_server::{Act, STREAM_HEAD, Step, TestServer, filled, json_result, steps},
    open, open_with, options,
};

/// A beat of what is timed; nothing has to come within one.
const SHORT: Duration = Duration::from_millis(150);

/// Whole exchanges fit in, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(1);

fn limited(change: impl FnOnce(&mut Timeouts)) -> ConnectOptions {
    let mut options = options();
    change(&mut options.timeouts);
    options
}

/// A stream with some progress in it, and then silence.
fn silent_stream() -> Act {
    steps(vec![Step::Send(STREAM_HEAD.to_vec()), Step::Send(b": hello\n\n".to_vec()), Step::Hang])
}

#[tokio::test]
async fn each_limit_ends_the_call_and_the_server_is_told_once() {
    let half_json =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{".to_vec();
    let cases: [(TimedOut, Act, ConnectOptions); 4] = [
        (TimedOut::FirstByte, steps(vec![Step::Hang]), limited(|limits| limits.first_byte = LIMIT)),
        (TimedOut::Idle, silent_stream(), limited(|limits| limits.idle = LIMIT)),
        (
            TimedOut::Idle,
            steps(vec![Step::Send(half_json), Step::Hang]),
            limited(|limits| limits.idle = LIMIT),
        ),
        (TimedOut::Call, silent_stream(), limited(|limits| limits.call = LIMIT)),
    ];
    let ended = cases.map(|(limit, act, options)| async move {
        let server = TestServer::start().await;
        let connection = open_with(&server, options).await;
        server.arm_always("tools/call", act);
        let began = Instant::now();
        let error = call(&connection).await.unwrap_err();
        assert!(matches!(error, McpError::TimedOut(which) if which == limit), "{limit:?}: {error:?}");
        assert!(error.may_have_run() && began.elapsed() >= LIMIT, "{:?}", began.elapsed());
        let told = server.first("notifications/cancelled").await;
        assert_eq!(told.body["params"]["requestId"], server.first("tools/call").await.body["id"]);
        assert_eq!(told.body["params"]["reason"], "timed out");
        assert_eq!((server.count("notifications/cancelled"), server.count("tools/call")), (1, 1));
        assert!(connection.ping().await.is_ok(), "the connection lives on");
    });
    join_all(ended).await;
}

/// A stream that tells of progress so often, `SHORT` apart, and then says no more or ends with the answer.
fn progress(times: usize, answers: bool) -> Act {
    Arc::new(move |seen| {
        let token = &seen.body["params"]["_meta"]["progressToken"];
        let told = json!({
            "jsonrpc": "2.0", "method": "notifications/progress",
            "params": { "progressToken": token, "progress": 1 },
        });
        let event = Step::Send(format!("data: {told}\n\n").into_bytes());
        let mut steps = vec![Step::Send(STREAM_HEAD.to_vec())];
        for _ in 0..times {
            steps.extend([Step::Pause(SHORT), event.clone()]);
        }
        match answers {
            true => steps.extend([Step::Send(filled("data: RESPONSE\n\n", seen).into_bytes()), Step::Close]),
            false => steps.push(Step::Hang),
        }
        steps
    })
}

async fn call_within(
    connection: &Connection,
    timeout: Duration,
) -> Result<shared::mcp::tools::CallToolResult, McpError> {
    let options = CallOptions { timeout: Some(timeout), ..CallOptions::default() };
    connection.call_tool("echo", arguments(), options).await
}

#[tokio::test]
async fn progress_starts_the_time_for_a_call_anew_and_silence_ends_it() {
    for era in [Era::Sessions, Era::Stateless] {
        let (server, connection) = opened(era, options()).await;
        server.arm("tools/call", progress(8, true));
        let began = Instant::now();
        assert!(call_within(&connection, SHORT * 5).await.is_ok(), "{era:?}");
        assert!(began.elapsed() >= SHORT * 8, "it took longer than the time for a call");
        server.arm("tools/call", progress(1, false));
        let error = call_within(&connection, SHORT * 3).await.unwrap_err();
        assert!(matches!(error, McpError::TimedOut(TimedOut::Progress)), "{era:?}: {error:?}");
        assert!(error.to_string().contains("no answer and no progress"), "{error}");
        let told = server.count("notifications/cancelled");
        assert_eq!(told, usize::from(era == Era::Sessions), "{era:?}");
        assert!(call(&connection).await.is_ok(), "the connection lives on");
    }
}

#[tokio::test]
async fn progress_without_an_end_ends_at_the_limit_for_the_call_as_a_whole() {
    for era in [Era::Sessions, Era::Stateless] {
        let (server, connection) = opened(era, limited(|limits| limits.call = SHORT * 6)).await;
        server.arm("tools/call", progress(1_000, true));
        let error = call_within(&connection, SHORT * 5).await.unwrap_err();
        assert!(matches!(error, McpError::TimedOut(TimedOut::Call)), "{era:?}: {error:?}");
    }
}

async fn opened(era: Era, options: ConnectOptions) -> (TestServer, Connection) {
    let server = TestServer::start().await;
    if era == Era::Stateless {
        server.keep_no_sessions();
        let found = json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} },
        });
        server.arm_always("server/discover", json_result(found));
    }
    let connection = open_with(&server, ConnectOptions { era, ..options }).await;
    connection.list_tools().await.unwrap();
    (server, connection)
}

#[tokio::test]
async fn a_late_answer_within_the_limits_is_an_answer() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    let gate = Arc::new(Notify::new());
    let late = Arc::clone(&gate);
    server.arm(
        "tools/call",
        Arc::new(move |seen| {
            let event = filled("data: RESPONSE\n\n", seen).into_bytes();
            vec![
                Step::Await(Arc::clone(&late)),
                Step::Send(STREAM_HEAD.to_vec()),
                Step::Send(event),
                Step::Close,
            ]
        }),
    );
    let calling = tokio::spawn({
        let connection = connection.clone();
        async move { call(&connection).await }
    });
    server.first("tools/call").await;
    connection.ping().await.unwrap();
    assert!(!calling.is_finished());
    gate.notify_one();
    assert!(calling.await.unwrap().is_ok());
    assert_eq!(server.count("notifications/cancelled"), 0);
}

#[tokio::test]
async fn a_connection_that_never_comes_about_ran_nothing() {
    // A listener whose queue is full: the system drops what knocks.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(address)).await {
        waiting.push(stream);
        assert!(waiting.len() < 64, "the queue never fills");
    }
    let options = limited(|limits| limits.connect = SHORT);
    let error = Connection::open(endpoint(&format!("http://{address}/mcp")), options).await.unwrap_err();
    assert!(matches!(error, McpError::TimedOut(TimedOut::Connect)) && !error.may_have_run(), "{error:?}");
}

#[tokio::test]
async fn opening_and_closing_are_limited_too() {
    let server = TestServer::start().await;
    server.arm("initialize", steps(vec![Step::Hang]));
    let options = limited(|limits| limits.call = LIMIT);
    let error = Connection::open(endpoint(server.url()), options.clone()).await.unwrap_err();
    assert!(matches!(error, McpError::TimedOut(TimedOut::Call)), "{error:?}");
    assert_eq!(server.count("notifications/cancelled"), 0, "`initialize` is never cancelled");

    let connection = open_with(&server, options).await;
    server.arm("DELETE", steps(vec![Step::Hang]));
    assert!(matches!(connection.close().await, Err(McpError::TimedOut(_))));
}

#[tokio::test]
async fn a_cancelled_call_ends_at_once_and_the_server_is_told() {
    for act in [steps(vec![Step::Hang]), silent_stream()] {
        let server = TestServer::start().await;
        let connection = open(&server).await;
        server.arm("tools/call", act);
        let cancel = CancellationToken::new();
        let calling = tokio::spawn({
            let (connection, cancel) = (connection.clone(), cancel.clone());
            async move {
                let options = CallOptions { cancel, repeatable: true, ..CallOptions::default() };
                connection.call_tool("echo", arguments(), options).await
            }
        });
        let asked = server.first("tools/call").await;
        cancel.cancel();
        let error = calling.await.unwrap().unwrap_err();
        assert!(matches!(error, McpError::Cancelled) && error.may_have_run(), "{error:?}");
        let told = server.first("notifications/cancelled").await;
        assert_eq!(told.body["params"]["requestId"], asked.body["id"]);
        assert_eq!(server.count("tools/call"), 1);
        assert!(call(&connection).await.is_ok(), "the session lives on");
    }
}

/// What the client reads and what the server writes run side by side, so that there is always more to read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_never_pauses_ends_at_the_limit_and_when_it_is_cancelled() {
    let flood = Step::Flood(b":\n\n".repeat(10_000));
    let endless = steps(vec![Step::Send(STREAM_HEAD.to_vec()), flood, Step::Close]);
    let server = TestServer::start().await;
    server.arm_always("tools/call", endless);
    let connection = open_with(&server, limited(|limits| limits.call = LIMIT)).await;
    let error = call(&connection).await.unwrap_err();
    assert!(matches!(error, McpError::TimedOut(TimedOut::Call)), "{error:?}");

    let connection = open(&server).await;
    let cancel = CancellationToken::new();
    let options = CallOptions { cancel: cancel.clone(), ..CallOptions::default() };
    let calling = connection.call_tool("echo", arguments(), options);
    let cancelling = async {
        server
            .wait_until("a second call", |seen| {
                seen.iter().filter(|seen| seen.kind() == "tools/call").count() == 2
            })
            .await;
        tokio::time::sleep(SHORT).await;
        cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(calling, cancelling);
    assert!(matches!(outcome, Err(McpError::Cancelled)), "{outcome:?}");
}

#[tokio::test]
async fn a_server_that_does_not_listen_to_the_cancellation_holds_nobody_up() {
    let server = TestServer::start().await;
    let connection = open_with(&server, limited(|limits| limits.first_byte = LIMIT)).await;
    server.arm_always("tools/call", steps(vec![Step::Hang]));
    server.arm_always("notifications/cancelled", steps(vec![Step::Hang]));
    let began = Instant::now();
    assert!(call(&connection).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_call_that_was_cancelled_before_it_began_sends_nothing() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    let options = CallOptions::default();
    options.cancel.cancel();
    let error = connection.call_tool("echo", arguments(), options).await.unwrap_err();
    assert!(matches!(error, McpError::Cancelled), "{error:?}");
    connection.ping().await.unwrap();
    let kinds: Vec<_> = server.seen().iter().map(|seen| seen.kind().to_owned()).collect();
    assert_eq!(kinds, ["initialize", "notifications/initialized", "ping"]);
}

#[tokio::test]
async fn cancelling_one_call_does_not_disturb_those_who_wait_for_the_session_with_it() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    server.forget_sessions();
    server.arm("initialize", steps(vec![Step::Hang]));
    let cancel = CancellationToken::new();
    let first = tokio::spawn({
        let (connection, cancel) = (connection.clone(), cancel.clone());
        async move {
            connection.call_tool("echo", arguments(), CallOptions { cancel, ..CallOptions::default() }).await
        }
    });
    server
        .wait_until("a second initialize", |seen| {
            seen.iter().filter(|seen| seen.kind() == "initialize").count() == 2
        })
        .await;
    let second = tokio::spawn({
        let connection = connection.clone();
        async move { call(&connection).await }
    });
    server
        .wait_until("a second call", |seen| {
            seen.iter().filter(|seen| seen.kind() == "tools/call").count() == 2
        })
        .await;
    cancel.cancel();
    assert!(matches!(first.await.unwrap(), Err(McpError::Cancelled)));
    assert!(second.await.unwrap().is_ok());
    assert_eq!(server.count("initialize"), 3);
}
