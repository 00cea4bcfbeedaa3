//! Rule 6 while a payment is being assessed: the key that confirmed it may have ended by then, or may pay less. So it may where
//! the server that asked has died, and another one asks again.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use serde_json::json;
use server::{
    clock::UnixMillis,
    identity::Role,
    risk::RiskSettings,
    store::{AuditFilter, Outcome, PaymentId, PaymentPolicy, PaymentStatus, StoredKey, UserId},
};
use tokio::sync::Notify;

use super::{
    counterpart::{Act, Counterpart},
    payments::{balance, due, let_pay, prepared, status, sweep},
};
use crate::{
    rules::{PEPPER, key},
    support::{
        app::spawn_app_with,
        changes::KeyChanges as _,
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_06_what_was_left_behind_is_held_against_the_key_that_confirmed_it_as_well() {
    let counterpart = Counterpart::start().await;
    let settings = counterpart.settings();
    let asking = RiskSettings { timeout: Duration::from_secs(60), ..settings.clone() };
    let app = spawn_app_with(|config| {
        config.risk = Some(asking);
        config.pepper = Some(SecretString::from(PEPPER));
    })
    .await;
    let_pay(&*app.store).await;
    let bob = Client::open(app.address, BOB).await;
    let less = PaymentPolicy { maximum_minor: Some(49_999), ..PaymentPolicy::default() };
    for (change, why) in [(None, "permission_denied: "), (Some(less), "limit_exceeded: ")] {
        let (secret, StoredKey { id, .. }) = key(&app, UserId(1), Role::Customer).await;
        let free = PaymentPolicy { automatic_below_minor: i64::MAX, ..PaymentPolicy::default() };
        app.store.change_policy(&id, free.into()).await.unwrap().unwrap();
        let payment = prepared(&bob, 500.0).await;
        let before = counterpart.seen().len();
        counterpart.arm([Act::Hang]);
        let other = Client::open(app.address, &secret).await;
        let confirming = other.call("confirmPayment", json!({ "paymentId": payment }));
        let confirming = tokio::spawn(async move { confirming.send(other.address).await });
        eventually("the question", || async { counterpart.seen().len() > before }).await;
        match change {
            Some(policy) => app.store.change_policy(&id, policy.into()).await.unwrap().unwrap(),
            None => drop(app.store.revoke_key(&id, UnixMillis::now()).await.unwrap().unwrap()),
        }
        // Nothing is heard of the one that asked: it might as well have died.
        sweep(Arc::clone(&app.store), &settings, Duration::from_secs(61)).await;
        let ended = app.store.payment(&PaymentId(payment.clone())).await.unwrap().unwrap();
        assert_eq!(
            (ended.status(), balance(&app, BOB).await),
            (PaymentStatus::Failed, json!(-200)),
            "{ended:?}"
        );
        assert!(ended.payment.failure.as_ref().is_some_and(|failure| failure.starts_with(why)), "{ended:?}");
        // It was approved, so that exposure was reserved, which is given back.
        let seen: Vec<_> = counterpart.seen().split_off(before);
        let told: Vec<_> = seen.iter().map(|asked| (&asked["payment"], &asked["release"])).collect();
        let (payment, none, release) = (json!(payment), json!(null), json!(true));
        assert_eq!(told, [(&payment, &none), (&payment, &none), (&payment, &release)]);
        assert_eq!(due(&*app.store).await, Vec::<String>::new());
        app.store.flush_audit().await.unwrap();
        let filter = AuditFilter { tool: Some("server: resumed".to_owned()), ..AuditFilter::default() };
        let newest = app.store.audit_page(filter, None, 1).await.unwrap().remove(0).record;
        assert_eq!(newest.outcome, Outcome::ToolError, "{newest:?}");
        confirming.abort();
    }
}
