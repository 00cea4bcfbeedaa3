//! The original demo's client, as its bytes: one kept connection to `/stream`, headers in the case and order of Node's
//! fetch, the conversation of the TypeScript SDK.

use serde_json::Value;

use crate::support::{
    app::spawn_app,
    client::{ALICE, BOB},
    wire::{Answer, Wire},
};

/// What Node's fetch sends, with the demo's key, as the TypeScript SDK dresses it.
async fn exchange(wire: &mut Wire, port: u16, key: &str, session: Option<&str>, body: &str) -> Answer {
    let session = session
        .map(|id| format!("mcp-session-id: {id}\r\nmcp-protocol-version: 2025-06-18\r\n"))
        .unwrap_or_default();
    let head = format!(
        "POST /stream HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: keep-alive\r\nx-api-key: {key}\r\n{session}\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\naccept-language: *\r\n\
         sec-fetch-mode: cors\r\nuser-agent: node\r\naccept-encoding: gzip, deflate\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    wire.write(format!("{head}{body}").as_bytes()).await;
    wire.answer().await
}

#[tokio::test]
async fn bob_and_then_alice_see_their_money_as_in_the_original() {
    let app = spawn_app().await;
    let port = app.address.port();
    for (key, balance, newest) in [
        (BOB, "{\n  \"username\": \"bob\",\n  \"balance\": -200\n}", "\"id\": 6"),
        (ALICE, "{\n  \"username\": \"alice\",\n  \"balance\": 180\n}", "\"id\": 7"),
    ] {
        let mut wire = Wire::connect(app.address).await;
        let opened = exchange(
            &mut wire,
            port,
            key,
            None,
            r#"{"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"ai-sdk-mcp-client","version":"1.0.0"}},"jsonrpc":"2.0","id":0}"#,
        )
        .await;
        assert_eq!(opened.status, 200, "{opened:?}");
        assert_eq!(
            opened.body,
            r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"prompts":{"listChanged":true},"completions":{}},"serverInfo":{"name":"payment-server","version":"1.0.0"},"instructions":"This is a payment transaction server that manages user payment history."}}"#
        );
        let id = opened.header("mcp-session-id").unwrap().to_owned();
        let session = Some(id.as_str());
        let initialized = r#"{"method":"notifications/initialized","jsonrpc":"2.0"}"#;
        assert_eq!(exchange(&mut wire, port, key, session, initialized).await.status, 202);
        let list = r#"{"method":"tools/list","params":{},"jsonrpc":"2.0","id":1}"#;
        let list = exchange(&mut wire, port, key, session, list).await.json();
        assert_eq!(list["result"]["tools"].as_array().unwrap().len(), 11);
        let call = |id: u8, tool: &str| {
            format!(
                r#"{{"method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}},"jsonrpc":"2.0","id":{id}}}"#
            )
        };
        let said = exchange(&mut wire, port, key, session, &call(2, "getAccountBalance")).await.json();
        assert_eq!(said["result"]["content"][0]["text"], balance);
        let said = exchange(&mut wire, port, key, session, &call(3, "getLatestTransactions")).await.json();
        let text = said["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with(&format!("[\n  {{\n    {newest},\n    \"from\": ")), "{text}");
        assert_eq!(serde_json::from_str::<Value>(text).unwrap().as_array().unwrap().len(), 3);
        let delete = format!(
            "DELETE /stream HTTP/1.1\r\nhost: localhost:{port}\r\nx-api-key: {key}\r\nmcp-session-id: {id}\r\n\r\n"
        );
        wire.write(delete.as_bytes()).await;
        assert_eq!(wire.answer().await.status / 100, 2);
    }
    assert_eq!(app.traces().await, (0, 4));
}
