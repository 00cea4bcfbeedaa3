//! `notifications/cancelled`, which ends a call; a connection that drops does not.

use serde_json::json;
use server::store::Outcome;

use crate::support::{
    client::{ALICE, BOB, Client},
    events::Events,
    eventually,
    stage::{Stage, spawn_stage},
    wire::Wire,
};

fn cancelled(id: i64) -> String {
    let params = json!({ "requestId": id, "reason": "no longer wanted" });
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }).to_string()
}

/// How the calls ended that are in the audit trail, newest first.
async fn outcomes(stage: &Stage) -> Vec<Outcome> {
    stage.app.store.flush_audit().await.unwrap();
    let records = stage.app.store.latest_audit(10).await.unwrap();
    let calls = records.into_iter().filter(|record| record.tool != server::audit::REFUSED);
    calls.map(|record| record.outcome).collect()
}

#[tokio::test]
async fn a_call_that_was_cancelled_ends_without_an_answer_and_is_recorded() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let mut events =
        Events::open(&bob.told_call(7, "t", "patient", json!({ "told": 1 })), stage.app.address).await;
    events.one().await;
    events.one().await;
    assert_eq!(bob.post(cancelled(7)).send(stage.app.address).await.status, 202);
    assert!(events.rest().await.is_empty(), "a request that was cancelled gets no answer");
    assert_eq!(outcomes(&stage).await, [Outcome::Cancelled]);
    assert_eq!(bob.ping().await.status, 200);
}

#[tokio::test]
async fn a_call_that_has_told_nothing_yet_can_be_cancelled_too() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let mut wire = Wire::connect(stage.app.address).await;
    wire.write(&bob.call("patient", json!({})).bytes(stage.app.address)).await;
    // The id of `call` is 2. A cancellation that comes before its request is for nothing, so it is repeated.
    eventually("the call is cancelled", async || {
        bob.post(cancelled(2)).send(stage.app.address).await;
        outcomes(&stage).await == [Outcome::Cancelled]
    })
    .await;
    let answer = wire.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{answer:?}");
}

#[tokio::test]
async fn nobody_cancels_what_is_not_theirs_and_nonsense_cancels_nothing() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let alice = Client::open(stage.app.address, ALICE).await;
    let mut events =
        Events::open(&bob.told_call(7, "t", "patient", json!({ "told": 1 })), stage.app.address).await;
    events.one().await;
    let nonsense = [
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":null}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"7"}}"#.to_owned(),
        cancelled(8),
    ];
    for message in nonsense {
        assert_eq!(bob.post(message.clone()).send(stage.app.address).await.status, 202, "{message}");
    }
    assert_eq!(alice.post(cancelled(7)).send(stage.app.address).await.status, 202);
    assert_eq!(alice.post(cancelled(7)).session(&bob.session).send(stage.app.address).await.status, 404);
    stage.gate.add_permits(1);
    assert_eq!(events.rest().await.last().unwrap().json()["result"]["structuredContent"]["done"], true);
    assert_eq!(outcomes(&stage).await, [Outcome::Ok]);
}

#[tokio::test]
async fn a_connection_that_drops_cancels_nothing() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let mut events =
        Events::open(&bob.told_call(7, "t", "patient", json!({ "told": 1 })), stage.app.address).await;
    events.one().await;
    drop(events);
    stage.gate.add_permits(1);
    eventually("the call ended", async || outcomes(&stage).await == [Outcome::Ok]).await;
}
