//! `/healthz`, `/readyz` and `/metrics`: for machines that watch, without a key and without a secret.

use std::sync::Arc;

use serde_json::json;
use server::http::health::{Health, Readiness};

use crate::support::{
    app::spawn_app,
    client::{BOB, Client, NEWEST, initialize, request},
    eventually,
    wire::{Answer, Ask},
};

async fn ask(app: &crate::support::app::App, path: &str) -> Answer {
    Ask::bare("GET").to(path).send(app.address).await
}

#[tokio::test]
async fn a_server_that_works_is_alive_and_ready() {
    let app = spawn_app().await;
    for (path, body) in [("/healthz", r#"{"status":"ok"}"#), ("/readyz", r#"{"status":"ready"}"#)] {
        let answer = ask(&app, path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn a_server_without_its_store_is_alive_and_not_ready() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    app.store.close().await.unwrap();
    assert_eq!(ask(&app, "/healthz").await.status, 200);
    let answer = ask(&app, "/readyz").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, r#"{"status":"store unavailable"}"#));
    for ask in [Ask::post(initialize(NEWEST)).key(BOB), bob.call("getAccountBalance", json!({}))] {
        let answer = ask.send(app.address).await;
        // Whatever was not kept in memory cannot be known, and that is said; nothing is made up.
        let failed = answer.status == 503
            || answer.json()["result"]["isError"] == true
            || answer.code() == Some(-32603);
        assert!(failed && answer.status != 401, "{answer:?}");
        assert!(!answer.body.contains("sqlite") && !answer.body.contains("SQL"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_server_that_drains_is_not_ready() {
    let app = spawn_app().await;
    let health = Health::new(Arc::clone(&app.store));
    assert_eq!(health.readiness().await, Readiness::Ready);
    health.clone().drain();
    assert_eq!(health.readiness().await, Readiness::Draining);
    assert_eq!(health.ready().await.status(), 503);
    assert_eq!(health.live().status(), 200);
}

#[tokio::test]
async fn what_happened_is_counted() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for _ in 0..3 {
        bob.result("getAccountBalance", json!({})).await;
    }
    bob.result("getLatestTransactions", json!({ "limit": 0 })).await;
    bob.call("a\"made\nup{name}", json!({})).send(app.address).await;
    for n in 0..3 {
        let uri = format!("payments://statements/made-{n}");
        bob.post(request(n, "resources/read", json!({ "uri": uri }))).send(app.address).await;
        let prompt = json!({ "name": format!("made-{n}") });
        bob.post(request(n, "prompts/get", prompt)).send(app.address).await;
        let card = json!({ "name": "made", "a": "4111111111111111" });
        bob.post(request(n, &format!("made/{n}"), card)).send(app.address).await;
    }
    Ask::post("{}").send(app.address).await;
    let page = ask(&app, "/metrics").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some(server::metrics::CONTENT_TYPE));
    for line in [
        r#"payments_tool_calls_total{tool="getAccountBalance",outcome="ok"} 3"#,
        r#"payments_tool_calls_total{tool="getLatestTransactions",outcome="invalid_arguments"} 1"#,
        r#"payments_http_responses_total{route="/mcp",status="401"} 1"#,
        r#"payments_http_responses_total{route="/mcp",status="202"} 1"#,
    ] {
        assert!(page.body.lines().any(|written| written == line), "{line} is not in\n{}", page.body);
    }
    for secret in ["made", BOB, &bob.session] {
        assert!(!page.body.contains(secret), "{secret}");
    }
    eventually("the count of sessions", async || {
        ask(&app, "/metrics").await.body.contains("payments_sessions 1\n")
    })
    .await;
}
