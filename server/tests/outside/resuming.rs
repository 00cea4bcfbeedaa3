//! Streams that a client lost and goes on with (2025-11-25, Streamable HTTP transport, "Resumability and Redelivery").

use serde_json::json;

use crate::support::{
    client::{ALICE, BOB, Client},
    events::Events,
    eventually,
    stage::{Stage, spawn_stage},
    wire::Ask,
};

/// A call of Bob's that told two steps and waits, its stream open: the ids of priming event and steps.
async fn begin(stage: &Stage, bob: &Client) -> (Vec<String>, Events) {
    let ask = bob.told_call(7, "t", "patient", json!({ "told": 2 }));
    let mut events = Events::open(&ask, stage.app.address).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(events.one().await.id().to_owned());
    }
    (ids, events)
}

#[tokio::test]
async fn a_client_that_lost_its_connection_gets_exactly_what_it_missed() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let (ids, events) = begin(&stage, &bob).await;
    drop(events);
    // Nobody listens while the answer comes.
    stage.gate.add_permits(1);
    for (after, missed) in [(2, 1), (1, 2), (0, 3)] {
        let events = Events::open(&bob.resume(&ids[after]), stage.app.address).await.rest().await;
        let (priming, events) = events.split_first().unwrap();
        assert_eq!((priming.id(), priming.data.as_deref()), (ids[after].as_str(), Some("")));
        assert_eq!(events.len(), missed, "{events:?}");
        let (answer, steps) = events.split_last().unwrap();
        assert_eq!(answer.json()["id"], 7);
        assert_eq!(answer.json()["result"]["structuredContent"]["done"], true);
        let again: Vec<_> = steps.iter().map(|event| event.id().to_owned()).collect();
        assert_eq!(again, ids[after + 1..], "the same events have the same ids");
    }
    let records = stage.app.store.latest_audit(10).await.unwrap();
    assert!(records.len() <= 1, "the call ran once: {records:?}");
}

#[tokio::test]
async fn whoever_resumes_takes_over_from_the_connection_before() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let (ids, first) = begin(&stage, &bob).await;
    let second = Events::open(&bob.resume(&ids[2]), stage.app.address).await;
    assert!(first.rest().await.is_empty(), "the same event went to both");
    stage.gate.add_permits(1);
    assert_eq!(second.rest().await.last().unwrap().json()["id"], 7);
}

#[tokio::test]
async fn a_stream_belongs_to_its_session() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let (ids, _events) = begin(&stage, &bob).await;
    for key in [BOB, ALICE] {
        let other = Client::open(stage.app.address, key).await;
        let answer = other.resume(&ids[0]).send(stage.app.address).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32600)), "{answer:?}");
    }
    let theft = bob.resume(&ids[0]).key(ALICE).send(stage.app.address).await;
    assert_eq!(theft.status, 404, "{theft:?}");
}

#[tokio::test]
async fn an_event_that_nobody_knows_is_refused_and_a_lost_standing_stream_begins_anew() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    for garbage in ["", "1", "x-r-1-1", "00000000-r-1-1", "00000000-r-+1-1", "00000000-q-1-1", "-----"] {
        let answer = bob.resume(garbage).send(stage.app.address).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32600)), "{garbage:?}: {answer:?}");
        assert!(answer.body.contains("Last-Event-ID"), "{answer:?}");
    }
    let mut anew = Events::open(&bob.resume("00000000-s-1-1"), stage.app.address).await;
    assert_eq!(anew.one().await.data.as_deref(), Some(""));
}

#[tokio::test]
async fn an_event_that_is_named_twice_is_refused_and_the_stream_can_be_gone_on_with() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let (ids, events) = begin(&stage, &bob).await;
    for (first, second) in [(0, 1), (1, 0), (2, 2)] {
        let ask = bob.resume(&ids[first]).with("last-event-id", &ids[second]);
        let answer = ask.send(stage.app.address).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32600)), "{answer:?}");
        assert!(answer.body.contains("Last-Event-ID"), "{answer:?}");
    }
    stage.gate.add_permits(1);
    assert_eq!(events.rest().await.last().unwrap().json()["id"], 7, "nobody took over");
}

#[tokio::test]
async fn what_is_no_longer_kept_whole_is_refused_and_not_left_out_in_silence() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let ask = bob.told_call(7, "t", "patient", json!({ "told": 300 }));
    let mut events = Events::open(&ask, stage.app.address).await;
    let priming = events.one().await.id().to_owned();
    let first = events.one().await.id().to_owned();
    drop(events);
    eventually("all of it is told", async || stage.has_begun(1)).await;
    let stream = priming.strip_suffix("-0").unwrap();
    for lost in [priming.clone(), first, format!("{stream}-301"), format!("{stream}-99999")] {
        let answer = bob.resume(&lost).send(stage.app.address).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32600)), "{lost}: {answer:?}");
    }
    stage.gate.add_permits(1);
    let rest = Events::open(&bob.resume(&format!("{stream}-298")), stage.app.address).await.rest().await;
    let numbers: Vec<_> = rest.iter().map(|event| event.id().rsplit_once('-').unwrap().1).collect();
    assert_eq!(numbers, ["298", "299", "300", "301"]);
    assert_eq!(rest.last().unwrap().json()["result"]["structuredContent"]["done"], true);
}

#[tokio::test]
async fn a_standing_stream_begins_anew_after_an_event_that_was_never_told() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let mut lost = Events::open(&bob.dress(Ask::get()), stage.app.address).await;
    let priming = lost.one().await.id().to_owned();
    drop(lost);
    let stream = priming.strip_suffix("-0").unwrap();
    let mut anew = Events::open(&bob.resume(&format!("{stream}-99999")), stage.app.address).await;
    let id = anew.one().await.id().to_owned();
    assert!(id.ends_with("-0") && id != priming, "{id} after {priming}");
}

#[tokio::test]
async fn a_connection_that_is_let_go_says_when_to_come_back() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let ask = bob.call("patient", json!({ "let_go": 250 }));
    let events = Events::open(&ask, stage.app.address).await.rest().await;
    let [priming, farewell] = &events[..] else { panic!("{events:?}") };
    assert_eq!((farewell.retry.as_deref(), farewell.data.as_deref()), (Some("250"), None));
    stage.gate.add_permits(1);
    let rest = Events::open(&bob.resume(priming.id()), stage.app.address).await.rest().await;
    assert_eq!(rest.last().unwrap().json()["result"]["structuredContent"]["done"], true);
}

#[tokio::test]
async fn a_session_has_at_most_thirty_two_streams_without_a_request() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(Events::open(&bob.dress(Ask::get()), stage.app.address).await);
    }
    let refused = bob.dress(Ask::get()).send(stage.app.address).await;
    assert_eq!((refused.status, refused.code()), (429, Some(-32005)), "{refused:?}");
    assert!(refused.header("retry-after").is_some());
    open.pop();
    eventually("a place is free again", async || {
        let mut wire = crate::support::wire::Wire::connect(stage.app.address).await;
        wire.write(&bob.dress(Ask::get()).bytes(stage.app.address)).await;
        wire.head().await.status == 200
    })
    .await;
}
