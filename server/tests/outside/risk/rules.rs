//! What the risk service decides, and that it decides once.

use serde_json::{Value, json};
use server::risk_service::Rules;

use super::{OTHER, PAYMENTS, RiskServer, key};
use crate::support::{changes::KeyChanges as _, client::BOB, modern::Caller};
use server::{
    identity::{ApiKey, Pepper, Role},
    store::{KeyMode, PolicyChange},
};

fn question(payment: &str, from: &str, amount: &str) -> Value {
    json!({ "payment": payment, "from": from, "to": "alice", "amount": amount, "currency": "USD" })
}

/// The decision, or why there is none.
async fn ask(caller: &Caller, question: Value) -> String {
    let result = caller.call("assessPayment", question.clone()).await;
    if result["isError"] == true {
        return result["content"][0]["text"].as_str().unwrap().to_owned();
    }
    let told = &result["structuredContent"];
    assert_eq!(told["payment"], question["payment"]);
    match told["reason"].as_str() {
        Some(reason) => format!("{}: {reason}", told["decision"].as_str().unwrap()),
        None => told["decision"].as_str().unwrap().to_owned(),
    }
}

async fn assess(caller: &Caller, payment: &str, amount: &str) -> String {
    ask(caller, question(payment, "bob", amount)).await
}

async fn release(caller: &Caller, payment: &str, amount: &str) -> String {
    let mut question = question(payment, "bob", amount);
    question["release"] = json!(true);
    ask(caller, question).await
}

const TOO_LARGE: &str = "refused: one payment may be 2500 USD at most";
const TOO_MUCH: &str = "refused: with this the payer would have more than 5000 USD at risk within a day";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_approved_up_to_its_limit_and_a_payer_up_to_another() {
    let risk = RiskServer::start().await;
    let caller = risk.caller(PAYMENTS.0);
    assert_eq!(assess(&caller, "pay_1", "2500.00").await, "approved");
    assert_eq!(assess(&caller, "pay_2", "2500.01").await, TOO_LARGE);
    assert_eq!(assess(&caller, "pay_3", "2499.99").await, "approved");
    assert_eq!(assess(&caller, "pay_4", "0.02").await, TOO_MUCH);
    assert_eq!(assess(&caller, "pay_5", "0.01").await, "approved");
    // Another payer, and the payers of another service, have limits of their own.
    assert_eq!(ask(&caller, question("pay_6", "charlie", "2000")).await, "approved");
    assert_eq!(assess(&risk.caller(OTHER.0), "pay_1", "7.50").await, "approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_handle_gets_the_same_answer_and_reserves_once_however_many_ask() {
    let risk = RiskServer::start().await;
    let caller = risk.caller(PAYMENTS.0);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let caller = caller.clone();
        asking.spawn(async move { assess(&caller, "pay_same", "2000").await });
    }
    assert_eq!(asking.join_all().await, vec!["approved"; 20]);
    assert_eq!(assess(&caller, "pay_rest", "2500").await, "approved", "2000 are reserved, and no more");
    assert_eq!(assess(&caller, "pay_over", "501").await, TOO_MUCH);
    release(&caller, "pay_rest", "2500").await;
    assert_eq!(assess(&caller, "pay_over", "501").await, TOO_MUCH, "what was refused stays refused");
    assert_eq!(assess(&caller, "pay_new", "501").await, "approved");
    let conflict = assess(&caller, "pay_same", "2001").await;
    assert!(conflict.starts_with("conflict: another payment"), "{conflict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_of_a_payer_holds_however_many_ask_at_once() {
    let risk = RiskServer::start().await;
    let caller = risk.caller(PAYMENTS.0);
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..50 {
        let caller = caller.clone();
        asking.spawn(async move { assess(&caller, &format!("pay_{number}"), "1000").await });
    }
    let answers = asking.join_all().await;
    assert_eq!(answers.iter().filter(|answer| *answer == "approved").count(), 5, "{answers:?}");
    assert!(answers.iter().all(|answer| answer == "approved" || answer == TOO_MUCH), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_released_counts_no_more_and_is_not_approved_again() {
    let risk = RiskServer::with(Rules { payment_limit: 100, exposure_limit: 100 }).await;
    let (caller, other) = (risk.caller(PAYMENTS.0), risk.caller(OTHER.0));
    assert_eq!(assess(&caller, "pay_1", "100").await, "approved");
    assert_eq!(release(&other, "pay_1", "100").await, "released", "a payment of its own, by that name");
    assert_eq!(assess(&caller, "pay_2", "1").await, TOO_MUCH.replace("5000", "100"));
    for _ in 0..2 {
        assert_eq!(release(&caller, "pay_1", "100").await, "released");
    }
    assert_eq!(assess(&caller, "pay_3", "100").await, "approved");
    let again = "refused: the payment was given up before";
    assert_eq!(assess(&caller, "pay_1", "100").await, again);
    // A release that overtakes its question.
    assert_eq!(release(&caller, "pay_late", "1").await, "released");
    assert_eq!(assess(&caller, "pay_late", "1").await, again);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_question_is_refused_by_name_and_reserves_nothing() {
    let risk = RiskServer::start().await;
    let caller = risk.caller(PAYMENTS.0);
    for (member, value, named) in [
        ("amount", json!("1e3"), "amount: the amount must be a plain decimal"),
        ("amount", json!("-1"), "amount: the amount must be more than 0"),
        ("amount", json!("1.005"), "amount: the amount may have 2 decimal places"),
        ("amount", json!(100), "`amount`"),
        ("currency", json!("XYZ"), "currency: this currency is not known"),
        ("payment", json!("pay 1"), "payment"),
        ("payment", json!(""), "`payment`"),
        ("from", json!(""), "`from`"),
        ("release", json!("yes"), "`release`"),
        ("more", json!(1), "unknown argument `more`"),
    ] {
        let mut asked = question("pay_1", "bob", "2500");
        asked[member] = value;
        let answer = caller.call("assessPayment", asked).await;
        let text = answer["content"][0]["text"].as_str().unwrap();
        assert!(answer["isError"] == true && text.contains(named), "{named}: {answer}");
    }
    assert_eq!(assess(&caller, "pay_1", "2500").await, "approved");
    assert_eq!(assess(&caller, "pay_2", "2500").await, "approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_somebody_holds_may_not_ask_whatever_the_store_says() {
    let risk = RiskServer::start().await;
    let (id, secret) = ApiKey::generate(KeyMode::Live).unwrap();
    let digest = Pepper::from_secret(&super::PEPPER.into()).digest(&secret);
    let row = key(PAYMENTS.1, PAYMENTS.0, Role::RiskClient);
    risk.app
        .store
        .create_key(
            server::store::StoredKey { lineage: id.clone(), id, digest, ..row },
            PolicyChange::default(),
        )
        .await
        .unwrap();
    let holder = Caller::new(risk.app.address, secret.expose());
    assert_eq!(holder.result("tools/list", json!({})).await["tools"], json!([]));
    let denied = assess(&holder, "pay_1", "1").await;
    assert!(
        denied.starts_with("permission_denied: assessPayment needs the permission payments:assess"),
        "{denied}"
    );
    // Nor is there anything for the keys of the demo.
    let stranger = Caller::new(risk.app.address, BOB).ask("tools/list", json!({}));
    assert_eq!(stranger.send(risk.app.address).await.status, 401);
}
