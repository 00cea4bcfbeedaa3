//! Every member of every message, replaced by each type that JSON has, and left out.

use serde_json::{Value, json};

use super::{answer_to, assert_holds, assert_served};
use crate::support::{
    app::spawn_app,
    client::{BOB, Client},
    wire::Ask,
};

/// A whole message of each kind that a client sends in a session, with every member that it can have.
fn messages() -> Vec<Value> {
    let request = |method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    let notice =
        |method: &str, params: Value| json!({ "jsonrpc": "2.0", "method": method, "params": params });
    let meta = json!({ "progressToken": "p", "com.example/x": 1 });
    vec![
        request(
            "initialize",
            json!({
                "protocolVersion": "2025-11-25",
                "capabilities": { "elicitation": { "form": {} }, "sampling": {}, "roots": { "listChanged": true } },
                "clientInfo": { "name": "n", "title": "t", "version": "v", "icons": [{ "src": "https://x/y" }] },
                "_meta": meta,
            }),
        ),
        request("ping", json!({ "_meta": meta })),
        request("tools/list", json!({ "cursor": "c", "_meta": meta })),
        request(
            "tools/call",
            json!({ "name": "getLatestTransactions", "arguments": { "limit": 2 }, "_meta": meta, "task": { "ttl": 1 } }),
        ),
        request("resources/list", json!({ "cursor": "c" })),
        request("resources/templates/list", json!({ "cursor": "c" })),
        request("resources/read", json!({ "uri": "payments://statements/2024-03", "_meta": meta })),
        request("resources/subscribe", json!({ "uri": "payments://balance" })),
        request("resources/unsubscribe", json!({ "uri": "payments://balance" })),
        request("prompts/list", json!({ "cursor": "c" })),
        request("prompts/get", json!({ "name": "explain", "arguments": { "month": "2024-03" } })),
        request(
            "completion/complete",
            json!({
                "ref": { "type": "ref/prompt", "name": "explain", "title": "t" },
                "argument": { "name": "month", "value": "2" },
                "context": { "arguments": { "a": "b" } },
            }),
        ),
        request("logging/setLevel", json!({ "level": "info" })),
        request("no/such/method", json!({ "a": 1 })),
        notice("notifications/initialized", json!({ "_meta": {} })),
        notice("notifications/cancelled", json!({ "requestId": 7, "reason": "r" })),
        notice(
            "notifications/progress",
            json!({ "progressToken": "p", "progress": 1, "total": 2, "message": "m" }),
        ),
        notice("notifications/roots/list_changed", json!({})),
        notice("notifications/nothing", json!({ "a": 1 })),
        json!({ "jsonrpc": "2.0", "id": "q", "result": { "action": "accept", "content": { "a": 1 } } }),
        json!({ "jsonrpc": "2.0", "id": "q", "error": { "code": -1, "message": "m", "data": {} } }),
    ]
}

/// What takes a member's place.
fn substitutes() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(9_007_199_254_740_993_u64),
        json!(u64::MAX),
        json!(1e308),
        json!(""),
        json!("x"),
        json!("\u{0}\u{202e}'\"<%s${x}"),
        json!("y".repeat(20_000)),
        json!([]),
        json!([[{}], null, 1]),
        json!({}),
        json!({ "": { "__proto__": [] } }),
    ]
}

/// Where the members of `value` are, at every depth.
fn members(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(name, child)| (name.replace('/', "~1"), child)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(at, child)| (at.to_string(), child)).collect(),
        _ => Vec::new(),
    };
    for (name, child) in children {
        let place = format!("{at}/{name}");
        members(child, &place, found);
        found.push(place);
    }
}

/// `message` without the member at `place`.
fn without(message: &Value, place: &str) -> Value {
    let mut left = message.clone();
    let (parent, name) = place.rsplit_once('/').unwrap();
    if let Some(parent) = left.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.remove(&name.replace("~1", "/"));
    }
    left
}

/// Every message that differs from `message` in one member.
fn wrong_ones(message: &Value) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    members(message, "", &mut places);
    let mut wrong = Vec::new();
    for place in places {
        wrong.push((format!("without {place}"), without(message, &place)));
        for substitute in substitutes() {
            let mut replaced = message.clone();
            *replaced.pointer_mut(&place).unwrap() = substitute.clone();
            let shown: String = substitute.to_string().chars().take(40).collect();
            wrong.push((format!("{place} = {shown}"), replaced));
        }
    }
    wrong
}

#[tokio::test]
async fn a_member_of_a_wrong_type_is_answered_and_never_with_a_fault_of_the_server_s() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let mut sent = 0;
    for message in messages() {
        for (what, wrong) in wrong_ones(&message) {
            let ask = if message["method"] == "initialize" {
                Ask::post(wrong.to_string()).key(BOB)
            } else {
                bob.post(wrong.to_string())
            };
            assert_holds(&answer_to(&bob, &ask).await, &format!("{}: {what}", message["method"]));
            sent += 1;
        }
    }
    assert!(sent > 1_500, "only {sent} were sent");
    assert_served(&bob).await;
}

#[tokio::test]
async fn what_replaces_a_whole_message_is_answered_with_400() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for substitute in substitutes() {
        let answer = answer_to(&bob, &bob.post(substitute.to_string())).await;
        assert_eq!(answer.status, 400, "{substitute}: {answer:?}");
        assert_holds(&answer, &substitute.to_string());
    }
    assert_served(&bob).await;
}

#[tokio::test]
async fn a_header_of_a_wrong_kind_is_refused_and_never_with_a_fault_of_the_server_s() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let values = [
        "",
        " ",
        "x",
        "0",
        "-1",
        "null",
        "2025-11-25, 2025-11-25",
        "*/*",
        "\u{fc}",
        "a\tb",
        &"z".repeat(9_000),
    ];
    let names = [
        "accept",
        "content-type",
        "mcp-session-id",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "last-event-id",
        "origin",
        "content-encoding",
        "x-api-key",
        "authorization",
        "expect",
        "range",
        "if-none-match",
        "cookie",
    ];
    for name in names {
        for value in values {
            let what = format!("{name}: {}", value.chars().take(40).collect::<String>());
            for ask in [bob.post(ping), bob.dress(Ask::get()), bob.dress(Ask::bare("PUT"))] {
                for ask in [ask.clone().instead(name, value), ask.with(name, value)] {
                    assert_holds(&answer_to(&bob, &ask).await, &what);
                }
            }
        }
    }
    assert_served(&bob).await;
}
