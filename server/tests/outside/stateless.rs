//! Revision 2026-07-28: no session, everything in each request.

mod headers;
mod listening;
mod rounds;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use server::{
    clock::UnixMillis,
    store::{KeyId, Outcome},
};

use crate::support::{
    app::spawn_app,
    changes::KeyChanges as _,
    client::{ALICE, BOB, Client},
    events::Events,
    eventually,
    modern::{Caller, STATELESS},
    soon,
    stage::spawn_stage,
    wire::{Ask, Wire},
};

#[tokio::test]
async fn discovery_says_what_the_server_is_and_speaks() {
    let app = spawn_app().await;
    let result = Caller::new(app.address, BOB).result("server/discover", json!({})).await;
    assert_eq!(
        result,
        json!({
            "resultType": "complete",
            "supportedVersions": ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"],
            "capabilities": {
                "tools": { "listChanged": true },
                "resources": { "subscribe": true, "listChanged": true },
                "prompts": { "listChanged": true },
                "completions": {},
            },
            "instructions": "This is a payment transaction server that manages user payment history.",
            "ttlMs": 60_000,
            "cacheScope": "private",
            "_meta": {
                "io.modelcontextprotocol/serverInfo": { "name": "payment-server", "version": "1.0.0" },
            },
        })
    );
}

#[tokio::test]
async fn rule_06_the_stream_of_a_call_ends_with_its_key_and_without_a_result() {
    let stage = spawn_stage().await;
    let [bob, alice] = [BOB, ALICE].map(|key| Caller::new(stage.app.address, key));
    let begin = async |caller: &Caller, tool: &str| {
        let params = json!({ "name": tool, "arguments": { "told": 1 }, "_meta": { "progressToken": "t" } });
        let mut events = Events::open(&caller.ask("tools/call", params), stage.app.address).await;
        assert_eq!(events.one().await.json()["method"], "notifications/progress");
        events
    };
    let waits = begin(&bob, "patient").await;
    let commits = begin(&bob, "lasting").await;
    let hers = begin(&alice, "patient").await;
    eventually("the commit", async || stage.begun.lock().len() == 1).await;
    let began = Instant::now();
    stage.app.store.revoke_key(&KeyId("1".to_owned()), UnixMillis::now()).await.unwrap();
    for (what, events) in [("the call", waits), ("the call that commits", commits)] {
        assert!(soon(what, events.rest()).await.is_empty(), "{what} was answered");
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    // What is being committed comes to its end, and is recorded as what it was.
    stage.gate.add_permits(2);
    assert_eq!(hers.rest().await.last().unwrap().json()["result"]["structuredContent"]["done"], true);
    eventually("the records", async || {
        stage.app.store.flush_audit().await.unwrap();
        let records = stage.app.store.latest_audit(10).await.unwrap();
        let outcome = |user: &str, tool: &str| {
            records.iter().find(|one| one.username == user && one.tool == tool).map(|one| one.outcome)
        };
        outcome("bob", "patient") == Some(Outcome::Cancelled)
            && outcome("bob", "lasting") == Some(Outcome::Ok)
            && outcome("alice", "patient") == Some(Outcome::Ok)
    })
    .await;
}

#[tokio::test]
async fn a_call_needs_no_session_and_leaves_none() {
    let app = spawn_app().await;
    for (key, balance) in [(BOB, -200), (ALICE, 180)] {
        let answer = Caller::new(app.address, key)
            .answer("tools/call", json!({ "name": "getAccountBalance", "arguments": {} }))
            .await;
        assert_eq!(answer.header("mcp-session-id"), None);
        let result = answer.json()["result"].clone();
        assert_eq!(result["structuredContent"]["balance"], balance);
        assert_eq!(result["resultType"], "complete");
        let server = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
        assert_eq!(server["name"], "payment-server", "every result says who made it");
        assert!(result.get("ttlMs").is_none(), "a call is not kept: {result}");
    }
    assert_eq!(app.traces().await, (0, 2));
    let record = app.store.latest_audit(1).await.unwrap().remove(0);
    assert_eq!((record.protocol.as_str(), &*record.client), (STATELESS, "outside/0"));
    assert_eq!(record.session, None);
}

#[tokio::test]
async fn lists_and_reads_say_how_long_they_are_fresh_and_for_whom() {
    let app = spawn_app().await;
    let bob = Caller::new(app.address, BOB);
    for (method, params, fresh) in [
        ("tools/list", json!({}), 60_000),
        ("resources/list", json!({}), 60_000),
        ("resources/templates/list", json!({}), 60_000),
        ("prompts/list", json!({}), 60_000),
        ("resources/read", json!({ "uri": "payments://balance" }), 0),
    ] {
        let result = bob.result(method, params.clone()).await;
        assert_eq!(result["ttlMs"], fresh, "{method}");
        assert_eq!((&result["cacheScope"], &result["resultType"]), (&json!("private"), &json!("complete")));
        assert_eq!(result, bob.result(method, params).await, "{method}: another order");
    }
}

#[tokio::test]
async fn what_the_revision_does_not_have_is_404_method_not_found() {
    let app = spawn_app().await;
    let bob = Caller::new(app.address, BOB);
    for method in [
        "ping",
        "initialize",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "roots/list",
        "nonsense",
        "",
    ] {
        let answer = bob.answer(method, json!({})).await;
        assert_eq!((answer.status, answer.code()), (404, Some(-32601)), "{method}: {answer:?}");
        assert_eq!(answer.json()["id"], 7);
    }
}

#[tokio::test]
async fn a_session_id_means_nothing_here_and_get_and_delete_are_of_the_other_era() {
    let app = spawn_app().await;
    let bob = Caller::new(app.address, BOB);
    let answer = bob.ask("tools/list", json!({})).session("made-up").send(app.address).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for ask in [Ask::get(), Ask::delete()] {
        let answer = ask.key(BOB).with("mcp-protocol-version", STATELESS).send(app.address).await;
        assert_eq!(answer.status, 405, "{answer:?}");
        assert!(answer.header("allow").is_some());
    }
}

#[tokio::test]
async fn both_eras_are_served_side_by_side() {
    let app = spawn_app().await;
    let in_session = Client::open(app.address, BOB).await;
    let without = Caller::new(app.address, BOB);
    for _ in 0..3 {
        let one = in_session.result("getAccountBalance", json!({})).await;
        let other = without.call("getAccountBalance", json!({})).await;
        assert_eq!(one["structuredContent"], other["structuredContent"]);
        assert!(one.get("resultType").is_none() && one.get("_meta").is_none(), "{one}");
    }
    let neither =
        Ask::post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).key(BOB).send(app.address).await;
    assert_eq!(neither.status, 400);
    assert!(neither.body.contains("initialize") && neither.body.contains(STATELESS), "{neither:?}");
}

#[tokio::test]
async fn notifications_are_taken_responses_and_batches_are_not() {
    let app = spawn_app().await;
    let ask = |body: &Value| Ask::post(body.to_string()).key(BOB).with("mcp-protocol-version", STATELESS);
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/whatever" });
    let answer = ask(&notification).send(app.address).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, ""));
    for body in [json!({ "jsonrpc": "2.0", "id": 1, "result": {} }), json!([]), json!([notification])] {
        let answer = ask(&body).send(app.address).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32600)), "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn progress_and_log_messages_come_before_the_answer_where_they_are_wanted() {
    let stage = spawn_stage().await;
    stage.gate.add_permits(3);
    let bob = Caller::new(stage.app.address, BOB);
    let params = |meta: Value| json!({ "name": "patient", "arguments": { "told": 1 }, "_meta": meta });
    let quiet = bob.answer("tools/call", params(json!({}))).await;
    assert_eq!(quiet.header("content-type"), Some("application/json"));
    let meta = json!({ "progressToken": 5, "io.modelcontextprotocol/logLevel": "debug" });
    let events = Events::open(&bob.ask("tools/call", params(meta)), stage.app.address).await.rest().await;
    assert!(events.iter().all(|event| event.id.is_none()), "nothing can be resumed: {events:?}");
    let methods: Vec<_> = events.iter().map(|event| event.json()["method"].clone()).collect();
    assert_eq!(methods, [json!("notifications/progress"), json!("notifications/message"), Value::Null]);
    assert_eq!(events[0].json()["params"]["progressToken"], 5);
    assert_eq!(events[2].json()["result"]["structuredContent"]["done"], true);
    let above = json!({ "io.modelcontextprotocol/logLevel": "info" });
    let above = bob.answer("tools/call", params(above)).await;
    assert_eq!(above.header("content-type"), Some("application/json"), "debug is below info");
}

#[tokio::test]
async fn closing_the_connection_cancels_the_call_and_that_is_recorded() {
    let stage = spawn_stage().await;
    let bob = Caller::new(stage.app.address, BOB);
    let told = json!({ "name": "patient", "arguments": { "told": 1 }, "_meta": { "progressToken": 1 } });
    let mut events = Events::open(&bob.ask("tools/call", told), stage.app.address).await;
    events.one().await;
    drop(events);
    let mut silent = Wire::connect(stage.app.address).await;
    let ask = bob.ask("tools/call", json!({ "name": "patient", "arguments": {} }));
    silent.write(&ask.bytes(stage.app.address)).await;
    // The request has arrived when the server answers one that was sent after it.
    assert_eq!(bob.answer("tools/list", json!({})).await.status, 200);
    drop(silent);
    eventually("both calls are recorded as cancelled", async || {
        stage.app.store.flush_audit().await.unwrap();
        let records = stage.app.store.latest_audit(10).await.unwrap();
        records.len() == 2 && records.iter().all(|one| one.outcome == server::store::Outcome::Cancelled)
    })
    .await;
}
