//! Servers that say no, fail, or are not there: what the caller learns, and how often the call reached the server.

#![cfg(test)]

use std::time::{Duration, Instant};

use client::mcp::{ConnectOptions, Connection, McpError, RetryPolicy, TimedOut, Timeouts};
use futures_util::future::join_all;

use crate::{
    Recorder, call, call_repeatable, endpoint,
    mcp_server::{Act, Step, TestServer, status, steps},
    open, open_with, options,
};

/// The kind of error, and how often the call arrived.
type Ending = (&'static str, usize);

/// How one call ended, as far as the matrix is concerned.
fn kind(outcome: &Result<(), McpError>) -> &'static str {
    match outcome {
        Ok(()) => "answered",
        Err(McpError::Unauthorized(_)) => "unauthorized",
        Err(McpError::Forbidden(_)) => "forbidden",
        Err(McpError::Unreachable { .. }) => "unreachable",
        Err(McpError::Busy { .. }) => "busy",
        Err(McpError::ServerFailed { .. }) => "failed",
        Err(McpError::TimedOut(TimedOut::FirstByte)) => "no first byte",
        Err(McpError::Broken(_)) => "broken",
        Err(McpError::SessionEnded) => "session ended",
        Err(other) => panic!("{other:?}"),
    }
}

/// What a server says that has no room, and when to come back.
fn full(retry_after: &str) -> Act {
    let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"Too many sessions"}}"#;
    status(503, &[("retry-after", retry_after)], "application/json", body)
}

#[tokio::test]
async fn how_often_a_call_reaches_the_server_depends_on_whether_it_may_have_run() {
    let refuse = |code: u16, headers: &[(&str, &str)]| status(code, headers, "text/plain", "no");
    // What the server does with every call; how the call ends and how often it arrived: repeatable, and not.
    let scope = [("www-authenticate", "Bearer error=\"insufficient_scope\"")];
    let matrix: [(&str, Act, [Ending; 2]); 14] = [
        ("404", refuse(404, &[]), [("session ended", 2), ("session ended", 2)]),
        ("401", refuse(401, &[]), [("unauthorized", 1), ("unauthorized", 1)]),
        ("403", refuse(403, &[]), [("forbidden", 1), ("forbidden", 1)]),
        ("403 of a key", refuse(403, &scope), [("unauthorized", 1), ("unauthorized", 1)]),
        ("429", refuse(429, &[("retry-after", "0")]), [("busy", 3), ("busy", 3)]),
        ("503 of a server that is full", full("0"), [("busy", 3), ("busy", 3)]),
        ("503 with Retry-After", refuse(503, &[("retry-after", "0")]), [("failed", 3), ("failed", 1)]),
        ("503", refuse(503, &[]), [("failed", 3), ("failed", 1)]),
        ("500", refuse(500, &[]), [("failed", 3), ("failed", 1)]),
        ("502", refuse(502, &[]), [("failed", 3), ("failed", 1)]),
        ("408 of something in between", refuse(408, &[]), [("failed", 3), ("failed", 1)]),
        ("timeout", steps(vec![Step::Hang]), [("no first byte", 3), ("no first byte", 1)]),
        ("reset", steps(vec![Step::Reset]), [("broken", 3), ("broken", 1)]),
        (
            "cut in the middle",
            steps(vec![
                Step::Send(crate::mcp_server::STREAM_HEAD.to_vec()),
                Step::Send(b": hello\n\ndata: {\"jsonr".to_vec()),
                Step::Close,
            ]),
            [("broken", 3), ("broken", 1)],
        ),
    ];
    for (name, act, expected) in matrix {
        let ended = [true, false].into_iter().zip(expected).map(async |(repeatable, (ending, arrivals))| {
            let server = TestServer::start().await;
            let mut options = options();
            if name == "timeout" {
                options.timeouts.first_byte = Duration::from_secs(1);
            }
            let connection = open_with(&server, options).await;
            server.arm_always("tools/call", act.clone());
            let outcome = call_repeatable(&connection, repeatable).await.map(drop);
            assert_eq!(kind(&outcome), ending, "{name}, repeatable: {repeatable}");
            assert_eq!(server.count("tools/call"), arrivals, "{name}, repeatable: {repeatable}");
            let may_have_run = matches!(ending, "failed" | "no first byte" | "broken");
            assert_eq!(outcome.unwrap_err().may_have_run(), may_have_run, "{name}");
        });
        join_all(ended).await;
    }
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_as_nothing_can_have_run() {
    for repeatable in [true, false] {
        let server = TestServer::start().await;
        server.keep_no_sessions();
        let (tap, options) = Recorder::watching(options());
        let connection = open_with(&server, options).await;
        let attempts =
            |tap: &Recorder| tap.heard().iter().filter(|event| event.contains("tools/call")).count();
        // The armed answer ends the last connection, so that nothing but a new one will do.
        server.arm("ping", steps(vec![Step::Reset]));
        server.arm("ping", steps(vec![Step::Reset]));
        server.arm("ping", steps(vec![Step::Reset]));
        assert!(connection.ping().await.is_err());
        let arrived = server.stop().await;
        let error = call_repeatable(&connection, repeatable).await.unwrap_err();
        assert!(matches!(error, McpError::Unreachable { .. }) && !error.may_have_run(), "{error:?}");
        assert_eq!(
            (attempts(&tap), arrived.iter().filter(|seen| seen.kind() == "tools/call").count()),
            (3, 0)
        );
    }
}

#[tokio::test]
async fn passing_trouble_is_overcome_when_the_call_may_be_repeated() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    for act in [status(500, &[], "", ""), steps(vec![Step::Reset])] {
        server.arm("tools/call", act);
    }
    call_repeatable(&connection, true).await.unwrap();
    assert_eq!(server.count("tools/call"), 3);
    server.arm("tools/call", status(429, &[("retry-after", "0")], "", ""));
    call_repeatable(&connection, false).await.unwrap();
    assert_eq!(server.count("tools/call"), 5);
}

#[tokio::test]
async fn retry_after_is_waited_for_and_not_undercut() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    let in_a_second =
        [("date", "Tue, 24 Nov 2026 10:00:00 GMT"), ("retry-after", "Tue, 24 Nov 2026 10:00:01 GMT")];
    for headers in [&[("retry-after", "1")][..], &in_a_second] {
        for code in [429, 503] {
            server.arm("tools/call", status(code, headers, "", ""));
            let began = Instant::now();
            call_repeatable(&connection, true).await.unwrap();
            assert!(began.elapsed() >= Duration::from_secs(1), "{code}, {headers:?}: {:?}", began.elapsed());
        }
    }
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_not_begun() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    server.arm_always("tools/call", full("120"));
    let error = call(&connection).await.unwrap_err();
    assert!(
        matches!(error, McpError::Busy { retry_after: Some(wait) } if wait == Duration::from_secs(120)),
        "{error:?}"
    );
    assert_eq!(error.to_string(), "the server is busy; it asks to wait 120 s");
    assert_eq!(server.count("tools/call"), 1);

    let failing = TestServer::start().await;
    let connection = open(&failing).await;
    failing.arm_always("tools/call", status(503, &[("retry-after", "120")], "", ""));
    let error = call_repeatable(&connection, true).await.unwrap_err();
    assert!(matches!(error, McpError::ServerFailed { status: 503, .. }), "{error:?}");
    assert_eq!(failing.count("tools/call"), 1, "what failed asks to be left alone too");

    let hurried = ConnectOptions {
        timeouts: Timeouts { call: Duration::from_millis(800), ..options().timeouts },
        ..options()
    };
    let connection = open_with(&server, hurried).await;
    server.arm("tools/call", full("1"));
    assert!(
        matches!(call(&connection).await, Err(McpError::Busy { .. })),
        "the limit of the call comes first"
    );
}

#[tokio::test]
async fn one_attempt_means_one() {
    let server = TestServer::start().await;
    for attempts in [0, 1] {
        let retry = RetryPolicy { attempts, ..options().retry };
        let connection = open_with(&server, ConnectOptions { retry, ..options() }).await;
        server.arm("tools/call", status(429, &[], "", ""));
        assert!(call_repeatable(&connection, true).await.is_err());
    }
    assert_eq!(server.count("tools/call"), 2);
}

/// The error of an `initialize` that is answered like this, and not sent again.
async fn refused(act: Act) -> McpError {
    let server = TestServer::start().await;
    server.arm_always("initialize", act);
    let error = Connection::open(endpoint(server.url()), options()).await.unwrap_err();
    assert_eq!(server.count("initialize"), 1);
    error
}

#[tokio::test]
async fn a_refusal_that_does_not_speak_of_a_key_is_none_of_it() {
    for (act, words) in [
        (
            status(403, &[], "application/json", r#"{"error":"Host not allowed\u001b[2J"}"#),
            "Host not allowed\\u{1b}[2J",
        ),
        (status(403, &[], "", ""), "HTTP status 403 Forbidden"),
    ] {
        let error = refused(act).await;
        assert!(matches!(&error, McpError::Forbidden(said) if said == words), "{error:?}");
        assert_eq!(error.to_string(), format!("the server refuses the request: {words}"));
    }
}

#[tokio::test]
async fn unauthorized_carries_the_servers_words_made_harmless() {
    let rpc = r#"{"jsonrpc":"2.0","error":{"code":-32001,"message":"API key missing\u001b[2J"}}"#;
    let scope = [("www-authenticate", "Bearer error=\"insufficient_scope\"")];
    let cases = [
        (status(401, &[], "application/json", rpc), "API key missing\\u{1b}[2J"),
        (status(401, &[], "text/plain", "who are you?\n"), "who are you?"),
        (status(401, &[], "text/html", "<h1>Login</h1>"), "HTTP status 401 Unauthorized"),
        (status(403, &scope, "application/json", r#"{"error":"no"}"#), "no"),
    ];
    for (act, words) in cases {
        let error = refused(act).await;
        assert!(matches!(&error, McpError::Unauthorized(said) if said == words), "{error:?}");
    }
    let server = TestServer::start().await;
    server.arm("initialize", status(401, &[], "text/plain", &"x".repeat(100_000)));
    let error = Connection::open(endpoint(server.url()), options()).await.unwrap_err();
    assert!(error.to_string().len() < 600, "{}", error.to_string().len());
}

#[tokio::test]
async fn what_is_not_mcp_is_named_for_what_it_is() {
    let cases = [
        (status(200, &[], "text/html", "<h1>Hi</h1>"), "a web page"),
        (status(405, &[("allow", "GET")], "", ""), "does not take POST"),
        (
            status(301, &[("location", "https://example.com/mcp?token=hunter22")], "", ""),
            "https://example.com/mcp ",
        ),
        (status(308, &[("content-location", "/a#hunter22"), ("location", "/b#hunter22")], "", ""), "to /b "),
        (status(302, &[], "", ""), "redirects nowhere"),
        (status(200, &[], "application/json", r#"{"hello":"world"}"#), "not a JSON-RPC 2.0 message"),
        (status(418, &[], "text/plain", "teapot"), "HTTP status 418 I'm a teapot: teapot"),
    ];
    for (act, words) in cases {
        let server = TestServer::start().await;
        server.arm_always("initialize", act);
        let (tap, options) = Recorder::watching(options());
        let error = Connection::open(endpoint(server.url()), options).await.unwrap_err();
        assert!(matches!(error, McpError::NotMcp { .. }) && !error.may_have_run(), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
        let heard = tap.heard();
        assert!(heard.iter().all(|event| !event.contains("hunter22")), "{heard:?}");
        assert!(!error.to_string().contains("hunter22"), "{error}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_refused_request_of_an_open_session_did_not_run() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    server.arm("tools/call", status(413, &[], "text/plain", "too large"));
    let error = call_repeatable(&connection, true).await.unwrap_err();
    assert!(matches!(error, McpError::Rpc(_)) && !error.may_have_run(), "{error:?}");
    assert!(error.to_string().contains("HTTP status 413 Payload Too Large: too large"), "{error}");
    assert_eq!(server.count("tools/call"), 1);
    let slow = r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"The body came too slowly"}}"#;
    server.arm("tools/call", status(408, &[], "application/json", slow));
    let error = call(&connection).await.unwrap_err();
    assert!(matches!(error, McpError::Rpc(_)) && !error.may_have_run(), "{error:?}");
}

#[tokio::test]
async fn what_speaks_no_http_is_an_error_and_not_a_hang() {
    let server = TestServer::start().await;
    server
        .arm_always("initialize", steps(vec![Step::Send(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()), Step::Close]));
    let error = Connection::open(endpoint(server.url()), options()).await.unwrap_err();
    assert!(matches!(error, McpError::Broken(_)), "{error:?}");
}
