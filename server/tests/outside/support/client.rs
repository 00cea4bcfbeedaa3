//! An MCP client in a few lines: opens a session, calls, and hands back what came.

use std::net::SocketAddr;

use serde_json::{Value, json};
pub(crate) use shared::demo::{ALICE_API_KEY as ALICE, BOB_API_KEY as BOB};

use super::wire::{Answer, Ask};

/// The newest revision with sessions.
pub(crate) const NEWEST: &str = "2025-11-25";

/// A JSON-RPC request as text.
pub(crate) fn request(id: impl Into<Value>, method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params }).to_string()
}

/// An `initialize` that asks for `version`.
pub(crate) fn initialize(version: &str) -> String {
    let params = json!({
        "protocolVersion": version,
        "capabilities": {},
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
        let answer = Ask::post(initialize(version)).key(key).send(address).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let session = answer.header("mcp-session-id").expect("a session id").to_owned();
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
