//! Answers that are lost after the commit: a proxy swallows them, and our client finds out what became of its call
//! without doing anything twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use client::mcp::{
    Answerer, Arguments, CallOptions, ConnectOptions, Connection, Endpoint, Era, McpError, Repetition,
    RetryPolicy,
};
use serde_json::{Value, json};
use shared::mcp::{
    elicitation::{ElicitAction, ElicitRequestParams, ElicitResult},
    tools::{CallToolResult, Tool},
};

use crate::support::{
    app::{App, spawn_app},
    client::{ALICE, BOB},
    lossy::Proxy,
    modern::Caller,
    pay, soon,
};

const ERAS: [Era; 2] = [Era::Sessions, Era::Stateless];

/// Says yes, and counts how often.
#[derive(Debug, Default)]
struct Person(AtomicUsize);

#[async_trait]
impl Answerer for Person {
    async fn elicit(&self, _: &ElicitRequestParams) -> ElicitResult {
        self.0.fetch_add(1, Ordering::SeqCst);
        ElicitResult { action: ElicitAction::Accept, content: Some(Default::default()) }
    }
}

/// A user with our client, behind the proxy.
struct User {
    connection: Connection,
    tools: Vec<Tool>,
    person: Arc<Person>,
}

impl User {
    async fn open(proxy: &Proxy, key: &str, era: Era) -> Self {
        let endpoint =
            Endpoint::new(&format!("http://{}/mcp", proxy.address), Some(key.into()), false).unwrap();
        let person = Arc::new(Person::default());
        let answerer: Arc<dyn Answerer> = Arc::<Person>::clone(&person);
        let retry = RetryPolicy { base: Duration::from_millis(5), ..RetryPolicy::default() };
        let options = ConnectOptions { era, answerer: Some(answerer), retry, ..ConnectOptions::default() };
        let connection = soon("a connection", Connection::open(endpoint, options)).await.unwrap();
        let tools = connection.list_tools().await.unwrap().tools;
        Self { connection, tools, person }
    }

    /// Calls a tool as our programs do. Also tells the key that the call had.
    async fn call(&self, name: &str, arguments: Value) -> (Result<CallToolResult, McpError>, Option<String>) {
        let tool = self.tools.iter().find(|tool| tool.name == name).unwrap();
        let mut arguments = Arguments::parse(&arguments.to_string()).unwrap();
        let repetition = Repetition::of(tool, &mut arguments);
        let key = match &repetition {
            Repetition::Keyed(key) => Some(key.clone()),
            Repetition::Harmless | Repetition::Never => None,
        };
        let options = CallOptions { repeatable: repetition.is_safe(), ..CallOptions::default() };
        (soon(name, self.connection.call_tool(name, arguments, options)).await, key)
    }

    /// The payment that a tool answered with.
    async fn payment(&self, name: &str, arguments: Value) -> Value {
        let result = self.call(name, arguments).await.0.unwrap();
        assert!(!result.failed(), "{name}: {}", result.text());
        result.structured_content.unwrap()
    }
}

/// What the server has, asked beside the proxy: Bob's payments and his transactions.
async fn truth(app: &App) -> (Vec<Value>, usize) {
    let bob = Caller::new(app.address, BOB);
    let list = |result: Value, name: &str| result["structuredContent"][name].as_array().unwrap().clone();
    let payments = list(bob.call("listPayments", json!({})).await, "payments");
    let transactions = list(bob.call("getAllTransactions", json!({})).await, "transactions");
    (payments, transactions.len())
}

fn lunch() -> Value {
    json!({ "to": "alice", "amount": 25, "memo": "lunch" })
}

#[tokio::test]
async fn a_payment_whose_answer_was_lost_is_prepared_once_and_told_as_it_was() {
    for era in ERAS {
        for lost in 1..=2 {
            let app = spawn_app().await;
            let proxy = Proxy::before(app.address).unwrap();
            let bob = User::open(&proxy, BOB, era).await;
            proxy.lose("requires_confirmation", lost);
            let payment = bob.payment("createPayment", lunch()).await;
            assert_eq!(proxy.left(), 0, "{era:?}");
            assert_eq!(payment["replayed"], true, "{era:?}: {payment}");
            let (payments, _) = truth(&app).await;
            assert_eq!(payments.len(), 1, "{era:?}: {payments:?}");
            assert_eq!(payments[0]["paymentId"], payment["paymentId"], "{era:?}");
        }
    }
}

#[tokio::test]
async fn a_payment_whose_every_answer_was_lost_is_found_by_its_key() {
    for era in ERAS {
        let app = spawn_app().await;
        let proxy = Proxy::before(app.address).unwrap();
        let bob = User::open(&proxy, BOB, era).await;
        proxy.lose("requires_confirmation", 3);
        let (outcome, key) = bob.call("createPayment", lunch()).await;
        let error = outcome.unwrap_err();
        assert!(error.may_have_run() && proxy.left() == 0, "{era:?}: {error}");
        let found = bob.payment("listPayments", json!({ "idempotencyKey": key.unwrap() })).await;
        let (payments, _) = truth(&app).await;
        assert_eq!(found["payments"].as_array().unwrap(), &payments, "{era:?}");
        assert_eq!(payments.len(), 1, "{era:?}: {payments:?}");
    }
}

#[tokio::test]
async fn a_confirmation_whose_answer_was_lost_pays_once_and_is_asked_for_once() {
    for era in ERAS {
        for lost in 1..=2 {
            let app = spawn_app().await;
            let proxy = Proxy::before(app.address).unwrap();
            let bob = User::open(&proxy, BOB, era).await;
            let id = bob.payment("createPayment", lunch()).await["paymentId"].clone();
            // Without sessions this is the second round, whose state the first attempt at it has used up.
            proxy.lose("succeeded", lost);
            let payment = bob.payment("confirmPayment", json!({ "paymentId": id })).await;
            assert_eq!(proxy.left(), 0, "{era:?}");
            assert_eq!((&payment["paymentId"], &payment["status"]), (&id, &json!("succeeded")), "{era:?}");
            // A stream is gone on with, and so is the first answer itself; elsewhere the call is made again.
            let replayed = if era == Era::Stateless { json!(true) } else { Value::Null };
            assert_eq!(payment["replayed"], replayed, "{era:?}: {payment}");
            assert_eq!(bob.person.0.load(Ordering::SeqCst), 1, "{era:?}");
            let (payments, transactions) = truth(&app).await;
            assert_eq!((payments.len(), transactions), (1, 6), "{era:?}");
            let balance = bob.payment("getAccountBalance", json!({})).await;
            assert_eq!(balance["balance"], -225, "{era:?}");
        }
    }
}

#[tokio::test]
async fn a_refund_whose_answer_was_lost_gives_back_once() {
    for era in ERAS {
        let app = spawn_app().await;
        let proxy = Proxy::before(app.address).unwrap();
        let bob = User::open(&proxy, BOB, era).await;
        let alice = User::open(&proxy, ALICE, era).await;
        let id = bob.payment("createPayment", lunch()).await["paymentId"].clone();
        bob.payment("confirmPayment", json!({ "paymentId": id })).await;
        proxy.lose("partially_refunded", 1);
        let refunded = alice.payment("refundPayment", json!({ "paymentId": id, "amount": 10 })).await;
        assert_eq!(proxy.left(), 0, "{era:?}");
        assert_eq!((&refunded["refundedAmount"], &refunded["paymentId"]), (&json!(10), &id), "{era:?}");
        let replayed = if era == Era::Stateless { json!(true) } else { Value::Null };
        assert_eq!(refunded["replayed"], replayed, "{era:?}: {refunded}");
        assert_eq!(alice.person.0.load(Ordering::SeqCst), 1, "{era:?}");
        let (payments, transactions) = truth(&app).await;
        assert_eq!((payments[0]["refundedAmount"].clone(), transactions), (json!(10), 7), "{era:?}");
    }
}

#[tokio::test]
async fn the_proxy_alone_loses_nothing() {
    let app = spawn_app().await;
    pay(&app, "bob", "alice", 1).await;
    let proxy = Proxy::before(app.address).unwrap();
    let bob = User::open(&proxy, BOB, Era::Sessions).await;
    let payment = bob.payment("createPayment", lunch()).await;
    assert_eq!(payment["replayed"], Value::Null);
    assert_eq!(truth(&app).await.1, 6);
}
