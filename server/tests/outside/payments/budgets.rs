//! What a key may spend in a day: counted when a payment is prepared, and given back when it ends unpaid.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use server::{
    clock::UnixMillis,
    payments::Payments,
    store::{KeyId, PaymentPolicy},
};

use super::{
    person::{Person, standing},
    steps::paid_until,
    visitor::Visitor,
};
use crate::support::{
    app::{App, spawn_app},
    client::BOB,
};

/// Lets Bob's key spend a hundred dollars a day.
async fn a_hundred_a_day(app: &App) {
    let policy = PaymentPolicy { day_budget_minor: Some(10_000), ..PaymentPolicy::default() };
    app.store.put_policy(&KeyId("1".to_owned()), policy).await.unwrap().unwrap();
}

/// That so many dollars can be prepared, and not a cent more; they are given back.
async fn is_left(bob: &Visitor, dollars: u32, what: &str) {
    let cent_more: Value = format!("{dollars}.01").parse().unwrap();
    let over = bob.call("createPayment", json!({ "to": "charlie", "amount": cent_more })).await;
    let what = format!("{what} {}: {over}", bob.era());
    assert_eq!(standing(&over), "limit_exceeded", "{what}");
    let left = format!("{dollars}.00 USD of it is left");
    assert!(over["content"][0]["text"].as_str().unwrap().contains(&left), "{what}");
    if dollars > 0 {
        let made = bob.prepares(json!({ "to": "charlie", "amount": dollars })).await;
        let canceled = bob.call("cancelPayment", json!({ "paymentId": made["paymentId"] })).await;
        assert_eq!(standing(&canceled), "canceled", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_given_back_for_what_is_canceled_declined_or_expires() {
    let app = spawn_app().await;
    a_hundred_a_day(&app).await;
    for bob in Visitor::of_each_era(&app, BOB).await {
        is_left(&bob, 100, "at first").await;
        for end in ["canceled", "declined", "cancelled", "expired"] {
            let made = bob.prepares(json!({ "to": "alice", "amount": 60 })).await;
            let named = json!({ "paymentId": made["paymentId"] });
            is_left(&bob, 40, end).await;
            let ended = match end {
                "canceled" => bob.call("cancelPayment", named.clone()).await,
                "declined" => bob.answers("decline", "confirmPayment", named.clone()).await.0,
                "cancelled" => bob.answers("cancel", "confirmPayment", named.clone()).await.0,
                _ => {
                    let later = UnixMillis::now().plus(Duration::from_hours(25));
                    Payments::new(Arc::clone(&app.store), None).sweep(later).await.unwrap();
                    bob.call("getPayment", named.clone()).await
                }
            };
            let status = if end == "cancelled" { "declined" } else { end };
            assert_eq!(standing(&ended), status, "{}", bob.era());
            is_left(&bob, 100, end).await;
            // Once: what ends it again gives nothing more.
            bob.call("cancelPayment", named.clone()).await;
            bob.answers("decline", "confirmPayment", named).await;
            is_left(&bob, 100, end).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paid_stays_counted_and_what_waits_for_its_owner_too() {
    let app = spawn_app().await;
    a_hundred_a_day(&app).await;
    let [bob, _] = Visitor::of_each_era(&app, BOB).await;
    paid_until(&app, "succeeded", 30).await;
    is_left(&bob, 70, "paid").await;
    paid_until(&app, "refunded", 20).await;
    is_left(&bob, 50, "a refund is the payee's and gives no budget back").await;
    let [alone, _] = Visitor::unaskable(&app, BOB).await;
    let made = alone.prepares(json!({ "to": "alice", "amount": 10 })).await;
    let waits = alone.call("confirmPayment", json!({ "paymentId": made["paymentId"] })).await;
    assert_eq!(standing(&waits), "requires_action");
    is_left(&bob, 40, "waits").await;
    let canceled = alone.call("cancelPayment", json!({ "paymentId": made["paymentId"] })).await;
    assert_eq!(standing(&canceled), "canceled");
    is_left(&bob, 50, "canceled by its owner").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_declined_has_spent_nothing_and_one_that_waits_gives_back_what_is_canceled() {
    let app = spawn_app().await;
    a_hundred_a_day(&app).await;
    let order = json!({ "payments": [{ "to": "alice", "amount": 60 }, { "to": "charlie", "amount": 30 }] });
    let [bob, stateless] = Visitor::of_each_era(&app, BOB).await;
    for person in [&bob, &stateless] {
        let (_, question) = person.answers("decline", "createPaymentBatch", order.clone()).await;
        assert!(question.is_some());
        is_left(person, 100, "declined").await;
    }
    let (paid, _) = bob.answers("accept", "createPaymentBatch", order).await;
    assert_eq!(standing(&paid), "succeeded", "{paid}");
    is_left(&bob, 10, "paid").await;
    let listed: Value = Person::bob(&app).0.call("listPayments", json!({ "status": "succeeded" })).await;
    assert_eq!(listed["structuredContent"]["payments"].as_array().unwrap().len(), 2);
}
