//! A call under an idempotency key whose person has not answered yet: a second call under that key is told so.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    books::Books,
    person::{standing, text},
};
use crate::support::{
    client::{ALICE, BOB, Client, NEWEST},
    events::Events,
    eventually,
    wire::Wire,
};

/// A session at one of the servers whose person can be asked.
async fn session(books: &Books, key: &str, turn: usize) -> Client {
    let address = books.servers[turn % 2].address;
    Client::open_with(address, key, NEWEST, json!({ "elicitation": {} })).await
}

/// Begins a call that waits for its person's word; the question's id.
pub(crate) async fn asked(client: &Client, tool: &str, arguments: &Value) -> (Events, Value) {
    let mut events = Events::open(&client.call(tool, arguments.clone()), client.address).await;
    loop {
        let event = events.one().await;
        if event.data.as_deref().is_some_and(|data| data.contains("elicitation/create")) {
            let id = event.json()["id"].clone();
            return (events, id);
        }
    }
}

/// The person's word, and what the call came to.
pub(crate) async fn answered(client: &Client, (events, question): (Events, Value), action: &str) -> Value {
    let word = json!({ "jsonrpc": "2.0", "id": question, "result": { "action": action, "content": {} } });
    assert_eq!(client.post(word.to_string()).send(client.address).await.status, 202);
    events.rest().await.pop().unwrap().json()["result"].clone()
}

/// A tool whose calls ask, with arguments of its own; somebody was paid for the second.
async fn each_tool(books: &Books) -> [(&'static str, &'static str, Value); 2] {
    let made = books.caller(BOB, 0).call("createPayment", json!({ "to": "alice", "amount": 40 })).await;
    let payment = made["structuredContent"]["paymentId"].clone();
    let bob = session(books, BOB, 0).await;
    let waiting = asked(&bob, "confirmPayment", &json!({ "paymentId": payment })).await;
    assert_eq!(standing(&answered(&bob, waiting, "accept").await), "succeeded");
    let batch = json!({ "payments": [{ "to": "alice", "amount": 1 }], "idempotencyKey": "k" });
    let refund = json!({ "paymentId": payment, "amount": 10, "idempotencyKey": "k" });
    [("createPaymentBatch", BOB, batch), ("refundPayment", ALICE, refund)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_call_is_refused_on_every_server_until_the_first_has_ended_and_then_sees_its_result() {
    for books in Books::of_each_kind().await {
        for (tool, key, arguments) in each_tool(&books).await {
            let first = session(&books, key, 0).await;
            let waiting = asked(&first, tool, &arguments).await;
            for turn in 0..2 {
                let second = session(&books, key, turn).await.result(tool, arguments.clone()).await;
                assert_eq!(standing(&second), "idempotency_key_in_flight", "{tool}: {second}");
                assert!(text(&second).contains("still being handled"), "{second}");
                let modern = books.caller(key, turn).call(tool, arguments.clone()).await;
                assert_eq!(standing(&modern), "idempotency_key_in_flight", "{tool}: {modern}");
            }
            let done = answered(&first, waiting, "accept").await;
            assert_eq!(done["structuredContent"]["replayed"], Value::Null, "{done}");
            for turn in 0..2 {
                let again = books.caller(key, turn).call(tool, arguments.clone()).await;
                assert_eq!(again["structuredContent"]["replayed"], true, "{tool}: {again}");
                assert_eq!(standing(&again), standing(&done));
            }
        }
        assert_eq!(books.balances().await, [-231.0, 211.0]);
        books.verify();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_cancelled_lets_go_of_its_key() {
    for books in Books::of_each_kind().await {
        for (tool, key, arguments) in each_tool(&books).await {
            let first = session(&books, key, 0).await;
            let _waiting = asked(&first, tool, &arguments).await;
            let cancel = json!({
                "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 2 }
            });
            assert_eq!(first.post(cancel.to_string()).send(first.address).await.status, 202);
            eventually("the key to be free", async || {
                books.caller(key, 1).call(tool, arguments.clone()).await["resultType"] == "input_required"
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_the_rounds_of_a_call_its_key_is_held_by_nobody() {
    for books in Books::of_each_kind().await {
        for (tool, key, arguments) in each_tool(&books).await {
            for round in 0..5 {
                let asked = books.caller(key, round).call(tool, arguments.clone()).await;
                assert_eq!(asked["resultType"], "input_required", "{tool}, round {round}: {asked}");
            }
        }
    }
}

/// Nothing of its answer was sent, so there is no stream to come back to, and nobody to be asked. On SQLite nothing holds a
/// call up between its claim and that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_caller_went_away_before_it_was_asked_lets_go_of_its_key() {
    for books in Books::of_each_kind().await {
        let Some(beside) = books.beside().await else { continue };
        for (tool, key, arguments) in each_tool(&books).await {
            let first = session(&books, key, 0).await;
            beside.execute("BEGIN; LOCK TABLE payments").await;
            let (mut left, mut wires) = (Vec::new(), Vec::new());
            for round in 0..5 {
                let mut arguments = arguments.clone();
                arguments["idempotencyKey"] = json!(format!("left-{round}"));
                let mut wire = Wire::connect(first.address).await;
                wire.write(&first.call(tool, arguments.clone()).bytes(first.address)).await;
                wires.push(wire);
                left.push(arguments);
            }
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
            eventually("all calls to wait", async || beside.number(waiting).await >= 5).await;
            drop(wires);
            // The server sees that they are gone.
            sleep(Duration::from_secs(1)).await;
            beside.execute("COMMIT").await;
            eventually("the keys to be free", async || {
                let callers = (0..left.len()).map(|turn| books.caller(key, turn));
                let calls = callers.zip(&left).map(async |(caller, arguments)| {
                    caller.call(tool, arguments.clone()).await["resultType"] == "input_required"
                });
                join_all(calls).await.into_iter().all(|is_asked| is_asked)
            })
            .await;
        }
    }
}

/// Its turn to be claimed comes when nobody wants it any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_caller_went_away_before_its_key_was_claimed_lets_go_of_it() {
    for books in Books::of_each_kind().await {
        for (tool, key, arguments) in each_tool(&books).await {
            let standstill = books.standstill().await;
            let caller = books.caller(key, 0);
            let mut wire = Wire::connect(caller.address).await;
            let call = caller.ask("tools/call", json!({ "name": tool, "arguments": arguments }));
            wire.write(&call.bytes(caller.address)).await;
            // Nothing shows from outside that it waits, and that the server has seen that it is left.
            sleep(Duration::from_millis(500)).await;
            drop(wire);
            sleep(Duration::from_millis(500)).await;
            standstill.end().await;
            eventually("the key to be free", async || {
                books.caller(key, 1).call(tool, arguments.clone()).await["resultType"] == "input_required"
            })
            .await;
        }
    }
}
