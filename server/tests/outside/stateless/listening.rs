//! `subscriptions/listen`: changes as they happen, to whom they concern.

use serde_json::json;

use crate::support::{
    app::{App, spawn_app},
    client::{ALICE, BOB},
    events::Events,
    modern::Caller,
    pay, soon,
};

async fn listen(app: &App, key: &str, notifications: serde_json::Value) -> Events {
    let ask =
        Caller::new(app.address, key).ask("subscriptions/listen", json!({ "notifications": notifications }));
    Events::open(&ask, app.address).await
}

#[tokio::test]
async fn whoever_listens_is_told_of_a_new_balance_and_nobody_else_is() {
    let app = spawn_app().await;
    let wanted = json!({ "resourceSubscriptions": ["payments://balance", "payments://nothing"], "toolsListChanged": true });
    let mut bob = listen(&app, BOB, wanted.clone()).await;
    let acknowledged = bob.one().await.json();
    assert_eq!(
        acknowledged,
        json!({
            "jsonrpc": "2.0",
            "method": "notifications/subscriptions/acknowledged",
            "params": {
                "_meta": { "io.modelcontextprotocol/subscriptionId": 7 },
                "notifications": {
                    "resourceSubscriptions": ["payments://balance"],
                    "toolsListChanged": true,
                },
            },
        }),
        "what the server will not tell of is left out"
    );
    let mut alice = listen(&app, ALICE, wanted).await;
    alice.one().await;
    pay(&app, "bob", "charlie", 100).await;
    let told = soon("the notification", bob.one()).await.json();
    assert_eq!(told["method"], "notifications/resources/updated");
    assert_eq!(
        told["params"],
        json!({ "uri": "payments://balance", "_meta": { "io.modelcontextprotocol/subscriptionId": 7 } })
    );
    pay(&app, "charlie", "alice", 100).await;
    let told = soon("the notification", alice.one()).await.json();
    assert_eq!(told["method"], "notifications/resources/updated", "the first she hears of is her own");
}

#[tokio::test]
async fn the_server_says_good_bye_when_it_stops() {
    let app = spawn_app().await;
    let mut bob = listen(&app, BOB, json!({})).await;
    assert_eq!(bob.one().await.json()["params"]["notifications"], json!({}));
    let stopping = app.begin_stop();
    let rest = bob.rest().await;
    assert_eq!(
        rest.last().unwrap().json(),
        json!({
            "jsonrpc": "2.0",
            "id": 7,
            "result": { "resultType": "complete", "_meta": { "io.modelcontextprotocol/subscriptionId": 7 } },
        })
    );
    soon("the shutdown", stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_key_may_listen_on_so_many_streams_and_no_more() {
    let app = spawn_app().await;
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(listen(&app, BOB, json!({})).await);
    }
    let bob = Caller::new(app.address, BOB);
    let refused = bob.answer("subscriptions/listen", json!({ "notifications": {} })).await;
    assert_eq!((refused.status, refused.code()), (429, Some(-32005)), "{refused:?}");
    assert!(refused.header("retry-after").is_some());
    listen(&app, ALICE, json!({})).await;
    for wrong in [
        json!({}),
        json!({ "notifications": null }),
        json!({ "notifications": [true] }),
        json!({ "notifications": { "resourceSubscriptions": "x" } }),
    ] {
        let answer = Caller::new(app.address, ALICE).answer("subscriptions/listen", wrong).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32602)), "{answer:?}");
    }
}
