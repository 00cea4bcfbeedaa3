//! A caller of the revision without sessions: every request with all that it must say.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{
    secrets,
    wire::{Answer, Ask},
};

/// The revision without sessions.
pub(crate) const STATELESS: &str = "2026-07-28";

/// A caller with a key.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
    pub(crate) capabilities: Value,
}

impl Caller {
    pub(crate) fn new(address: SocketAddr, key: &str) -> Self {
        Self { address, key: key.to_owned(), capabilities: json!({}) }
    }

    /// The same, able to do something.
    pub(crate) fn able(mut self, capabilities: Value) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// `_meta` as every request has it.
    pub(crate) fn meta(&self) -> Value {
        json!({
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
            "io.modelcontextprotocol/clientInfo": { "name": "outside", "version": "0" },
        })
    }

    /// The body of a request. `_meta` of `params` is added to what every request has.
    pub(crate) fn body(&self, id: impl Into<Value>, method: &str, mut params: Value) -> Value {
        let mut meta = self.meta();
        if let Some(more) = params.get("_meta").and_then(Value::as_object) {
            meta.as_object_mut().unwrap().extend(more.clone());
        }
        params["_meta"] = meta;
        json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
    }

    /// A body with the headers that repeat it.
    pub(crate) fn dress(&self, body: &Value) -> Ask {
        let ask = Ask::post(body.to_string())
            .key(&self.key)
            .with("mcp-protocol-version", STATELESS)
            .with("mcp-method", body["method"].as_str().unwrap_or_default());
        let name = body["params"]["name"].as_str().or(body["params"]["uri"].as_str());
        let is_named =
            ["tools/call", "prompts/get", "resources/read"].contains(&body["method"].as_str().unwrap_or(""));
        match name.filter(|_| is_named) {
            Some(name) => ask.with("mcp-name", name),
            None => ask,
        }
    }

    /// A request, as it goes out.
    pub(crate) fn ask(&self, method: &str, params: Value) -> Ask {
        self.dress(&self.body(7, method, params))
    }

    /// The answer to a request.
    pub(crate) async fn answer(&self, method: &str, params: Value) -> Answer {
        self.ask(method, params).send(self.address).await
    }

    /// The result of a request.
    pub(crate) async fn result(&self, method: &str, params: Value) -> Value {
        let answer = self.answer(method, params).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let result = answer.json()["result"].clone();
        if let Some(state) = result["requestState"].as_str() {
            secrets::keep(state);
        }
        result
    }

    /// The result of a tool call.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.result("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }
}
