//! The engine as a whole, over tools and a store that are arranged to behave in every way that matters.

use std::{
    future::pending,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::FutureExt;
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::mcp::tools::ToolAnnotations;
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use self::double::Double;
use super::{
    Definition, Engine, EngineBuilder, Exchange, Recorded, Refusal, Refused, Reply, RequestContext,
    ServerIdentity, SessionSettings, Tool, ToolError,
};
use crate::{
    audit::AuditTrail,
    identity::{Permission, Principal},
    metrics::Metrics,
    store::Outcome,
};

mod calls;
mod double;
mod refusals;
mod sessions;

/// A tool that ends as it is told to.
struct Obedient {
    go: Arc<Notify>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Order {
    end: End,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum End {
    Well,
    Refused,
    Unavailable,
    Failed,
    Panic,
    Never,
    WhenTold,
    CommitLate,
    CommitLateAndTidyUp,
    AskWhenTold,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Done {
    done: bool,
}

const TOOL_TIMEOUT: Duration = Duration::from_millis(20);

const NO_HINTS: ToolAnnotations = ToolAnnotations {
    title: None,
    read_only_hint: None,
    destructive_hint: None,
    idempotent_hint: None,
    open_world_hint: None,
};

impl Tool for Obedient {
    type Arguments = Order;
    type Output = Done;
    const DEFINITION: Definition = Definition {
        name: "obedient",
        title: Some("Obedient"),
        description: "Ends as it is told to",
        permission: Permission::BalanceRead,
        annotations: NO_HINTS,
    };

    async fn call(&self, context: RequestContext, order: Order) -> Result<Done, ToolError> {
        match order.end {
            End::Well => {}
            End::Refused => return Err(ToolError::Refused("no: ask for less".to_owned())),
            End::Unavailable => return Err(ToolError::Unavailable("secret cause".into())),
            End::Failed => return Err(ToolError::Failed("secret cause".into())),
            End::Panic => panic!("secret cause"),
            End::Never => pending().await,
            End::WhenTold => self.go.notified().await,
            End::CommitLate => {
                sleep(TOOL_TIMEOUT).await;
                let commit = |_| async {
                    sleep(TOOL_TIMEOUT).await;
                    Ok(((), Recorded::No))
                };
                context.commit(commit).await?;
            }
            End::CommitLateAndTidyUp => {
                sleep(TOOL_TIMEOUT).await;
                let commit = |_| async {
                    sleep(TOOL_TIMEOUT).await;
                    // With its record, as a payment is.
                    Ok(((), Recorded::Yes))
                };
                context.commit(commit).await?;
                sleep(TOOL_TIMEOUT / 2).await;
            }
            End::AskWhenTold => {
                self.go.notified().await;
                let form =
                    json!({ "message": "?", "requestedSchema": { "type": "object", "properties": {} } });
                context.elicit("question", serde_json::from_value(form).unwrap()).await?;
            }
        }
        Ok(Done { done: true })
    }
}

/// A tool for operators.
struct Operators;

#[derive(Debug, Deserialize, JsonSchema)]
struct Nothing {}

impl Tool for Operators {
    type Arguments = Nothing;
    type Output = Done;
    const DEFINITION: Definition = Definition {
        name: "operators",
        title: None,
        description: "For operators",
        permission: Permission::OpsRead,
        annotations: NO_HINTS,
    };

    async fn call(&self, _context: RequestContext, _none: Nothing) -> Result<Done, ToolError> {
        Ok(Done { done: true })
    }
}

/// An engine, and what it stands on.
struct Stage {
    engine: Engine,
    store: Arc<Double>,
    go: Arc<Notify>,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
}

fn stage() -> Stage {
    stage_on(Arc::default(), SessionSettings::default())
}

fn stage_on(store: Arc<Double>, settings: SessionSettings) -> Stage {
    stage_with(store, settings, |builder| builder)
}

fn stage_with(
    store: Arc<Double>,
    settings: SessionSettings,
    change: impl FnOnce(EngineBuilder) -> EngineBuilder,
) -> Stage {
    let (go, stop) = (Arc::new(Notify::new()), CancellationToken::new());
    let identity = ServerIdentity { name: "test".to_owned(), version: "1".to_owned(), instructions: None };
    let metrics = Arc::new(Metrics::new());
    let audit = Arc::new(AuditTrail::new(store.clone(), Arc::clone(&metrics)));
    let builder = Engine::builder(identity)
        .tool(Obedient { go: Arc::clone(&go) })
        .tool(Operators)
        .sessions(settings)
        .tool_timeout(TOOL_TIMEOUT);
    let engine = change(builder).build(store.clone(), audit, stop.clone()).unwrap();
    Stage { engine, store, go, stop, metrics }
}

fn exchange<'a>(role: &str, session: Option<&'a str>) -> Exchange<'a> {
    Exchange {
        principal: Principal::for_test(role),
        from: std::net::Ipv4Addr::LOCALHOST.into(),
        request_id: "request-7".into(),
        session_id: session.map(str::as_bytes),
        protocol_version: super::Header::Absent,
        headers: &|_| super::Header::Absent,
    }
}

impl Stage {
    /// Opens a session of this role under this revision.
    async fn open(&self, role: &str, version: &str) -> String {
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": version, "capabilities": { "elicitation": {} }, "clientInfo": { "name": "test", "version": "1" },
        } });
        match self.engine.post(exchange(role, None), body.to_string().as_bytes()).await.unwrap() {
            Reply::Opened { session, .. } => session.expose().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    async fn post(&self, role: &str, session: &str, body: &Value) -> Result<Reply, Refused> {
        self.engine.post(exchange(role, Some(session)), body.to_string().as_bytes()).await
    }

    /// The message that answers `body`.
    async fn answer(&self, role: &str, session: &str, body: &Value) -> Value {
        match self.post(role, session, body).await.unwrap() {
            Reply::Message(message) => serde_json::from_slice(&message).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

fn request(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

fn call(name: &str, arguments: &Value) -> Value {
    request("tools/call", &json!({ "name": name, "arguments": arguments }))
}

/// JSON of any shape. No numbers with a point: serde does not read each of them as what it wrote.
pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    scalar.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}
