//! Rule 8 for a person's word: it is about one payment, in one call, with one key, and counts once.

use serde_json::{Value, json};
use server::{
    clock::UnixMillis,
    identity::Role,
    store::{Replacement, Rotation, UserId},
};

use super::{key, spawn_known};
use crate::support::{
    app::App,
    changes::KeyChanges as _,
    client::{ALICE, BOB, Client, NEWEST},
    events::Events,
    modern::Caller,
    wire::Wire,
};

fn asker(app: &App, key: &str) -> Caller {
    Caller::new(app.address, key).able(json!({ "elicitation": {} }))
}

async fn prepared(caller: &Caller, amount: u32) -> Value {
    let made = caller.call("createPayment", json!({ "to": "alice", "amount": amount })).await;
    json!({ "paymentId": made["structuredContent"]["paymentId"] })
}

/// A call that goes on with a state, and a person's yes to whatever it asked.
fn agreed(tool: &str, arguments: &Value, asked: &Value) -> Value {
    let yes = json!({ "action": "accept", "content": {} });
    json!({
        "name": tool, "arguments": arguments, "requestState": asked["requestState"],
        "inputResponses": { "confirmation": yes },
    })
}

async fn balance(caller: &Caller) -> Value {
    caller.call("getAccountBalance", json!({})).await["structuredContent"]["balance"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_08_a_yes_is_worth_nothing_for_another_payment_another_tool_or_another_key() {
    let app = spawn_known().await;
    let (bob, alice) = (asker(&app, BOB), asker(&app, ALICE));
    let (first, second) = (prepared(&bob, 1).await, prepared(&bob, 900).await);
    let asked = bob.call("confirmPayment", first.clone()).await;
    let mut more = first.clone();
    more["more"] = json!(1);
    let other_key = asker(&app, &key(&app, UserId(1), Role::Customer).await.0);
    for (caller, tool, arguments) in [
        (&bob, "confirmPayment", &second),
        (&bob, "cancelPayment", &first),
        (&bob, "refundPayment", &first),
        (&bob, "getPayment", &first),
        (&bob, "confirmPayment", &more),
        (&alice, "confirmPayment", &first),
        (&other_key, "confirmPayment", &first),
    ] {
        let answer = caller.answer("tools/call", agreed(tool, arguments, &asked)).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32602)), "{tool}: {answer:?}");
    }
    // Nor before it was asked for, nor under another name than the question's.
    let mut unasked = agreed("confirmPayment", &first, &json!({}));
    unasked.as_object_mut().unwrap().remove("requestState");
    let mut misnamed = agreed("confirmPayment", &first, &asked);
    misnamed["inputResponses"] = json!({ "another": { "action": "accept", "content": {} } });
    for call in [unasked, misnamed] {
        let again = bob.result("tools/call", call).await;
        assert_eq!(again["resultType"], "input_required", "{again}");
    }
    assert_eq!(balance(&bob).await, -200, "nothing has moved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_08_a_yes_counts_once_however_many_bring_it_and_nothing_but_yes_is_one() {
    let app = spawn_known().await;
    let bob = asker(&app, BOB);
    let payment = prepared(&bob, 5).await;
    let asked = bob.call("confirmPayment", payment.clone()).await;
    let yes = agreed("confirmPayment", &payment, &asked);
    let answers =
        futures_util::future::join_all((0..10).map(|_| bob.answer("tools/call", yes.clone()))).await;
    let paid = answers.iter().filter(|answer| answer.body.contains("succeeded")).count();
    let refused = answers.iter().filter(|answer| answer.code() == Some(-32602)).count();
    assert_eq!((paid, refused), (1, 9));
    assert_eq!(balance(&bob).await, -205);

    let payment = prepared(&bob, 7).await;
    for no_word in [
        json!({ "action": "ACCEPT" }),
        json!({ "action": "accepted" }),
        json!({ "action": true }),
        json!({ "content": { "action": "accept" } }),
        json!("accept"),
        json!(["accept"]),
        json!(null),
    ] {
        let asked = bob.call("confirmPayment", payment.clone()).await;
        let mut call = agreed("confirmPayment", &payment, &asked);
        call["inputResponses"]["confirmation"] = no_word.clone();
        let answer = bob.answer("tools/call", call).await;
        assert!(!answer.body.contains("succeeded"), "{no_word}: {answer:?}");
    }
    let asked = bob.call("confirmPayment", payment.clone()).await;
    let mut call = agreed("confirmPayment", &payment, &asked);
    call["inputResponses"]["confirmation"]["action"] = json!("cancel");
    assert_eq!(bob.result("tools/call", call).await["structuredContent"]["status"], "declined");
    assert_eq!(balance(&bob).await, -205);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_08_a_yes_beside_a_no_is_none_in_either_era() {
    let app = spawn_known().await;
    let bob = asker(&app, BOB);
    let payment = prepared(&bob, 5).await;
    let session = Client::open_with(app.address, BOB, NEWEST, json!({ "elicitation": {} })).await;
    let both = [
        r#"{"action":"decline","action":"accept","content":{}}"#,
        r#"{"action":"accept","action":"decline","content":{}}"#,
        r#"{"action":"decline","acti\u006fn":"accept","content":{}}"#,
        r#"{"action":"accept","content":{"a":1,"a":2}}"#,
    ];
    for both in both {
        let mut events = Events::open(&session.call("confirmPayment", payment.clone()), app.address).await;
        let question = loop {
            let event = events.one().await;
            if event.data.as_deref().is_some_and(|data| data.contains("elicitation/create")) {
                break event.json()["id"].clone();
            }
        };
        let response = format!(r#"{{"jsonrpc":"2.0","id":{question},"result":{both}}}"#);
        assert_eq!(session.post(response).send(app.address).await.status, 202);
        let result = events.rest().await.pop().unwrap().json()["result"].clone();
        assert_eq!(result["isError"], true, "{both}: {result}");
    }
    let asked = bob.call("confirmPayment", payment.clone()).await;
    let body = bob.body(7, "tools/call", agreed("confirmPayment", &payment, &asked));
    let yes = r#"{"action":"accept","content":{}}"#;
    let twice = format!(r#""confirmation":{{"action":"decline"}},"confirmation":{yes}"#);
    let alone = format!(r#""confirmation":{yes}"#);
    assert!(body.to_string().contains(&alone), "{body}");
    let twofold = both.map(|both| format!(r#""confirmation":{both}"#)).into_iter().chain([twice]);
    for twofold in twofold {
        let ask = bob.dress(&body).saying(body.to_string().replace(&alone, &twofold));
        let answer = ask.send(app.address).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32602)), "{twofold}: {answer:?}");
    }
    assert_eq!(balance(&bob).await, -200, "nothing has moved");
    let paid = bob.dress(&body).send(app.address).await;
    assert!(paid.body.contains("succeeded"), "the state is as good as before: {paid:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_08_a_yes_to_a_batch_is_for_these_payments_and_a_refund_is_asked_of_who_was_paid() {
    let app = spawn_known().await;
    let (bob, alice) = (asker(&app, BOB), asker(&app, ALICE));
    let batch = |amount: u32| json!({ "payments": [{ "to": "alice", "amount": amount }, { "to": "charlie", "amount": 1 }] });
    let asked = bob.call("createPaymentBatch", batch(10)).await;
    let question = asked["inputRequests"]["confirmation"]["params"]["message"].as_str().unwrap();
    assert!(question.starts_with("Pay 11.00 USD in 2 payments"), "{question}");
    let swapped = bob.answer("tools/call", agreed("createPaymentBatch", &batch(700), &asked)).await;
    assert_eq!(swapped.code(), Some(-32602), "{swapped:?}");
    let paid = bob.result("tools/call", agreed("createPaymentBatch", &batch(10), &asked)).await;
    assert_eq!(paid["structuredContent"]["status"], "succeeded", "{paid}");
    assert_eq!(balance(&bob).await, -211);

    let received = json!({ "paymentId": paid["structuredContent"]["payments"][0]["paymentId"], "amount": 4 });
    let text = bob.call("refundPayment", received.clone()).await["content"][0]["text"].clone();
    assert!(text.as_str().unwrap().starts_with("permission_denied: "), "the payer refunds: {text}");
    let asked = alice.call("refundPayment", received.clone()).await;
    let mut all = received.clone();
    all.as_object_mut().unwrap().remove("amount");
    for (caller, arguments) in [(&alice, &all), (&bob, &received)] {
        let answer = caller.answer("tools/call", agreed("refundPayment", arguments, &asked)).await;
        assert_eq!(answer.code(), Some(-32602), "{answer:?}");
    }
    let refunded = alice.result("tools/call", agreed("refundPayment", &received, &asked)).await;
    assert_eq!(refunded["structuredContent"]["refundedAmount"], 4, "{refunded}");
}

/// What one key was asked is not for the key that replaces it, either: that one asks anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_08_a_key_that_replaced_another_asks_again() {
    let app = spawn_known().await;
    let (secret, kept) = key(&app, UserId(1), Role::Customer).await;
    let bob = asker(&app, &secret);
    let payment = prepared(&bob, 3).await;
    let asked = bob.call("confirmPayment", payment.clone()).await;
    let (id, fresh) = server::identity::ApiKey::generate(server::store::KeyMode::Live).unwrap();
    let pepper = server::identity::Pepper::from_secret(&super::PEPPER.into());
    let digest = pepper.digest(&fresh);
    let new = Replacement { id, digest, last_four: kept.last_four.clone(), created_at: UnixMillis::now() };
    let until = UnixMillis::now().plus(std::time::Duration::from_secs(60));
    assert!(matches!(app.store.rotate_key(&kept.id, until, new).await.unwrap(), Rotation::Done(_)));
    let replaced = asker(&app, fresh.expose());
    let answer = replaced.answer("tools/call", agreed("confirmPayment", &payment, &asked)).await;
    assert_eq!(answer.code(), Some(-32602), "{answer:?}");
    let asked = replaced.call("confirmPayment", payment.clone()).await;
    let paid = replaced.result("tools/call", agreed("confirmPayment", &payment, &asked)).await;
    assert_eq!(paid["structuredContent"]["status"], "succeeded", "{paid}");
}

/// What a person says no to is not done, however the client writes the rest of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_08_a_no_is_heard_whatever_is_written_beside_it_in_either_era() {
    let app = spawn_known().await;
    let (bob, alice) = (asker(&app, BOB), asker(&app, ALICE));
    let paying = prepared(&bob, 5).await;
    let asked = bob.call("confirmPayment", paying.clone()).await;
    let paid = bob.result("tools/call", agreed("confirmPayment", &paying, &asked)).await;
    assert_eq!(paid["structuredContent"]["status"], "succeeded", "{paid}");
    for no in [
        json!({ "action": "decline", "content": "" }),
        json!({ "action": "cancel", "content": [], "_meta": 1 }),
    ] {
        for (key, caller, tool) in [(BOB, &bob, "confirmPayment"), (ALICE, &alice, "refundPayment")] {
            let next = async || if key == BOB { prepared(&bob, 7).await } else { paying.clone() };
            let arguments = next().await;
            let session = Client::open_with(app.address, key, NEWEST, json!({ "elicitation": {} })).await;
            let mut events = Events::open(&session.call(tool, arguments), app.address).await;
            let question = loop {
                let event = events.one().await;
                if event.data.as_deref().is_some_and(|data| data.contains("elicitation/create")) {
                    break event.json()["id"].clone();
                }
            };
            let response = json!({ "jsonrpc": "2.0", "id": question, "result": no });
            assert_eq!(session.post(response.to_string()).send(app.address).await.status, 202);
            let in_session = events.rest().await.pop().unwrap().json()["result"].clone();

            let arguments = next().await;
            let asked = caller.call(tool, arguments.clone()).await;
            let mut call = agreed(tool, &arguments, &asked);
            call["inputResponses"]["confirmation"] = no.clone();
            // Not held against the schema, which knows no such answer.
            let mut wire = Wire::connect(app.address).await;
            wire.try_write(&caller.ask("tools/call", call).bytes(app.address)).await.unwrap();
            let stateless = wire.answer().await.json()["result"].clone();
            for result in [in_session, stateless] {
                let text = result["content"][0]["text"].as_str().unwrap_or_default();
                let is_heard =
                    result["structuredContent"]["status"] == "declined" || text.starts_with("declined: ");
                assert!(is_heard, "{tool} {no}: {result}");
            }
        }
    }
    assert_eq!(balance(&bob).await, -205);
}
