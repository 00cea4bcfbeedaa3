//! The demo's three tools on the official Rust SDK, behind the same key check: no store, no audit, rows in memory.

use anyhow::Context as _;
use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, request::Parts},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{CallToolRequestParams, CallToolResponse, ListToolsResult, PaginatedRequestParams, ServerConfig},
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::{Value, json};
use shared::{
    demo::{ALICE_API_KEY, BOB_API_KEY, SERVER_INSTRUCTIONS, SERVER_NAME, SERVER_VERSION},
    headers::API_KEY,
};

use super::listen;

/// Serves until it is killed; prints its URL first. With sessions it answers in event streams, as the SDK does by
/// default; without them in JSON.
pub(crate) async fn serve(sessions: bool) -> anyhow::Result<()> {
    let config = if sessions {
        StreamableHttpServerConfig::default()
    } else {
        StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true)
    };
    let service: StreamableHttpService<PaymentServer, LocalSessionManager> =
        StreamableHttpService::new(|| Ok(PaymentServer), std::sync::Arc::default(), config);
    let router = Router::new().nest_service("/mcp", service).layer(from_fn(guard));
    axum::serve(listen("rmcp").await?, router).await.context("the server on rmcp failed")
}

/// Nobody reaches the SDK without a key.
async fn guard(request: Request, next: Next) -> Response {
    if holder(request.headers()).is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    next.run(request).await
}

fn holder(headers: &HeaderMap) -> Option<&'static str> {
    match headers.get(API_KEY)?.to_str().ok()? {
        BOB_API_KEY => Some("bob"),
        ALICE_API_KEY => Some("alice"),
        _ => None,
    }
}

/// The tools, for whoever holds the key.
struct PaymentServer;

impl ServerHandler for PaymentServer {
    fn get_info(&self) -> ServerConfig {
        let mut config = ServerConfig::default();
        config.capabilities = serde_json::from_value(json!({ "tools": {} })).unwrap_or_default();
        config.server_info.name = SERVER_NAME.to_owned();
        config.server_info.version = SERVER_VERSION.to_owned();
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
            tool(
                "getAllTransactions",
                "Get a list of all transactions for the authenticated user",
                json!({})
            ),
            tool("getLatestTransactions", "Get the latest transactions for the authenticated user", limit),
            tool(
                "getAccountBalance",
                "Get the current account balance for the authenticated user",
                json!({})
            ),
        ]);
        read(json!({ "tools": tools }))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = context.extensions.get::<Parts>().and_then(|parts| holder(&parts.headers));
        let name = name.ok_or_else(|| ErrorData::invalid_request("no key", None))?;
        let limit = request.arguments.as_ref().and_then(|arguments| arguments.get("limit"));
        let (shown, structured) = match request.name.as_ref() {
            "getAccountBalance" => {
                let answer = json!({ "username": name, "balance": balance(name) });
                (answer.clone(), answer)
            }
            "getLatestTransactions" => {
                let mut rows = all(name);
                rows.sort_by_key(|row| std::cmp::Reverse(row.4));
                rows.truncate(
                    limit.and_then(Value::as_u64).and_then(|limit| limit.try_into().ok()).unwrap_or(3),
                );
                listed(&rows)
            }
            "getAllTransactions" => listed(&all(name)),
            other => return Err(ErrorData::invalid_params(format!("there is no tool {other}"), None)),
        };
        let text = serde_json::to_string_pretty(&shown).unwrap_or_default();
        let result: rmcp::model::CallToolResult = read(json!({
            "content": [{ "type": "text", "text": text }], "structuredContent": structured,
        }))?;
        Ok(result.into())
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// One transaction: its number, both sides, the amount and the day.
type Row = (u32, &'static str, &'static str, i64, &'static str);

const ROWS: [Row; 7] = [
    (1, "bob", "alice", 100, "2024-03-15"),
    (3, "bob", "charlie", 75, "2024-03-17"),
    (5, "bob", "alice", 200, "2024-03-19"),
    (2, "alice", "charlie", 50, "2024-03-16"),
    (6, "alice", "bob", 150, "2024-03-20"),
    (4, "charlie", "bob", 25, "2024-03-18"),
    (7, "charlie", "alice", 80, "2024-03-21"),
];

fn all(name: &str) -> Vec<Row> {
    ROWS.into_iter().filter(|row| row.1 == name || row.2 == name).collect()
}

fn balance(name: &str) -> i64 {
    all(name).into_iter().map(|row| if row.2 == name { row.3 } else { -row.3 }).sum()
}

/// The rows as the text shows them, and as the structured content carries them.
fn listed(rows: &[Row]) -> (Value, Value) {
    let rows: Vec<Value> = rows
        .iter()
        .map(|(id, from, to, amount, date)| json!({ "id": id, "from": from, "to": to, "amount": amount, "date": date }))
        .collect();
    (json!(rows), json!({ "transactions": rows }))
}
