//! Finding out which era a server is of, and saying so where it is another than was asked for.

use client::mcp::{ConnectOptions, Connection, Era, McpError};
use serde_json::json;

use crate::{
    endpoint,
    mcp_server::{Act, TestServer, status},
    open_with, options,
    stateless::{REVISION, refusal, server, stateless},
};

/// The revision that is spoken where nobody says which.
async fn spoken(server: &TestServer) -> Result<String, McpError> {
    let auto = ConnectOptions { era: Era::Auto, ..options() };
    let connection = Connection::open(endpoint(server.url()), auto).await?;
    Ok(connection.server().protocol_version)
}

#[tokio::test]
async fn auto_speaks_without_sessions_where_the_server_knows_how() {
    let server = server().await;
    assert_eq!(spoken(&server).await.unwrap(), REVISION);
    assert_eq!(server.count("initialize"), 0);
}

#[tokio::test]
async fn auto_opens_a_session_at_a_server_that_knows_nothing_else_and_remembers_it() {
    let answers: [(&str, Act); 5] = [
        ("method not found", refusal(200, json!({ "code": -32601, "message": "unknown" }))),
        ("missing session", status(400, &[], "text/plain", "Mcp-Session-Id is missing")),
        ("not initialized", refusal(400, json!({ "code": -32000, "message": "server not initialized" }))),
        ("page not found", status(404, &[], "text/html", "<p>nothing here")),
        (
            "other revisions",
            refusal(
                400,
                json!({
                    "code": -32022, "message": "unsupported", "data": { "supported": ["2025-11-25"], "requested": REVISION },
                }),
            ),
        ),
    ];
    for (what, act) in answers {
        let server = TestServer::start().await;
        server.arm_always("server/discover", act);
        assert_eq!(spoken(&server).await.unwrap(), "2025-11-25", "{what}");
        assert_eq!(spoken(&server).await.unwrap(), "2025-11-25", "{what}");
        assert_eq!((server.count("server/discover"), server.count("initialize")), (1, 2), "{what}");
    }
}

#[tokio::test]
async fn auto_does_not_take_a_refusal_for_another_era() {
    let server = TestServer::start().await;
    server.arm_always("server/discover", status(401, &[], "text/plain", "the key is not known"));
    assert!(matches!(spoken(&server).await, Err(McpError::Unauthorized(_))));
    assert_eq!(server.count("initialize"), 0);
    let server = TestServer::start().await;
    server.arm_always("server/discover", status(403, &[], "text/plain", "the host is not ours"));
    assert!(matches!(spoken(&server).await, Err(McpError::Forbidden(_))));
    assert_eq!(server.count("initialize"), 0);
    let server = TestServer::start().await;
    server.arm_always("server/discover", refusal(400, json!({
        "code": -32022, "message": "no", "data": { "supported": ["2030-01-01"], "requested": REVISION },
    })));
    assert!(matches!(spoken(&server).await, Err(McpError::Rpc(_))));
    assert_eq!(server.count("initialize"), 0);
}

#[tokio::test]
async fn a_server_that_refuses_the_revision_it_names_is_asked_once_more() {
    let server = server().await;
    let error = json!({
        "code": -32022, "message": "unsupported", "data": { "supported": [REVISION], "requested": REVISION },
    });
    server.arm("server/discover", refusal(400, error));
    open_with(&server, stateless()).await;
    assert_eq!(server.count("server/discover"), 2);
}

#[tokio::test]
async fn asked_to_speak_without_sessions_it_says_that_the_server_does_not() {
    let server = TestServer::start().await;
    let error = Connection::open(endpoint(server.url()), stateless()).await.unwrap_err();
    assert!(error.to_string().contains("does not speak 2026-07-28"), "{error}");
    assert_eq!(server.count("initialize"), 0);
}

#[tokio::test]
async fn a_server_that_fails_does_not_say_what_it_speaks() {
    let reported = refusal(200, json!({ "code": -32603, "message": "no" }));
    for (act, words) in [(status(502, &[], "", ""), "HTTP status 502"), (reported, "reported an error")] {
        let server = TestServer::start().await;
        server.arm_always("server/discover", act);
        let error = Connection::open(endpoint(server.url()), stateless()).await.unwrap_err();
        assert!(matches!(error, McpError::ServerFailed { .. } | McpError::Rpc(_)), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}
