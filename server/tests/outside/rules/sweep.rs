//! Rule 8: whatever takes an id answers for another's as for one that never was.

use serde_json::{Value, json};
use server::identity::Role;

use super::{key, spawn_known, user};
use crate::support::{
    app::{App, spawn_app},
    client::{BOB, Client},
    modern::Caller,
};

/// A payment and a batch of Bob's to Alice.
async fn owned(app: &App) -> (String, String) {
    let bob = Client::open(app.address, BOB).await;
    let made = bob.result("createPayment", json!({ "to": "alice", "amount": 3, "memo": "private" })).await;
    let batch = json!({ "payments": [{ "to": "alice", "amount": 1 }, { "to": "charlie", "amount": 1 }] });
    let batch = bob.result("createPaymentBatch", batch).await;
    let id = |value: &Value, name: &str| value["structuredContent"][name].as_str().unwrap().to_owned();
    (id(&made, "paymentId"), id(&batch, "batchId"))
}

/// What is said about an id, with the id itself left out, in both eras.
async fn told(app: &App, key: &str, tool: &str, member: &str, id: &str) -> [String; 2] {
    let arguments = json!({ member: id });
    let session = Client::open(app.address, key).await;
    let one = session.result(tool, arguments.clone()).await;
    let other = Caller::new(app.address, key).call(tool, arguments).await;
    [one, other].map(|result| result.to_string().replace(id, "ID"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_08_every_tool_that_takes_an_id_answers_for_anothers_as_for_one_that_never_was() {
    let app = spawn_known().await;
    let (payment, batch) = owned(&app).await;
    // Well-formed, and never made by this server.
    let (nobodys_payment, nobodys_batch) = owned(&spawn_app().await).await;
    let stranger = user(&app, 900, "stranger").await;
    let stranger = key(&app, stranger, Role::Customer).await.0;
    for tool in ["getPayment", "confirmPayment", "cancelPayment", "refundPayment"] {
        for (theirs, nobodys) in [(&payment, &nobodys_payment), (&batch, &nobodys_batch)] {
            let about_theirs = told(&app, &stranger, tool, "paymentId", theirs).await;
            let about_nobodys = told(&app, &stranger, tool, "paymentId", nobodys).await;
            assert_eq!(about_theirs, about_nobodys, "{tool}");
            for text in about_theirs {
                assert!(text.contains("\"isError\":true") && !text.contains("private"), "{tool}: {text}");
            }
        }
        let about_payment = told(&app, &stranger, tool, "paymentId", &payment).await;
        assert!(about_payment[0].contains("not_found: "), "{tool}: {about_payment:?}");
    }
    // What Bob prepared is as he left it, and it is there for him.
    let bob = Client::open(app.address, BOB).await;
    let own = bob.result("getPayment", json!({ "paymentId": payment })).await;
    assert_eq!(own["structuredContent"]["status"], "requires_confirmation", "{own}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_08_neither_anothers_cursor_nor_their_idempotency_key_shows_a_payment() {
    let app = spawn_known().await;
    let bob = Client::open(app.address, BOB).await;
    for number in 0..3 {
        let order = json!({ "to": "alice", "amount": 1, "idempotencyKey": format!("of-bob-{number}") });
        bob.result("createPayment", order).await;
    }
    let page = bob.result("listPayments", json!({ "limit": 1 })).await;
    let cursor = page["structuredContent"]["nextCursor"].as_str().unwrap().to_owned();
    let stranger = user(&app, 900, "stranger").await;
    let stranger = Client::open(app.address, &key(&app, stranger, Role::Customer).await.0).await;
    let listed = stranger.result("listPayments", json!({ "idempotencyKey": "of-bob-1" })).await;
    assert_eq!(listed["structuredContent"]["payments"], json!([]), "{listed}");
    let listed = stranger.result("listPayments", json!({ "cursor": cursor })).await;
    assert!(listed["isError"] == true || listed["structuredContent"]["payments"] == json!([]), "{listed}");
    // The same key in another's hands is another key.
    let own = json!({ "to": "bob", "amount": 2, "idempotencyKey": "of-bob-1" });
    let own = stranger.result("createPayment", own).await;
    assert_eq!(own["structuredContent"]["from"], "stranger", "{own}");
}
