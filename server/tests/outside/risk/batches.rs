//! Batches that are to be assessed, and come to nothing before anybody is asked to.

use serde_json::json;

use super::counterpart::Counterpart;
use crate::{
    payments::in_flight::{answered, asked},
    support::{
        app::spawn_app_with,
        client::{BOB, Client, NEWEST},
        pay,
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_to_be_assessed_whose_money_went_elsewhere_while_somebody_was_asked_is_kept_as_failed() {
    let counterpart = Counterpart::start().await;
    let settings = counterpart.settings();
    let app = spawn_app_with(|config| config.risk = Some(settings)).await;
    let bob = Client::open_with(app.address, BOB, NEWEST, json!({ "elicitation": {} })).await;
    let order = json!({
        "payments": [{ "to": "alice", "amount": 60 }, { "to": "charlie", "amount": 50 }],
        "idempotencyKey": "k",
    });
    let waiting = asked(&bob, "createPaymentBatch", &order).await;
    pay(&app, "bob", "charlie", 790).await;
    let failed = answered(&bob, waiting, "accept").await;
    let text = failed["content"][0]["text"].as_str().unwrap_or_default();
    assert!(failed["isError"] == true && text.starts_with("insufficient_funds: step 1 of 2"), "{failed}");
    let listed = bob.result("listPayments", json!({ "status": "failed" })).await;
    assert_eq!(listed["structuredContent"]["payments"].as_array().unwrap().len(), 2, "{listed}");
    let again = bob.result("createPaymentBatch", order).await["structuredContent"].clone();
    assert_eq!((&again["status"], &again["replayed"]), (&json!("failed"), &json!(true)), "{again}");
    assert_eq!(counterpart.seen().len(), 0, "nobody was asked to assess it");
}
