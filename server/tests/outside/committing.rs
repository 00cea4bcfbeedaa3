//! What a call commits is done or it is not: from the moment it has begun, nobody cancels it and no time runs out.

use std::time::Duration;

use serde_json::{Value, json};
use server::store::{Outcome, UserId};

use crate::support::{
    client::{BOB, Client},
    events::Events,
    eventually,
    modern::Caller,
    soon,
    stage::{Stage, spawn_stage, spawn_stage_with},
    wire::Wire,
};

/// Waits until the commit of a call has begun.
async fn has_begun(stage: &Stage) {
    eventually("the commit begins", async || stage.begun.lock().len() == 1).await;
}

/// Waits until the server has understood that nobody wants the answer any more, and has had its chance to act on it.
async fn is_unwanted(stage: &Stage, bob: &Client) {
    let cancelled = stage.begun.lock()[0].clone();
    soon("the cancellation", cancelled.cancelled()).await;
    assert_eq!(bob.ping().await.status, 200);
    assert_eq!(done(stage).await, (0, vec![]), "nothing is done, and nothing is said of it");
}

/// How many dollars moved, and what the audit trail holds of the call.
async fn done(stage: &Stage) -> (i64, Vec<Outcome>) {
    let store = &stage.app.store;
    store.flush_audit().await.unwrap();
    let records = store.latest_audit(10).await.unwrap();
    let outcomes = records.iter().filter(|record| record.tool == "lasting").map(|record| record.outcome);
    let balance = store.balance(UserId(1)).await.unwrap();
    ((-20_000 - balance.balance.minor()) / 100, outcomes.collect())
}

/// Lets the commit end, which must move the dollar and leave one record that says so.
async fn ends_well(stage: &Stage) {
    stage.gate.add_permits(1);
    eventually("the end of the commit", async || done(stage).await.0 == 1).await;
    assert_eq!(done(stage).await, (1, vec![Outcome::Ok]));
}

#[tokio::test]
async fn a_commit_is_not_cancelled_in_a_session_and_its_caller_learns_that_it_is_done() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let call = bob.told_call(7, "t", "lasting", json!({ "told": 1 }));
    let mut events = Events::open(&call, stage.app.address).await;
    events.one().await;
    has_begun(&stage).await;
    let params = json!({ "requestId": 7, "reason": "no longer wanted" });
    let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
    assert_eq!(bob.post(cancelled.to_string()).send(stage.app.address).await.status, 202);
    is_unwanted(&stage, &bob).await;
    ends_well(&stage).await;
    let answer = events.rest().await.pop().unwrap().json();
    assert_eq!((&answer["id"], &answer["result"]["structuredContent"]["done"]), (&json!(7), &json!(true)));
}

#[tokio::test]
async fn a_commit_is_not_cancelled_by_closing_the_stream_or_the_connection() {
    for told in [1, 0] {
        let stage = spawn_stage().await;
        let (bob, stateless) =
            (Client::open(stage.app.address, BOB).await, Caller::new(stage.app.address, BOB));
        let call =
            json!({ "name": "lasting", "arguments": { "told": told }, "_meta": { "progressToken": 1 } });
        let ask = stateless.ask("tools/call", call);
        if told > 0 {
            let mut events = Events::open(&ask, stage.app.address).await;
            events.one().await;
            has_begun(&stage).await;
            drop(events);
        } else {
            let mut wire = Wire::connect(stage.app.address).await;
            wire.write(&ask.bytes(stage.app.address)).await;
            has_begun(&stage).await;
            drop(wire);
        }
        is_unwanted(&stage, &bob).await;
        ends_well(&stage).await;
    }
}

#[tokio::test]
async fn a_commit_takes_its_time_in_both_eras() {
    let stateless = |stage: &Stage| {
        let call = json!({ "name": "lasting", "arguments": {} });
        Caller::new(stage.app.address, BOB).ask("tools/call", call)
    };
    for is_stateless in [false, true] {
        let stage = spawn_stage_with(|builder| builder.tool_timeout(Duration::from_millis(50))).await;
        let bob = Client::open(stage.app.address, BOB).await;
        let ask = if is_stateless { stateless(&stage) } else { bob.call("lasting", json!({})) };
        let mut wire = Wire::connect(stage.app.address).await;
        wire.write(&ask.bytes(stage.app.address)).await;
        has_begun(&stage).await;
        // Another call, which began after the commit, has run out of time by now.
        let late = bob.result("patient", json!({})).await;
        assert!(late["content"][0]["text"].as_str().unwrap().starts_with("timed out"), "{late}");
        assert_eq!(done(&stage).await, (0, vec![]));
        ends_well(&stage).await;
        let answer: Value = wire.answer().await.json();
        assert_eq!(answer["result"]["structuredContent"]["done"], true, "{answer}");
    }
}

/// The moment in which a tool begins to commit may be the one in which its time is over.
#[tokio::test]
async fn a_call_is_done_or_out_of_time_and_never_both() {
    const CALLS: usize = 20;
    let limit = Duration::from_millis(20);
    let stage = spawn_stage_with(|builder| builder.tool_timeout(limit)).await;
    stage.gate.add_permits(2 * CALLS);
    let bob = Client::open(stage.app.address, BOB).await;
    let stateless = Caller::new(stage.app.address, BOB);
    let arguments = json!({ "before": 20 });
    let mut done = 0;
    for _ in 0..CALLS {
        for result in [
            bob.result("lasting", arguments.clone()).await,
            stateless.call("lasting", arguments.clone()).await,
        ] {
            let is_done = result["structuredContent"]["done"] == true;
            let text = result["content"][0]["text"].as_str().unwrap();
            assert!(is_done || text.starts_with("timed out"), "{result}");
            done += usize::from(is_done);
        }
    }
    let store = &stage.app.store;
    store.flush_audit().await.unwrap();
    let records = store.latest_audit(1_000).await.unwrap();
    let of_calls = records.iter().filter(|record| record.tool == "lasting");
    let ended = |outcome| of_calls.clone().filter(|record| record.outcome == outcome).count();
    assert_eq!((ended(Outcome::Ok), ended(Outcome::TimedOut)), (done, 2 * CALLS - done));
    let balance = store.balance(UserId(1)).await.unwrap().balance.minor();
    assert_eq!(usize::try_from((-20_000 - balance) / 100), Ok(done), "what was done was said to be done");
}
