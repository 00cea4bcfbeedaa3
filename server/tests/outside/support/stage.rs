//! A server whose tools do what a test needs: tell, wait, ask.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use server::{
    app::Application,
    config::Config,
    identity::Permission,
    mcp::{Definition, EngineBuilder, RequestContext, ServerIdentity, Tool, ToolError},
};
use shared::mcp::{
    JsonObject, elicitation::ElicitRequestParams, input::InputRequest, modern::LoggingLevel,
    tools::ToolAnnotations,
};
use tokio::sync::Semaphore;

use self::lasting::{Begun, Lasting};
use super::app::{App, run};

mod lasting;

/// A running server with the tools of this file.
pub(crate) struct Stage {
    pub(crate) app: App,
    /// Each permit lets one `patient` call end, or one commit of `lasting`.
    pub(crate) gate: Arc<Semaphore>,
    /// The commits of `lasting` that have begun.
    pub(crate) begun: Begun,
    running: Arc<AtomicUsize>,
}

impl Stage {
    /// Whether so many `patient` calls have begun to wait.
    pub(crate) fn has_begun(&self, number: usize) -> bool {
        self.running.load(Ordering::SeqCst) == number
    }
}

/// A server with the tools of this file, on a free port, over a database in memory.
pub(crate) async fn spawn_stage() -> Stage {
    spawn_stage_with(|builder| builder).await
}

/// The same with an engine of the test's choice.
pub(crate) async fn spawn_stage_with(change: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Stage {
    let gate = Arc::new(Semaphore::new(0));
    let identity = ServerIdentity { name: "stage".to_owned(), version: "0".to_owned(), instructions: None };
    let running = Arc::new(AtomicUsize::new(0));
    let begun = Begun::default();
    let patient = Patient(Arc::clone(&gate), Arc::clone(&running));
    let application = Application::offering(Config::ephemeral().unwrap(), identity, |builder, rooms| {
        let lasting = Lasting::new(Arc::clone(&gate), Arc::clone(&begun), Arc::clone(&rooms.store));
        change(builder.logging().tool(patient).tool(lasting).tool(Curious).tool(Routed).tool(Large))
    });
    Stage { app: run(application.await.unwrap()), gate, begun, running }
}

const fn definition(name: &'static str) -> Definition {
    Definition {
        name,
        title: None,
        description: "Does what a test needs",
        permission: Permission::BalanceRead,
        annotations: ToolAnnotations {
            title: None,
            read_only_hint: None,
            destructive_hint: None,
            idempotent_hint: None,
            open_world_hint: None,
        },
    }
}

/// Tells a number of steps, lets its connection go if it is to, and waits at the gate.
struct Patient(Arc<Semaphore>, Arc<AtomicUsize>);

#[derive(Deserialize, JsonSchema)]
struct Steps {
    /// How many steps to tell
    #[serde(default)]
    told: u32,
    /// Lets the connection go after so many milliseconds
    #[serde(default)]
    let_go: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct Done {
    done: bool,
}

impl Tool for Patient {
    type Arguments = Steps;
    type Output = Done;
    const DEFINITION: Definition = definition("patient");

    async fn call(&self, context: RequestContext, steps: Steps) -> Result<Done, ToolError> {
        for step in 1..=steps.told {
            context.progress(step, Some(steps.told.into()), Some("telling"));
            context.log(LoggingLevel::Debug, Some("patient"), json!({ "step": step }));
            tokio::task::yield_now().await;
        }
        if let Some(wait) = steps.let_go {
            context.let_go(Duration::from_millis(wait));
        }
        self.1.fetch_add(1, Ordering::SeqCst);
        let permit = self.0.acquire().await.map_err(|error| ToolError::Failed(Box::new(error)))?;
        permit.forget();
        Ok(Done { done: true })
    }
}

/// Asks the user for a colour and, when there is one, for a shade of it.
struct Curious;

#[derive(Deserialize, JsonSchema)]
struct Manner {
    /// Asks for all of it at once
    #[serde(default)]
    at_once: bool,
    /// What to ask for
    #[serde(default = "colour_and_shade")]
    of: Vec<String>,
}

fn colour_and_shade() -> Vec<String> {
    vec!["colour".to_owned(), "shade".to_owned()]
}

#[derive(Serialize, JsonSchema)]
struct Told {
    /// What the user did and filled in, question by question
    answers: Vec<serde_json::Value>,
}

impl Tool for Curious {
    type Arguments = Manner;
    type Output = Told;
    const DEFINITION: Definition = definition("curious");

    async fn call(&self, context: RequestContext, manner: Manner) -> Result<Told, ToolError> {
        let form = |what: &String| -> Result<ElicitRequestParams, ToolError> {
            serde_json::from_value(json!({
                "message": format!("Which {what}?"),
                "requestedSchema": {
                    "type": "object",
                    "properties": { what: { "type": "string", "enum": ["red", "blue", "pale"] } },
                    "required": [what],
                },
            }))
            .map_err(|error| ToolError::Failed(Box::new(error)))
        };
        if manner.at_once {
            let question = |what: &String| Ok((what.clone(), InputRequest::Elicit { params: form(what)? }));
            let questions = manner.of.iter().map(question).collect::<Result<_, ToolError>>()?;
            return Ok(Told { answers: context.ask(questions).await?.into_values().collect() });
        }
        let mut answers = Vec::new();
        for what in &manner.of {
            let answer = context.elicit(what, form(what)?).await?;
            let accepted = answer.content.is_some();
            answers.push(json!(answer));
            if !accepted {
                break;
            }
        }
        Ok(Told { answers })
    }
}

/// Returns as much as it is told to.
struct Large;

#[derive(Deserialize, JsonSchema)]
struct Size {
    bytes: usize,
}

#[derive(Serialize, JsonSchema)]
struct Much {
    much: String,
}

impl Tool for Large {
    type Arguments = Size;
    type Output = Much;
    const DEFINITION: Definition = definition("large");

    async fn call(&self, _context: RequestContext, size: Size) -> Result<Much, ToolError> {
        Ok(Much { much: "x".repeat(size.bytes) })
    }
}

/// Takes arguments that headers repeat.
struct Routed;

#[derive(Deserialize, Serialize, JsonSchema)]
struct Route {
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    priority: Option<i64>,
}

impl Tool for Routed {
    type Arguments = Route;
    type Output = Route;
    const DEFINITION: Definition = definition("routed");

    fn arguments_schema() -> JsonObject {
        let schema = json!({ "type": "object", "additionalProperties": false, "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "priority": { "type": "integer", "x-mcp-header": "Priority" },
        } });
        schema.as_object().cloned().unwrap()
    }

    async fn call(&self, _context: RequestContext, route: Route) -> Result<Route, ToolError> {
        Ok(route)
    }
}
