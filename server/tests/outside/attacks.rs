//! Bytes that somebody sends to see what breaks. Nothing does: 4xx, and the next request is served.

use serde_json::json;

use crate::support::{
    app::spawn_app,
    client::{BOB, Client, request},
    wire::{Ask, Wire},
};

#[tokio::test]
async fn a_message_cut_at_any_byte_is_400() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let whole =
        request(1, "tools/call", json!({ "name": "getLatestTransactions", "arguments": { "limit": 2 } }));
    let mut wire = Wire::connect(app.address).await;
    for length in 0..whole.len() {
        wire.write(&bob.post(&whole.as_bytes()[..length]).bytes(app.address)).await;
        let answer = wire.answer().await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32700)), "{length}: {answer:?}");
    }
    wire.write(&bob.post(whole).bytes(app.address)).await;
    assert_eq!(wire.answer().await.status, 200);
}

#[tokio::test]
async fn hostile_bodies_are_400_and_the_session_goes_on() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let ping = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    let deep = |open: &str, close: &str, depth: usize| {
        let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":{nested}}}}}"#)
    };
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("binary", (0..=255).collect()),
        ("zeros", vec![0; 10_000]),
        ("not UTF-8", b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}".to_vec()),
        ("a lone surrogate", br#"{"jsonrpc":"2.0","id":1,"method":"\ud800"}"#.to_vec()),
        ("arrays in arrays", deep("[", "]", 200_000).into()),
        ("objects in objects", deep(r#"{"a":"#, "}", 100_000).into()),
        ("only brackets", "[".repeat(500_000).into()),
        ("only braces", "{".repeat(500_000).into()),
        ("the id twice", br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#.to_vec()),
        ("the method twice", br#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#.to_vec()),
        ("the version twice", br#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"ping"}"#.to_vec()),
        ("an id beyond 64 bits", ping(&"9".repeat(400)).into()),
        ("a negative id beyond 64 bits", ping("-9223372036854775809").into()),
        ("an id with an exponent", ping("1e400").into()),
        ("a list for an id", ping("[1]").into()),
        ("two messages", format!("{}{}", ping("1"), ping("2")).into()),
        ("text after the message", format!("{} x", ping("1")).into()),
        ("a comment", format!("// hello\n{}", ping("1")).into()),
        ("a literal that is not JSON", ping("NaN").into()),
    ];
    for (name, body) in bodies {
        let answer = bob.post(body).send(app.address).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.body.chars().take(300).collect::<String>());
        assert!(matches!(answer.code(), Some(-32700 | -32600)), "{name}: {answer:?}");
        assert!(answer.body.len() < 2_000, "{name} is echoed");
    }
    assert_eq!(bob.ping().await.status, 200);
}

#[tokio::test]
async fn ids_come_back_exactly_as_they_were() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let long = format!("\"{}\"", "i".repeat(10_000));
    for id in [
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        r#""""#,
        r#""\u0000\"\\""#,
        r#""ü🦀""#,
        &long,
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let answer = bob.post(body).send(app.address).await;
        assert_eq!(answer.body, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
    }
}

#[tokio::test]
async fn what_is_not_http_is_answered_with_400_and_closed() {
    let app = spawn_app().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"hello\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nx: a\0b\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, x\r\n\r\n",
    ] {
        let mut wire = Wire::connect(app.address).await;
        wire.write(bytes).await;
        let said = wire.until_closed().await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{bytes:?}: {said}");
    }
    assert_eq!(Ask::bare("GET").to("/healthz").send(app.address).await.status, 200);
}

#[tokio::test]
async fn a_length_and_chunks_together_cannot_hide_a_second_request() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let hidden = String::from_utf8(bob.call("getAccountBalance", json!({})).bytes(app.address)).unwrap();
    let ask = bob.post("").with("content-length", "4").with("transfer-encoding", "chunked");
    let mut bytes = ask.bytes(app.address);
    bytes.extend_from_slice(format!("0\r\n\r\n{hidden}").as_bytes());
    let mut wire = Wire::connect(app.address).await;
    wire.write(&bytes).await;
    let said = wire.until_closed().await;
    assert!(said.starts_with("HTTP/1.1 4"), "{said}");
    assert_eq!(app.traces().await.1, 0, "the hidden call ran: {said}");
}

#[tokio::test]
async fn headers_cannot_be_smuggled_into_an_answer() {
    let app = spawn_app().await;
    let id = "x%0d%0aset-cookie:%20a=b";
    let answer = Ask::post(request(1, "ping", json!({}))).key(BOB).session(id).send(app.address).await;
    assert_eq!(answer.status, 404);
    assert!(answer.header("set-cookie").is_none());
    let answer = Ask::bare("GET").to("/%0d%0aset-cookie:a=b").key(BOB).send(app.address).await;
    assert_eq!(answer.status, 404);
    assert!(answer.header("set-cookie").is_none());
}
