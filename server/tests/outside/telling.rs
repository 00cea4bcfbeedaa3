//! What comes before an answer: progress and log messages, on the stream that answers the request.

use serde_json::json;

use crate::support::{
    client::{BOB, Client, request},
    events::Events,
    stage::spawn_stage,
};

#[tokio::test]
async fn progress_comes_before_the_answer_under_the_token_that_was_given() {
    let stage = spawn_stage().await;
    stage.gate.add_permits(1);
    let bob = Client::open(stage.app.address, BOB).await;
    let ask = bob.told_call(7, "t-1", "patient", json!({ "told": 3 }));
    let events = Events::open(&ask, stage.app.address).await.rest().await;
    let (priming, events) = events.split_first().unwrap();
    assert_eq!((priming.data.as_deref(), priming.retry.as_deref()), (Some(""), Some("1000")));
    let (answer, told) = events.split_last().unwrap();
    let expected = [1, 2, 3].map(|step| {
        json!({
            "jsonrpc": "2.0",
            "method": "notifications/progress",
            "params": { "progressToken": "t-1", "progress": step, "total": 3, "message": "telling" },
        })
    });
    assert_eq!(told.iter().map(crate::support::events::Event::json).collect::<Vec<_>>(), expected);
    assert_eq!(answer.json()["id"], 7);
    assert_eq!(answer.json()["result"]["structuredContent"], json!({ "done": true }));
    let mut ids: Vec<_> = [priming].into_iter().chain(events).map(|event| event.id().to_owned()).collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id is there twice");
}

#[tokio::test]
async fn without_a_token_the_answer_is_plain_json() {
    let stage = spawn_stage().await;
    stage.gate.add_permits(1);
    let bob = Client::open(stage.app.address, BOB).await;
    let answer = bob.call("patient", json!({ "told": 3 })).send(stage.app.address).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["result"]["structuredContent"], json!({ "done": true }));
}

#[tokio::test]
async fn a_list_is_not_read_as_the_object_that_a_token_stands_in() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    for meta in [json!(["progressToken"]), json!([]), json!("progressToken"), json!(1)] {
        let params = json!({ "name": "patient", "arguments": { "told": 3 }, "_meta": meta });
        let answer = bob.post(request(7, "tools/call", params)).send(stage.app.address).await;
        assert_eq!(answer.code(), Some(-32602), "{answer:?}");
    }
}

#[tokio::test]
async fn an_event_without_data_is_sent_only_to_clients_that_know_it() {
    let stage = spawn_stage().await;
    stage.gate.add_permits(3);
    for (version, primed) in [("2025-03-26", false), ("2025-06-18", false), ("2025-11-25", true)] {
        let bob = Client::open_in(stage.app.address, BOB, version).await;
        let ask = bob.told_call(7, "t", "patient", json!({ "told": 1 }));
        let first = Events::open(&ask, stage.app.address).await.one().await;
        assert_eq!(first.data.as_deref() == Some(""), primed, "{version}: {first:?}");
        assert!(first.id.is_some(), "{version}: every event can be resumed after");
    }
}

#[tokio::test]
async fn log_messages_are_sent_from_the_level_on_that_the_client_set() {
    let stage = spawn_stage().await;
    stage.gate.add_permits(2);
    let bob = Client::open(stage.app.address, BOB).await;
    let call = || bob.call("patient", json!({ "told": 1 }));
    let quiet = call().send(stage.app.address).await;
    assert_eq!(quiet.header("content-type"), Some("application/json"), "debug is below what is sent unasked");
    let set = |level: &str| bob.post(request(3, "logging/setLevel", json!({ "level": level })));
    assert_eq!(set("debug").send(stage.app.address).await.json()["result"], json!({}));
    let events = Events::open(&call(), stage.app.address).await.rest().await;
    assert_eq!(
        events.iter().rev().nth(1).unwrap().json(),
        json!({
            "jsonrpc": "2.0",
            "method": "notifications/message",
            "params": { "level": "debug", "logger": "patient", "data": { "step": 1 } },
        })
    );
    let wrong = set("loud").send(stage.app.address).await;
    assert_eq!(wrong.code(), Some(-32602), "{wrong:?}");
}

#[tokio::test]
async fn several_calls_of_a_session_stream_at_once() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let mut open = Vec::new();
    for id in 1..=3 {
        let ask = bob.told_call(id, &format!("t{id}"), "patient", json!({ "told": 1 }));
        let mut events = Events::open(&ask, stage.app.address).await;
        events.one().await;
        assert_eq!(events.one().await.json()["params"]["progressToken"], format!("t{id}"));
        open.push((id, events));
    }
    stage.gate.add_permits(3);
    for (id, events) in open {
        let rest = events.rest().await;
        assert_eq!(rest.len(), 1, "{rest:?}");
        assert_eq!(rest[0].json()["id"], id);
    }
}
