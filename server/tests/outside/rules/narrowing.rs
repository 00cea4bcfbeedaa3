//! Rules 6 and 7: what a key may pay counts at the moment in which it pays, and for whoever confirms.

use serde_json::{Value, json};
use server::{
    identity::{Permission, PermissionSet, Role},
    payments::{Actor, PaymentError, Payments, RefundOrder, Refusal},
    store::{KeyId, PaymentId, PaymentPolicy, StoredKey, UserId},
};

use super::{key, spawn_known};
use crate::support::{
    app::App,
    changes::KeyChanges as _,
    client::{ALICE, BOB, Client, NEWEST},
    events::Events,
    eventually,
};

/// A key of Bob's that may pay so.
async fn paying(app: &App, policy: PaymentPolicy) -> (Client, KeyId) {
    let (secret, StoredKey { id, .. }) = key(app, UserId(1), Role::Customer).await;
    limit(app, &id, policy).await;
    (Client::open(app.address, &secret).await, id)
}

async fn limit(app: &App, key: &KeyId, policy: PaymentPolicy) {
    app.store.change_policy(key, policy.into()).await.unwrap().unwrap();
}

/// Pays anything below ten million unasked.
fn generous() -> PaymentPolicy {
    PaymentPolicy { automatic_below_minor: 1_000_000_000, ..PaymentPolicy::default() }
}

async fn prepared(client: &Client, amount: u32) -> Value {
    let made = client.result("createPayment", json!({ "to": "alice", "amount": amount })).await;
    made["structuredContent"]["paymentId"].clone()
}

/// What confirming it comes to: its status, or the code of the refusal.
async fn confirmed(client: &Client, payment: &Value) -> String {
    let result = client.result("confirmPayment", json!({ "paymentId": payment })).await;
    match result["structuredContent"]["status"].as_str() {
        Some(status) => status.to_owned(),
        None => result["content"][0]["text"].as_str().unwrap().split(':').next().unwrap().to_owned(),
    }
}

async fn status(client: &Client, payment: &Value) -> Value {
    client.result("getPayment", json!({ "paymentId": payment })).await["structuredContent"]["status"].clone()
}

/// Calls a tool up to its question: the stream that the answer will be on, and a yes to it.
async fn asked(client: &Client, tool: &str, payment: &Value) -> (Events, String) {
    let call = client.call(tool, json!({ "paymentId": payment }));
    let mut events = Events::open(&call, client.address).await;
    loop {
        let event = events.one().await;
        if event.data.as_deref().is_some_and(|data| data.contains("elicitation/create")) {
            let (id, accepted) = (event.json()["id"].clone(), json!({ "action": "accept", "content": {} }));
            return (events, json!({ "jsonrpc": "2.0", "id": id, "result": accepted }).to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_06_a_payment_that_was_prepared_is_held_against_what_its_key_may_pay_now() {
    let app = spawn_known().await;
    let (bob, id) = paying(&app, generous()).await;
    let payees = vec!["charlie".to_owned()];
    for (amount, narrowed, becomes) in [
        (11, PaymentPolicy { maximum_minor: Some(1_000), ..generous() }, "limit_exceeded"),
        (12, PaymentPolicy { payees, ..generous() }, "permission_denied"),
        (13, PaymentPolicy { automatic_below_minor: 1_300, ..generous() }, "requires_action"),
        (14, PaymentPolicy { day_budget_minor: Some(2_600), ..generous() }, "limit_exceeded"),
        // What failed is given back; 13 waits, so that 15 is just what is left.
        (15, PaymentPolicy { day_budget_minor: Some(2_800), ..generous() }, "succeeded"),
    ] {
        limit(&app, &id, generous()).await;
        let payment = prepared(&bob, amount).await;
        limit(&app, &id, narrowed).await;
        assert_eq!(confirmed(&bob, &payment).await, becomes, "{amount}");
        if becomes == "permission_denied" || amount == 11 {
            bob.result("cancelPayment", json!({ "paymentId": payment })).await;
        }
    }
    // One that may not pay any more pays with nobody's word.
    limit(&app, &id, generous()).await;
    let payment = prepared(&bob, 16).await;
    let read_only = Role::ReadOnly;
    let bits = read_only.permissions().bits();
    app.store.permit_key(&id, bits, read_only.as_str().to_owned()).await.unwrap();
    let demo = Client::open(app.address, BOB).await;
    assert_eq!(confirmed(&demo, &payment).await, "permission_denied");
    assert_eq!(status(&demo, &payment).await, "requires_confirmation");
    let alice = Client::open(app.address, ALICE).await;
    let balance = alice.result("getAccountBalance", json!({})).await["structuredContent"]["balance"].clone();
    assert_eq!(balance, 195, "15, and nothing else");
}

/// The limits changed while the person thinks about it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_06_a_yes_to_a_question_from_before_the_limits_changed_moves_nothing() {
    let app = spawn_known().await;
    let (secret, StoredKey { id, .. }) = key(&app, UserId(1), Role::Customer).await;
    let bob = Client::open_with(app.address, &secret, NEWEST, json!({ "elicitation": {} })).await;
    let payment = prepared(&bob, 20).await;
    let (asked, yes) = asked(&bob, "confirmPayment", &payment).await;
    limit(&app, &id, PaymentPolicy { maximum_minor: Some(1_999), ..PaymentPolicy::default() }).await;
    assert_eq!(bob.post(yes).send(app.address).await.status, 202);
    let ended = asked.rest().await.pop().unwrap().json();
    let text = ended["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("limit_exceeded: "), "{ended}");
    assert_eq!(status(&bob, &payment).await, "requires_confirmation", "the limits may change again");
}

/// The key may refund no more while the person thinks about it, in a session from when it could not either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_06_a_yes_to_a_refund_from_before_the_key_was_narrowed_moves_nothing_and_its_session_is_over() {
    let app = spawn_known().await;
    let (bob, _) = paying(&app, generous()).await;
    let payment = prepared(&bob, 20).await;
    assert_eq!(confirmed(&bob, &payment).await, "succeeded");

    let (secret, StoredKey { id, .. }) = key(&app, UserId(3), Role::ReadOnly).await;
    let alice = Client::open_with(app.address, &secret, NEWEST, json!({ "elicitation": {} })).await;
    let permit = async |role: Role| {
        app.store.permit_key(&id, role.permissions().bits(), role.as_str().to_owned()).await.unwrap().unwrap()
    };
    permit(Role::Customer).await;
    let (asked, yes) = asked(&alice, "refundPayment", &payment).await;
    permit(Role::ReadOnly).await;
    // It may be heard before the end of the session is known here.
    let heard = alice.post(yes).send(app.address).await.status;
    assert!([202, 404].contains(&heard), "{heard}");
    asked.rest().await;
    eventually("the end of the session", async || alice.ping().await.status == 404).await;

    // Nor does it where the yes was there already, and the refund under way.
    let handle = PaymentId(payment.as_str().unwrap().to_owned());
    let stored = app.store.payment(&handle).await.unwrap().unwrap();
    let record = server::payments::record("alice", "refund", &stored).unwrap();
    let actor = Actor { user: UserId(3), key: Some(id.clone()), record };
    let order = RefundOrder { payment: handle, amount: None, idempotency_key: None };
    let refused = Payments::new(app.store.clone(), None).refund(actor, order, true).await.unwrap_err();
    assert!(matches!(refused, PaymentError::Refused(Refusal::PermissionDenied(_))), "{refused:?}");
    assert_eq!(status(&bob, &payment).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_07_a_key_confirms_only_what_it_could_pay_itself_and_nobody_is_unasked_whom_it_asks() {
    let app = spawn_known().await;
    let (strong, _) = paying(&app, generous()).await;
    let of = |change: fn(&mut PaymentPolicy)| {
        let mut policy = generous();
        change(&mut policy);
        policy
    };
    let mut amount = 20;
    for (policy, becomes) in [
        (of(|policy| policy.maximum_minor = Some(500)), "limit_exceeded"),
        (of(|policy| policy.payees = vec!["charlie".to_owned()]), "permission_denied"),
        (of(|policy| policy.day_budget_minor = Some(500)), "limit_exceeded"),
        (of(|policy| policy.automatic_below_minor = 0), "requires_action"),
        (generous(), "succeeded"),
    ] {
        amount += 1;
        let payment = prepared(&strong, amount).await;
        let (weak, _) = paying(&app, policy).await;
        assert_eq!(confirmed(&weak, &payment).await, becomes, "{amount}");
        // Whatever another key may not do harms the payment not.
        if !["succeeded", "requires_action"].contains(&becomes) {
            assert_eq!(confirmed(&strong, &payment).await, "succeeded", "{amount}");
        }
    }
    // The demo key asks before every payment, whoever prepared it.
    let payment = prepared(&strong, 30).await;
    assert_eq!(confirmed(&Client::open(app.address, BOB).await, &payment).await, "requires_action");
    // And what may not pay cannot confirm at all.
    let (secret, stored) = key(&app, UserId(1), Role::ReadOnly).await;
    let all_but = PermissionSet::of(&[Permission::BalanceRead, Permission::PaymentsRefund]);
    app.store.permit_key(&stored.id, all_but.bits(), "custom".to_owned()).await.unwrap();
    let payment = prepared(&strong, 31).await;
    let weak = Client::open(app.address, &secret).await;
    assert_eq!(confirmed(&weak, &payment).await, "permission_denied");
    assert_eq!(confirmed(&strong, &payment).await, "succeeded");
}
