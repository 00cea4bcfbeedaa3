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
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
        PaginatedRequestParams, ServerConfig,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::{Value, json};
use shared::{
    demo::{SERVER_INSTRUCTIONS, SERVER_NAME, SERVER_VERSION},
    headers::API_KEY,
};

use super::{
    demo::{LATEST, Transaction, all, balance, holder, latest},
    listen,
};

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
    if holder_of(request.headers()).is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    next.run(request).await
}

fn holder_of(headers: &HeaderMap) -> Option<&'static str> {
    holder(headers.get(API_KEY)?.as_bytes())
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
        let name = context.extensions.get::<Parts>().and_then(|parts| holder_of(&parts.headers));
        let name = name.ok_or_else(|| ErrorData::invalid_request("no key", None))?;
        let (text, structured) = match request.name.as_ref() {
            "getAccountBalance" => {
                let answer = json!({ "username": name, "balance": balance(name) });
                (serde_json::to_string_pretty(&answer), answer)
            }
            "getLatestTransactions" => {
                let limit = request.arguments.as_ref().and_then(|arguments| arguments.get("limit"));
                let limit = limit.and_then(Value::as_u64).and_then(|limit| limit.try_into().ok());
                listed(&latest(name, limit.unwrap_or(LATEST)))
            }
            "getAllTransactions" => listed(&all(name)),
            other => return Err(ErrorData::invalid_params(format!("there is no tool {other}"), None)),
        };
        let mut result = CallToolResult::success(vec![ContentBlock::text(text.unwrap_or_default())]);
        result.structured_content = Some(structured);
        Ok(result.into())
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// Transactions as the text shows them, and as the structured content carries them.
fn listed(transactions: &[Transaction]) -> (serde_json::Result<String>, Value) {
    (serde_json::to_string_pretty(transactions), json!({ "transactions": transactions }))
}
