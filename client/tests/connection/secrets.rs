//! The key goes to its endpoint and is seen nowhere; what the tap hears is enough to follow the wire.

#![cfg(test)]

use std::sync::Arc;

use client::mcp::{Connection, Endpoint, TokenOrigin, TokenSource};

use crate::{
    KEY, Recorder, call, endpoint,
    mcp_server::{TestServer, status, stream},
    open, open_with, options,
};

#[tokio::test]
async fn rule_13_a_redirect_is_not_followed_and_no_key_arrives_where_it_points() {
    let elsewhere = TestServer::start().await;
    for code in [301, 302, 303, 307, 308] {
        let server = TestServer::start().await;
        server.arm("initialize", status(code, &[("location", elsewhere.url())], "", ""));
        assert!(Connection::open(endpoint(server.url()), options()).await.is_err());
        let connection = open(&server).await;
        server.arm("tools/call", status(code, &[("location", elsewhere.url())], "", ""));
        assert!(call(&connection).await.is_err());
        server.arm("DELETE", status(code, &[("location", elsewhere.url())], "", ""));
        assert!(connection.close().await.is_err());
    }
    assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
}

#[tokio::test]
async fn rule_13_the_key_and_the_session_are_seen_by_nobody_who_watches() {
    let server = TestServer::start().await;
    let (tap, options) = Recorder::watching(options());
    let connection = open_with(&server, options.clone()).await;
    let mut seen = vec![format!("{connection:?} {options:?} {:?}", endpoint(server.url()))];
    let echo = format!("your key is {KEY}!");
    for code in [200, 400, 401, 404, 418, 500] {
        server.arm(
            "tools/call",
            status(code, &[("x-echo", KEY), ("set-cookie", "hunter22")], "text/plain", &echo),
        );
        if let Err(error) = call(&connection).await {
            seen.push(format!("{error} {error:?}"));
        }
    }
    let rpc = format!(r#"{{"jsonrpc":"2.0","id":ID,"error":{{"code":1,"message":"{echo}"}}}}"#);
    server.arm("tools/call", stream(format!("data: {rpc}\n\n").leak()));
    let error = call(&connection).await.unwrap_err();
    assert!(error.to_string().contains("your key is [key hidden]!"), "{error}");
    seen.push(format!("{error} {error:?}"));
    seen.extend(connection.session_id());
    seen.extend(tap.heard());
    let session = server.first("tools/call").await.header("mcp-session-id").unwrap().to_owned();
    for text in seen {
        assert!(!text.contains(KEY), "{text}");
        assert!(!text.contains(&session), "{text}");
        assert!(!text.contains("hunter22"), "{text}");
    }
}

#[tokio::test]
async fn rule_13_a_token_is_seen_by_nobody_who_watches() {
    const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), TOKEN).unwrap();
    let server = TestServer::start().await;
    let (tap, mut options) = Recorder::watching(options());
    let source = TokenSource::new(TokenOrigin::File(file.path().to_owned()));
    options.credentials.token = Some(Arc::new(source));
    let connection =
        Connection::open(Endpoint::new(server.url(), None, false).unwrap(), options).await.unwrap();
    let echo = format!("your token is {TOKEN}!");
    for code in [200, 400, 401, 418, 500] {
        server.arm("tools/call", status(code, &[("x-echo", TOKEN)], "text/plain", &echo));
        let error = call(&connection).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains(TOKEN), "{error:?}");
    }
    let event =
        format!("id: {TOKEN}\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"{TOKEN}\"}}\n\ndata: RESPONSE\n\n");
    server.arm("tools/call", stream(event.leak()));
    call(&connection).await.unwrap();
    assert_eq!(server.first("tools/call").await.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
    let heard = tap.heard();
    assert!(heard.iter().any(|event| event.contains("your token is [token hidden]!")), "{heard:?}");
    assert!(heard.iter().any(|event| event.contains(r#"("x-echo", "[token hidden]")"#)), "{heard:?}");
    assert!(heard.iter().all(|event| !event.contains(TOKEN)), "{heard:?}");
}

#[tokio::test]
async fn the_tap_hears_every_exchange_from_its_request_to_its_end() {
    let server = TestServer::start().await;
    let (tap, options) = Recorder::watching(options());
    let connection = open_with(&server, options).await;
    server.arm(
        "tools/call",
        stream("id: 7\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\ndata: RESPONSE\n\n"),
    );
    call(&connection).await.unwrap();
    connection.close().await.unwrap();

    let heard = tap.heard();
    let of = |exchange: u32| -> Vec<&String> {
        heard.iter().filter(|event| event.contains(&format!("exchange: {exchange},"))).collect()
    };
    let shape = |exchange| -> Vec<&str> {
        of(exchange).into_iter().map(|event| event.split(' ').next().unwrap()).collect()
    };
    assert_eq!(shape(1), ["RequestSent", "AnswerBegan", "Message", "Ended"]);
    assert_eq!(shape(2), ["RequestSent", "AnswerBegan", "Ended"]);
    assert_eq!(shape(3), ["RequestSent", "AnswerBegan", "Message", "Message", "Ended"]);
    assert_eq!(shape(4), ["RequestSent", "AnswerBegan", "Ended"]);
    assert!(of(1)[0].contains(r#"("x-api-key", "[hidden]")"#), "{}", of(1)[0]);
    assert!(of(1)[0].contains(r#"\"method\":\"initialize\""#), "{}", of(1)[0]);
    assert!(of(3)[0].contains(r#"("mcp-session-id", "00000000…")"#), "{}", of(3)[0]);
    assert!(of(3)[2].contains(r#"event_id: Some("7")"#), "{}", of(3)[2]);
    assert!(of(4)[0].contains("DELETE") && of(4)[1].contains("status: 204"), "{:?}", of(4));
    assert!(of(4)[2].contains("error: None"), "{}", of(4)[2]);
    assert!(shape(5).is_empty());
}

#[tokio::test]
async fn an_exchange_that_failed_or_was_abandoned_ends_for_the_tap_too() {
    let server = TestServer::start().await;
    let (tap, options) = Recorder::watching(options());
    let connection = open_with(&server, options).await;
    server.arm("ping", crate::mcp_server::steps(vec![crate::mcp_server::Step::Hang]));
    let pinging = tokio::spawn({
        let connection = connection.clone();
        async move { connection.ping().await }
    });
    server.first("ping").await;
    pinging.abort();
    assert!(pinging.await.unwrap_err().is_cancelled());
    assert!(tap.heard().last().unwrap().contains("abandoned"), "{:?}", tap.heard().last());
    server.arm("tools/call", crate::mcp_server::steps(vec![crate::mcp_server::Step::Reset]));
    call(&connection).await.unwrap_err();
    assert!(tap.heard().last().unwrap().contains("the connection broke"), "{:?}", tap.heard().last());
    assert_eq!(Arc::strong_count(&tap), 2, "the recorder and the connection");
}
