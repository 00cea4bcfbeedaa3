//! Asking the user in a session: the question is a request on the stream of the call, the answer is posted.

use serde_json::{Value, json};

use crate::support::{
    client::{ALICE, BOB, Client, NEWEST},
    events::Events,
    soon,
    stage::{Stage, spawn_stage},
};

/// A session of Bob's whose client can show forms.
async fn able(stage: &Stage) -> Client {
    Client::open_with(stage.app.address, BOB, NEWEST, json!({ "elicitation": {} })).await
}

/// A response to a question of the server's.
fn response(id: &Value, result: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
}

/// Begins a call that asks: its stream after the priming event, and the question.
async fn asked(stage: &Stage, bob: &Client) -> (Events, Value) {
    let mut events = Events::open(&bob.call("curious", json!({})), stage.app.address).await;
    events.one().await;
    let question = events.one().await.json();
    (events, question)
}

/// Fails unless the client is told that nobody waits for the answer to this question any more.
fn assert_taken_back(message: &Value, question: &Value) {
    assert_eq!(message["method"], "notifications/cancelled", "{message}");
    assert_eq!(message["params"]["requestId"], question["id"], "{message}");
    assert!(message["params"]["reason"].is_string(), "{message}");
}

#[tokio::test]
async fn a_tool_asks_and_goes_on_with_the_answer() {
    let stage = spawn_stage().await;
    let bob = able(&stage).await;
    let (mut events, question) = asked(&stage, &bob).await;
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["message"], "Which colour?");
    let red = json!({ "action": "accept", "content": { "colour": "red" } });
    let posted = bob.post(response(&question["id"], &red)).send(stage.app.address).await;
    assert_eq!((posted.status, posted.body.as_str()), (202, ""));
    let second = events.one().await.json();
    assert_eq!(second["params"]["message"], "Which shade?");
    assert_ne!(second["id"], question["id"]);
    let no = json!({ "action": "decline" });
    bob.post(response(&second["id"], &no)).send(stage.app.address).await;
    let rest = events.rest().await;
    assert_eq!(rest.last().unwrap().json()["result"]["structuredContent"]["answers"], json!([red, no]));
}

#[tokio::test]
async fn only_the_session_that_was_asked_can_answer() {
    let stage = spawn_stage().await;
    let bob = able(&stage).await;
    let (events, question) = asked(&stage, &bob).await;
    let yes = response(&question["id"], &json!({ "action": "accept", "content": { "colour": "blue" } }));
    let alice = Client::open_with(stage.app.address, ALICE, NEWEST, json!({ "elicitation": {} })).await;
    let other = able(&stage).await;
    for stranger in [&alice, &other] {
        assert_eq!(stranger.post(yes.clone()).send(stage.app.address).await.status, 202, "it says nothing");
    }
    let no = json!({ "action": "cancel" });
    bob.post(response(&question["id"], &no)).send(stage.app.address).await;
    let rest = events.rest().await;
    assert_eq!(rest.last().unwrap().json()["result"]["structuredContent"]["answers"], json!([no]));
}

#[tokio::test]
async fn a_client_that_cannot_be_asked_is_not_asked() {
    let stage = spawn_stage().await;
    for capabilities in [json!({}), json!({ "elicitation": { "url": {} } }), json!({ "sampling": {} })] {
        let bob = Client::open_with(stage.app.address, BOB, NEWEST, capabilities).await;
        let answer = bob.result("curious", json!({})).await;
        assert_eq!(answer["isError"], true);
        let text = answer["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("elicitation") && text.starts_with("cannot_ask:"), "{text}");
    }
}

#[tokio::test]
async fn what_a_client_can_be_asked_is_kept_with_its_session() {
    let stage = spawn_stage().await;
    let bob = able(&stage).await;
    let (_events, question) = asked(&stage, &bob).await;
    assert_eq!(question["method"], "elicitation/create");
    let stored = {
        use sha2::{Digest, Sha256};
        let hash = server::store::SessionHash(Sha256::digest(bob.session.as_bytes()).into());
        stage.app.store.session(&hash).await.unwrap().unwrap()
    };
    assert_eq!(stored.abilities, server::store::ClientAbilities(1));
}

#[tokio::test]
async fn an_error_or_nonsense_for_an_answer_ends_the_call_with_an_error_that_says_so() {
    let stage = spawn_stage().await;
    let bob = able(&stage).await;
    for (answer, says) in [
        (json!({ "error": { "code": -32601, "message": "Method not found" } }), "Method not found"),
        (json!({ "result": { "action": "perhaps" } }), "cannot be read"),
        (json!({ "result": {} }), "cannot be read"),
    ] {
        let (events, question) = asked(&stage, &bob).await;
        let mut message = json!({ "jsonrpc": "2.0", "id": question["id"] });
        message.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
        assert_eq!(bob.post(message.to_string()).send(stage.app.address).await.status, 202);
        let result = events.rest().await.last().unwrap().json()["result"].clone();
        assert_eq!(result["isError"], true);
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(says), "{text}");
    }
}

#[tokio::test]
async fn a_person_may_take_longer_than_a_tool_but_not_for_ever() {
    let stage = spawn_stage().await;
    let bob = able(&stage).await;
    let (events, question) = asked(&stage, &bob).await;
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let rest = tokio::time::timeout(std::time::Duration::from_secs(3_600), events.rest()).await.unwrap();
    let [taken_back, result] = &rest[..] else { panic!("{rest:?}") };
    assert_taken_back(&taken_back.json(), &question);
    let result = result.json()["result"].clone();
    assert!(result["content"][0]["text"].as_str().unwrap().contains("nobody answered"), "{result}");
    let took = began.elapsed().as_secs();
    assert!((290..400).contains(&took), "{took} s");
}

#[tokio::test]
async fn when_one_of_several_questions_fails_the_others_are_taken_back() {
    let stage = spawn_stage().await;
    let bob = able(&stage).await;
    let call = bob.call("curious", json!({ "at_once": true, "of": ["colour", "hue", "shade"] }));
    let mut events = Events::open(&call, stage.app.address).await;
    events.one().await;
    let mut questions = Vec::new();
    for _ in 0..3 {
        questions.push(events.one().await.json());
    }
    let red = json!({ "action": "accept", "content": { "colour": "red" } });
    bob.post(response(&questions[0]["id"], &red)).send(stage.app.address).await;
    bob.post(response(&questions[1]["id"], &json!({}))).send(stage.app.address).await;
    let rest = events.rest().await;
    let [taken_back, result] = &rest[..] else { panic!("{rest:?}") };
    assert_taken_back(&taken_back.json(), &questions[2]);
    assert_eq!(result.json()["result"]["isError"], true);
}

#[tokio::test]
async fn the_question_of_a_call_that_is_cancelled_is_taken_back() {
    let stage = spawn_stage().await;
    let bob = able(&stage).await;
    let (events, question) = asked(&stage, &bob).await;
    // The id of `call` is 2.
    let cancelled =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 2 } });
    assert_eq!(bob.post(cancelled.to_string()).send(stage.app.address).await.status, 202);
    let rest = events.rest().await;
    let [taken_back] = &rest[..] else { panic!("{rest:?}") };
    assert_taken_back(&taken_back.json(), &question);
}

#[tokio::test]
async fn the_end_of_the_session_or_of_the_server_ends_the_question() {
    let stage = spawn_stage().await;
    let bob = able(&stage).await;
    let (events, _question) = asked(&stage, &bob).await;
    assert_eq!(bob.end().await.status, 204);
    assert!(events.rest().await.is_empty(), "the stream ended with its session");

    let bob = able(&stage).await;
    let (events, question) = asked(&stage, &bob).await;
    let stopping = stage.app.begin_stop();
    let rest = events.rest().await;
    let [taken_back, result] = &rest[..] else { panic!("{rest:?}") };
    assert_taken_back(&taken_back.json(), &question);
    assert_eq!(result.json()["result"]["isError"], true, "the call was finished");
    soon("the shutdown", stopping).await.unwrap().unwrap();
}
