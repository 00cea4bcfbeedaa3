//! The client's connection against a server that can be armed to misbehave, over real sockets.

#![cfg(test)]

mod answers;
mod asking;
mod eras;
mod limits;
mod listening;
mod lists;
#[path = "../support/mcp_server.rs"]
mod mcp_server;
mod meanwhile;
#[path = "../../../shared/tests/support/official.rs"]
mod official;
mod refusals;
mod repetition;
mod replying;
mod resuming;
mod secrets;
mod sessions;
mod stateless;
mod toolbox;

use std::{sync::Arc, time::Duration};

use client::mcp::{CallOptions, ConnectOptions, Connection, Endpoint, McpError, RetryPolicy, Timeouts};
use serde_json::json;
use shared::mcp::{JsonObject, tools::CallToolResult};

use self::mcp_server::TestServer;

/// The key that must never be seen.
const KEY: &str = "test-key-0123456789abcdef";

fn options() -> ConnectOptions {
    let limit = Duration::from_secs(20);
    ConnectOptions {
        timeouts: Timeouts { connect: limit, first_byte: limit, idle: limit, call: limit },
        retry: RetryPolicy {
            attempts: 3,
            base: Duration::from_millis(2),
            max_wait: Duration::from_millis(1_500),
        },
        ..ConnectOptions::default()
    }
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint::new(url, Some(KEY.into()), false).unwrap()
}

async fn open(server: &TestServer) -> Connection {
    open_with(server, options()).await
}

async fn open_with(server: &TestServer, options: ConnectOptions) -> Connection {
    Connection::open(endpoint(server.url()), options).await.unwrap()
}

fn arguments() -> JsonObject {
    json!({ "limit": 5 }).as_object().cloned().unwrap()
}

async fn call(connection: &Connection) -> Result<CallToolResult, McpError> {
    connection.call_tool("echo", arguments(), CallOptions::default()).await
}

async fn call_repeatable(connection: &Connection, repeatable: bool) -> Result<CallToolResult, McpError> {
    connection.call_tool("echo", arguments(), CallOptions { repeatable, ..CallOptions::default() }).await
}

/// What a tap heard, as text.
#[derive(Debug, Default)]
struct Recorder(std::sync::Mutex<Vec<String>>);

impl client::mcp::WireTap for Recorder {
    fn saw(&self, event: &client::mcp::WireEvent<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

impl Recorder {
    fn watching(options: ConnectOptions) -> (Arc<Self>, ConnectOptions) {
        let recorder = Arc::new(Self::default());
        let tap: Arc<dyn client::mcp::WireTap> = Arc::<Self>::clone(&recorder);
        (recorder, ConnectOptions { tap, ..options })
    }

    fn heard(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
