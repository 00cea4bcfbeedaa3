//! Somebody who means harm: wrong types everywhere, damaged bytes, connections that are half closed, and thousands of
//! them. Nothing panics, hangs, answers 500 or keeps memory, and whoever behaves is served beside it.

mod damage;
mod half_closed;
mod numbers;
mod streams;
mod wrong_types;

use serde_json::{Value, json};

use crate::support::{
    client::Client,
    wire::{Answer, Ask, Wire},
};

/// The answer to `ask` on a connection of its own. A stream is left as soon as it has begun.
async fn answer_to(client: &Client, ask: &Ask) -> Answer {
    let mut wire = Wire::connect(client.address).await;
    // What is asked here need not be what the schema allows, even where the server puts up with it.
    wire.try_write(&ask.bytes(client.address)).await.unwrap();
    let head = wire.head().await;
    if head.header("content-type") == Some("text/event-stream") { head } else { wire.rest_of(head).await }
}

/// Fails unless this is how a server answers that holds: no fault of its own, and a message that says what is the case.
fn assert_holds(answer: &Answer, what: &str) {
    let shown = || format!("{what}: {} {}", answer.status, answer.body.chars().take(500).collect::<String>());
    assert!(answer.status < 500, "{}", shown());
    if answer.header("content-type") == Some("text/event-stream") {
        assert_eq!(answer.status, 200, "{}", shown());
        return;
    }
    if answer.body.is_empty() {
        assert!([202, 204].contains(&answer.status), "{}", shown());
        return;
    }
    let messages = match answer.json() {
        Value::Array(messages) => messages,
        message => vec![message],
    };
    for message in messages {
        assert_eq!(message["jsonrpc"], "2.0", "{}", shown());
        let is_error = message["error"]["code"].is_i64() && message["error"]["message"].is_string();
        assert!(message["result"].is_object() != is_error, "{}", shown());
        assert_ne!(message["error"]["code"], -32603, "the server says it failed: {}", shown());
    }
}

/// Fails unless the demo's answer is what it always is.
async fn assert_served(client: &Client) {
    let result = client.result("getAccountBalance", json!({})).await;
    let told: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(told, json!({ "username": "bob", "balance": -200 }));
}
