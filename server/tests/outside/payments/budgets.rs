//! What a key may spend in a day: counted when a payment is prepared, counted anew when it is paid, and given back when
//! it ends unpaid.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use server::{
    clock::UnixMillis,
    payments::Payments,
    store::{Ending, KeyId, PaymentPolicy, StoreError, Transaction, Work, transact},
};

use super::{
    late::kept,
    person::{Person, standing},
    steps::paid_until,
    visitor::Visitor,
};
use crate::support::{
    app::{App, spawn_app},
    changes::KeyChanges as _,
    client::BOB,
};

/// Lets Bob's key spend a hundred dollars a day.
async fn a_hundred_a_day(app: &App) {
    let policy = PaymentPolicy { day_budget_minor: Some(10_000), ..PaymentPolicy::default() };
    app.store.change_policy(&KeyId("1".to_owned()), policy.into()).await.unwrap().unwrap();
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

/// Prepared most of a day ago, it would leave the day's count within the hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_counts_in_the_day_in_which_it_is_paid_however_long_ago_it_was_prepared() {
    for turn in 0..2 {
        let app = spawn_app().await;
        a_hundred_a_day(&app).await;
        let bob = Visitor::of_each_era(&app, BOB).await.into_iter().nth(turn).unwrap();
        let end = UnixMillis::now().plus(Duration::from_mins(30));
        let id = kept(&app, 60, Duration::from_mins(23 * 60 + 30), end).await;
        is_left(&bob, 40, "prepared").await;
        let paid = bob.answers("accept", "confirmPayment", json!({ "paymentId": id })).await.0;
        assert_eq!(standing(&paid), "succeeded", "{}: {paid}", bob.era());
        is_left(&bob, 40, "paid").await;
        let an_hour_later = UnixMillis::from_millis(UnixMillis::now().as_millis() - 23 * 3_600_000);
        assert_eq!(spent(&app, an_hour_later).await, 6_000, "{}", bob.era());
    }
}

/// How much Bob's key has spent since then.
async fn spent(app: &App, since: UnixMillis) -> i64 {
    struct Spent(UnixMillis);
    #[async_trait]
    impl Work for Spent {
        type Output = i64;
        async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<i64>, StoreError> {
            transaction.spent(&KeyId("1".to_owned()), self.0).await.map(Ending::Undo)
        }
    }
    transact(&*app.store, Spent(since)).await.unwrap()
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
