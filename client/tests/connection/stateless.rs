//! The era without sessions: what every request carries, and rounds.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use client::mcp::{Answerer, CallOptions, ConnectOptions, Era, McpError};
use serde_json::{Value, json};
use shared::mcp::elicitation::{ElicitAction, ElicitRequestParams, ElicitResult};
use tokio_util::sync::CancellationToken;

use crate::{
    KEY, arguments,
    asking::Slow,
    call,
    mcp_server::{Act, PATIENCE, Seen, Step, TestServer, json_result, status, steps, text_result},
    open_with, options,
};

pub(crate) const REVISION: &str = "2026-07-28";

/// Answers what it is asked by accepting with a fixed value, and remembers the questions.
#[derive(Debug, Default)]
pub(crate) struct Person {
    pub(crate) asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Answerer for Person {
    async fn elicit(&self, question: &ElicitRequestParams) -> ElicitResult {
        let ElicitRequestParams::Form(form) = question else { panic!("a page to open: {question:?}") };
        self.asked.lock().unwrap().push(form.message.clone());
        let content = [("confirm".to_owned(), json!(true))].into();
        ElicitResult { action: ElicitAction::Accept, content: Some(content) }
    }
}

pub(crate) fn stateless() -> ConnectOptions {
    ConnectOptions { era: Era::Stateless, ..options() }
}

fn discovered() -> Value {
    json!({
        "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
        "supportedVersions": [REVISION],
        "capabilities": { "tools": {}, "resources": {}, "prompts": {} },
        "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "modern", "version": "2.0" } },
    })
}

/// A server without sessions, which answers to `server/discover`, lists one tool and echoes calls.
pub(crate) async fn server() -> TestServer {
    let server = TestServer::start().await;
    server.keep_no_sessions();
    server.arm_always("server/discover", json_result(discovered()));
    server
}

/// What is asked for instead of a result.
fn asking(state: &str) -> Value {
    json!({
        "resultType": "input_required",
        "requestState": state,
        "inputRequests": { "sure": { "method": "elicitation/create", "params": {
            "mode": "form", "message": "Are you sure?",
            "requestedSchema": { "type": "object", "properties": { "confirm": { "type": "boolean" } } },
        } } },
    })
}

/// A JSON-RPC error under an HTTP status.
pub(crate) fn refusal(code: u16, error: Value) -> Act {
    Arc::new(move |seen: &Seen| {
        let body = json!({ "jsonrpc": "2.0", "id": seen.body["id"], "error": error }).to_string();
        status(code, &[], "application/json", &body)(seen)
    })
}

#[tokio::test]
async fn every_request_says_who_asks_for_what_in_which_revision() {
    let server = server().await;
    let connection = open_with(&server, stateless()).await;
    assert_eq!(connection.server().server_info.name, "modern");
    assert_eq!(connection.session_id(), None);
    call(&connection).await.unwrap();
    connection.close().await.unwrap();
    let seen = server.seen();
    let kinds: Vec<&str> = seen.iter().map(Seen::kind).collect();
    assert_eq!(kinds, ["server/discover", "tools/list", "tools/call"], "no initialize, no DELETE");
    for seen in &seen {
        let meta = &seen.body["params"]["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], REVISION);
        assert!(meta["io.modelcontextprotocol/clientCapabilities"].is_object(), "{meta}");
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "client");
        assert_eq!(seen.header("mcp-protocol-version"), Some(REVISION));
        assert_eq!(seen.header("mcp-method"), Some(seen.kind()));
        assert_eq!(seen.header("mcp-session-id"), None);
        assert_eq!(seen.header("x-api-key"), Some(KEY));
    }
    assert_eq!(seen[2].header("mcp-name"), Some("echo"));
}

#[tokio::test]
async fn a_person_is_asked_in_as_many_rounds_as_it_takes_and_the_state_goes_back_unread() {
    let server = server().await;
    let mut rounds = VecDeque::from([asking("opaque=/+1"), asking("opaque=/+2")]);
    let rounds = Arc::new(Mutex::new(std::mem::take(&mut rounds)));
    let act: Act = Arc::new(move |seen| {
        let next = rounds.lock().unwrap().pop_front();
        json_result(next.unwrap_or_else(|| text_result("done")))(seen)
    });
    server.arm_always("tools/call", act);
    let person = Arc::new(Person::default());
    let answerer: Arc<dyn Answerer> = Arc::<Person>::clone(&person);
    let connection = open_with(&server, ConnectOptions { answerer: Some(answerer), ..stateless() }).await;
    assert_eq!(call(&connection).await.unwrap().text(), "done");
    assert_eq!(*person.asked.lock().unwrap(), ["Are you sure?", "Are you sure?"]);
    let calls: Vec<Seen> = server.seen().into_iter().filter(|seen| seen.kind() == "tools/call").collect();
    let states: Vec<&Value> = calls.iter().map(|seen| &seen.body["params"]["requestState"]).collect();
    assert_eq!(states, [&Value::Null, &json!("opaque=/+1"), &json!("opaque=/+2")]);
    assert_eq!(calls[0].body["params"].get("inputResponses"), None);
    let answer = json!({ "sure": { "action": "accept", "content": { "confirm": true } } });
    assert_eq!(calls[1].body["params"]["inputResponses"], answer);
    let ids: std::collections::HashSet<String> =
        calls.iter().map(|seen| seen.body["id"].to_string()).collect();
    assert_eq!(ids.len(), 3, "each round has an id of its own");
    let capabilities = &calls[0].body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(capabilities["elicitation"], json!({ "form": {} }));
}

#[tokio::test]
async fn the_time_a_person_takes_leaves_room_for_another_attempt() {
    let server = server().await;
    server.arm("tools/call", json_result(asking("s")));
    server.arm("tools/call", status(429, &[("retry-after", "0")], "", ""));
    let mut options = ConnectOptions { answerer: Some(Arc::new(Slow)), ..stateless() };
    options.timeouts.call = Duration::from_secs(1);
    let connection = open_with(&server, options).await;
    call(&connection).await.unwrap();
    assert_eq!(server.count("tools/call"), 3);
}

#[tokio::test]
async fn with_nobody_to_ask_it_is_not_offered_and_a_question_is_declined() {
    let server = server().await;
    server.arm("tools/call", json_result(asking("s")));
    let connection = open_with(&server, stateless()).await;
    call(&connection).await.unwrap();
    let last = server.seen().pop().unwrap();
    assert_eq!(last.body["params"]["inputResponses"]["sure"], json!({ "action": "decline" }));
    let capabilities = &last.body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(*capabilities, json!({}));
}

#[tokio::test]
async fn rounds_without_an_end_are_ended() {
    let server = server().await;
    server.arm_always("tools/call", json_result(asking("again")));
    let connection = open_with(&server, stateless()).await;
    let error = call(&connection).await.unwrap_err();
    assert!(error.to_string().contains("more than 10 rounds"), "{error}");
    assert_eq!(server.count("tools/call"), 11);
}

#[tokio::test]
async fn a_result_of_an_unknown_kind_is_an_error() {
    let server = server().await;
    server.arm("tools/call", json_result(json!({ "resultType": "later", "content": [] })));
    let connection = open_with(&server, stateless()).await;
    let error = call(&connection).await.unwrap_err();
    assert!(matches!(&error, McpError::Protocol(reason) if reason.contains("later")), "{error}");
}

pub(crate) fn list(ttl_ms: u64, header: &str) -> Act {
    let properties = json!({ "limit": { "type": "integer", "x-mcp-header": header } });
    json_result(json!({
        "resultType": "complete", "ttlMs": ttl_ms, "cacheScope": "public",
        "tools": [
            { "name": "echo", "inputSchema": { "type": "object", "properties": properties } },
            { "name": "bad", "inputSchema": { "type": "object", "properties": {
                "a": { "type": "object", "x-mcp-header": "A" },
            } } },
        ],
    }))
}

#[tokio::test]
async fn annotated_arguments_are_repeated_in_headers_and_a_tool_with_wrong_annotations_is_dropped() {
    let server = server().await;
    server.arm_always("tools/list", list(0, "Limit"));
    let connection = open_with(&server, stateless()).await;
    let listed = connection.list_tools().await.unwrap();
    let names: Vec<&str> = listed.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!((names, listed.rejected[0].name.as_str()), (vec!["echo"], "bad"));
    call(&connection).await.unwrap();
    let seen = server.first("tools/call").await;
    assert_eq!(seen.header("mcp-param-limit"), Some("5"));
}

#[tokio::test]
async fn a_tool_that_wants_other_headers_than_before_is_listed_again_and_called_once_more() {
    let server = server().await;
    server.arm("tools/list", list(60_000, "Old"));
    server.arm("tools/list", list(60_000, "New"));
    server.arm("tools/call", refusal(400, json!({ "code": -32020, "message": "header mismatch" })));
    let connection = open_with(&server, stateless()).await;
    call(&connection).await.unwrap();
    let calls: Vec<Seen> = server.seen().into_iter().filter(|seen| seen.kind() == "tools/call").collect();
    assert_eq!(calls.len(), 2);
    assert_eq!((calls[0].header("mcp-param-old"), calls[0].header("mcp-param-new")), (Some("5"), None));
    assert_eq!((calls[1].header("mcp-param-old"), calls[1].header("mcp-param-new")), (None, Some("5")));
}

#[tokio::test]
async fn whoever_cancels_a_call_does_not_wait_for_the_list_that_it_needs() {
    let server = server().await;
    server.arm("tools/list", list(60_000, "Old"));
    server.arm("tools/list", steps(vec![Step::Hang]));
    server.arm("tools/call", refusal(400, json!({ "code": -32020, "message": "header mismatch" })));
    let connection = open_with(&server, stateless()).await;
    let cancel = CancellationToken::new();
    let options = CallOptions { cancel: cancel.clone(), ..CallOptions::default() };
    let calling = connection.call_tool("echo", arguments(), options);
    let cancelling = async {
        let listed = |seen: &[Seen]| seen.iter().filter(|seen| seen.kind() == "tools/list").count();
        server.wait_until("the second list", |seen| listed(seen) == 2).await;
        cancel.cancel();
    };
    let both = async { tokio::join!(calling, cancelling) };
    let (outcome, ()) = tokio::time::timeout(PATIENCE, both).await.expect("the call ends");
    assert!(matches!(outcome, Err(McpError::Cancelled)), "{outcome:?}");
}

#[tokio::test]
async fn a_call_whose_tools_cannot_be_listed_has_not_run() {
    for is_known in [false, true] {
        let server = server().await;
        if is_known {
            server.arm("tools/list", list(60_000, "Old"));
        }
        server.arm_always("tools/list", status(500, &[], "", ""));
        server
            .arm_always("tools/call", refusal(400, json!({ "code": -32020, "message": "header mismatch" })));
        let connection = open_with(&server, stateless()).await;
        let error = call(&connection).await.unwrap_err();
        assert!(!error.may_have_run(), "{error:?}");
        assert!(error.to_string().contains("HTTP status 500"), "{error}");
        assert_eq!(server.count("tools/call"), usize::from(is_known));
    }
}

#[tokio::test]
async fn cancelling_closes_the_stream_and_says_nothing() {
    let server = server().await;
    let hung = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&hung);
    server.arm(
        "tools/call",
        Arc::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            vec![Step::Hang]
        }),
    );
    let connection = open_with(&server, stateless()).await;
    connection.list_tools().await.unwrap();
    let cancel = CancellationToken::new();
    let options = CallOptions { cancel: cancel.clone(), ..CallOptions::default() };
    let calling = connection.call_tool("echo", arguments(), options);
    let cancelling = async {
        server.first("tools/call").await;
        cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(calling, cancelling);
    assert!(matches!(outcome, Err(McpError::Cancelled)), "{outcome:?}");
    connection.ping().await.unwrap();
    assert_eq!(server.count("notifications/cancelled"), 0);
}

#[tokio::test]
async fn a_call_carries_the_trace_that_it_is_part_of_and_each_attempt_is_a_part_of_its_own() {
    for in_a_session in [true, false] {
        let (server, options) =
            if in_a_session { (TestServer::start().await, options()) } else { (server().await, stateless()) };
        server.arm("tools/call", status(500, &[], "text/plain", "no"));
        let connection = open_with(&server, options).await;
        let traced = CallOptions { repeatable: true, trace: Some([0xa7; 16]), ..CallOptions::default() };
        connection.call_tool("echo", arguments(), traced).await.unwrap();
        call(&connection).await.unwrap();
        let calls = server.seen().into_iter().filter(|seen| seen.kind() == "tools/call");
        let parents: Vec<_> = calls.map(|seen| seen.body["params"]["_meta"]["traceparent"].clone()).collect();
        let [first, second, untraced] = parents.as_slice() else { panic!("{parents:?}") };
        let begins = format!("00-{}-", "a7".repeat(16));
        for parent in [first, second] {
            let parent = parent.as_str().unwrap();
            assert!(parent.starts_with(&begins) && parent.len() == 55 && parent.ends_with("-01"), "{parent}");
        }
        assert_ne!(first, second);
        assert_eq!(*untraced, Value::Null);
    }
}
