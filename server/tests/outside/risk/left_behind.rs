//! What was left behind while the risk service is left alone: nobody waits for it, so it waits until somebody can be asked.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::json;
use server::{
    clock::UnixMillis,
    money::{Amount, Currency},
    payments::{Payments, RiskGate},
    risk::{BreakerSettings, RiskSettings},
    store::{
        Compensation, Ending, PaymentChange, PaymentFilter, PaymentId, PaymentStatus, StoreError,
        Transaction, Work, transact,
    },
};

use super::{
    counterpart::{Act, Counterpart},
    payments::{balance, due, prepared},
};
use crate::support::{
    app::{App, spawn_app},
    client::{BOB, Client},
    eventually,
};

/// Another server on the same store, which leaves the risk service alone after the three attempts of one question.
fn another(app: &App, counterpart: &Counterpart) -> Payments {
    let breaker = BreakerSettings { failures: 3, open_for: Duration::from_secs(2) };
    let settings = RiskSettings { breaker, ..counterpart.settings() };
    Payments::new(Arc::clone(&app.store), RiskGate::open(Some(&settings)).unwrap())
}

/// Begins to process payments, in this order, as a server does that dies then.
struct Begin(Vec<PaymentId>);

#[async_trait]
impl Work for Begin {
    type Output = ();

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<()>, StoreError> {
        let now = UnixMillis::now();
        for (id, age) in self.0.iter().rev().zip(0..) {
            let change = PaymentChange {
                id: id.clone(),
                status: PaymentStatus::Processing,
                at: UnixMillis::from_millis(now.as_millis() - age),
                refunded_minor: 0,
                transfer: None,
                failure: None,
                confirmed_by: None,
            };
            transaction.change_payment(&change).await?;
        }
        Ok(Ending::Keep(()))
    }
}

/// The handles of twenty payments of Bob's that a server left behind: the first by itself, the others too or as one batch.
async fn left_behind(app: &App, is_batch: bool) -> Vec<PaymentId> {
    let bob = Client::open(app.address, BOB).await;
    let mut left = vec![PaymentId(prepared(&bob, 10.0).await)];
    if is_batch {
        let payments = vec![json!({ "to": "alice", "amount": 10 }); 19];
        bob.result("createPaymentBatch", json!({ "payments": payments })).await;
        let waiting =
            PaymentFilter { status: Some(PaymentStatus::RequiresAction), ..PaymentFilter::default() };
        let waiting = app.store.payments(waiting, 100).await.unwrap();
        left.extend(waiting.into_iter().map(|payment| payment.payment.id));
    } else {
        for _ in 0..19 {
            left.push(PaymentId(prepared(&bob, 10.0).await));
        }
    }
    assert_eq!(left.len(), 20);
    transact(&*app.store, Begin(left.clone())).await.unwrap();
    left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_left_behind_does_not_fail_because_nobody_can_be_asked_about_it() {
    for is_batch in [false, true] {
        let (app, counterpart) = (spawn_app().await, Counterpart::start().await);
        let left = left_behind(&app, is_batch).await;
        let standing = async || {
            let mut standing = Vec::new();
            for id in &left {
                standing.push(app.store.payment(id).await.unwrap().unwrap().status());
            }
            standing
        };
        let others = |first, others| [vec![first], vec![others; 19]].concat();
        let payments = another(&app, &counterpart);
        let sweep = async || payments.sweep(UnixMillis::now().plus(Duration::from_secs(61))).await.unwrap();

        counterpart.always(Act::Status(500, None));
        sweep().await;
        let asked = counterpart.seen();
        assert!(asked.iter().all(|asked| asked["payment"] == left[0].0), "{asked:?}");
        assert_eq!(standing().await, others(PaymentStatus::Failed, PaymentStatus::Processing));

        counterpart.always(Act::Agree);
        let all_paid = others(PaymentStatus::Failed, PaymentStatus::Succeeded);
        eventually("the risk service is asked again", || async {
            sweep().await;
            standing().await == all_paid
        })
        .await;
        assert_eq!(balance(&app, BOB).await, json!(-390));
    }
}

/// Keeps that exposure is to be given back for so many payments.
struct Owe(u32);

#[async_trait]
impl Work for Owe {
    type Output = ();

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<()>, StoreError> {
        for number in 0..self.0 {
            let amount = Amount::from_minor(20_000, Currency::USD);
            let (handle, from, to) = (format!("pay_{number:02}"), "bob".to_owned(), "alice".to_owned());
            let due_at = UnixMillis::from_millis(1_000 + i64::from(number));
            transaction.compensate(&Compensation { handle, from, to, amount, attempts: 0, due_at }).await?;
        }
        Ok(Ending::Keep(()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_be_given_back_is_not_put_off_because_nobody_can_be_asked_to() {
    let (app, counterpart) = (spawn_app().await, Counterpart::start().await);
    transact(&*app.store, Owe(20)).await.unwrap();
    let payments = another(&app, &counterpart);
    counterpart.always(Act::Status(500, None));
    let now = UnixMillis::now();
    assert_eq!(payments.sweep(now).await.unwrap().released, 0);
    let still_due = app.store.due_compensations(now, 100).await.unwrap();
    let still_due: Vec<_> = still_due.into_iter().map(|due| (due.handle, due.attempts)).collect();
    let expected: Vec<_> = (1..20).map(|number| (format!("pay_{number:02}"), 0)).collect();
    assert_eq!(still_due, expected, "only the one that was asked about waits longer");

    counterpart.always(Act::Agree);
    eventually("the risk service is asked again", || async {
        payments.sweep(now).await.unwrap();
        due(&*app.store).await == ["pay_00"]
    })
    .await;
}
