//! The session: opened, lost, opened again, ended.

#![cfg(test)]

use client::mcp::{CallOptions, Connection, McpError};
use serde_json::json;

use crate::{
    call, endpoint,
    mcp_server::{Step, TestServer, initialized, json_result, status, steps},
    open, options,
};

#[tokio::test]
async fn a_forgotten_session_is_opened_again_and_the_call_repeated_once() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    let first = connection.session_id();
    server.forget_sessions();
    assert!(call(&connection).await.is_ok());
    assert_eq!((server.count("initialize"), server.count("tools/call")), (2, 2));
    assert_eq!(server.count("notifications/initialized"), 2);
    let opening = server.seen().into_iter().filter(|seen| seen.kind() == "initialize").nth(1).unwrap();
    assert_eq!(opening.header("mcp-session-id"), None);
    assert_eq!(first.unwrap(), "00000000…");
    assert!(call(&connection).await.is_ok());
    assert_eq!(server.count("initialize"), 2);
}

#[tokio::test]
async fn fifty_calls_that_find_the_session_gone_open_one_new_session_between_them() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    server.forget_sessions();
    let calls = (0..50).map(|_| {
        let connection = connection.clone();
        tokio::spawn(async move { call(&connection).await })
    });
    for outcome in futures_util::future::join_all(calls).await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(server.count("initialize"), 2);
    let (mut old, mut new) = (0, 0);
    for seen in server.seen().iter().filter(|seen| seen.kind() == "tools/call") {
        match seen.header("mcp-session-id").unwrap().starts_with("00000000000000000000000000000001") {
            true => old += 1,
            false => new += 1,
        }
    }
    assert_eq!(new, 50);
    assert!((1..=50).contains(&old), "{old}");
}

#[tokio::test]
async fn when_the_session_cannot_be_opened_again_all_who_wait_learn_it_from_one_attempt() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    server.forget_sessions();
    // The refusal is held back until all twenty calls were turned away, so that all of them wait for it.
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let mut held = vec![Step::Await(std::sync::Arc::clone(&gate))];
    held.extend(status(401, &[], "text/plain", "revoked")(&server.first("initialize").await));
    server.arm_always("initialize", steps(held));
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let connection = connection.clone();
            tokio::spawn(async move { call(&connection).await })
        })
        .collect();
    server
        .wait_until("twenty refused calls and an initialize", |seen| {
            let count = |kind| seen.iter().filter(|seen| seen.kind() == kind).count();
            count("tools/call") == 20 && count("initialize") == 2
        })
        .await;
    // A 404 on its way is no call that waits yet: let the answers arrive.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    gate.notify_one();
    for outcome in calls {
        let error =
            tokio::time::timeout(crate::mcp_server::PATIENCE, outcome).await.unwrap().unwrap().unwrap_err();
        assert!(matches!(&error, McpError::Unauthorized(said) if said == "revoked"), "{error:?}");
    }
    assert_eq!(server.count("initialize"), 2);
}

#[tokio::test]
async fn a_server_that_forgets_every_session_ends_the_call_after_one_new_session() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    server.forget_sessions_at_once();
    let error = call(&connection).await.unwrap_err();
    assert!(matches!(error, McpError::SessionEnded) && !error.may_have_run(), "{error:?}");
    assert_eq!((server.count("initialize"), server.count("tools/call")), (2, 2));
}

#[tokio::test]
async fn a_session_that_cannot_be_opened_again_is_ended_and_the_call_has_not_run() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    server.forget_sessions();
    server.arm_always("initialize", steps(vec![Step::Reset]));
    let error = call(&connection).await.unwrap_err();
    assert!(matches!(error, McpError::SessionEnded) && !error.may_have_run(), "{error:?}");
    assert_eq!(server.count("tools/call"), 1);
}

#[tokio::test]
async fn a_server_without_sessions_works_and_has_nothing_to_end() {
    let server = TestServer::start().await;
    server.keep_no_sessions();
    let connection = open(&server).await;
    assert_eq!(connection.session_id(), None);
    assert!(call(&connection).await.is_ok());
    assert_eq!(server.first("tools/call").await.header("mcp-session-id"), None);
    connection.close().await.unwrap();
    assert_eq!(server.count("DELETE"), 0);
    server.arm("ping", status(404, &[], "text/html", ""));
    assert!(matches!(connection.ping().await, Err(McpError::SessionEnded)), "closed is closed");
}

#[tokio::test]
async fn a_404_outside_a_session_is_a_wrong_path() {
    let server = TestServer::start().await;
    server.arm("initialize", status(404, &[], "text/plain", "nope"));
    let error = Connection::open(endpoint(server.url()), options()).await.unwrap_err();
    assert!(
        matches!(error, McpError::NotMcp { .. }) && error.to_string().contains("check the path"),
        "{error}"
    );
    assert_eq!(server.count("initialize"), 1);

    server.keep_no_sessions();
    let connection = open(&server).await;
    server.arm("tools/call", status(404, &[], "text/plain", "nope"));
    assert!(matches!(call(&connection).await, Err(McpError::NotMcp { .. })));
    assert_eq!(server.count("initialize"), 2);
}

#[tokio::test]
async fn a_session_that_could_not_begin_is_ended() {
    for act in [status(400, &[], "text/plain", "no"), status(500, &[], "", ""), steps(vec![Step::Reset])] {
        let server = TestServer::start().await;
        server.arm_always("notifications/initialized", act);
        let error = Connection::open(endpoint(server.url()), options()).await.unwrap_err();
        assert!(!matches!(error, McpError::SessionEnded), "{error:?}");
        let ended = server.first("DELETE").await;
        assert!(ended.header("mcp-session-id").is_some_and(|id| id.ends_with("-session")), "{ended:?}");
        assert_eq!((server.count("initialize"), server.count("DELETE"), server.live_sessions()), (1, 1, 0));
    }
}

#[tokio::test]
async fn older_revisions_are_spoken_and_unknown_ones_are_refused() {
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let server = TestServer::start().await;
        server.keep_no_sessions();
        server.arm("initialize", json_result(initialized(version)));
        let connection = open(&server).await;
        assert!(call(&connection).await.is_ok());
        assert_eq!(server.first("tools/call").await.header("mcp-protocol-version"), Some(version));
    }
    for version in ["2024-11-05", "2099-01-01", "", "\u{1b}[2J"] {
        let server = TestServer::start().await;
        server.arm("initialize", json_result(initialized(version)));
        let error = Connection::open(endpoint(server.url()), options()).await.unwrap_err();
        assert!(matches!(error, McpError::Protocol(_)), "{error:?}");
        assert!(
            error.to_string().contains("this client speaks 2025-03-26, 2025-06-18, 2025-11-25"),
            "{error}"
        );
        assert!(!error.to_string().contains('\u{1b}'));
        assert_eq!(server.count("notifications/initialized"), 0);
    }
}

#[tokio::test]
async fn a_session_whose_first_answer_is_of_no_use_is_ended() {
    for result in [initialized("2099-01-01"), json!({ "protocolVersion": "2025-11-25" })] {
        let server = TestServer::start().await;
        let body = json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string();
        let act = status(200, &[("mcp-session-id", "of-no-use")], "application/json", &body);
        server.arm("initialize", act);
        let error = Connection::open(endpoint(server.url()), options()).await.unwrap_err();
        assert!(matches!(error, McpError::Protocol(_)), "{error:?}");
        assert_eq!(server.first("DELETE").await.header("mcp-session-id"), Some("of-no-use"));
        assert_eq!(server.count("notifications/initialized"), 0);
    }
}

#[tokio::test]
async fn a_session_id_that_cannot_be_one_is_refused() {
    let server = TestServer::start().await;
    let body = json!({ "jsonrpc": "2.0", "id": 1, "result": initialized("2025-11-25") }).to_string();
    for id in ["two words", "schlüssel", ""] {
        server.arm("initialize", status(200, &[("mcp-session-id", id)], "application/json", &body));
        let error = Connection::open(endpoint(server.url()), options()).await.unwrap_err();
        assert!(error.to_string().contains("visible ASCII"), "{id:?}: {error}");
    }
}

#[tokio::test]
async fn closing_sends_one_delete_and_later_calls_send_nothing() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    let (first, second) = tokio::join!(connection.close(), connection.close());
    first.unwrap();
    second.unwrap();
    connection.clone().close().await.unwrap();
    assert_eq!((server.count("DELETE"), server.live_sessions()), (1, 0));
    let ending = server.first("DELETE").await;
    assert!(ending.header("mcp-session-id").is_some() && ending.header("mcp-protocol-version").is_some());
    assert!(matches!(call(&connection).await, Err(McpError::SessionEnded)));
    assert_eq!((server.count("tools/call"), server.count("initialize")), (0, 1));
}

#[tokio::test]
async fn servers_that_do_not_let_sessions_be_ended_or_ended_them_already_are_fine() {
    for code in [405, 404] {
        let server = TestServer::start().await;
        let connection = open(&server).await;
        server.arm("DELETE", status(code, &[], "text/plain", ""));
        connection.close().await.unwrap();
    }
    let server = TestServer::start().await;
    let connection = open(&server).await;
    server.arm("DELETE", status(401, &[], "text/plain", "who?"));
    assert!(matches!(connection.close().await, Err(McpError::Unauthorized(_))));
}

#[tokio::test]
async fn a_connection_that_is_dropped_sends_nothing() {
    let server = TestServer::start().await;
    drop(open(&server).await);
    let another = open(&server).await;
    another.ping().await.unwrap();
    assert_eq!((server.count("DELETE"), server.live_sessions()), (0, 2));
}

#[tokio::test]
async fn a_call_under_way_when_the_session_closes_does_not_open_another() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let mut held = vec![Step::Await(std::sync::Arc::clone(&gate))];
    held.extend(status(404, &[], "text/plain", "")(&server.first("initialize").await));
    server.arm("tools/call", steps(held));
    let calling = tokio::spawn({
        let connection = connection.clone();
        async move { connection.call_tool("echo", crate::arguments(), CallOptions::default()).await }
    });
    server.first("tools/call").await;
    connection.close().await.unwrap();
    gate.notify_one();
    assert!(matches!(calling.await.unwrap(), Err(McpError::SessionEnded)));
    assert_eq!(server.count("initialize"), 1);
}
