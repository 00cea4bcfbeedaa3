//! What is asked for again: under the same idempotency key it is the same payment, and without one it is a question.

use futures_util::future::join_all;
use serde_json::{Value, json};
use server::store::{KeyId, PaymentPolicy};

use super::{
    books::Books,
    person::{Person, standing},
};
use crate::support::{
    app::{App, spawn_app_with},
    changes::KeyChanges as _,
    client::BOB,
    eventually,
};

async fn spawn() -> App {
    spawn_app_with(|config| config.limits = None).await
}

fn named(payment: &Value) -> Value {
    json!({ "paymentId": payment["paymentId"] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_is_the_same_payment_however_it_stands_and_other_arguments_are_refused() {
    let app = spawn().await;
    let bob = Person::bob(&app);
    let order = json!({ "to": "alice", "amount": 10, "memo": "tea", "idempotencyKey": "k-1" });
    let made = join_all((0..50).map(|_| bob.0.call("createPayment", order.clone()))).await;
    let first = &made[0]["structuredContent"]["paymentId"];
    assert!(made.iter().all(|one| &one["structuredContent"]["paymentId"] == first), "{made:?}");
    let replayed = made.iter().filter(|one| one["structuredContent"]["replayed"] == true).count();
    assert_eq!(replayed, 49);
    for (member, other) in [
        ("to", json!("charlie")),
        ("amount", json!(10.01)),
        ("memo", json!("coffee")),
        ("memo", json!(null)),
        ("currency", json!("USD")),
    ] {
        let mut order = order.clone();
        order[member] = other;
        assert_eq!(bob.does("createPayment", order.clone()).await, "idempotency_key_reused", "{order}");
    }
    assert_eq!(bob.does("confirmPayment", named(&made[0]["structuredContent"])).await, "succeeded");
    let again = bob.prepares(order).await;
    assert_eq!(
        (&again["status"], &again["replayed"], &again["paymentId"]),
        (&json!("succeeded"), &json!(true), first)
    );
    // Alice's key of that name is another one, and so is a batch's.
    let order = json!({ "to": "bob", "amount": 1, "idempotencyKey": "k-1" });
    assert_eq!(Person::alice(&app).does("createPayment", order).await, "requires_confirmation");
    let batch = json!({ "payments": [{ "to": "alice", "amount": 2 }], "idempotencyKey": "k-1" });
    let paid = bob.answers("accept", "createPaymentBatch", batch.clone()).await.0;
    assert_eq!(standing(&paid), "succeeded");
    let (again, question) = bob.answers("accept", "createPaymentBatch", batch).await;
    assert_eq!((&again["structuredContent"]["replayed"], question), (&json!(true), None));
    assert_eq!(again["structuredContent"]["batchId"], paid["structuredContent"]["batchId"]);
    assert_eq!(bob.balance().await, -212.0);
    let listed = bob.0.call("listPayments", json!({ "idempotencyKey": "k-1" })).await;
    assert!(
        listed["structuredContent"]["payments"].to_string().contains(first.as_str().unwrap()),
        "{listed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_what_was_refused_is_free_for_the_next_attempt() {
    let app = spawn().await;
    let bob = Person::bob(&app);
    for (refused, code) in [
        (json!({ "to": "alice", "amount": 800.01 }), "insufficient_funds"),
        (json!({ "to": "nobody", "amount": 1 }), "not_found"),
        (json!({ "to": "alice", "amount": 1.005 }), "invalid_amount"),
        (json!({ "to": "bob", "amount": 1 }), "invalid_argument"),
    ] {
        let keyed = |mut order: Value| {
            order["idempotencyKey"] = json!(code);
            order
        };
        assert_eq!(bob.does("createPayment", keyed(refused)).await, code);
        let made = bob.prepares(keyed(json!({ "to": "alice", "amount": 5 }))).await;
        assert_eq!(made["replayed"], Value::Null, "{made}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_payment_under_another_key_is_asked_about_even_where_nobody_else_is() {
    let app = spawn().await;
    let automatic = PaymentPolicy { automatic_below_minor: 10_000, ..PaymentPolicy::default() };
    app.store.change_policy(&KeyId("1".to_owned()), automatic.into()).await.unwrap().unwrap();
    let bob = Person::bob(&app);
    let first = bob.prepares(json!({ "to": "alice", "amount": 30 })).await;
    assert_eq!(first["possibleDuplicateOf"], Value::Null);
    let (paid, question) = bob.answers("accept", "confirmPayment", named(&first)).await;
    assert_eq!((standing(&paid).as_str(), question), ("succeeded", None));
    for other in [json!({ "to": "charlie", "amount": 30 }), json!({ "to": "alice", "amount": 30.01 })] {
        assert_eq!(bob.prepares(other).await["possibleDuplicateOf"], Value::Null);
    }
    let second = bob.prepares(json!({ "to": "alice", "amount": 30, "idempotencyKey": "another" })).await;
    assert_eq!(second["possibleDuplicateOf"], first["paymentId"]);
    let (declined, question) = bob.answers("decline", "confirmPayment", named(&second)).await;
    let question = question.unwrap();
    let id = first["paymentId"].as_str().unwrap();
    assert!(question.contains(&format!("Possible duplicate: {id}")), "{question}");
    assert_eq!((standing(&declined).as_str(), bob.balance().await), ("declined", -230.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn which_payment_another_one_repeats_is_told_to_its_payer_alone() {
    let app = spawn().await;
    let (bob, alice) = (Person::bob(&app), Person::alice(&app));
    let order = json!({ "to": "alice", "amount": 30 });
    let first = bob.prepares(order.clone()).await;
    let second = bob.prepares(order).await;
    assert_eq!(bob.does("confirmPayment", named(&second)).await, "succeeded");
    let part = json!({ "paymentId": second["paymentId"], "amount": 10 });
    let (refunded, _) = alice.answers("accept", "refundPayment", part).await;
    assert_eq!(refunded["structuredContent"]["possibleDuplicateOf"], Value::Null, "{refunded}");
    for (reader, told) in [(&bob, &first["paymentId"]), (&alice, &Value::Null)] {
        let found = reader.0.call("getPayment", named(&second)).await;
        assert_eq!(found["structuredContent"]["possibleDuplicateOf"], *told, "{found}");
        let listed = reader.0.call("listPayments", json!({})).await;
        assert_eq!(listed["structuredContent"]["payments"][0]["possibleDuplicateOf"], *told, "{listed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_key_of_the_same_user_paid_is_a_possible_duplicate_too() {
    for books in Books::of_each_kind().await {
        let [mine, other] = [0, 1].map(|turn| {
            let (_, key) = books.key(&["--automatic-below", "100"]);
            books.caller(&key, turn)
        });
        let order = json!({ "to": "alice", "amount": 30 });
        let first = mine.call("createPayment", order.clone()).await["structuredContent"].clone();
        assert_eq!(standing(&mine.call("confirmPayment", named(&first)).await), "succeeded");
        let second = other.call("createPayment", order).await["structuredContent"].clone();
        assert_eq!(second["possibleDuplicateOf"], first["paymentId"], "{second}");
        let asked = other.call("confirmPayment", named(&second)).await;
        assert_eq!(asked["resultType"], "input_required", "it is asked about: {asked}");
        assert_eq!(books.balances().await, [-230.0, 210.0]);
    }
}

/// Two servers are asked the same before either can go on, so that the second judges after the first has set the money aside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_repeated_while_the_first_call_waits_is_the_same_payment_though_there_is_money_for_one_alone()
{
    for books in Books::of_each_kind().await {
        let Some(beside) = books.beside().await else { continue };
        let order = json!({ "to": "alice", "amount": 600, "idempotencyKey": "k" });
        beside.execute("BEGIN; SELECT 1 FROM accounts WHERE username = 'bob' FOR UPDATE").await;
        let repeated = (0..2).map(|turn| {
            let (bob, order) = (books.caller(BOB, turn), order.clone());
            tokio::spawn(async move { bob.call("createPayment", order).await })
        });
        let repeated: Vec<_> = repeated.collect();
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        eventually("both calls to wait", async || beside.number(waiting).await == 2).await;
        beside.execute("COMMIT").await;
        let mut made = Vec::new();
        for one in repeated {
            made.push(one.await.unwrap());
        }
        let id = |made: &Value| made["structuredContent"]["paymentId"].clone();
        assert!(id(&made[0]).is_string() && id(&made[0]) == id(&made[1]), "{made:?}");
        let replayed = made.iter().filter(|one| one["structuredContent"]["replayed"] == true).count();
        assert_eq!(replayed, 1, "{made:?}");
    }
}
