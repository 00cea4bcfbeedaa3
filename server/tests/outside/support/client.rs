//! An MCP client in a few lines: opens a session, calls, and hands back what came.

use std::net::SocketAddr;

use serde_json::{Value, json};
pub(crate) use shared::demo::{ALICE_API_KEY as ALICE, BOB_API_KEY as BOB};

use super::{
    secrets,
    wire::{Answer, Ask},
};

/// The newest revision with sessions.
pub(crate) const NEWEST: &str = "2025-11-25";

/// A JSON-RPC request as text.
pub(crate) fn request(id: impl Into<Value>, method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params }).to_string()
}

/// An `initialize` that asks for `version`.
pub(crate) fn initialize(version: &str) -> String {
    initialize_with(version, &json!({}))
}

/// An `initialize` that asks for `version` and announces `capabilities`.
pub(crate) fn initialize_with(version: &str, capabilities: &Value) -> String {
    let params = json!({
        "protocolVersion": version,
        "capabilities": capabilities,
        "clientInfo": { "name": "outside", "version": "0" },
    });
    request(1, "initialize", params)
}

/// One session of one key.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
    pub(crate) session: String,
    pub(crate) version: String,
}

impl Client {
    /// Opens a session in the newest revision.
    pub(crate) async fn open(address: SocketAddr, key: &str) -> Self {
        Self::open_in(address, key, NEWEST).await
    }

    /// Opens a session in a revision.
    pub(crate) async fn open_in(address: SocketAddr, key: &str, version: &str) -> Self {
        Self::open_with(address, key, version, json!({})).await
    }

    /// Opens a session in a revision, of a client that can do something.
    pub(crate) async fn open_with(
        address: SocketAddr,
        key: &str,
        version: &str,
        capabilities: Value,
    ) -> Self {
        let answer = Ask::post(initialize_with(version, &capabilities)).key(key).send(address).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let session = answer.header("mcp-session-id").expect("a session id").to_owned();
        secrets::keep(&session);
        secrets::keep(key);
        let client = Self { address, key: key.to_owned(), session, version: version.to_owned() };
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(client.post(initialized).send(address).await.status, 202);
        client
    }

    /// `ask` with this session's headers.
    pub(crate) fn dress(&self, ask: Ask) -> Ask {
        ask.key(&self.key).session(&self.session).with("mcp-protocol-version", &self.version)
    }

    /// A `POST` in this session.
    pub(crate) fn post(&self, body: impl Into<Vec<u8>>) -> Ask {
        self.dress(Ask::post(body))
    }

    /// A tool call, as it goes out.
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Ask {
        self.post(request(2, "tools/call", json!({ "name": tool, "arguments": arguments })))
    }

    /// A tool call that wants to be told of progress under `token`.
    pub(crate) fn told_call(&self, id: i64, token: &str, tool: &str, arguments: Value) -> Ask {
        let params = json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": token } });
        self.post(request(id, "tools/call", params))
    }

    /// A GET that goes on after an event.
    pub(crate) fn resume(&self, last_event_id: &str) -> Ask {
        self.dress(Ask::get()).with("last-event-id", last_event_id)
    }

    /// The result of a tool call.
    pub(crate) async fn result(&self, tool: &str, arguments: Value) -> Value {
        let answer = self.call(tool, arguments).send(self.address).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["result"].clone()
    }

    /// Whether the session answers a ping; otherwise with what.
    pub(crate) async fn ping(&self) -> Answer {
        self.post(r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#).send(self.address).await
    }

    /// Ends the session.
    pub(crate) async fn end(&self) -> Answer {
        self.dress(Ask::delete()).send(self.address).await
    }
}
