//! Each status where the specification has it, with a body that says what to do.

use serde_json::json;

use crate::support::{
    app::spawn_app,
    client::{BOB, Client, NEWEST, initialize, request},
    wire::{Answer, Ask, Wire},
};

/// That `answer` is a refusal: a JSON-RPC error with a message, as JSON, with a request id, and nothing to cache.
fn refused(answer: &Answer, status: u16, code: i64) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    assert!(answer.header("x-request-id").is_some(), "{answer:?}");
    let body = answer.json();
    assert_eq!(body["jsonrpc"], "2.0", "{answer:?}");
    assert_eq!(body["error"]["code"], code, "{answer:?}");
    assert!(!body["error"]["message"].as_str().unwrap().is_empty(), "{answer:?}");
}

#[tokio::test]
async fn what_is_not_json_is_400_parse_error() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for body in ["", "{", "nonsense", "{\"jsonrpc\":\"2.0\",}", "\u{feff}{}"] {
        refused(&bob.post(body).send(app.address).await, 400, -32700);
    }
}

#[tokio::test]
async fn json_that_is_no_message_is_400_invalid_request() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for body in [
        "null",
        "7",
        "\"ping\"",
        "{}",
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":[1,""]}"#,
    ] {
        refused(&bob.post(body).send(app.address).await, 400, -32600);
    }
}

#[tokio::test]
async fn a_request_in_no_session_is_400_and_told_how_to_open_one() {
    let app = spawn_app().await;
    for method in ["tools/list", "tools/call", "ping", "nonsense"] {
        let answer = Ask::post(request(1, method, json!({}))).key(BOB).send(app.address).await;
        refused(&answer, 400, -32600);
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains("initialize"), "{answer:?}");
    }
    for ask in [Ask::get(), Ask::delete()] {
        assert_eq!(ask.key(BOB).send(app.address).await.status, 400);
    }
    assert_eq!(app.traces().await, (0, 0));
}

#[tokio::test]
async fn a_session_that_never_was_is_404_on_every_method() {
    let app = spawn_app().await;
    let long = "s".repeat(4_000);
    for id in ["no-such-session", "0", "'; DROP TABLE sessions; --", &long] {
        for ask in [Ask::post(request(1, "ping", json!({}))), Ask::get(), Ask::delete()] {
            refused(&ask.key(BOB).session(id).send(app.address).await, 404, -32004);
        }
    }
}

#[tokio::test]
async fn a_session_that_is_named_twice_is_400_and_neither_is_used() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for ask in [bob.post(request(1, "ping", json!({}))), bob.dress(Ask::get()), bob.dress(Ask::delete())] {
        for other in ["another", &bob.session] {
            refused(&ask.clone().with("mcp-session-id", other).send(app.address).await, 400, -32600);
        }
    }
    assert_eq!(bob.ping().await.status, 200);
}

#[tokio::test]
async fn a_body_in_a_coding_is_415_and_not_read_as_something_else() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let ping = || bob.post(request(1, "ping", json!({})));
    for coding in ["gzip", "br", "gzip, identity", ""] {
        refused(&ping().with("content-encoding", coding).send(app.address).await, 415, -32600);
    }
    assert_eq!(ping().with("content-encoding", "Identity").send(app.address).await.status, 200);
    let chunks = bob.post("0\r\n\r\n").with("transfer-encoding", "gzip, chunked").without("content-length");
    let mut wire = Wire::connect(app.address).await;
    let bytes = String::from_utf8(chunks.bytes(app.address)).unwrap().replace("Content-Length: 5\r\n", "");
    wire.write(bytes.as_bytes()).await;
    refused(&wire.answer().await, 415, -32600);
}

#[tokio::test]
async fn a_path_that_does_not_exist_is_404() {
    let app = spawn_app().await;
    for path in ["/", "/mcp/", "/MCP", "/mcp/x", "/streams", "/healthz/x"] {
        let answer = Ask::post(initialize(NEWEST)).to(path).key(BOB).send(app.address).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    assert_eq!(app.traces().await, (0, 0));
}

#[tokio::test]
async fn another_method_is_405_and_names_those_that_are_allowed() {
    let app = spawn_app().await;
    for method in ["PUT", "PATCH", "HEAD", "OPTIONS", "BREW"] {
        let answer = Ask::bare(method).key(BOB);
        let mut wire = Wire::connect(app.address).await;
        wire.write(&answer.bytes(app.address)).await;
        let answer = wire.head().await;
        assert_eq!(answer.status, 405, "{method}: {answer:?}");
        let allowed = answer.header("allow").expect("Allow");
        for name in ["GET", "POST", "DELETE"] {
            assert!(allowed.contains(name), "{allowed}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_the_client_cannot_read_is_406() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for accept in ["text/html", "image/*", "application/jsonx"] {
        refused(
            &bob.post(request(1, "ping", json!({}))).instead("accept", accept).send(app.address).await,
            406,
            -32600,
        );
    }
    for accept in ["application/json", "text/html"] {
        refused(
            &bob.dress(Ask::get().without("accept")).with("accept", accept).send(app.address).await,
            406,
            -32600,
        );
    }
    for accept in
        ["*/*", "application/*, text/event-stream", "text/event-stream;q=0.5,application/json;q=0.9"]
    {
        let answer =
            bob.post(request(1, "ping", json!({}))).instead("accept", accept).send(app.address).await;
        assert_eq!(answer.status, 200, "{accept}: {answer:?}");
    }
}

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_413() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let padded = |size: usize| {
        let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        format!("{ping}{}", " ".repeat(size - ping.len()))
    };
    let limit = 1024 * 1024;
    assert_eq!(bob.post(padded(limit)).send(app.address).await.status, 200);
    let mut wire = Wire::connect(app.address).await;
    // The server says no at the headers and need not read what follows.
    let _ = wire.try_write(&bob.post(padded(limit + 1)).bytes(app.address)).await;
    refused(&wire.answer().await, 413, -32600);
    let announced = bob.post("").with("content-length", "99999999999").bytes(app.address);
    let mut wire = Wire::connect(app.address).await;
    wire.write(&announced).await;
    refused(&wire.answer().await, 413, -32600);
    let chunked = bob.post("").with("transfer-encoding", "chunked").with("content-length", "0");
    let mut bytes =
        String::from_utf8(chunked.bytes(app.address)).unwrap().replace("content-length: 0\r\n", "");
    bytes.push_str("100001\r\n");
    bytes.push_str(&" ".repeat(limit + 1));
    bytes.push_str("\r\n0\r\n\r\n");
    let mut wire = Wire::connect(app.address).await;
    let _ = wire.try_write(bytes.as_bytes()).await;
    refused(&wire.answer().await, 413, -32600);
}

#[tokio::test]
async fn a_body_of_another_media_type_is_415() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let ping = || bob.post(request(1, "ping", json!({}))).without("content-type");
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json", ""] {
        refused(&ping().with("content-type", media_type).send(app.address).await, 415, -32600);
    }
    refused(&ping().send(app.address).await, 415, -32600);
    for media_type in
        ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"]
    {
        assert_eq!(
            ping().with("content-type", media_type).send(app.address).await.status,
            200,
            "{media_type}"
        );
    }
}

#[tokio::test]
async fn an_unknown_method_is_a_protocol_error_and_an_unknown_notification_is_ignored() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for method in ["tasks/list", "nonsense", "", "tools/List"] {
        let answer = bob.post(request("x", method, json!({}))).send(app.address).await;
        assert_eq!((answer.status, answer.code()), (200, Some(-32601)), "{method}: {answer:?}");
        assert_eq!(answer.json()["id"], "x");
    }
    let answer = bob.post(r#"{"jsonrpc":"2.0","method":"notifications/nonsense"}"#).send(app.address).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, ""));
    let answer = bob.post(r#"{"jsonrpc":"2.0","id":77,"result":{}}"#).send(app.address).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, ""));
}
