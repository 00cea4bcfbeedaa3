//! Several payments at once: all of them, after one question, or none.

use serde_json::{Value, json};
use server::store::{KeyId, PaymentPolicy};

use super::{
    in_flight::{answered, asked},
    person::{Person, standing, text},
    visitor::Visitor,
};
use crate::support::{
    app::spawn_app,
    changes::KeyChanges as _,
    client::{BOB, Client, NEWEST},
    events::Events,
};

fn batch(payments: Value) -> Value {
    json!({ "payments": payments })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_step_that_fails_rolls_all_back_and_is_named_with_its_reason() {
    let app = spawn_app().await;
    let bob = Person::bob(&app);
    let step = |to: &str, amount: u32| json!({ "to": to, "amount": amount });
    for (third, code, reason) in [
        (step("alice", 701), "insufficient_funds", "700.00 USD can be spent"),
        (step("nobody", 1), "not_found", "no user of that name"),
        (step("bob", 1), "invalid_argument", "the payer"),
    ] {
        let order = batch(json!([step("alice", 60), step("charlie", 40), third, step("alice", 1)]));
        let (failed, question) = bob.answers("accept", "createPaymentBatch", order).await;
        assert_eq!((standing(&failed).as_str(), question), (code, None), "{failed}");
        for words in ["step 3 of 4", reason, "Nothing of the batch was paid"] {
            assert!(text(&failed).contains(words), "{words}: {failed}");
        }
    }
    let kept = bob.0.call("listPayments", json!({})).await;
    assert_eq!((kept["structuredContent"]["payments"].clone(), bob.balance().await), (json!([]), -200.0));
    assert_eq!(
        bob.does("createPayment", step("alice", 800)).await,
        "requires_confirmation",
        "nothing is set aside"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_cannot_be_carried_out_is_refused_as_a_whole() {
    let app = spawn_app().await;
    let bob = Person::bob(&app);
    let after = |after: Value| json!({ "to": "alice", "amount": 1, "after": after });
    let many = |count: usize| Value::from(vec![json!({ "to": "alice", "amount": 0.01 }); count]);
    for (payments, words) in [
        (json!([]), "payments"),
        (many(101), "payments"),
        (json!([after(json!([1]))]), "circle"),
        (json!([after(json!([2])), after(json!([1]))]), "circle"),
        (json!([after(json!([])), after(json!([3])), after(json!([2]))]), "step 2"),
        (json!([after(json!([2]))]), "after"),
        (json!([after(json!([0]))]), "after"),
        (json!([after(json!(["rent"]))]), "after"),
        (
            json!([{ "to": "alice", "amount": 1, "confirmed": true }]),
            "`/payments/0` have the unknown member `confirmed`",
        ),
        (json!([{ "to": "alice" }]), "`/payments/0` lack `amount`"),
    ] {
        let (refused, question) = bob.answers("accept", "createPaymentBatch", batch(payments.clone())).await;
        assert_eq!(
            (standing(&refused).as_str(), question),
            ("invalid_argument", None),
            "{payments}: {refused}"
        );
        assert!(text(&refused).contains(words), "{words}: {refused}");
    }
    let (paid, question) = bob.answers("accept", "createPaymentBatch", batch(many(100))).await;
    assert_eq!(standing(&paid), "succeeded", "{paid}");
    assert!(question.unwrap().starts_with("Pay 1.00 USD in 100 payments"));
    assert_eq!(bob.balance().await, -201.0);
}

/// What a batch of three comes to, and what was told of its progress; where its person is asked, they say `action`.
async fn told(bob: &Client, action: &str) -> (Value, Vec<Value>) {
    let order = batch(json!([
        { "to": "alice", "amount": 3, "after": [3] },
        { "to": "alice", "amount": 2, "after": [1.0] },
        { "to": "charlie", "amount": 1 },
    ]));
    let call = bob.told_call(5, "far", "createPaymentBatch", order);
    let mut events = match Events::or_answer(&call, bob.address).await {
        Ok(events) => events,
        Err(answer) => return (answer.json()["result"].clone(), Vec::new()),
    };
    let (mut told, mut result) = (Vec::new(), Value::Null);
    while let Some(event) = events.next().await {
        if event.data.as_deref().is_none_or(str::is_empty) {
            continue;
        }
        let message = event.json();
        match message["method"].as_str() {
            Some("elicitation/create") => {
                let said = json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "action": action, "content": {} } });
                assert_eq!(bob.post(said.to_string()).send(bob.address).await.status, 202);
            }
            Some("notifications/progress") => told.push(message["params"].clone()),
            Some(other) => panic!("{other}"),
            None => result = message["result"].clone(),
        }
    }
    (result, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_tells_how_far_it_is_and_pays_in_the_order_of_its_dependencies() {
    let app = spawn_app().await;
    let bob = Client::open_with(app.address, BOB, NEWEST, json!({ "elicitation": {} })).await;
    let (result, told) = told(&bob, "accept").await;
    assert_eq!(result["structuredContent"]["status"], "succeeded", "{result}");
    let far: Vec<_> = told
        .iter()
        .map(|one| (one["progressToken"].clone(), one["progress"].clone(), one["total"].clone()))
        .collect();
    assert_eq!(far, [1, 2, 3].map(|done| (json!("far"), json!(done), json!(3))));
    let rows = bob.result("getLatestTransactions", json!({ "limit": 3 })).await;
    let amounts: Vec<_> = rows["structuredContent"]["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["amount"].clone())
        .collect();
    assert_eq!(amounts, [2, 3, 1], "the newest first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_not_carried_out_tells_of_no_payments_carried_out() {
    let app = spawn_app().await;
    for (capabilities, ends) in [(json!({ "elicitation": {} }), "declined"), (json!({}), "requires_action")] {
        let bob = Client::open_with(app.address, BOB, NEWEST, capabilities).await;
        let (result, told) = told(&bob, "decline").await;
        assert_eq!((standing(&result).as_str(), told), (ends, Vec::new()), "{result}");
    }
}

/// The same is paid while its person is asked, so that there is more to ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_comes_to_a_second_question_tells_of_it_when_it_is_carried_out() {
    let app = spawn_app().await;
    let order = batch(json!([{ "to": "alice", "amount": 3 }, { "to": "charlie", "amount": 2 }]));
    let bob = Client::open_with(app.address, BOB, NEWEST, json!({ "elicitation": {} })).await;
    let call = bob.told_call(5, "far", "createPaymentBatch", order.clone());
    let mut events = Events::open(&call, bob.address).await;
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        if event.data.as_deref().is_none_or(str::is_empty) {
            continue;
        }
        let message = event.json();
        if message["method"] == "elicitation/create" {
            if seen.is_empty() {
                assert_eq!(Person::bob(&app).does("createPaymentBatch", order.clone()).await, "succeeded");
            }
            let yes = json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "action": "accept", "content": {} } });
            assert_eq!(bob.post(yes.to_string()).send(bob.address).await.status, 202);
        }
        seen.push(message["method"].as_str().unwrap_or("result").to_owned());
    }
    let [question, progress] = ["elicitation/create", "notifications/progress"];
    assert_eq!(seen, [question, question, progress, progress, "result"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_asked_about_with_every_payee_and_amount_and_with_the_first_memos() {
    let app = spawn_app().await;
    let step = |to: &str, amount: f64| json!({ "to": to, "amount": amount, "memo": "tea" });
    for bob in Visitor::of_each_era(&app, BOB).await {
        for count in [20, 21, 100] {
            let mut payments = vec![step("alice", 0.01); count - 1];
            payments.push(step("charlie", 700.0));
            let (declined, question) =
                bob.answers("decline", "createPaymentBatch", batch(payments.into())).await;
            assert_eq!(standing(&declined), "declined", "{declined}");
            let question = question.unwrap();
            let lines: Vec<_> = question.lines().skip(1).take(count).collect();
            let own: Vec<_> = (1..=count)
                .map(|place| {
                    let (amount, to) = if place == count { ("700.00", "charlie") } else { ("0.01", "alice") };
                    let memo = if place <= 20 { " (tea)" } else { "" };
                    format!("{place}. {amount} USD to {to}{memo}")
                })
                .collect();
            assert_eq!(lines, own, "{}: {question}", bob.era());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_of_a_batch_that_waits_for_its_owner_is_not_confirmed_by_itself() {
    let app = spawn_app().await;
    let order = batch(json!([{ "to": "alice", "amount": 60 }, { "to": "charlie", "amount": 40 }]));
    for (alone, bob) in Visitor::unaskable(&app, BOB).await.iter().zip(Visitor::of_each_era(&app, BOB).await)
    {
        let waits = alone.call("createPaymentBatch", order.clone()).await;
        assert_eq!(standing(&waits), "requires_action", "{waits}");
        let handle = waits["structuredContent"]["batchId"].as_str().unwrap();
        for payment in waits["structuredContent"]["payments"].as_array().unwrap() {
            let named = json!({ "paymentId": payment["paymentId"] });
            for who in [alone, &bob] {
                let (refused, question) = who.answers("accept", "confirmPayment", named.clone()).await;
                assert_eq!((standing(&refused).as_str(), question), ("invalid_state", None), "{refused}");
                assert!(text(&refused).contains(handle), "{refused}");
            }
            let now = bob.call("getPayment", named).await;
            assert_eq!(standing(&now), "requires_action", "{now}");
        }
        assert_eq!(Person::bob(&app).balance().await, -200.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_cancels_one_payment_of_a_waiting_batch_cancels_all_of_it_and_gives_its_budget_back() {
    let app = spawn_app().await;
    let policy = PaymentPolicy { day_budget_minor: Some(80_000), ..PaymentPolicy::default() };
    app.store.change_policy(&KeyId("1".to_owned()), policy.into()).await.unwrap().unwrap();
    let order = batch(json!([{ "to": "alice", "amount": 60 }, { "to": "charlie", "amount": 40 }]));
    for alone in Visitor::unaskable(&app, BOB).await {
        let waits = alone.call("createPaymentBatch", order.clone()).await;
        assert_eq!(standing(&waits), "requires_action", "{waits}");
        let [first, second] =
            [0, 1].map(|at| json!({ "paymentId": waits["structuredContent"]["payments"][at]["paymentId"] }));
        let canceled = alone.call("cancelPayment", second.clone()).await;
        assert_eq!(standing(&canceled), "canceled", "{canceled}");
        assert_eq!(canceled["structuredContent"]["paymentId"], second["paymentId"]);
        assert_eq!(standing(&alone.call("getPayment", first.clone()).await), "canceled");
        let again = alone.call("cancelPayment", first).await;
        assert_eq!(again["structuredContent"]["replayed"], true, "{again}");
        // All of the credit and of the budget is there again.
        let rest = alone.prepares(json!({ "to": "alice", "amount": 800 })).await;
        let named = json!({ "paymentId": rest["paymentId"] });
        assert_eq!(standing(&alone.call("cancelPayment", named).await), "canceled");
    }
}

/// Whether its person is asked within the call or between two rounds of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_money_went_elsewhere_while_somebody_was_asked_is_kept_with_what_was_said() {
    let [no, yes] = [("decline", "declined", "declined"), ("accept", "insufficient_funds", "failed")];
    for ((action, ends, kept), is_in_rounds) in [(no, false), (yes, false), (no, true), (yes, true)] {
        let app = spawn_app().await;
        let bob = Person::bob(&app);
        let order = json!({
            "payments": [{ "to": "alice", "amount": 60 }, { "to": "charlie", "amount": 40 }],
            "idempotencyKey": "k",
        });
        let elsewhere = json!({ "to": "alice", "amount": 790 });
        let ended = if is_in_rounds {
            let asked = bob.0.call("createPaymentBatch", order.clone()).await;
            bob.prepares(elsewhere).await;
            bob.says(action, "createPaymentBatch", &order, &asked).await
        } else {
            let session = Client::open_with(app.address, BOB, NEWEST, json!({ "elicitation": {} })).await;
            let waiting = asked(&session, "createPaymentBatch", &order).await;
            bob.prepares(elsewhere).await;
            answered(&session, waiting, action).await
        };
        assert_eq!(standing(&ended), ends, "{ended}");
        let listed = bob.0.call("listPayments", json!({ "status": kept })).await;
        let payments = listed["structuredContent"]["payments"].as_array().unwrap();
        assert_eq!(payments.len(), 2, "{action}: {listed}");
        let (again, question) = bob.answers("accept", "createPaymentBatch", order).await;
        assert_eq!((standing(&again).as_str(), question), (kept, None), "{again}");
    }
}
