//! One payment, from its preparation to a person's word, in both eras.

use serde_json::{Value, json};
use server::store::{KeyId, PaymentPolicy};

use super::{
    person::{Person, question, standing},
    steps::paid_until,
    visitor::Visitor,
};
use crate::support::{
    app::{App, spawn_app},
    changes::KeyChanges as _,
    client::BOB,
};

/// The records of a tool that say how its calls ended.
async fn recorded(app: &App, tool: &str) -> Vec<&'static str> {
    app.store.flush_audit().await.unwrap();
    let records = app.store.latest_audit(100).await.unwrap();
    records.iter().filter(|record| record.tool == tool).map(|record| record.outcome.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_prepared_without_moving_anything() {
    let app = spawn_app().await;
    for (amount, bob) in [12.5, 20.0].into_iter().zip(Visitor::of_each_era(&app, BOB).await) {
        let made = bob.prepares(json!({ "to": "alice", "amount": amount, "memo": "lunch" })).await;
        assert!(made["paymentId"].as_str().unwrap().starts_with("pay_"), "{made}");
        let terms = json!({
            "paymentId": made["paymentId"], "status": "requires_confirmation", "from": "bob", "to": "alice",
            "amount": made["amount"], "currency": "USD", "memo": "lunch",
            "createdAt": made["createdAt"], "expiresAt": made["expiresAt"],
        });
        assert_eq!((&made, made["amount"].as_f64()), (&terms, Some(amount)), "{}", bob.era());
        let [created, expires] =
            ["createdAt", "expiresAt"].map(|name| made[name].as_str().unwrap().parse::<jiff::Timestamp>());
        assert_eq!(expires.unwrap().duration_since(created.unwrap()).as_hours(), 24, "{made}");
        assert_eq!(
            bob.call("getPayment", json!({ "paymentId": made["paymentId"] })).await["structuredContent"],
            made
        );
    }
    assert_eq!(Person::bob(&app).balance().await, -200.0);
    assert_eq!(recorded(&app, "createPayment").await, ["ok", "ok"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn yes_pays_no_and_a_question_that_is_put_away_do_not_and_none_of_them_is_an_error() {
    let app = spawn_app().await;
    let (mut amount, mut balance) = (10, -200.0);
    for bob in Visitor::of_each_era(&app, BOB).await {
        for (action, status) in [("decline", "declined"), ("cancel", "declined"), ("accept", "succeeded")] {
            amount += 1;
            let made = bob.prepares(json!({ "to": "alice", "amount": amount })).await;
            let named = json!({ "paymentId": made["paymentId"] });
            let (decided, question) = bob.answers(action, "confirmPayment", named.clone()).await;
            let what = format!("{action} {}: {decided}", bob.era());
            assert!(question.unwrap().starts_with(&format!("Pay {amount}.00 USD to alice?")), "{what}");
            assert_eq!((standing(&decided).as_str(), &decided["isError"]), (status, &Value::Null), "{what}");
            assert_eq!(decided["structuredContent"]["replayed"], Value::Null, "{what}");
            assert_eq!(decided["structuredContent"]["expiresAt"], Value::Null, "{what}");
            if status == "succeeded" {
                balance -= f64::from(amount);
            }
            assert_eq!(Person::bob(&app).balance().await, balance, "{what}");
            // Whatever is said of it later, it stays as it was decided, and nobody is asked again.
            let (again, question) = bob.answers("accept", "confirmPayment", named).await;
            assert_eq!((standing(&again).as_str(), question), (status, None), "{what}");
            assert_eq!(again["structuredContent"]["replayed"], true, "{what}");
            assert_eq!(Person::bob(&app).balance().await, balance, "{what}");
        }
    }
    let [mut in_rounds, mut in_session] = [vec![], vec![]];
    for _ in 0..3 {
        // The newest first: the replay, the decision and, without sessions, the round in which it was asked.
        in_rounds.extend(["ok", "ok", "input_required"]);
        in_session.extend(["ok", "ok"]);
    }
    assert_eq!(recorded(&app, "confirmPayment").await, [in_rounds, in_session].concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_can_be_asked_a_payment_waits_for_somebody_who_can() {
    let app = spawn_app().await;
    let mut balance = -200.0;
    let unaskable = Visitor::unaskable(&app, BOB).await;
    for ((alone, bob), amount) in unaskable.iter().zip(Visitor::of_each_era(&app, BOB).await).zip([30, 31]) {
        let made = alone.prepares(json!({ "to": "alice", "amount": amount })).await;
        let named = json!({ "paymentId": made["paymentId"] });
        for replayed in [Value::Null, json!(true)] {
            let waits = alone.call("confirmPayment", named.clone()).await;
            let what = format!("{}: {waits}", alone.era());
            assert_eq!(
                (standing(&waits).as_str(), &waits["isError"]),
                ("requires_action", &Value::Null),
                "{what}"
            );
            assert_eq!(waits["structuredContent"]["replayed"], replayed, "{what}");
            assert!(waits["structuredContent"]["expiresAt"].is_string(), "{what}");
            assert_eq!(Person::bob(&app).balance().await, balance, "{what}");
        }
        // What a model says is no person's word.
        for word in ["confirmed", "consent", "action", "inputResponses"] {
            let mut with = named.clone();
            with[word] = json!("accept");
            assert_eq!(standing(&alone.call("confirmPayment", with).await), "invalid_argument", "{word}");
        }
        let (paid, question) = bob.answers("accept", "confirmPayment", named).await;
        assert_eq!((standing(&paid).as_str(), question.is_some()), ("succeeded", true), "{paid}");
        balance -= f64::from(amount);
        assert_eq!(Person::bob(&app).balance().await, balance);
    }
}

/// From now on a key asks from so many cents on.
async fn asks_from(app: &App, key: &str, automatic_below_minor: i64) {
    let policy = PaymentPolicy { automatic_below_minor, ..PaymentPolicy::default() };
    app.store.change_policy(&KeyId(key.to_owned()), policy.into()).await.unwrap().unwrap();
}

/// Without sessions a tool is entered again with the answer, and finds that nobody has to be asked any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_to_a_payment_is_heard_though_nobody_would_have_to_be_asked_by_then() {
    let app = spawn_app().await;
    let bob = Person::bob(&app);
    for action in ["decline", "cancel"] {
        asks_from(&app, "1", 0).await;
        let made = bob.prepares(json!({ "to": "alice", "amount": 10 })).await;
        let named = json!({ "paymentId": made["paymentId"] });
        let asked = bob.0.call("confirmPayment", named.clone()).await;
        asks_from(&app, "1", 10_000).await;
        let ended = bob.says(action, "confirmPayment", &named, &asked).await;
        assert_eq!((standing(&ended).as_str(), bob.balance().await), ("declined", -200.0), "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_to_a_batch_is_heard_though_nobody_would_have_to_be_asked_by_then() {
    let app = spawn_app().await;
    asks_from(&app, "1", 10_000).await;
    let bob = Person::bob(&app);
    for action in ["decline", "cancel"] {
        let other = bob.prepares(json!({ "to": "alice", "amount": 30 })).await;
        let order = json!({ "payments": [{ "to": "alice", "amount": 30 }], "idempotencyKey": action });
        let asked = bob.0.call("createPaymentBatch", order.clone()).await;
        assert!(question(&asked).1.contains("Possible duplicates: 1"), "{asked}");
        // It is no duplicate of what was never paid.
        assert_eq!(bob.does("cancelPayment", json!({ "paymentId": other["paymentId"] })).await, "canceled");
        let ended = bob.says(action, "createPaymentBatch", &order, &asked).await;
        assert_eq!((standing(&ended).as_str(), bob.balance().await), ("declined", -200.0), "{ended}");
        let (again, asks) = bob.answers("accept", "createPaymentBatch", order).await;
        assert_eq!((standing(&again).as_str(), asks), ("declined", None), "{again}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_to_a_refund_is_heard_though_nobody_would_have_to_be_asked_by_then() {
    let app = spawn_app().await;
    asks_from(&app, "2", 5_000).await;
    let (bob, alice) = (Person::bob(&app), Person::alice(&app));
    let all = json!({ "paymentId": paid_until(&app, "succeeded", 100).await });
    let asked = alice.0.call("refundPayment", all.clone()).await;
    assert!(question(&asked).1.starts_with("Give 100.00 USD"), "{asked}");
    asks_from(&app, "2", 10_001).await;
    let ended = alice.says("decline", "refundPayment", &all, &asked).await;
    assert_eq!((standing(&ended).as_str(), bob.balance().await), ("declined", -300.0), "{ended}");
    // Whoever is not asked, and has not said no, gives it back.
    let (refunded, asks) = alice.answers("decline", "refundPayment", all).await;
    assert_eq!((standing(&refunded).as_str(), asks), ("refunded", None), "{refunded}");
}
