//! Payments on the command line, beside the server that made them.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{
    client::{ALICE, BOB, Client},
    process::{Program, operate, told},
};

/// Why a command did not do it.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let ended = operate(folder, arguments);
    assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {ended:?}");
    ended.stderr
}

async fn balance(client: &Client) -> f64 {
    client.result("getAccountBalance", json!({})).await["structuredContent"]["balance"].as_f64().unwrap()
}

/// A payment of Bob's to Alice about which nobody could be asked.
async fn unasked(bob: &Client, amount: f64) -> String {
    let made = bob.result("createPayment", json!({ "to": "alice", "amount": amount })).await;
    let id = made["structuredContent"]["paymentId"].as_str().unwrap().to_owned();
    let confirmed = bob.result("confirmPayment", json!({ "paymentId": id })).await;
    assert_eq!(confirmed["structuredContent"]["status"], "requires_action", "{confirmed}");
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_could_be_asked_about_is_approved_canceled_and_refunded_by_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = Program::start(folder, &[]);
    let (bob, alice) = (Client::open(program.address, BOB).await, Client::open(program.address, ALICE).await);
    let (first, second) = (unasked(&bob, 25.5).await, unasked(&bob, 30.0).await);
    assert_eq!(balance(&bob).await, -200.0);

    let listed = told(folder, &["payments", "list", "--status", "requires_action", "--user", "bob"]);
    let ids: Vec<&str> =
        listed.as_array().unwrap().iter().map(|one| one["paymentId"].as_str().unwrap()).collect();
    assert_eq!(ids, [second.as_str(), first.as_str()]);
    let table = operate(folder, &["payments", "list"]).stdout;
    assert!(table.contains(&first) && table.contains("25.5 USD"), "{table}");

    assert_eq!(told(folder, &["payments", "approve", &first])[0]["status"], "succeeded");
    assert!(refused(folder, &["payments", "approve", &first]).contains("succeeded already"));
    assert_eq!((balance(&bob).await, balance(&alice).await), (-225.5, 205.5));
    assert_eq!(told(folder, &["payments", "cancel", &second])[0]["status"], "canceled");
    assert!(refused(folder, &["payments", "approve", &second]).contains("canceled already"));
    assert!(refused(folder, &["payments", "cancel", &first]).contains("invalid_state: "));
    assert_eq!(told(folder, &["payments", "refund", &first, "--amount", "5"])[0]["refundedAmount"], 5);
    assert!(
        refused(folder, &["payments", "refund", &first, "--amount", "20.51"]).contains("limit_exceeded: ")
    );
    assert_eq!(told(folder, &["payments", "show", &first])[0]["status"], "partially_refunded");
    assert_eq!((balance(&bob).await, balance(&alice).await), (-220.5, 200.5));
    for handle in ["pay_x", "1", &first.replace("pay_", "batch_")] {
        assert!(refused(folder, &["payments", "show", handle]).contains("there is no payment"));
    }
    let records = told(folder, &["audit", "list"]).to_string();
    for what in ["approve", "cancel", "refund"] {
        assert_eq!(records.matches(&format!("server payments {what}")).count(), 1, "{records}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_when_it_is_approved_is_recorded_with_the_operator_who_approved_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = Program::start(folder, &[]);
    let bob = Client::open(program.address, BOB).await;
    let payment = unasked(&bob, 25.5).await;
    told(folder, &["keys", "limit", "1", "--day-budget", "25"]);
    assert!(refused(folder, &["payments", "approve", &payment]).contains("limit_exceeded: "));
    assert_eq!(told(folder, &["payments", "show", &payment])[0]["status"], "failed");
    let records = told(folder, &["audit", "list", "--tool", "server payments approve"]);
    let outcomes: Vec<_> = records.as_array().unwrap().iter().map(|record| &record["outcome"]).collect();
    assert_eq!(outcomes, ["tool_error"], "{records}");
    // Nothing more is done to it, and nothing more recorded.
    assert!(refused(folder, &["payments", "approve", &payment]).contains("failed already"));
    assert_eq!(told(folder, &["audit", "list", "--tool", "server payments approve"]), records);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_approved_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = Program::start(folder, &[]);
    let bob = Client::open(program.address, BOB).await;
    let order = json!({ "payments": [{ "to": "alice", "amount": 10 }, { "to": "charlie", "amount": 2 }] });
    let made = bob.result("createPaymentBatch", order).await["structuredContent"].clone();
    let (batch, one) =
        (made["batchId"].as_str().unwrap(), made["payments"][0]["paymentId"].as_str().unwrap());
    assert_eq!(made["status"], "requires_action");
    assert!(refused(folder, &["payments", "approve", one]).contains("part of a batch"));
    let paid = told(folder, &["payments", "approve", batch]);
    assert_eq!((&paid[0]["status"], &paid[1]["status"]), (&json!("succeeded"), &json!("succeeded")));
    assert!(refused(folder, &["payments", "approve", batch]).contains("cannot be approved"));
    assert_eq!(balance(&bob).await, -212.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_may_not_be_paid_when_it_is_approved_waits_until_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = Program::start(folder, &[]);
    let bob = Client::open(program.address, BOB).await;
    let order = json!({ "payments": [{ "to": "alice", "amount": 2 }, { "to": "charlie", "amount": 10 }] });
    let made = bob.result("createPaymentBatch", order).await["structuredContent"].clone();
    let batch = made["batchId"].as_str().unwrap();
    for (limit, free, code) in [
        ("--max=5", "--max=none", "limit_exceeded: "),
        ("--payee=alice", "--payee=none", "permission_denied: "),
        ("--day-budget=11", "--day-budget=none", "limit_exceeded: "),
    ] {
        told(folder, &["keys", "limit", "1", limit]);
        let why = refused(folder, &["payments", "approve", batch]);
        assert!(why.contains(code), "{limit}: {why}");
        let shown = told(folder, &["payments", "show", batch]);
        for one in shown.as_array().unwrap() {
            assert_eq!(one["status"], "requires_action", "{limit}: {shown}");
        }
        told(folder, &["keys", "limit", "1", free]);
    }
    assert_eq!(balance(&bob).await, -200.0);
    let paid = told(folder, &["payments", "approve", batch]);
    assert_eq!((&paid[0]["status"], &paid[1]["status"]), (&json!("succeeded"), &json!("succeeded")));
    assert_eq!(balance(&bob).await, -212.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_canceled_as_a_whole_and_recorded_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = Program::start(folder, &[]);
    let bob = Client::open(program.address, BOB).await;
    for by_one in [false, true] {
        let order =
            json!({ "payments": [{ "to": "alice", "amount": 10 }, { "to": "charlie", "amount": 2 }] });
        let made = bob.result("createPaymentBatch", order).await["structuredContent"].clone();
        let batch = made["batchId"].as_str().unwrap();
        let second = made["payments"][1]["paymentId"].as_str().unwrap();
        told(folder, &["payments", "cancel", if by_one { second } else { batch }]);
        let shown = told(folder, &["payments", "show", batch]);
        assert_eq!((&shown[0]["status"], &shown[1]["status"]), (&json!("canceled"), &json!("canceled")));
    }
    let records = told(folder, &["audit", "list", "--tool", "server payments cancel"]);
    assert_eq!(records.as_array().unwrap().len(), 2, "{records}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_key_may_pay_is_set_while_the_server_runs_and_shared_by_those_that_replace_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = Program::start(folder, &[]);
    let made = told(
        folder,
        &["keys", "create", "--user", "bob", "--role", "customer", "--max", "50", "--automatic-below", "20"],
    );
    let limits =
        json!({ "currency": "USD", "automaticBelow": 20, "maximum": 50, "dayBudget": null, "payees": [] });
    assert_eq!(made["payments"], limits);
    let id = made["id"].as_str().unwrap();
    let bob = Client::open(program.address, made["key"].as_str().unwrap()).await;
    let pays = async |amount: f64, to: &str| {
        let made = bob.result("createPayment", json!({ "to": to, "amount": amount })).await;
        let Some(id) = made["structuredContent"]["paymentId"].as_str() else {
            return made["content"][0]["text"].as_str().unwrap().split(':').next().unwrap().to_owned();
        };
        let confirmed = bob.result("confirmPayment", json!({ "paymentId": id })).await;
        confirmed["structuredContent"]["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(pays(19.99, "alice").await, "succeeded");
    assert_eq!(pays(20.0, "alice").await, "requires_action");
    assert_eq!(pays(50.01, "alice").await, "limit_exceeded");
    // The same again: it is asked about, however small it is.
    assert_eq!(pays(19.99, "alice").await, "requires_action");
    told(folder, &["keys", "limit", id, "--day-budget", "62", "--payee", "alice"]);
    assert_eq!(pays(1.0, "charlie").await, "permission_denied");
    assert_eq!(pays(2.03, "alice").await, "limit_exceeded");
    assert_eq!(pays(2.02, "alice").await, "succeeded");
    let told_to_caller = bob.result("whoAmI", json!({})).await["structuredContent"]["paymentLimits"].clone();
    let expected = json!({
        "currency": "USD", "automaticBelow": 20, "maximum": 50, "dayBudget": 62, "payees": ["alice"],
    });
    assert_eq!(told_to_caller, expected);
    let rotated = told(folder, &["keys", "rotate", id]);
    assert_eq!(rotated["payments"]["dayBudget"], 62);
    let all =
        told(folder, &["keys", "limit", id, "--max", "none", "--day-budget", "none", "--payee", "none"]);
    assert_eq!((&all["payments"]["maximum"], &all["payments"]["payees"]), (&Value::Null, &json!([])));
    for (id, limit, names) in [
        ("nobody", "--max=1", "there is no key"),
        (id, "--max=1e3", "--max: "),
        (id, "--max=-1", "--max: "),
        (id, "--payee=nobody", "--payee: "),
        ("1", "--automatic-below=5", "a demo key asks"),
    ] {
        let why = refused(folder, &["keys", "limit", id, limit]);
        assert!(why.contains(names), "{why}");
    }
}
