//! What a request says twice must be the same both times, and all of it must be there.

use serde_json::{Value, json};

use crate::support::{
    app::spawn_app,
    client::BOB,
    modern::{Caller, STATELESS},
    wire::Ask,
};

#[tokio::test]
async fn every_request_is_authenticated_before_anything_else_is_looked_at() {
    let app = spawn_app().await;
    let bob = Caller::new(app.address, BOB);
    let ask = bob.ask("tools/list", json!({})).without("x-api-key").without("mcp-method");
    let answer = ask.send(app.address).await;
    assert_eq!((answer.status, answer.code()), (401, Some(-32001)), "{answer:?}");
    assert_eq!(app.traces().await, (0, 0));
}

#[tokio::test]
async fn meta_must_be_whole() {
    let app = spawn_app().await;
    let bob = Caller::new(app.address, BOB);
    let version = "io.modelcontextprotocol/protocolVersion";
    let capabilities = "io.modelcontextprotocol/clientCapabilities";
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = bob.body(7, "tools/list", json!({}));
        change(&mut body);
        bob.dress(&body)
    };
    let cases: Vec<(&str, Ask)> = vec![
        ("no params", with(&|body| drop(body.as_object_mut().unwrap().remove("params")))),
        ("no _meta", with(&|body| body["params"] = json!({}))),
        ("_meta is null", with(&|body| body["params"]["_meta"] = json!(null))),
        ("_meta is a list", with(&|body| body["params"]["_meta"] = json!([]))),
        (
            "_meta is a list of what it must have",
            with(&|body| body["params"]["_meta"] = json!([STATELESS, {}])),
        ),
        ("no version", with(&|body| drop(body["params"]["_meta"].as_object_mut().unwrap().remove(version)))),
        ("version is a number", with(&|body| body["params"]["_meta"][version] = json!(20_260_728))),
        (
            "no capabilities",
            with(&|body| drop(body["params"]["_meta"].as_object_mut().unwrap().remove(capabilities))),
        ),
        ("capabilities is a list", with(&|body| body["params"]["_meta"][capabilities] = json!([]))),
        ("capabilities is a list of them", with(&|body| body["params"]["_meta"][capabilities] = json!([{}]))),
        (
            "client info is a list",
            with(&|body| {
                body["params"]["_meta"]["io.modelcontextprotocol/clientInfo"] = json!(["n", null, "1"]);
            }),
        ),
        (
            "client info is a string",
            with(&|body| body["params"]["_meta"]["io.modelcontextprotocol/clientInfo"] = json!("me")),
        ),
        (
            "unknown log level",
            with(&|body| body["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = json!("loud")),
        ),
        ("progress token is an object", with(&|body| body["params"]["_meta"]["progressToken"] = json!({}))),
    ];
    for (name, ask) in cases {
        let answer = ask.send(app.address).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32602)), "{name}: {answer:?}");
        assert_eq!(answer.json()["id"], 7, "{name}");
    }
}

#[tokio::test]
async fn a_revision_that_is_not_spoken_without_sessions_is_named_with_those_that_are() {
    let app = spawn_app().await;
    let bob = Caller::new(app.address, BOB);
    for requested in ["2025-11-25", "2099-01-01", "nonsense", ""] {
        let mut body = bob.body(7, "tools/list", json!({}));
        body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(requested);
        let answer = bob.dress(&body).instead("mcp-protocol-version", requested).send(app.address).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32022)), "{requested}: {answer:?}");
        let data = answer.json()["error"]["data"].clone();
        assert_eq!(data["requested"], requested);
        assert!(data["supported"].as_array().unwrap().contains(&json!(STATELESS)));
    }
}

#[tokio::test]
async fn headers_must_repeat_the_body() {
    let app = spawn_app().await;
    let bob = Caller::new(app.address, BOB);
    let call = || bob.ask("tools/call", json!({ "name": "getAccountBalance", "arguments": {} }));
    let read = || bob.ask("resources/read", json!({ "uri": "payments://balance" }));
    for (name, ask) in [
        ("no version", call().without("mcp-protocol-version")),
        ("another version", call().instead("mcp-protocol-version", "2025-11-25")),
        ("the version twice", call().with("mcp-protocol-version", STATELESS)),
        ("no method", call().without("mcp-method")),
        ("another method", call().instead("mcp-method", "tools/list")),
        ("another case", call().instead("mcp-method", "Tools/Call")),
        ("no name", call().without("mcp-name")),
        ("another name", call().instead("mcp-name", "getAllTransactions")),
        ("the name twice", call().with("mcp-name", "getAccountBalance")),
        ("a broken base64", call().instead("mcp-name", "=?base64?!?=")),
        ("bytes that are no header", call().instead("mcp-name", "getAccountBalance\u{e4}")),
        ("no uri", read().without("mcp-name")),
        ("another uri", read().instead("mcp-name", "payments://statements/2024-03")),
    ] {
        let answer = ask.send(app.address).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32020)), "{name}: {answer:?}");
        assert_eq!(answer.json()["id"], 7, "{name}");
    }
    for (name, ask) in [
        ("as it should be", call()),
        ("in base64", call().instead("mcp-name", "=?base64?Z2V0QWNjb3VudEJhbGFuY2U=?=")),
        ("with space around it", call().instead("mcp-name", "   getAccountBalance  ")),
        ("a resource", read()),
    ] {
        let answer = ask.send(app.address).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
    }
}

/// The request with more members written before those of its parameters, just as they stand, and without `Mcp-Name`.
fn with_more(bob: &Caller, method: &str, params: Value, more: &str) -> Ask {
    let body = bob.body(7, method, params);
    let named = bob.dress(&body).without("mcp-name");
    let text = body.to_string().replacen("\"params\":{", &format!("\"params\":{{{more},"), 1);
    named.saying(text)
}

#[tokio::test]
async fn a_member_that_is_there_twice_hides_nothing_from_the_headers() {
    let app = spawn_app().await;
    let bob = Caller::new(app.address, BOB);
    let pay = json!({ "name": "createPayment", "arguments": { "to": "alice", "amount": 3 } });
    let read = json!({ "uri": "payments://balance" });
    let prompt = json!({ "name": "explain-spending", "arguments": { "month": "2024-03" } });
    for (method, params, named) in [
        ("tools/call", &pay, "getAccountBalance"),
        ("tools/call", &pay, "createPayment"),
        ("resources/read", &read, "payments://statements/2024-03"),
        ("prompts/get", &prompt, "prepare-payment"),
    ] {
        for member in ["uri", "name", "arguments", "inputResponses", "requestState"] {
            // One that the parameters have already is there three times.
            let more = format!(r#""{member}":"x","{member}":"y""#);
            let ask = with_more(&bob, method, params.clone(), &more).with("mcp-name", named);
            let answer = ask.send(app.address).await;
            let shown = format!("{method} {named} {member}: {answer:?}");
            assert_eq!((answer.status, answer.code()), (400, Some(-32602)), "{shown}");
            assert_eq!(answer.json()["id"], 7, "{shown}");
            assert!(answer.body.contains(&format!("`{member}`")), "it says which: {shown}");
        }
    }
    assert_eq!(app.traces().await, (0, 0), "nothing was called or read");
    let once = with_more(&bob, "tools/call", pay, r#""uri":"""#).with("mcp-name", "getAccountBalance");
    assert_eq!(once.send(app.address).await.code(), Some(-32020), "once it is what it always was");
}
