//! Our client, as a library and as the program, against a server that stands on the official Rust SDK: a counterpart
//! that others wrote, over a real socket, keeping sessions and answering in event streams.
#![cfg(test)]

use std::{
    net::SocketAddr,
    process::{Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, request::Parts},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use client::mcp::{CallOptions, ConnectOptions, Connection, Endpoint, McpError};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, ListToolsResult, PaginatedRequestParams,
        ProgressNotificationParam, ServerConfig,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::{Value, json};
use shared::{
    demo::{ALICE_API_KEY, BOB_API_KEY, SERVER_INSTRUCTIONS, SERVER_NAME, SERVER_VERSION},
    mcp::{JsonObject, content::ContentBlock, tools::CallToolResult, utilities::ProgressNotificationParams},
};

const NOBODYS_KEY: &str = "mcpay_demo_nobody_0000000000000000000000000000000000";

/// The demo's tools for whoever holds the key, and one that reports how far it has come.
struct PaymentServer;

impl ServerHandler for PaymentServer {
    fn get_info(&self) -> ServerConfig {
        let mut config = ServerConfig::default();
        config.capabilities = serde_json::from_value(json!({ "tools": {} })).unwrap();
        config.server_info = serde_json::from_value(json!({
            "name": SERVER_NAME, "version": SERVER_VERSION,
        }))
        .unwrap();
        config.instructions = Some(SERVER_INSTRUCTIONS.to_owned());
        config
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tool = |name: &str, description: &str, properties: Value| {
            json!({
                "name": name, "description": description, "annotations": { "readOnlyHint": true },
                "inputSchema": { "type": "object", "properties": properties },
            })
        };
        let limit = json!({ "limit": { "type": "integer", "description": "Number of latest transactions to return" } });
        let tools = json!([
            tool("getLatestTransactions", "Get the latest transactions for the authenticated user", limit),
            tool(
                "getAccountBalance",
                "Get the current account balance for the authenticated user",
                json!({})
            ),
            tool("count", "Counts to three and says so each time", json!({})),
        ]);
        Ok(serde_json::from_value(json!({ "tools": tools })).unwrap())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = holder(&context.extensions.get::<Parts>().unwrap().headers).unwrap();
        let newest = if name == "bob" { [6, 5, 4] } else { [7, 6, 5] };
        let answer = match request.name.as_ref() {
            "getAccountBalance" => {
                json!({ "username": name, "balance": if name == "bob" { -200 } else { 180 } })
            }
            "getLatestTransactions" => {
                let rows: Vec<Value> =
                    newest.iter().map(|id| json!({ "id": id, "date": "2024-03-20" })).collect();
                json!({ "transactions": rows })
            }
            "count" => {
                let token = context.meta.get_progress_token().unwrap();
                for step in [1.0, 2.0, 3.0] {
                    let told = ProgressNotificationParam::new(token.clone(), step);
                    context.peer.notify_progress(told).await.unwrap();
                }
                json!({ "counted": 3 })
            }
            other => return Err(ErrorData::invalid_params(format!("there is no tool {other}"), None)),
        };
        let result: rmcp::model::CallToolResult = serde_json::from_value(json!({
            "content": [{ "type": "text", "text": answer.to_string() }], "structuredContent": answer,
        }))
        .unwrap();
        Ok(result.into())
    }
}

fn holder(headers: &axum::http::HeaderMap) -> Option<&'static str> {
    match headers.get("x-api-key")?.to_str().ok()? {
        BOB_API_KEY => Some("bob"),
        ALICE_API_KEY => Some("alice"),
        _ => None,
    }
}

/// The server, on a port of its own; it goes with the test's runtime.
struct Counterpart {
    address: SocketAddr,
    sessions_ended: Arc<AtomicUsize>,
}

impl Counterpart {
    async fn start() -> Self {
        let service: StreamableHttpService<PaymentServer, LocalSessionManager> = StreamableHttpService::new(
            || Ok(PaymentServer),
            Arc::default(),
            StreamableHttpServerConfig::default(),
        );
        let sessions_ended = Arc::new(AtomicUsize::new(0));
        let guarded = from_fn_with_state(Arc::clone(&sessions_ended), guard);
        let router = Router::new().nest_service("/mcp", service).layer(guarded);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, sessions_ended }
    }

    fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    async fn open(&self, key: &str) -> Result<Connection, McpError> {
        let endpoint = Endpoint::new(&self.url(), Some(key.into()), false).unwrap();
        Connection::open(endpoint, ConnectOptions::default()).await
    }

    /// Runs the program against this server with one key in its environment, in a folder without `.env`.
    async fn program(&self, key: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
        command.args(arguments).args(["--as", "bob", "--json", "--url", &self.url()]);
        command.env_clear().env("BOB_API_KEY", key).current_dir(env!("CARGO_TARGET_TMPDIR"));
        command.stdin(Stdio::null());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }
}

/// Nobody reaches the SDK without a key. Counts the sessions that clients end.
async fn guard(State(ended): State<Arc<AtomicUsize>>, request: Request, next: Next) -> Response {
    if holder(request.headers()).is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let ends = request.method() == "DELETE";
    let response = next.run(request).await;
    if ends && response.status().is_success() {
        ended.fetch_add(1, Ordering::SeqCst);
    }
    response
}

async fn call(connection: &Connection, tool: &str, arguments: Value) -> CallToolResult {
    let arguments: JsonObject = serde_json::from_value(arguments).unwrap();
    connection.call_tool(tool, arguments, CallOptions::default()).await.unwrap()
}

#[tokio::test]
async fn the_library_gets_each_key_s_answers_and_ends_its_session() {
    let server = Counterpart::start().await;
    for (ended, (key, name, balance, newest)) in
        [(BOB_API_KEY, "bob", -200, 6), (ALICE_API_KEY, "alice", 180, 7)].into_iter().enumerate()
    {
        let connection = server.open(key).await.unwrap();
        assert_eq!(connection.server().server_info.name, SERVER_NAME);
        let list = connection.list_tools().await.unwrap();
        assert_eq!((list.tools.len(), list.rejected.len()), (3, 0));

        let told = call(&connection, "getAccountBalance", json!({})).await;
        let expected = json!({ "username": name, "balance": balance });
        assert_eq!(told.structured_content, Some(expected.clone()));
        let [ContentBlock::Text(text)] = told.content.as_slice() else { panic!("{:?}", told.content) };
        assert_eq!(serde_json::from_str::<Value>(&text.text).unwrap(), expected);

        let listed = call(&connection, "getLatestTransactions", json!({ "limit": 3 })).await;
        let rows = listed.structured_content.unwrap();
        assert_eq!(rows["transactions"][0]["id"], newest);
        connection.ping().await.unwrap();
        connection.close().await.unwrap();
        assert_eq!(server.sessions_ended.load(Ordering::SeqCst), ended + 1);
    }
}

#[tokio::test]
async fn progress_that_the_sdk_reports_is_heard_in_order() {
    let server = Counterpart::start().await;
    let connection = server.open(BOB_API_KEY).await.unwrap();
    let heard = Mutex::new(Vec::new());
    let hear = |told: ProgressNotificationParams| heard.lock().unwrap().push(told.progress.to_string());
    let options = CallOptions { progress: Some(&hear), ..CallOptions::default() };
    let counted = connection.call_tool("count", JsonObject::new(), options).await.unwrap();
    assert_eq!(counted.structured_content, Some(json!({ "counted": 3 })));
    let heard: Vec<f64> = heard.lock().unwrap().iter().map(|told| told.parse().unwrap()).collect();
    assert_eq!(heard, [1.0, 2.0, 3.0]);
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_protocol_error_of_the_sdk_comes_through_with_its_code() {
    let server = Counterpart::start().await;
    let connection = server.open(BOB_API_KEY).await.unwrap();
    let refused =
        connection.call_tool("noSuchTool", JsonObject::new(), CallOptions::default()).await.unwrap_err();
    assert!(refused.to_string().contains("there is no tool noSuchTool"), "{refused}");
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_key_that_the_server_refuses_stops_the_library_and_the_program() {
    let server = Counterpart::start().await;
    let refused = server.open(NOBODYS_KEY).await.unwrap_err();
    assert!(matches!(refused, McpError::Unauthorized { .. }), "{refused:?}");
    let ended = server.program(NOBODYS_KEY, &["tools"]).await;
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
}

#[tokio::test]
async fn the_program_calls_a_tool_and_answers_a_question() {
    let server = Counterpart::start().await;
    let called = server.program(BOB_API_KEY, &["call", "getAccountBalance"]).await;
    assert_eq!(called.status.code(), Some(0), "{called:?}");
    let said = String::from_utf8(called.stdout).unwrap();
    assert!(said.contains(r#""username":"bob""#) && said.contains("-200"), "{said}");

    let asked = server.program(BOB_API_KEY, &["ask", "Show me my recent transactions."]).await;
    assert_eq!(asked.status.code(), Some(0), "{asked:?}");
    assert!(String::from_utf8(asked.stdout).unwrap().contains("getLatestTransactions"));
    assert_eq!(server.sessions_ended.load(Ordering::SeqCst), 2);
}
