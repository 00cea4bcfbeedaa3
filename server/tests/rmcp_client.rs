//! The official Rust client against our server: a counterpart that others wrote, over a real socket, with a demo key.
#![cfg(test)]

use std::{collections::HashMap, net::SocketAddr};

use http::{HeaderName, HeaderValue};
use rmcp::{
    ServiceError, ServiceExt,
    model::{CallToolRequestParams, CallToolResult, ClientConfig, ErrorCode, JsonObject, ProtocolVersion},
    service::{ClientInitializeError, RoleClient, RunningService},
    transport::{
        StreamableHttpClientTransport, Transport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Value, json};
use server::{app::Application, config::Config};
use shared::demo::{ALICE_API_KEY, BOB_API_KEY};

type Client = RunningService<RoleClient, ClientConfig>;

/// A server of its own for each test; it goes with the test's runtime.
async fn start_server() -> SocketAddr {
    let application = Application::build(Config::ephemeral().unwrap()).await.unwrap();
    let address = application.address();
    tokio::spawn(application.run(std::future::pending()));
    address
}

/// The transport of the official client, with the key where the demo has it.
fn transport(address: SocketAddr, key: Option<&str>) -> impl Transport<RoleClient> + 'static {
    // The HTTP client will not be built without one. It may have been chosen by another test of this program.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut headers = HashMap::new();
    if let Some(key) = key {
        headers.insert(HeaderName::from_static("x-api-key"), HeaderValue::from_str(key).unwrap());
    }
    let config = StreamableHttpClientTransportConfig::with_uri(format!("http://{address}/mcp"));
    StreamableHttpClientTransport::from_config(config.custom_headers(headers))
}

/// Opens a session the way the official client does unless it is told otherwise.
async fn open(address: SocketAddr, key: Option<&str>) -> Result<Client, ClientInitializeError> {
    ClientConfig::default().serve(transport(address, key)).await
}

async fn call(client: &Client, tool: &'static str, arguments: Value) -> Result<CallToolResult, ServiceError> {
    let arguments: JsonObject = serde_json::from_value(arguments).unwrap();
    client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await
}

fn text(result: &CallToolResult) -> &str {
    &result.content.first().unwrap().as_text().unwrap().text
}

/// What a tool answered, having made sure that the text says the same as the structure.
async fn answer(client: &Client, tool: &'static str, arguments: Value) -> Value {
    let result = call(client, tool, arguments).await.unwrap();
    assert_ne!(result.is_error, Some(true), "{result:?}");
    let structured = result.structured_content.clone().unwrap();
    let told: Value = serde_json::from_str(text(&result)).unwrap();
    let listed = structured.get("transactions").unwrap_or(&structured);
    assert_eq!(&told, listed);
    structured
}

fn ids(answer: &Value) -> Vec<i64> {
    answer["transactions"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn the_server_introduces_itself_and_the_newest_revision_with_sessions_is_agreed_on() {
    let client = open(start_server().await, Some(BOB_API_KEY)).await.unwrap();
    let server = client.peer_info().unwrap();
    assert_eq!(server.protocol_version, ProtocolVersion::V_2025_11_25);
    let introduced = server.server_info.as_ref().unwrap();
    assert_eq!((introduced.name.as_str(), introduced.version.as_str()), ("payment-server", "1.0.0"));
    assert_eq!(
        server.instructions.as_deref(),
        Some("This is a payment transaction server that manages user payment history.")
    );
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn the_demo_s_tools_are_listed_as_read_only_with_both_schemas() {
    let client = open(start_server().await, Some(BOB_API_KEY)).await.unwrap();
    let tools = client.list_all_tools().await.unwrap();
    for name in ["getAllTransactions", "getLatestTransactions", "getAccountBalance"] {
        let tool = tools.iter().find(|tool| tool.name == name).unwrap();
        assert_eq!(tool.annotations.as_ref().unwrap().read_only_hint, Some(true), "{name}");
        assert_eq!(tool.input_schema["type"], "object", "{name}");
        assert_eq!(tool.output_schema.as_ref().unwrap()["type"], "object", "{name}");
    }
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn each_key_gets_its_own_money_exactly() {
    let address = start_server().await;
    for (key, name, balance, all, latest) in [
        (BOB_API_KEY, "bob", -200, [1, 3, 5, 6, 4], [6, 5, 4]),
        (ALICE_API_KEY, "alice", 180, [1, 5, 2, 6, 7], [7, 6, 5]),
    ] {
        let client = open(address, Some(key)).await.unwrap();
        let told = answer(&client, "getAccountBalance", json!({})).await;
        assert_eq!(told, json!({ "username": name, "balance": balance }));
        assert_eq!(ids(&answer(&client, "getAllTransactions", json!({})).await), all);
        assert_eq!(ids(&answer(&client, "getLatestTransactions", json!({})).await), latest);
        let newest = answer(&client, "getLatestTransactions", json!({ "limit": 1 })).await;
        assert_eq!(ids(&newest), latest[..1]);
        client.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_argument_is_a_tool_error_and_an_unknown_tool_a_protocol_error() {
    let client = open(start_server().await, Some(BOB_API_KEY)).await.unwrap();
    let refused = call(&client, "getLatestTransactions", json!({ "limit": 101 })).await.unwrap();
    assert_eq!(refused.is_error, Some(true));
    assert!(text(&refused).contains("limit"), "{refused:?}");
    match call(&client, "noSuchTool", json!({})).await {
        Err(ServiceError::McpError(error)) => assert_eq!(error.code, ErrorCode::INVALID_PARAMS),
        other => panic!("{other:?}"),
    }
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn without_a_key_that_is_known_nothing_opens() {
    let address = start_server().await;
    for key in [None, Some("mcpay_demo_nobody_0000000000000000000000000000000000")] {
        let refused = open(address, key).await.expect_err("it opened");
        assert!(refused.is_authorization_required(), "{refused:?}");
        assert_eq!(refused.auth_challenge(), Some(r#"ApiKey header="x-api-key""#));
    }
}
