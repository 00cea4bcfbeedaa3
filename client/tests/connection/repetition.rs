//! Lost answers: what is sent again and what is not, whatever got lost and however the call is made, in both eras.

#![cfg(test)]

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use client::{
    agent::{McpToolbox, Toolbox},
    mcp::{Arguments, ConnectOptions, Era, IDEMPOTENCY_KEY, McpError},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    mcp_server::{Act, Step, TestServer, json_result, status, steps, stream, text_result},
    open_with, options,
};

/// The tools: one that reads, one that takes a key, and one of which nothing is known.
const TOOLS: [&str; 3] = ["look", "pay", "push"];

/// What our server says at a limit: it is the status that says that nothing ran.
const LIMITED: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"Too many calls"}}"#;
const LIMITED_IN_STREAM: &str =
    concat!(r#"data: {"jsonrpc":"2.0","id":ID,"error":{"code":-32005,"message":"Too many calls"}}"#, "\n\n",);

fn tool_list() -> Value {
    let plain = json!({ "type": "object" });
    let keyed = json!({ "type": "object", "properties": { "idempotencyKey": { "type": "string" } } });
    json!({ "resultType": "complete", "ttlMs": 60_000, "cacheScope": "private", "tools": [
        { "name": "look", "inputSchema": plain, "annotations": { "readOnlyHint": true } },
        { "name": "pay", "inputSchema": keyed },
        { "name": "push", "inputSchema": plain },
    ] })
}

/// A server that speaks the era, and a toolbox for it.
async fn toolbox(era: Era, options: ConnectOptions) -> (TestServer, McpToolbox) {
    let server = TestServer::start().await;
    if era == Era::Stateless {
        server.keep_no_sessions();
        server.arm_always(
            "server/discover",
            json_result(json!({
                "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} },
            })),
        );
    }
    server.arm_always("tools/list", json_result(tool_list()));
    let connection = open_with(&server, ConnectOptions { era, ..options }).await;
    let toolbox = McpToolbox::open(connection).await.unwrap();
    (server, toolbox)
}

/// The keys that calls arrived with, in their order.
fn keys(server: &TestServer) -> Vec<Value> {
    let calls = server.seen().into_iter().filter(|seen| seen.kind() == "tools/call");
    calls.map(|seen| seen.body["params"]["arguments"][IDEMPOTENCY_KEY].clone()).collect()
}

#[tokio::test]
async fn a_call_that_may_have_run_is_sent_again_only_if_it_reads_or_carries_a_key() {
    let refuse = |code: u16, headers: &[(&str, &str)]| status(code, headers, "text/plain", "no");
    let now = [("retry-after", "0")];
    // How often it arrives: reading, with a key, without one; and whether it may have run.
    let matrix: [(&str, Act, [usize; 3], bool); 14] = [
        ("401", refuse(401, &[]), [1, 1, 1], false),
        ("429", refuse(429, &now), [3, 3, 3], false),
        ("a limit of our server", status(429, &now, "application/json", LIMITED), [3, 3, 3], false),
        ("the same under 503", status(503, &now, "application/json", LIMITED), [3, 3, 3], false),
        ("503 of a proxy that lost it", status(503, &now, "text/html", "<h1>503</h1>"), [3, 3, 1], true),
        ("503 of something in between", refuse(503, &[]), [3, 3, 1], true),
        ("500", refuse(500, &[]), [3, 3, 1], true),
        ("timeout", steps(vec![Step::Hang]), [3, 3, 1], true),
        ("reset", steps(vec![Step::Reset]), [3, 3, 1], true),
        ("an internal error", rpc_error(-32603), [1, 1, 1], true),
        ("an error of its own", rpc_error(-32001), [1, 1, 1], true),
        ("parameters it does not take", rpc_error(-32602), [1, 1, 1], false),
        ("what is a limit elsewhere", rpc_error(-32005), [1, 1, 1], true),
        ("the same in a stream", stream(LIMITED_IN_STREAM), [1, 1, 1], true),
    ];
    for (name, act, arrivals, may_have_run) in &matrix {
        let tools = || TOOLS.into_iter().zip(arrivals);
        let eras = [Era::Sessions, Era::Stateless].into_iter();
        let calls = eras.flat_map(|era| tools().map(move |(tool, expected)| (era, tool, expected)));
        let ended = calls.map(|(era, tool, expected)| async move {
            let what = format!("{name}, {tool}, {era:?}");
            let mut options = options();
            if *name == "timeout" {
                options.timeouts.first_byte = Duration::from_secs(1);
            }
            let (server, toolbox) = toolbox(era, options).await;
            server.arm_always("tools/call", Arc::clone(act));
            let never = CancellationToken::new();
            let error = toolbox.call(tool, Arguments::default(), &never).await.unwrap_err();
            assert_eq!(error.may_have_run(), *may_have_run, "{what}: {error}");
            let keys = keys(&server);
            assert_eq!(keys.len(), *expected, "{what}");
            let different: BTreeSet<String> = keys.iter().map(Value::to_string).collect();
            assert_eq!(different.len(), 1, "{what}: every repetition has the same key: {keys:?}");
            assert_eq!(keys.iter().all(Value::is_string), tool == "pay", "{what}: {keys:?}");
        });
        join_all(ended).await;
    }
}

#[tokio::test]
async fn every_attempt_and_every_round_sends_the_arguments_as_they_were_written() {
    const WRITTEN: &str = r#"{"amount":1e2,"least":25.00000000000000001,"idempotencyKey":""#;
    for era in [Era::Sessions, Era::Stateless] {
        let (server, toolbox) = toolbox(era, options()).await;
        server.arm("tools/call", steps(vec![Step::Reset]));
        if era == Era::Stateless {
            let round = json!({ "resultType": "input_required", "requestState": "once" });
            server.arm("tools/call", json_result(round));
        }
        server.arm("tools/call", json_result(text_result("paid")));
        let arguments = Arguments::parse(r#"{ "amount": 1e2, "least": 25.00000000000000001 }"#).unwrap();
        toolbox.call("pay", arguments, &CancellationToken::new()).await.unwrap();
        let calls: Vec<_> = server.seen().into_iter().filter(|seen| seen.kind() == "tools/call").collect();
        assert_eq!(calls.len(), if era == Era::Stateless { 3 } else { 2 });
        assert!(calls.iter().all(|seen| seen.text.contains(WRITTEN)), "{calls:?}");
        let keys = keys(&server);
        assert!(keys.iter().all(|key| *key == keys[0] && key.is_string()), "{keys:?}");
    }
}

/// A JSON-RPC error: depending on its code it may have come in the middle of the call.
fn rpc_error(code: i64) -> Act {
    Arc::new(move |seen| {
        let error = json!({ "code": code, "message": "No" });
        let body = json!({ "jsonrpc": "2.0", "id": seen.body["id"], "error": error }).to_string();
        status(200, &[], "application/json", &body)(seen)
    })
}

#[tokio::test]
async fn what_cannot_have_run_is_sent_again_whatever_it_is() {
    for tool in TOOLS {
        // A session that is gone: one new one, and the call once more.
        let (server, toolbox) = toolbox(Era::Sessions, options()).await;
        server.forget_sessions();
        let never = CancellationToken::new();
        toolbox.call(tool, Arguments::default(), &never).await.unwrap();
        assert_eq!((server.count("initialize"), server.count("tools/call")), (2, 2), "{tool}");
        let keys = keys(&server);
        assert_eq!(keys.first(), keys.last(), "{tool}");
    }
    for era in [Era::Sessions, Era::Stateless] {
        for tool in TOOLS {
            let (server, toolbox) = toolbox(era, options()).await;
            let arrived = server.stop().await;
            let never = CancellationToken::new();
            let error = toolbox.call(tool, Arguments::default(), &never).await.unwrap_err();
            // The first attempt may have gone into a connection that was just closed.
            let is_refused = matches!(error, McpError::Unreachable { .. });
            assert!(is_refused || (tool == "push" && error.may_have_run()), "{tool}, {era:?}: {error}");
            assert!(arrived.iter().all(|seen| seen.kind() != "tools/call"));
        }
    }
}

#[tokio::test]
async fn an_answer_that_comes_after_all_is_the_answer() {
    for era in [Era::Sessions, Era::Stateless] {
        let (server, toolbox) = toolbox(era, options()).await;
        server.arm("tools/call", steps(vec![Step::Reset]));
        let mut result = text_result("paid");
        result["resultType"] = json!("complete");
        server.arm("tools/call", json_result(result));
        let key = Arguments::parse(r#"{"idempotencyKey":"mine"}"#).unwrap();
        let result = toolbox.call("pay", key, &CancellationToken::new()).await.unwrap();
        assert_eq!((result.text().as_str(), keys(&server)), ("paid", vec![json!("mine"), json!("mine")]));
    }
}

#[tokio::test]
async fn what_may_have_run_is_not_forgotten_over_what_the_next_attempt_meets() {
    let revoked = || status(401, &[], "text/plain", "revoked");
    for era in [Era::Sessions, Era::Stateless] {
        let (server, toolbox) = toolbox(era, options()).await;
        server.arm("tools/call", steps(vec![Step::Reset]));
        server.arm("tools/call", revoked());
        let error = toolbox.call("pay", Arguments::default(), &CancellationToken::new()).await.unwrap_err();
        assert!(error.may_have_run(), "{era:?}: {error}");
        assert!(error.to_string().contains("and then: unauthorized: revoked"), "{era:?}: {error}");
        assert_eq!(server.count("tools/call"), 2, "{era:?}");

        // The session is gone after the lost attempt, and no other is to be had.
        server.arm("tools/call", steps(vec![Step::Reset]));
        if era == Era::Sessions {
            server.arm("tools/call", status(404, &[], "text/plain", "no session"));
            server.arm("initialize", revoked());
        } else {
            server.arm("tools/call", status(404, &[], "text/plain", "nothing here"));
        }
        let error = toolbox.call("pay", Arguments::default(), &CancellationToken::new()).await.unwrap_err();
        assert!(error.may_have_run(), "{era:?}: {error}");
    }
}

#[tokio::test]
async fn an_error_that_may_come_from_the_middle_of_a_later_round_does_not_begin_the_call_anew() {
    for tool in ["push", "pay"] {
        let (server, toolbox) = toolbox(Era::Stateless, options()).await;
        let round = json!({ "resultType": "input_required", "requestState": "once" });
        server.arm("tools/call", json_result(round));
        server.arm_always("tools/call", rpc_error(-32000));
        let error = toolbox.call(tool, Arguments::default(), &CancellationToken::new()).await.unwrap_err();
        assert!(error.may_have_run(), "{error}");
        assert_eq!(server.count("tools/call"), 2, "{tool}");
    }
}

#[tokio::test]
async fn what_may_have_run_in_one_round_is_not_forgotten_in_the_next_and_does_not_begin_the_call_anew() {
    for refusal in [status(401, &[], "text/plain", "revoked"), rpc_error(-32602)] {
        let (server, toolbox) = toolbox(Era::Stateless, options()).await;
        server.arm("tools/call", steps(vec![Step::Reset]));
        server.arm("tools/call", json_result(json!({ "resultType": "input_required", "requestState": "1" })));
        server.arm_always("tools/call", refusal);
        let error = toolbox.call("pay", Arguments::default(), &CancellationToken::new()).await.unwrap_err();
        assert!(error.may_have_run(), "{error}");
        assert!(error.to_string().contains("; and then: "), "{error}");
        assert_eq!(server.count("tools/call"), 3, "{error}");
    }
}

#[tokio::test]
async fn a_state_that_a_lost_attempt_used_up_is_not_insisted_on() {
    let (server, toolbox) = toolbox(Era::Stateless, options()).await;
    server.arm("tools/call", json_result(json!({ "resultType": "input_required", "requestState": "once" })));
    server.arm("tools/call", steps(vec![Step::Reset]));
    server.arm(
        "tools/call",
        Arc::new(|seen| {
            let error = json!({ "code": -32602, "message": "`requestState` was used before" });
            let body = json!({ "jsonrpc": "2.0", "id": seen.body["id"], "error": error }).to_string();
            status(400, &[], "application/json", &body)(seen)
        }),
    );
    server.arm("tools/call", json_result(text_result("paid")));
    let result = toolbox.call("pay", Arguments::default(), &CancellationToken::new()).await.unwrap();
    assert_eq!(result.text(), "paid");
    let calls = server.seen().into_iter().filter(|seen| seen.kind() == "tools/call");
    let states: Vec<Value> = calls.map(|seen| seen.body["params"]["requestState"].clone()).collect();
    assert_eq!(states, [Value::Null, json!("once"), json!("once"), Value::Null]);
    let keys = keys(&server);
    assert!(keys.iter().all(|key| *key == keys[0] && key.is_string()), "{keys:?}");
}
