//! The client that the protocol's conformance suite runs: the connection of this crate, and somebody at it who uses
//! everything that a server lists.
//!
//! The suite starts it with the server's URL as the last argument. `MCP_CONFORMANCE_PROTOCOL_VERSION` says which
//! revision to speak, `MCP_CONFORMANCE_SCENARIO` what is looked at, and `MCP_CONFORMANCE_CONTEXT` holds, as JSON, the
//! calls that a scenario wants made. It ends with 0 when everything was done, and else says why not.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use client::mcp::{Answerer, CallOptions, ConnectOptions, Connection, Endpoint, Era, defaults};
use serde::Deserialize;
use serde_json::Value;
use shared::mcp::{
    JsonObject, ProtocolVersion,
    elicitation::{ElicitAction, ElicitRequestParams, ElicitResult},
    prompts::Prompt,
    tools::Tool,
};
use tokio_util::sync::CancellationToken;

/// What a scenario wants called.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    #[serde(default)]
    tool_calls: Vec<WantedCall>,
}

#[derive(Debug, Deserialize)]
struct WantedCall {
    name: String,
    arguments: JsonObject,
}

/// Somebody who says yes, and leaves in the form what stands there already.
#[derive(Debug)]
struct Agreeable;

#[async_trait]
impl Answerer for Agreeable {
    async fn elicit(&self, question: &ElicitRequestParams) -> ElicitResult {
        let mut content = defaults(question);
        if let ElicitRequestParams::Form(form) = question {
            for name in form.requested_schema.required.iter().flatten() {
                let field = form.requested_schema.properties.get(name);
                let example =
                    field.and_then(|field| serde_json::to_value(field).ok()).map(|field| example(&field));
                if let Some(example) = example {
                    content.entry(name.clone()).or_insert(example);
                }
            }
        }
        ElicitResult { action: ElicitAction::Accept, content: Some(content) }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().next_back().context("the last argument is the server's URL")?;
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let revision: ProtocolVersion = match variable("MCP_CONFORMANCE_PROTOCOL_VERSION") {
        Some(revision) => revision.parse().ok().with_context(|| format!("{revision} is not spoken here"))?,
        None => ProtocolVersion::LATEST_WITH_SESSIONS,
    };
    let wanted = match variable("MCP_CONFORMANCE_CONTEXT") {
        Some(context) => {
            serde_json::from_str(&context).context("MCP_CONFORMANCE_CONTEXT is not understood")?
        }
        None => Wanted::default(),
    };
    let scenario = variable("MCP_CONFORMANCE_SCENARIO").unwrap_or_default();
    let options = ConnectOptions {
        era: if revision.has_sessions() { Era::Sessions } else { Era::Stateless },
        answerer: Some(Arc::new(Agreeable)),
        ..ConnectOptions::default()
    };
    let connection = Connection::open(Endpoint::new(&url, None, false)?, options).await?;
    let used = use_everything(&connection, wanted.tool_calls, &scenario).await;
    connection.close().await?;
    used
}

#[expect(clippy::disallowed_methods, reason = "the suite says in the environment what it wants")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Calls what is wanted, or every tool; reads every resource; fills in every prompt.
async fn use_everything(
    connection: &Connection,
    wanted: Vec<WantedCall>,
    scenario: &str,
) -> anyhow::Result<()> {
    let offered = connection.list_tools().await?.tools;
    let calls = match (wanted.is_empty(), scenario) {
        (false, _) => wanted,
        (true, "json-schema-2020-12-preservation") => vec![schema_sent_back(&offered)?],
        // Its subject is that nothing is fetched while tools are listed.
        (true, "json-schema-ref-no-deref") => Vec::new(),
        (true, _) => offered.iter().map(exemplary).collect(),
    };
    for call in calls {
        let options = CallOptions::default();
        let result = connection.call_tool(&call.name, call.arguments, options).await?;
        if result.failed() {
            bail!("{} failed: {}", call.name, result.text());
        }
    }
    let never = CancellationToken::new();
    for resource in connection.list_resources().await? {
        connection.read_resource(&resource.uri, &never).await?;
    }
    for prompt in connection.list_prompts().await? {
        connection.prompt(&prompt.name, filled_in(&prompt), &never).await?;
    }
    Ok(())
}

/// The call that gives the schema of one tool to the other, as it was received.
fn schema_sent_back(offered: &[Tool]) -> anyhow::Result<WantedCall> {
    let takes_schema =
        |tool: &&Tool| tool.input_schema.get("properties").is_some_and(|all| all.get("schema").is_some());
    let echo = offered.iter().find(takes_schema).context("no tool takes a schema")?;
    let focal = offered.iter().find(|tool| tool.name != echo.name).context("there is no schema to send")?;
    let schema = Value::Object(focal.input_schema.clone());
    Ok(WantedCall {
        name: echo.name.clone(),
        arguments: JsonObject::from_iter([("schema".to_owned(), schema)]),
    })
}

/// A call with an example for every required argument.
fn exemplary(tool: &Tool) -> WantedCall {
    let required = tool.input_schema.get("required").and_then(Value::as_array);
    let names = required.into_iter().flatten().filter_map(Value::as_str);
    let properties = tool.input_schema.get("properties");
    let of = |name: &str| example(properties.and_then(|all| all.get(name)).unwrap_or(&Value::Null));
    WantedCall { name: tool.name.clone(), arguments: names.map(|name| (name.to_owned(), of(name))).collect() }
}

fn filled_in(prompt: &Prompt) -> BTreeMap<String, String> {
    let required = prompt.arguments.iter().flatten().filter(|argument| argument.required == Some(true));
    required.map(|argument| (argument.name.clone(), "example".to_owned())).collect()
}

/// A value that a schema allows, for schemas as simple as the suite's.
fn example(schema: &Value) -> Value {
    if let Some(default) = schema.get("default") {
        return default.clone();
    }
    if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
        return first.clone();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("number" | "integer") => Value::from(1),
        Some("boolean") => Value::from(true),
        Some("array") => Value::Array(Vec::new()),
        Some("object") => Value::Object(JsonObject::new()),
        _ => Value::from("example"),
    }
}
