//! How far a payment has come decides what can still be done with it, and what has ended stays as it is.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use server::{
    clock::UnixMillis,
    payments::Payments,
    store::{KeyId, PaymentPolicy},
};

use super::person::Person;
use crate::support::{
    app::{App, spawn_app},
    changes::KeyChanges as _,
};

/// A payment of Bob's to Alice that has come so far.
pub(super) async fn paid_until(app: &App, status: &str, amount: u32) -> Value {
    let (bob, alice) = (Person::bob(app), Person::alice(app));
    let payment = bob.prepares(json!({ "to": "alice", "amount": amount })).await;
    let named = json!({ "paymentId": payment["paymentId"] });
    let refund = |amount: u32| json!({ "paymentId": payment["paymentId"], "amount": amount });
    match status {
        "declined" => drop(bob.answers("decline", "confirmPayment", named).await),
        "canceled" => drop(bob.does("cancelPayment", named).await),
        "expired" => {
            let later = UnixMillis::now().plus(Duration::from_hours(25));
            Payments::new(Arc::clone(&app.store), None).sweep(later).await.unwrap();
        }
        "failed" => {
            let key = KeyId("1".to_owned());
            let strict = PaymentPolicy { day_budget_minor: Some(1), ..PaymentPolicy::default() };
            app.store.change_policy(&key, strict.into()).await.unwrap().unwrap();
            assert_eq!(bob.does("confirmPayment", named).await, "limit_exceeded");
            app.store.change_policy(&key, PaymentPolicy::default().into()).await.unwrap().unwrap();
        }
        "succeeded" => drop(bob.does("confirmPayment", named).await),
        "partially_refunded" => {
            bob.does("confirmPayment", named).await;
            alice.does("refundPayment", refund(1)).await;
        }
        "refunded" => {
            bob.does("confirmPayment", named.clone()).await;
            alice.does("refundPayment", named).await;
        }
        other => panic!("{other} is not reached here"),
    }
    let now = bob.0.call("getPayment", json!({ "paymentId": payment["paymentId"] })).await;
    assert_eq!(now["structuredContent"]["status"], status, "{now}");
    payment["paymentId"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_ended_is_not_confirmed_canceled_or_refunded_again() {
    let app = spawn_app().await;
    let (bob, alice) = (Person::bob(&app), Person::alice(&app));
    let table = [
        ("declined", "declined", "invalid_state", "not_found"),
        ("canceled", "canceled", "canceled", "not_found"),
        ("expired", "expired", "expired", "not_found"),
        ("failed", "failed", "invalid_state", "not_found"),
        ("succeeded", "succeeded", "invalid_state", ""),
        ("partially_refunded", "partially_refunded", "invalid_state", ""),
        ("refunded", "refunded", "invalid_state", "invalid_state"),
    ];
    for (amount, (status, confirm, cancel, refund)) in (10..).zip(table) {
        let named = json!({ "paymentId": paid_until(&app, status, amount).await });
        let before = (bob.balance().await, alice.balance().await);
        let (confirmed, question) = bob.answers("accept", "confirmPayment", named.clone()).await;
        assert_eq!(super::person::standing(&confirmed), confirm, "confirm {status}");
        assert_eq!(question, None, "nobody is asked about what is {status}");
        assert_eq!(bob.does("cancelPayment", named.clone()).await, cancel, "cancel {status}");
        if !refund.is_empty() {
            assert_eq!(alice.does("refundPayment", named.clone()).await, refund, "refund {status}");
        }
        assert_eq!((bob.balance().await, alice.balance().await), before, "nothing moves once it is {status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_the_payees_to_give_and_never_more_than_was_paid() {
    let app = spawn_app().await;
    let (bob, alice) = (Person::bob(&app), Person::alice(&app));
    let named = json!({ "paymentId": paid_until(&app, "succeeded", 50).await });
    let part = |amount: f64| json!({ "paymentId": named["paymentId"], "amount": amount });
    assert_eq!(bob.does("refundPayment", named.clone()).await, "permission_denied");
    assert_eq!(alice.does("refundPayment", part(50.01)).await, "limit_exceeded");
    let (declined, question) = alice.answers("decline", "refundPayment", part(20.5)).await;
    assert!(question.unwrap().starts_with("Give 20.50 USD of the payment pay_"));
    assert_eq!((bob.balance().await, alice.balance().await), (-250.0, 230.0), "{declined}");
    assert_eq!(alice.does("refundPayment", part(20.5)).await, "partially_refunded");
    assert_eq!(alice.does("refundPayment", part(29.51)).await, "limit_exceeded");
    assert_eq!((bob.balance().await, alice.balance().await), (-229.5, 209.5));
    // What is left, where no amount is named.
    assert_eq!(alice.does("refundPayment", named.clone()).await, "refunded");
    assert_eq!(alice.does("refundPayment", named).await, "invalid_state");
    assert_eq!((bob.balance().await, alice.balance().await), (-200.0, 180.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_in_parts_is_asked_about_from_the_part_on_with_which_the_whole_would_be() {
    let app = spawn_app().await;
    let policy = PaymentPolicy { automatic_below_minor: 2_000, ..PaymentPolicy::default() };
    app.store.change_policy(&KeyId("2".to_owned()), policy.into()).await.unwrap().unwrap();
    let (bob, alice) = (Person::bob(&app), Person::alice(&app));
    let payment = paid_until(&app, "succeeded", 100).await;
    let part = |amount: f64| json!({ "paymentId": payment, "amount": amount });
    for (amount, is_asked, balance) in
        [(9.99, false, -290.01), (10.0, false, -280.01), (0.01, true, -280.01), (19.99, true, -280.01)]
    {
        let (_, question) = alice.answers("decline", "refundPayment", part(amount)).await;
        assert_eq!((question.is_some(), bob.balance().await), (is_asked, balance), "{amount}");
    }
    // Of another payment nothing was given back yet.
    let payment = paid_until(&app, "succeeded", 50).await;
    let part = json!({ "paymentId": payment, "amount": 19.99 });
    assert_eq!(alice.answers("decline", "refundPayment", part).await.1, None);
}

/// What waits is counted against the credit, and what ends unpaid is given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_credit_is_set_aside_for_what_waits_and_free_again_when_that_ends_unpaid() {
    let app = spawn_app().await;
    let bob = Person::bob(&app);
    for end in ["declined", "canceled", "expired", "failed"] {
        let waiting = bob.prepares(json!({ "to": "alice", "amount": 500 })).await;
        assert_eq!(
            bob.does("createPayment", json!({ "to": "charlie", "amount": 300.01 })).await,
            "insufficient_funds"
        );
        bob.does("cancelPayment", json!({ "paymentId": waiting["paymentId"] })).await;
        paid_until(&app, end, 800).await;
    }
    // All of it, to the cent: 1,000 below zero, and not a cent further.
    paid_until(&app, "succeeded", 800).await;
    assert_eq!(bob.balance().await, -1000.0);
    assert_eq!(
        bob.does("createPayment", json!({ "to": "alice", "amount": 0.01 })).await,
        "insufficient_funds"
    );
}
