//! Rule 6 while a payment is being assessed: the key that confirmed it may have ended by then, or may pay less.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use serde_json::json;
use server::{
    clock::UnixMillis,
    identity::Role,
    risk::RiskSettings,
    store::{PaymentId, PaymentPolicy, PaymentStatus, StoredKey, UserId},
};
use tokio::sync::Notify;

use super::{
    counterpart::{Act, Counterpart},
    payments::{balance, due, let_pay, prepared, status},
};
use crate::{
    rules::{PEPPER, key},
    support::{
        app::spawn_app_with,
        client::{BOB, Client},
        eventually,
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_06_a_key_that_ends_or_may_pay_less_while_what_it_confirmed_is_assessed_pays_nothing() {
    let counterpart = Counterpart::start().await;
    let settings = RiskSettings { timeout: Duration::from_secs(30), ..counterpart.settings() };
    let app = spawn_app_with(|config| {
        config.risk = Some(settings);
        config.pepper = Some(SecretString::from(PEPPER));
    })
    .await;
    let_pay(&*app.store).await;
    let bob = Client::open(app.address, BOB).await;
    let less = PaymentPolicy { maximum_minor: Some(49_999), ..PaymentPolicy::default() };
    let mut owed = Vec::new();
    for (change, why) in [(None, "permission_denied: "), (Some(less), "limit_exceeded: ")] {
        let (secret, StoredKey { id, .. }) = key(&app, UserId(1), Role::Customer).await;
        let free = PaymentPolicy { automatic_below_minor: i64::MAX, ..PaymentPolicy::default() };
        app.store.change_policy(&id, free.into()).await.unwrap().unwrap();
        let payment = prepared(&bob, 500.0).await;
        let go_on = Arc::new(Notify::new());
        counterpart.arm([Act::Held(Arc::clone(&go_on))]);
        let other = Client::open(app.address, &secret).await;
        let confirming = other.call("confirmPayment", json!({ "paymentId": payment }));
        let confirming = tokio::spawn(async move { confirming.send(other.address).await });
        owed.push(payment.clone());
        eventually("the question", || async { counterpart.seen().len() == owed.len() }).await;
        match change {
            Some(policy) => app.store.change_policy(&id, policy.into()).await.unwrap().unwrap(),
            None => drop(app.store.revoke_key(&id, UnixMillis::now()).await.unwrap().unwrap()),
        }
        go_on.notify_one();
        eventually("its end", || async { status(&app, &payment).await != PaymentStatus::Processing }).await;
        let ended = app.store.payment(&PaymentId(payment)).await.unwrap().unwrap();
        assert_eq!(
            (ended.status(), balance(&app, BOB).await),
            (PaymentStatus::Failed, json!(-200)),
            "{ended:?}"
        );
        assert!(ended.payment.failure.as_ref().is_some_and(|failure| failure.starts_with(why)), "{ended:?}");
        // What the risk service reserved for it is given back.
        let mut due = due(&*app.store).await;
        due.sort_unstable();
        owed.sort_unstable();
        assert_eq!(due, owed);
        confirming.await.unwrap();
    }
}
