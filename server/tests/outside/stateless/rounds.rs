//! Asking in rounds: what a request came to travels with the client, and is worth nothing in other hands.

use std::num::NonZeroU32;

use serde_json::{Value, json};
use server::{
    audit::REFUSED,
    limits::{LimitSettings, Limits},
};

use crate::support::{
    client::{ALICE, BOB},
    eventually,
    modern::Caller,
    process::Program,
    stage::{Stage, spawn_stage, spawn_stage_with},
    wire::Ask,
};

fn able(stage: &Stage, key: &str) -> Caller {
    Caller::new(stage.app.address, key).able(json!({ "elicitation": {} }))
}

/// The call that asks for a colour and then for a shade.
fn call(more: &Value) -> Value {
    let mut params = json!({ "name": "curious", "arguments": {} });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    params
}

fn accepted(what: &str, value: &str) -> Value {
    json!({ what: { "action": "accept", "content": { what: value } } })
}

/// The state after the first round.
async fn asked(caller: &Caller) -> String {
    let result = caller.result("tools/call", call(&json!({}))).await;
    assert_eq!(result["resultType"], "input_required", "{result}");
    assert_eq!(result["inputRequests"]["colour"]["method"], "elicitation/create");
    assert_eq!(result["inputRequests"]["colour"]["params"]["message"], "Which colour?");
    result["requestState"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_tool_that_asks_twice_gets_both_answers() {
    let stage = spawn_stage().await;
    let bob = able(&stage, BOB);
    let state = asked(&bob).await;
    let second = call(&json!({ "requestState": state, "inputResponses": accepted("colour", "red") }));
    let second = bob.result("tools/call", second).await;
    assert_eq!(second["inputRequests"].as_object().unwrap().keys().collect::<Vec<_>>(), ["shade"]);
    // The first answer is in the state: only the second one is sent.
    let third =
        call(&json!({ "requestState": second["requestState"], "inputResponses": accepted("shade", "pale") }));
    let done = bob.result("tools/call", third).await;
    assert_eq!(done["resultType"], "complete");
    let answers = &done["structuredContent"]["answers"];
    assert_eq!(
        (&answers[0]["content"]["colour"], &answers[1]["content"]["shade"]),
        (&json!("red"), &json!("pale"))
    );
}

#[tokio::test]
async fn rule_08_a_state_is_worth_nothing_changed_spent_or_in_other_hands() {
    let stage = spawn_stage().await;
    let bob = able(&stage, BOB);
    let state = asked(&bob).await;
    let with =
        |state: &str| call(&json!({ "requestState": state, "inputResponses": accepted("colour", "red") }));
    let changed = format!("{}x", &state[..state.len() - 1]);
    let alice = able(&stage, ALICE);
    let mut other_arguments = with(&state);
    other_arguments["arguments"] = json!({ "more": 1 });
    for (name, caller, params) in [
        ("changed", &bob, with(&changed)),
        ("cut", &bob, with(&state[..20])),
        ("nonsense", &bob, with("nonsense")),
        ("empty", &bob, with("")),
        ("another's", &alice, with(&state)),
        ("of another request", &bob, other_arguments),
        ("no string", &bob, call(&json!({ "requestState": 7 }))),
        ("null", &bob, call(&json!({ "requestState": null }))),
    ] {
        let answer = caller.answer("tools/call", params).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32602)), "{name}: {answer:?}");
    }
    assert_eq!(
        bob.result("tools/call", with(&state)).await["resultType"],
        "input_required",
        "it is still good"
    );
    let again = bob.answer("tools/call", with(&state)).await;
    assert_eq!((again.status, again.code()), (400, Some(-32602)), "spent: {again:?}");
}

/// The call in which the arguments are written like this.
fn written(bob: &Caller, arguments: Option<&str>, more: &Value) -> Ask {
    let mut params = call(more);
    let members = params.as_object_mut().unwrap();
    match arguments {
        Some(_) => members.insert("arguments".to_owned(), json!("HERE")),
        None => members.remove("arguments"),
    };
    let body = bob.body(7, "tools/call", params);
    bob.dress(&body).saying(body.to_string().replace("\"HERE\"", arguments.unwrap_or_default()))
}

#[tokio::test]
async fn arguments_may_be_written_anew_in_the_next_round_and_must_say_the_same() {
    let stage = spawn_stage().await;
    let bob = able(&stage, BOB);
    let tight = r#"{"at_once":false,"of":["colour","shade"]}"#;
    let loose = "{ \"of\" : [\"col\\u006fur\", \"shade\"],\n\"at_once\": false }";
    for (first, next, same) in [
        (None, Some("{}"), true),
        (Some("{}"), None, true),
        (Some("{ }"), Some("{}"), true),
        (Some(tight), Some(loose), true),
        (Some(loose), Some(tight), true),
        (Some(tight), Some(r#"{"at_once":false,"of":["shade","colour"]}"#), false),
        (Some(tight), Some(r#"{"of":["colour","shade"]}"#), false),
    ] {
        let asked = written(&bob, first, &json!({})).send(stage.app.address).await.json();
        let state = asked["result"]["requestState"].as_str().unwrap().to_owned();
        let answered = json!({ "requestState": state, "inputResponses": accepted("colour", "red") });
        let answer = written(&bob, next, &answered).send(stage.app.address).await;
        assert_eq!(answer.status == 200, same, "{first:?} {next:?}: {answer:?}");
        if same {
            assert!(answer.json()["result"]["inputRequests"]["shade"].is_object(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_there_was_no_room_for_is_as_good_when_there_is() {
    let many = NonZeroU32::new(100_000).unwrap();
    let one = LimitSettings {
        refused_keys: many,
        initializations: many,
        calls: many,
        calls_at_once: NonZeroU32::MIN,
    };
    let stage = spawn_stage_with(|builder| builder.limits(Limits::new(Some(one)))).await;
    let bob = able(&stage, BOB);
    let state = asked(&bob).await;
    let answer = call(&json!({ "requestState": state, "inputResponses": accepted("colour", "red") }));
    let other = bob.clone();
    let patient = json!({ "name": "patient", "arguments": {} });
    let running = tokio::spawn(async move { other.answer("tools/call", patient).await.status });
    eventually("the only place is taken", || async { stage.has_begun(1) }).await;
    for _ in 0..2 {
        let limited = bob.answer("tools/call", answer.clone()).await;
        assert_eq!((limited.status, limited.code()), (429, Some(-32005)), "{limited:?}");
        assert!(limited.header("retry-after").is_some(), "{limited:?}");
    }
    stage.gate.add_permits(1);
    assert_eq!(running.await.unwrap(), 200);
    let second = bob.result("tools/call", answer.clone()).await;
    assert!(second["inputRequests"]["shade"].is_object(), "the first answer counts: {second}");
    assert_eq!(bob.answer("tools/call", answer.clone()).await.code(), Some(-32602), "and counts once");

    // What was given out and came again is told from what never was.
    let forged = able(&stage, ALICE).answer("tools/call", answer).await;
    assert_eq!((forged.status, forged.code()), (400, Some(-32602)), "{forged:?}");
    eventually("it is noted who forged, and who came again", async || {
        stage.app.store.flush_audit().await.unwrap();
        let mut records = stage.app.store.latest_audit(100).await.unwrap();
        records.retain(|record| record.tool == REFUSED);
        let noted: Vec<_> = records.iter().map(|one| (one.username.as_str(), &*one.rule)).collect();
        noted == [("alice", "request state"), ("bob", "request state: used before")]
    })
    .await;
}

#[tokio::test]
async fn answers_that_nobody_asked_for_count_for_nothing() {
    let stage = spawn_stage().await;
    let bob = able(&stage, BOB);
    let before = call(&json!({ "inputResponses": accepted("colour", "red") }));
    let result = bob.result("tools/call", before).await;
    assert!(result["inputRequests"]["colour"].is_object(), "asked all the same: {result}");
    let state = asked(&bob).await;
    let mut both = accepted("colour", "red");
    both.as_object_mut().unwrap().extend(accepted("shade", "pale").as_object().unwrap().clone());
    let result =
        bob.result("tools/call", call(&json!({ "requestState": state, "inputResponses": both }))).await;
    assert!(result["inputRequests"]["shade"].is_object(), "it was not asked yet: {result}");
}

#[tokio::test]
async fn an_answer_that_is_missing_or_wrong_is_asked_for_again() {
    let stage = spawn_stage().await;
    let bob = able(&stage, BOB);
    for answers in [
        json!({}),
        accepted("shade", "pale"),
        accepted("colour", "green"),
        json!({ "colour": { "action": "accept" } }),
        json!({ "colour": { "action": "perhaps" } }),
        json!({ "colour": 12345 }),
    ] {
        let state = asked(&bob).await;
        let params = call(&json!({ "requestState": state, "inputResponses": answers }));
        let result = bob.result("tools/call", params).await;
        assert!(result["inputRequests"]["colour"].is_object(), "{answers}: {result}");
    }
    let null = bob.answer("tools/call", call(&json!({ "inputResponses": null }))).await;
    assert_eq!((null.status, null.code()), (400, Some(-32602)), "{null:?}");
}

#[tokio::test]
async fn a_request_takes_at_most_ten_rounds() {
    let stage = spawn_stage().await;
    let bob = able(&stage, BOB);
    let mut state = asked(&bob).await;
    for round in 2..=10 {
        let result = bob.result("tools/call", call(&json!({ "requestState": state }))).await;
        assert_eq!(result["resultType"], "input_required", "round {round}");
        state = result["requestState"].as_str().unwrap().to_owned();
    }
    let answer = bob.answer("tools/call", call(&json!({ "requestState": state }))).await;
    assert_eq!(answer.code(), Some(-32602), "{answer:?}");
}

#[tokio::test]
async fn answers_that_are_too_large_to_be_carried_on_are_told_so_before_the_next_question() {
    let stage = spawn_stage().await;
    let bob = able(&stage, BOB);
    for (length, fits) in [(40_000, true), (50_000, false)] {
        let content = json!({ "colour": "red", "note": "x".repeat(length) });
        let answered = json!({ "colour": { "action": "accept", "content": content } });
        let state = asked(&bob).await;
        let params = call(&json!({ "requestState": state, "inputResponses": answered }));
        let answer = bob.answer("tools/call", params).await;
        if fits {
            let state = answer.json()["result"]["requestState"].clone();
            let third = call(&json!({ "requestState": state, "inputResponses": accepted("shade", "pale") }));
            assert_eq!(bob.result("tools/call", third).await["resultType"], "complete");
        } else {
            assert_eq!(answer.code(), Some(-32602), "{answer:?}");
            assert!(answer.body.contains("too large"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_cannot_be_asked_is_told_what_it_lacks() {
    let stage = spawn_stage().await;
    for capabilities in [json!({}), json!({ "elicitation": { "url": {} } }), json!({ "sampling": {} })] {
        let bob = Caller::new(stage.app.address, BOB).able(capabilities);
        let answer = bob.answer("tools/call", call(&json!({}))).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32021)), "{answer:?}");
        let lacking = &answer.json()["error"]["data"]["requiredCapabilities"];
        assert_eq!(*lacking, json!({ "elicitation": { "form": {} } }));
    }
}

#[tokio::test]
async fn a_decline_is_an_answer() {
    let stage = spawn_stage().await;
    let bob = able(&stage, BOB);
    let state = asked(&bob).await;
    let no = json!({ "colour": { "action": "decline" } });
    let result =
        bob.result("tools/call", call(&json!({ "requestState": state, "inputResponses": no }))).await;
    assert_eq!(result["structuredContent"]["answers"], json!([{ "action": "decline" }]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_the_store_cannot_note_is_refused_for_now_and_as_good_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]);
    let bob = Caller::new(program.address, BOB).able(json!({ "elicitation": {} }));
    let made = bob.call("createPayment", json!({ "to": "alice", "amount": 1 })).await;
    let arguments = json!({ "paymentId": made["structuredContent"]["paymentId"] });
    let asked = bob.call("confirmPayment", arguments.clone()).await;
    let yes = json!({
        "name": "confirmPayment", "arguments": arguments, "requestState": asked["requestState"],
        "inputResponses": { "confirmation": { "action": "accept", "content": {} } },
    });
    let database = rusqlite::Connection::open(folder.path().join("data/payments.db")).unwrap();
    let refuse =
        "CREATE TRIGGER closed BEFORE INSERT ON spent_seals BEGIN SELECT RAISE (ABORT, 'arranged'); END";
    database.execute_batch(refuse).unwrap();
    let refused = bob.answer("tools/call", yes.clone()).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")), "{refused:?}");
    assert_eq!((refused.code(), &refused.json()["id"]), (Some(-32603), &json!(7)), "{refused:?}");
    database.execute_batch("DROP TRIGGER closed").unwrap();
    let paid = bob.result("tools/call", yes).await;
    assert_eq!(paid["structuredContent"]["status"], "succeeded", "{paid}");
}
