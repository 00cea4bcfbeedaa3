//! Payments that are assessed: what moves, what does not, and what is given back.

use std::{path::PathBuf, sync::Arc, time::Duration};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use server::{
    clock::UnixMillis,
    payments::{Actor, Batch, PaymentError, Payments, Refusal, RiskGate},
    risk::RiskSettings,
    risk_service::Rules,
    store::{
        AuditFilter, KeyId, PaymentFilter, PaymentId, PaymentPolicy, PaymentStatus, Store,
        sqlite::{SqliteLocation, SqliteStore},
    },
};
use tokio::sync::Notify;

use super::{
    RiskServer,
    counterpart::{Act, Counterpart},
};
use crate::support::{
    app::{App, spawn_app_with},
    changes::KeyChanges as _,
    client::{ALICE, BOB, Client},
    eventually, pay,
    process::{Program, run},
};

/// Lets Bob's key pay whatever it likes without a question.
pub(super) async fn let_pay(store: &dyn Store) {
    let policy = PaymentPolicy { automatic_below_minor: i64::MAX, ..PaymentPolicy::default() };
    store.change_policy(&KeyId("1".to_owned()), policy.into()).await.unwrap().unwrap();
}

/// A payment server that asks before 100 dollars move.
async fn asking(settings: &RiskSettings) -> App {
    let settings = settings.clone();
    let app = spawn_app_with(|config| config.risk = Some(settings)).await;
    let_pay(&*app.store).await;
    app
}

/// A payment from Bob to Alice that waits to be confirmed.
pub(super) async fn prepared(bob: &Client, amount: f64) -> String {
    let created = bob.result("createPayment", json!({ "to": "alice", "amount": amount })).await;
    created["structuredContent"]["paymentId"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned()
}

/// What confirming it comes to: its status, or the words of the refusal.
async fn confirmed(bob: &Client, payment: &str) -> String {
    let result = bob.result("confirmPayment", json!({ "paymentId": payment })).await;
    let status = &result["structuredContent"]["status"];
    status.as_str().or(result["content"][0]["text"].as_str()).unwrap().to_owned()
}

pub(super) async fn balance(app: &App, key: &str) -> Value {
    let client = Client::open(app.address, key).await;
    client.result("getAccountBalance", json!({})).await["structuredContent"]["balance"].clone()
}

pub(super) async fn status(app: &App, payment: &str) -> PaymentStatus {
    app.store.payment(&PaymentId(payment.to_owned())).await.unwrap().unwrap().status()
}

/// The handles of what is to be given back.
pub(super) async fn due(store: &dyn Store) -> Vec<String> {
    let due = store.due_compensations(UnixMillis::now().plus(Duration::from_hours(2)), 100).await.unwrap();
    due.into_iter().map(|one| one.handle).collect()
}

/// Does what is due by then.
pub(super) async fn sweep(
    store: Arc<dyn Store>,
    settings: &RiskSettings,
    later: Duration,
) -> server::payments::Swept {
    let gate = RiskGate::open(Some(settings)).unwrap();
    Payments::new(store, gate).sweep(UnixMillis::now().plus(later)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_is_assessed_before_it_moves_and_little_is_not_and_both_trails_name_the_trace() {
    let risk = RiskServer::start().await;
    let app = asking(&risk.settings()).await;
    let bob = Client::open(app.address, BOB).await;
    let little = prepared(&bob, 99.99).await;
    assert_eq!(confirmed(&bob, &little).await, "succeeded");
    assert_eq!(risk.app.traces().await.1, 0, "nobody was asked");

    let much = prepared(&bob, 100.0).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let call = bob.call("confirmPayment", json!({ "paymentId": much }));
    let answer = call.with("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01")).send(app.address).await;
    assert_eq!(answer.json()["result"]["structuredContent"]["status"], "succeeded", "{answer:?}");
    assert_eq!((balance(&app, BOB).await, balance(&app, ALICE).await), (json!(-399.99), json!(379.99)));
    for (app, tool) in [(&app, "confirmPayment"), (&risk.app, "assessPayment")] {
        app.store.flush_audit().await.unwrap();
        let filter = AuditFilter { tool: Some(tool.to_owned()), ..AuditFilter::default() };
        let newest = app.store.audit_page(filter, None, 1).await.unwrap().remove(0).record;
        assert_eq!(newest.trace.map(|id| HEXLOWER.encode(&id)).as_deref(), Some(trace), "{tool}");
    }
    // Confirmed again, it is neither paid nor assessed again.
    assert_eq!(confirmed(&bob, &much).await, "succeeded");
    assert_eq!((balance(&app, BOB).await, risk.app.traces().await.1), (json!(-399.99), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_why_and_nothing_moves() {
    let risk = RiskServer::with(Rules { payment_limit: 120, exposure_limit: 1_000 }).await;
    let app = asking(&risk.settings()).await;
    let bob = Client::open(app.address, BOB).await;
    let payment = prepared(&bob, 150.0).await;
    let refusal = confirmed(&bob, &payment).await;
    assert!(refusal.starts_with("risk_refused:"), "{refusal}");
    assert!(refusal.contains("one payment may be 120 USD at most"), "{refusal}");
    assert_eq!(
        (balance(&app, BOB).await, status(&app, &payment).await),
        (json!(-200), PaymentStatus::Failed)
    );
    assert_eq!(due(&*app.store).await, Vec::<String>::new(), "nothing is reserved for what was refused");
    // What was set aside for it is free again: all that the credit allows can be spent.
    let rest = prepared(&bob, 800.0).await;
    assert!(confirmed(&bob, &rest).await.starts_with("risk_refused:"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_and_nonsense_fail_the_payment_and_what_may_be_reserved_is_given_back_later() {
    let mut counterpart = Counterpart::start().await;
    let settings = counterpart.settings();
    let app = asking(&settings).await;
    let bob = Client::open(app.address, BOB).await;
    let mut failed = Vec::new();
    let nonsense = Act::Say(json!({ "payment": "pay_other", "decision": "approved" }));
    for act in [Act::Hang, Act::Status(500, None), Act::Cut, Act::Decline("no"), nonsense] {
        counterpart.always(act.clone());
        let payment = prepared(&bob, 200.0).await;
        let refusal = confirmed(&bob, &payment).await;
        assert!(refusal.starts_with("risk_unavailable:"), "{act:?}: {refusal}");
        assert_eq!(status(&app, &payment).await, PaymentStatus::Failed, "{act:?}");
        failed.push(payment);
    }
    counterpart.stop().await;
    let payment = prepared(&bob, 200.0).await;
    assert!(confirmed(&bob, &payment).await.starts_with("risk_unavailable:"));
    failed.push(payment);
    assert_eq!((balance(&app, BOB).await, balance(&app, ALICE).await), (json!(-200), json!(180)));

    // Giving back is tried until it is done, and done once.
    let mut owed = due(&*app.store).await;
    owed.sort_unstable();
    failed.sort_unstable();
    assert_eq!(owed, failed);
    assert_eq!(sweep(Arc::clone(&app.store), &settings, Duration::ZERO).await.released, 0);
    counterpart.start_again().await;
    counterpart.always(Act::Agree);
    let before = counterpart.seen().len();
    eventually("everything is given back", || async {
        sweep(Arc::clone(&app.store), &settings, Duration::from_hours(2)).await;
        due(&*app.store).await.is_empty()
    })
    .await;
    let released = counterpart.seen().split_off(before);
    let mut handles: Vec<_> = released.iter().map(|asked| asked["payment"].as_str().unwrap()).collect();
    handles.sort_unstable();
    handles.dedup();
    assert_eq!(handles, failed);
    assert!(
        released.iter().all(|asked| asked["release"] == true && asked["amount"] == "200.00"),
        "{released:?}"
    );

    // And the next one goes through.
    let payment = prepared(&bob, 200.0).await;
    assert_eq!(confirmed(&bob, &payment).await, "succeeded");
    assert_eq!(balance(&app, BOB).await, json!(-400));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_fails_after_it_was_approved_gives_its_exposure_back() {
    let counterpart = Counterpart::start().await;
    let settings = RiskSettings { timeout: Duration::from_secs(5), ..counterpart.settings() };
    let app = asking(&settings).await;
    let bob = Client::open(app.address, BOB).await;
    let payment = prepared(&bob, 500.0).await;
    let go_on = Arc::new(Notify::new());
    counterpart.arm([Act::Held(Arc::clone(&go_on))]);
    let confirming = tokio::spawn({
        let (bob, payment) = (bob.clone(), payment.clone());
        async move { confirmed(&bob, &payment).await }
    });
    eventually("the question", || async { counterpart.seen().len() == 1 }).await;
    // While it is being assessed the money goes elsewhere.
    pay(&app, "bob", "charlie", 700).await;
    go_on.notify_one();
    let refusal = confirming.await.unwrap();
    assert!(refusal.starts_with("insufficient_funds:"), "{refusal}");
    assert_eq!(
        (balance(&app, BOB).await, status(&app, &payment).await),
        (json!(-900), PaymentStatus::Failed)
    );
    assert_eq!(due(&*app.store).await, [payment.as_str()]);
    assert_eq!(sweep(Arc::clone(&app.store), &settings, Duration::ZERO).await.released, 1);
    let last = counterpart.seen().pop().unwrap();
    assert_eq!((&last["payment"], &last["release"]), (&json!(payment), &json!(true)));
    assert_eq!(due(&*app.store).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_assessed_by_its_sum_and_paid_or_failed_as_a_whole() {
    let counterpart = Counterpart::start().await;
    let app = asking(&counterpart.settings()).await;
    let bob = Client::open(app.address, BOB).await;
    let batch = async || {
        let item = |to: &str, amount| json!({ "to": to, "amount": amount });
        let payments = json!([item("alice", 60), item("charlie", 50)]);
        bob.result("createPaymentBatch", json!({ "payments": payments })).await
    };
    counterpart.arm([Act::Refuse("too many".to_owned())]);
    let refused = batch().await;
    assert_eq!(refused["isError"], true, "{refused}");
    assert!(refused["content"][0]["text"].as_str().unwrap().contains("too many"), "{refused}");
    assert_eq!((balance(&app, BOB).await, balance(&app, ALICE).await), (json!(-200), json!(180)));
    let paid = batch().await;
    assert_eq!(paid["structuredContent"]["status"], "succeeded", "{paid}");
    assert_eq!((balance(&app, BOB).await, balance(&app, ALICE).await), (json!(-310), json!(240)));
    let seen = counterpart.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        (&seen[1]["amount"], &seen[1]["payment"]),
        (&json!("110.00"), &paid["structuredContent"]["batchId"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_another_server_has_paid_meanwhile_is_told_as_paid() {
    let counterpart = Counterpart::start().await;
    let settings = RiskSettings { timeout: Duration::from_secs(5), ..counterpart.settings() };
    let app = asking(&settings).await;
    let bob = Client::open(app.address, BOB).await;
    counterpart.arm([Act::Hang]);
    let paying = tokio::spawn(async move {
        let payments = json!([{ "to": "alice", "amount": 60 }, { "to": "charlie", "amount": 50 }]);
        bob.result("createPaymentBatch", json!({ "payments": payments })).await
    });
    eventually("the question", || async { counterpart.seen().len() == 1 }).await;
    assert_eq!(sweep(Arc::clone(&app.store), &settings, Duration::from_secs(61)).await.resumed, 2);
    counterpart.always(Act::Refuse("too late".to_owned()));
    let told = paying.await.unwrap();
    let told = &told["structuredContent"];
    assert_eq!((&told["status"], &told["replayed"]), (&json!("succeeded"), &json!(true)), "{told}");
    assert_eq!((balance(&app, BOB).await, balance(&app, ALICE).await), (json!(-310), json!(240)));
    assert_eq!(due(&*app.store).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_while_it_asks_leaves_a_payment_that_is_finished_once() {
    let counterpart = Counterpart::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (url, token) = (counterpart.url(), counterpart.token());
    let set = [
        ("RISK_URL", url.as_str()),
        ("RISK_TOKEN_FILE", token.to_str().unwrap()),
        ("RISK_TIMEOUT_MS", "5000"),
    ];
    let program = Program::start(folder.path(), &set);
    let database = SqliteLocation::File(PathBuf::from(folder.path()).join("data/payments.db"));
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&database).await.unwrap());
    let_pay(&*store).await;
    let bob = Client::open(program.address, BOB).await;
    let payment = prepared(&bob, 300.0).await;
    counterpart.arm([Act::Hang]);
    let asked = tokio::spawn({
        let (bob, payment) = (bob.clone(), payment.clone());
        async move { bob.call("confirmPayment", json!({ "paymentId": payment })).send(bob.address).await }
    });
    eventually("the question", || async { counterpart.seen().len() == 1 }).await;
    program.kill();
    asked.abort();
    let id = PaymentId(payment.clone());
    let status = async || store.payment(&id).await.unwrap().unwrap().status();
    assert_eq!(status().await, PaymentStatus::Processing);

    let settings = counterpart.settings();
    for expected in [1, 0] {
        let swept = sweep(Arc::clone(&store), &settings, Duration::from_secs(61)).await;
        assert_eq!((swept.resumed, status().await), (expected, PaymentStatus::Succeeded));
    }
    let handles: Vec<_> = counterpart.seen().iter().map(|asked| asked["payment"].clone()).collect();
    assert_eq!(handles, [json!(payment), json!(payment)], "the same handle, so that it is asked once");
    assert_eq!(due(&*store).await, Vec::<String>::new());
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_knows_no_risk_service_does_not_pay_what_another_one_is_having_assessed() {
    let counterpart = Counterpart::start().await;
    let settings = RiskSettings { timeout: Duration::from_secs(60), ..counterpart.settings() };
    let app = asking(&settings).await;
    let bob = Client::open(app.address, BOB).await;
    let payment = prepared(&bob, 300.0).await;
    counterpart.arm([Act::Hang]);
    let confirming = json!({ "paymentId": payment });
    let asked = tokio::spawn(async move { bob.call("confirmPayment", confirming).send(bob.address).await });
    eventually("the question", || async { counterpart.seen().len() == 1 }).await;
    let later = UnixMillis::now().plus(Duration::from_secs(61));
    Payments::new(Arc::clone(&app.store), None).sweep(later).await.unwrap();
    assert_eq!(status(&app, &payment).await, PaymentStatus::Failed);
    assert_eq!((balance(&app, BOB).await, balance(&app, ALICE).await), (json!(-200), json!(180)));
    assert_eq!(due(&*app.store).await, [payment], "whoever can give back what may be reserved does");
    asked.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_ended_while_its_owner_looked_at_it_is_not_asked_about() {
    let counterpart = Counterpart::start().await;
    let settings = counterpart.settings();
    let with_risk = settings.clone();
    let app = spawn_app_with(|config| config.risk = Some(with_risk)).await;
    let bob = Client::open(app.address, BOB).await;
    let payments = json!([{ "to": "alice", "amount": 60 }, { "to": "charlie", "amount": 50 }]);
    bob.result("createPaymentBatch", json!({ "payments": payments })).await;
    let waiting = app.store.payments(PaymentFilter::default(), 1).await.unwrap().remove(0);
    let id = waiting.payment.step.clone().unwrap().batch;
    let payments = app.store.batch(&id).await.unwrap();
    for payment in &payments {
        let canceled = bob.result("cancelPayment", json!({ "paymentId": payment.payment.id.0 })).await;
        assert_eq!(canceled["structuredContent"]["status"], "canceled", "{canceled}");
    }
    let record = server::payments::record("an operator", "approve", &waiting).unwrap();
    let actor = Actor { user: waiting.payment.payer, key: None, record };
    let batch = Batch { id, payments, is_replayed: false };
    let gate = RiskGate::open(Some(&settings)).unwrap();
    let refused = Payments::new(Arc::clone(&app.store), gate).approve_batch(actor, batch).await.unwrap_err();
    assert!(matches!(refused, PaymentError::Refused(Refusal::InvalidState(_))), "{refused:?}");
    assert_eq!(counterpart.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_approves_is_assessed_too() {
    let counterpart = Counterpart::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (url, token) = (counterpart.url(), counterpart.token());
    let set = [("RISK_URL", url.as_str()), ("RISK_TOKEN_FILE", token.to_str().unwrap())];
    let program = Program::start(folder.path(), &set);
    let bob = Client::open(program.address, BOB).await;
    let approve = |payment: &str| {
        let ended = run(folder.path(), &["payments", "approve", payment, "--json"], &set);
        (ended.status.code(), ended.stdout + &ended.stderr)
    };
    for (act, code, said) in [
        (
            Act::Refuse("not today".to_owned()),
            2,
            "risk_refused: the risk service refused this payment (not today)",
        ),
        (Act::Status(401, None), 2, "risk_unavailable:"),
        (Act::Agree, 0, "\"status\":\"succeeded\""),
    ] {
        let payment = prepared(&bob, 120.0).await;
        assert_eq!(confirmed(&bob, &payment).await, "requires_action");
        counterpart.arm([act]);
        let before = counterpart.seen().len();
        let (ended, told) = tokio::task::block_in_place(|| approve(&payment));
        assert_eq!((ended, counterpart.seen().len() - before), (Some(code), 1), "{told}");
        assert!(told.contains(said), "{told}");
    }
    // A batch that is refused is recorded as well.
    let payments = json!([{ "to": "alice", "amount": 60 }, { "to": "charlie", "amount": 50 }]);
    let made = bob.result("createPaymentBatch", json!({ "payments": payments })).await;
    let batch = made["structuredContent"]["batchId"].as_str().unwrap();
    // What its key may not pay is not assessed, and waits on.
    let limit = |most: &str| {
        let limited =
            tokio::task::block_in_place(|| run(folder.path(), &["keys", "limit", "1", "--max", most], &set));
        assert!(limited.status.success(), "{limited:?}");
    };
    limit("55");
    let before = counterpart.seen().len();
    let (ended, told) = tokio::task::block_in_place(|| approve(batch));
    assert!(ended == Some(2) && told.contains("limit_exceeded: step 1 of 2"), "{told}");
    assert_eq!(counterpart.seen().len(), before, "nobody was asked");
    limit("none");
    counterpart.arm([Act::Refuse("not today".to_owned())]);
    let (ended, told) = tokio::task::block_in_place(|| approve(batch));
    assert!(ended == Some(2) && told.contains("risk_refused: "), "{told}");
    let list = ["audit", "list", "--tool", "server payments approve", "--json"];
    let listed = tokio::task::block_in_place(|| run(folder.path(), &list, &set)).stdout;
    let records: Value = serde_json::from_str(&listed).unwrap();
    let outcomes: Vec<_> = records.as_array().unwrap().iter().map(|record| &record["outcome"]).collect();
    assert_eq!(outcomes, ["tool_error", "ok", "tool_error", "tool_error"], "the newest first: {records}");
}
