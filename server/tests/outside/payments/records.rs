//! The record of what a payment tool did is committed with what it did: where it cannot be kept, nothing is done.

use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};
use server::store::{DatabaseUrl, sqlite::SqliteLocation};

use super::{
    person::{Person, standing},
    visitor::Visitor,
};
use crate::support::{
    app::{App, spawn_app_with},
    client::{ALICE, BOB},
};

/// A server over a database that the test can get at.
async fn spawn(file: &Path) -> App {
    let database = DatabaseUrl::Sqlite(SqliteLocation::File(file.to_owned()));
    spawn_app_with(|config| config.database = database).await
}

/// Changes the schema beside the running server.
fn alter(file: &Path, sql: &str) {
    let connection = Connection::open(file).unwrap();
    connection.busy_timeout(crate::support::PATIENCE).unwrap();
    connection.execute_batch(sql).unwrap();
}

/// Lets no record of a success be kept; of anything else there are records as ever.
fn refuse_records(file: &Path) {
    let trigger = "CREATE TRIGGER nothing_succeeds BEFORE INSERT ON audit_packs WHEN EXISTS (
                       SELECT 1 FROM json_each (NEW.records) r
                       WHERE r.value ->> 9 = 'ok' AND r.value ->> 7 LIKE '%Payment%'
                         AND r.value ->> 7 NOT IN ('getPayment', 'listPayments'))
                   BEGIN SELECT RAISE (ABORT, 'no record'); END;";
    alter(file, trigger);
}

/// Lets records be kept again.
fn take_records(file: &Path) {
    alter(file, "DROP TRIGGER nothing_succeeds;");
}

/// What there is: Bob's payments as he sees them, both balances, and how many transfers.
async fn books(app: &App) -> Value {
    let (bob, alice) = (Person::bob(app), Person::alice(app));
    let mut payments = bob.0.call("listPayments", json!({ "limit": 100 })).await;
    let transactions = bob.0.call("getAllTransactions", json!({})).await;
    json!([
        payments["structuredContent"]["payments"].take(),
        bob.balance().await,
        alice.balance().await,
        transactions["structuredContent"]["transactions"].as_array().unwrap().len(),
    ])
}

/// How the calls of a tool ended that are on record, the newest first.
async fn recorded(app: &App, tool: &str) -> Vec<&'static str> {
    app.store.flush_audit().await.unwrap();
    let records = app.store.latest_audit(1_000).await.unwrap();
    records.iter().filter(|record| record.tool == tool).map(|record| record.outcome.as_str()).collect()
}

/// Has `payer` call a tool while no record can be kept, and again when it can.
async fn done_with_its_record(app: &App, file: &Path, who: &Visitor, tool: &str, arguments: Value) -> Value {
    let (before, records) = (books(app).await, recorded(app, tool).await);
    refuse_records(file);
    let (refused, _) = who.answers("accept", tool, arguments.clone()).await;
    let what = format!("{tool} {}: {refused}", who.era());
    assert_eq!(refused, Value::Null, "an error of the server's is no result, {what}");
    assert_eq!(books(app).await, before, "nothing is done, {what}");
    take_records(file);
    let failed = recorded(app, tool).await;
    assert_eq!(
        failed.iter().filter(|end| **end == "ok").count(),
        records.iter().filter(|end| **end == "ok").count()
    );
    let (done, _) = who.answers("accept", tool, arguments).await;
    assert_eq!(done["isError"], Value::Null, "{tool} {}: {done}", who.era());
    assert_ne!(books(app).await, before, "it is done, {tool}");
    let after = recorded(app, tool).await;
    assert_eq!(after.first(), Some(&"ok"), "{tool}: {after:?}");
    assert_eq!(
        after.iter().filter(|end| **end == "ok").count(),
        failed.iter().filter(|end| **end == "ok").count() + 1,
        "{tool}: one record of one success, {after:?}"
    );
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_payment_tool_does_is_done_with_its_record_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("payments.db");
    let app = spawn(&file).await;
    let both = Visitor::of_each_era(&app, BOB).await.into_iter().zip(Visitor::of_each_era(&app, ALICE).await);
    for (turn, (bob, alice)) in both.enumerate() {
        let does = async |who: &Visitor, tool: &str, arguments: Value| {
            done_with_its_record(&app, &file, who, tool, arguments).await["structuredContent"].clone()
        };
        let order = |amount: usize| json!({ "to": "alice", "amount": amount, "idempotencyKey": format!("{turn}-{amount}") });
        let paid = does(&bob, "createPayment", order(11)).await;
        let paid = json!({ "paymentId": paid["paymentId"] });
        does(&bob, "confirmPayment", paid.clone()).await;
        let mut part = paid.clone();
        part["amount"] = json!(3);
        does(&alice, "refundPayment", part).await;
        let taken_back = bob.prepares(order(12)).await;
        does(&bob, "cancelPayment", json!({ "paymentId": taken_back["paymentId"] })).await;
        let payments = json!([{ "to": "alice", "amount": 13 }, { "to": "charlie", "amount": 14 }]);
        does(&bob, "createPaymentBatch", json!({ "payments": payments })).await;
    }
    assert_eq!(Person::bob(&app).balance().await, -270.0);
    let verdict = server::audit::chain::verify(app.store.as_ref(), None).await.unwrap();
    assert!(matches!(verdict, server::audit::chain::Verdict::Whole { .. }), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_and_a_wait_for_the_owner_are_kept_with_their_record_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("payments.db");
    let app = spawn(&file).await;
    let askable = Visitor::of_each_era(&app, BOB).await;
    let unaskable = Visitor::unaskable(&app, BOB).await;
    for (who, action, status) in [
        (&askable[0], "decline", "declined"),
        (&askable[1], "decline", "declined"),
        (&unaskable[0], "", "requires_action"),
        (&unaskable[1], "", "requires_action"),
    ] {
        let made = who.prepares(json!({ "to": "alice", "amount": 15 })).await;
        let named = json!({ "paymentId": made["paymentId"] });
        let before = books(&app).await;
        refuse_records(&file);
        let (refused, _) = who.answers(action, "confirmPayment", named.clone()).await;
        assert_eq!(refused, Value::Null, "{status} {}", who.era());
        assert_eq!(books(&app).await, before, "{status} {}", who.era());
        take_records(&file);
        let (decided, _) = who.answers(action, "confirmPayment", named).await;
        assert_eq!(standing(&decided), status, "{}: {decided}", who.era());
    }
}
