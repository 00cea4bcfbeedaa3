//! Resources: balance and statements, per principal, in both eras.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use jiff::civil::date;
use serde_json::{Value, json};
use server::{
    identity::{Permission, Principal},
    mcp::{Parts, RequestContext, Resource, ResourceDefinition, ToolError},
    money::{Amount, Currency},
    store::{NewTransfer, TransferId, UserId},
};

use crate::support::{
    app::spawn_app,
    client::{ALICE, BOB, Client, request},
    events::Events,
    modern::Caller,
    pay, soon,
    stage::spawn_stage_with,
    wire::Ask,
};

async fn ask(client: &Client, method: &str, params: Value) -> Value {
    client.post(request(5, method, params)).send(client.address).await.json()
}

async fn read(client: &Client, uri: &str) -> Value {
    ask(client, "resources/read", json!({ "uri": uri })).await
}

#[tokio::test]
async fn the_lists_name_the_balance_the_statements_and_their_family() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let listed = ask(&bob, "resources/list", json!({})).await["result"]["resources"].clone();
    let uris: Vec<_> = listed.as_array().unwrap().iter().map(|one| one["uri"].clone()).collect();
    assert_eq!(uris, [json!("payments://balance"), json!("payments://statements/2024-03")]);
    let families =
        ask(&bob, "resources/templates/list", json!({})).await["result"]["resourceTemplates"].clone();
    assert_eq!(families[0]["uriTemplate"], "payments://statements/{month}");
    assert_eq!(families.as_array().unwrap().len(), 1);
    let oldest = Client::open_in(app.address, BOB, "2025-03-26").await;
    let listed = ask(&oldest, "resources/list", json!({})).await.to_string();
    assert!(!listed.contains("\"title\""), "titles came later: {listed}");
}

#[tokio::test]
async fn a_statement_adds_up_in_both_of_its_forms() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let contents = read(&bob, "payments://statements/2024-03").await["result"]["contents"].clone();
    assert_eq!(contents.as_array().unwrap().len(), 2);
    assert_eq!(contents[0]["mimeType"], "application/json");
    let statement: Value = serde_json::from_str(contents[0]["text"].as_str().unwrap()).unwrap();
    let transactions = statement["transactions"].as_array().unwrap();
    let days: Vec<_> = transactions.iter().map(|one| one["date"].as_str().unwrap()).collect();
    assert_eq!(days, ["2024-03-15", "2024-03-17", "2024-03-18", "2024-03-19", "2024-03-20"]);
    let figure = |name: &str| statement[name].as_i64().unwrap();
    assert_eq!((figure("openingBalance"), figure("paidIn"), figure("paidOut")), (0, 175, 375));
    assert_eq!(figure("closingBalance"), -200);
    let text = contents[1]["text"].as_str().unwrap();
    assert_eq!(contents[1]["mimeType"], "text/plain");
    assert!(text.starts_with("Statement of 2024-03 for bob, in USD"), "{text}");
    assert!(
        text.contains("Closing balance") && text.ends_with("Came in: 175.00. Went out: 375.00."),
        "{text}"
    );
}

#[tokio::test]
async fn the_next_month_opens_with_what_the_last_one_closed_with() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for (month, opening, closing) in [("2024-02", 0, 0), ("2024-03", 0, -200), ("2024-04", -200, -200)] {
        let answer = read(&bob, &format!("payments://statements/{month}")).await;
        let text = answer["result"]["contents"][0]["text"].as_str().unwrap();
        let statement: Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            (&statement["openingBalance"], &statement["closingBalance"]),
            (&json!(opening), &json!(closing))
        );
        let people = answer["result"]["contents"][1]["text"].as_str().unwrap();
        assert_eq!(people.contains("No transactions in this month."), month != "2024-03");
    }
}

#[tokio::test]
async fn a_month_that_is_none_is_refused_with_the_rule() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for month in ["2024", "2024-13", "2024-3", "march", "2024-03-01", "%32024-03x"] {
        let error = read(&bob, &format!("payments://statements/{month}")).await["error"].clone();
        assert_eq!(error["code"], -32602, "{month}: {error}");
        assert!(error["message"].as_str().unwrap().contains("YYYY-MM"), "{month}: {error}");
    }
    let error = read(&bob, "payments://statements/9999-12").await["error"].clone();
    assert!(error["message"].as_str().unwrap().contains("has not begun"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_of_too_many_transactions_has_the_newest_of_them_and_the_sums_of_all() {
    let app = spawn_app().await;
    let mut posting = tokio::task::JoinSet::new();
    let amount = Amount::from_minor(1, Currency::from_code("USD").unwrap());
    for number in 1..=10_001 {
        let transfer = NewTransfer {
            id: Some(TransferId(1_000_000 + number)),
            from: UserId(3),
            to: UserId(1),
            amount,
            date: date(2024, 5, if number == 1 { 1 } else { 2 }),
        };
        let store = app.store.clone();
        posting.spawn(async move { store.post(transfer).await.unwrap() });
    }
    posting.join_all().await;
    let bob = Client::open(app.address, BOB).await;
    let told = async |month: &str| -> (Value, String) {
        let contents =
            read(&bob, &format!("payments://statements/{month}")).await["result"]["contents"].clone();
        let [programs, people] = [0, 1].map(|form| contents[form]["text"].as_str().unwrap().to_owned());
        (serde_json::from_str(&programs).unwrap(), people)
    };
    // The first one is of the day before the others, and left out.
    let (statement, people) = told("2024-05").await;
    let rows = statement["transactions"].as_array().unwrap();
    assert_eq!((rows.len(), &statement["truncated"]), (10_000, &json!(true)));
    assert!(rows.iter().all(|row| row["date"] == "2024-05-02"));
    let sums = ["openingBalance", "paidIn", "paidOut", "closingBalance"].map(|sum| statement[sum].as_f64());
    assert_eq!(sums, [-200.0, 100.01, 0.0, -99.99].map(Some));
    assert!(people.contains("Earlier transactions are left out: these are the newest 10000 of"));
    assert!(people.ends_with("Came in: 100.01. Went out: 0.00."));
    let (next, people) = told("2024-06").await;
    assert_eq!((&next["openingBalance"], &next["truncated"]), (&json!(-99.99), &Value::Null));
    assert!(!people.contains("left out"));
}

#[tokio::test]
async fn what_is_not_there_is_told_by_one_error_in_each_era() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for uri in [
        "payments://nothing",
        "payments://statements/",
        "payments://statements/a/b",
        "",
        "file:///etc/passwd",
    ] {
        let error = read(&bob, uri).await["error"].clone();
        assert_eq!((&error["code"], &error["data"]["uri"]), (&json!(-32002), &json!(uri)));
        let stateless = Caller::new(app.address, BOB).answer("resources/read", json!({ "uri": uri })).await;
        let error = stateless.json()["error"].clone();
        assert_eq!((&error["code"], &error["data"]["uri"]), (&json!(-32602), &json!(uri)));
    }
    let nothing = ask(&bob, "resources/read", json!({})).await;
    assert_eq!(nothing["error"]["code"], -32602);
}

#[tokio::test]
async fn everybody_sees_their_own_and_every_read_is_recorded() {
    let app = spawn_app().await;
    for (key, name, balance) in [(BOB, "bob", -200), (ALICE, "alice", 180)] {
        let client = Client::open(app.address, key).await;
        let answer = read(&client, "payments://balance").await;
        let text = answer["result"]["contents"][0]["text"].as_str().unwrap();
        let read: Value = serde_json::from_str(text).unwrap();
        assert_eq!(read, json!({ "username": name, "balance": balance, "currency": "USD" }));
    }
    app.store.flush_audit().await.unwrap();
    let records = app.store.latest_audit(10).await.unwrap();
    let told: Vec<_> = records.iter().map(|one| (one.username.as_str(), &*one.tool, &*one.rule)).collect();
    let tool = "resources/read payments://balance";
    assert_eq!(told, [("alice", tool, "balance:read"), ("bob", tool, "balance:read")]);
}

#[tokio::test]
async fn a_subscriber_is_told_when_the_balance_changes_until_it_unsubscribes() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let balance = json!({ "uri": "payments://balance" });
    assert_eq!(ask(&bob, "resources/subscribe", balance.clone()).await["result"], json!({}));
    assert_eq!(ask(&bob, "resources/subscribe", balance.clone()).await["result"], json!({}), "twice is once");
    let mut stream = Events::open(&bob.dress(Ask::get()), app.address).await;
    stream.one().await;
    pay(&app, "bob", "alice", 100).await;
    let told = soon("the notification", stream.one()).await.json();
    let updated = json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": balance });
    assert_eq!(told, updated);
    assert_eq!(ask(&bob, "resources/unsubscribe", balance.clone()).await["result"], json!({}));
    let alice = Client::open(app.address, ALICE).await;
    assert_eq!(ask(&alice, "resources/subscribe", balance).await["result"], json!({}));
    let mut hers = Events::open(&alice.dress(Ask::get()), app.address).await;
    hers.one().await;
    pay(&app, "bob", "alice", 100).await;
    assert_eq!(soon("the notification", hers.one()).await.json(), updated);
    // Hers has come, so his would have: the two are looked at together.
    assert_eq!(bob.end().await.status, 204);
    assert!(stream.rest().await.is_empty(), "he had unsubscribed");
}

#[tokio::test]
async fn what_changed_while_nobody_read_is_told_to_whoever_goes_on_with_the_stream() {
    let app = spawn_app().await;
    let balance = json!({ "uri": "payments://balance" });
    let (bob, witness) = (Client::open(app.address, BOB).await, Client::open(app.address, BOB).await);
    for client in [&bob, &witness] {
        assert_eq!(ask(client, "resources/subscribe", balance.clone()).await["result"], json!({}));
    }
    let mut seen = Events::open(&witness.dress(Ask::get()), app.address).await;
    seen.one().await;
    let mut lost = Events::open(&bob.dress(Ask::get()), app.address).await;
    let priming = lost.one().await.id().to_owned();
    drop(lost);
    pay(&app, "bob", "alice", 100).await;
    // Both watch the same balance, and he was the first.
    soon("the notification", seen.one()).await;
    let mut resumed = Events::open(&bob.resume(&priming), app.address).await;
    assert_eq!(resumed.one().await.id(), priming);
    let told = soon("the notification", resumed.one()).await.json();
    assert_eq!((&told["method"], &told["params"]), (&json!("notifications/resources/updated"), &balance));
    assert_eq!(bob.end().await.status, 204);
    assert!(resumed.rest().await.is_empty(), "it is told once");
}

/// A resource that is watched, and how it looks each time.
struct Watched<F>(F);

impl<F: Fn() -> Result<String, ToolError> + Send + Sync + 'static> Resource for Watched<F> {
    const DEFINITION: ResourceDefinition = ResourceDefinition {
        uri: "stage://watched",
        name: "watched",
        title: None,
        description: "Looks as a test says",
        mime_type: None,
        permission: Permission::BalanceRead,
    };
    const WATCHED: bool = true;

    async fn read(&self, _context: RequestContext) -> Result<Parts, ToolError> {
        Ok(Vec::new())
    }

    async fn fingerprint(&self, _principal: &Principal) -> Result<String, ToolError> {
        (self.0)()
    }
}

#[tokio::test]
async fn a_subscriber_hears_of_what_could_not_be_looked_at_when_it_subscribed() {
    let is_there = AtomicBool::new(false);
    let look = move || {
        let looks = is_there.swap(true, Ordering::Relaxed).then(|| "the same".to_owned());
        looks.ok_or_else(|| ToolError::Unavailable("not yet".into()))
    };
    let stage = spawn_stage_with(|builder| builder.resource(Watched(look))).await;
    let bob = Client::open(stage.app.address, BOB).await;
    let late = json!({ "uri": "stage://watched" });
    assert_eq!(ask(&bob, "resources/subscribe", late.clone()).await["result"], json!({}));
    let mut stream = Events::open(&bob.dress(Ask::get()), stage.app.address).await;
    stream.one().await;
    let told = soon("the notification", stream.one()).await.json();
    assert_eq!((&told["method"], &told["params"]), (&json!("notifications/resources/updated"), &late));
}

#[tokio::test]
async fn what_nobody_hears_of_is_not_looked_at() {
    let looks = Arc::new(AtomicU32::new(0));
    let counts = Arc::clone(&looks);
    let look = move || Ok(counts.fetch_add(1, Ordering::Relaxed).to_string());
    let stage = spawn_stage_with(|builder| builder.resource(Watched(look))).await;
    let bob = Client::open(stage.app.address, BOB).await;
    let counted = json!({ "uri": "stage://watched" });
    assert_eq!(ask(&bob, "resources/subscribe", counted.clone()).await["result"], json!({}));
    // Whatever is looked at would be by then.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(looks.load(Ordering::Relaxed), 1, "when he subscribed");
    let mut stream = Events::open(&bob.dress(Ask::get()), stage.app.address).await;
    stream.one().await;
    let told = soon("the notification", stream.one()).await.json();
    assert_eq!((&told["method"], &told["params"]), (&json!("notifications/resources/updated"), &counted));
}

/// A resource whose source is away, or slow.
struct Away {
    for_ever: bool,
}

impl Resource for Away {
    const DEFINITION: ResourceDefinition = ResourceDefinition {
        uri: "stage://away",
        name: "away",
        title: None,
        description: "Cannot be read at the moment",
        mime_type: None,
        permission: Permission::BalanceRead,
    };

    async fn read(&self, _context: RequestContext) -> Result<Parts, ToolError> {
        if self.for_ever {
            std::future::pending::<()>().await;
        }
        Err(ToolError::Unavailable("it is away".into()))
    }
}

#[tokio::test]
async fn what_cannot_be_read_at_the_moment_is_no_mistake_of_the_callers() {
    for (for_ever, words) in [(false, "unavailable"), (true, "timed out")] {
        let limit = Duration::from_millis(50);
        let stage = spawn_stage_with(|builder| builder.tool_timeout(limit).resource(Away { for_ever })).await;
        let away = json!({ "uri": "stage://away" });
        let bob = Client::open(stage.app.address, BOB).await;
        let stateless = Caller::new(stage.app.address, BOB);
        for error in [
            ask(&bob, "resources/read", away.clone()).await["error"].clone(),
            stateless.ask("resources/read", away.clone()).send(stage.app.address).await.json()["error"]
                .clone(),
        ] {
            assert_eq!(error["code"], -32603, "{error}");
            assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_subscribed_to_says_so() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for (uri, code) in [("payments://statements/2024-03", -32602), ("payments://nothing", -32002)] {
        let answer = ask(&bob, "resources/subscribe", json!({ "uri": uri })).await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    assert_eq!(ask(&bob, "resources/subscribe", json!({})).await["error"]["code"], -32602);
}
