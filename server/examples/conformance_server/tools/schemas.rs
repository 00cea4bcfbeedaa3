//! A tool whose arguments have a schema that no Rust type would make.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use server::mcp::{Definition, EngineBuilder, RequestContext, Tool, ToolError};
use shared::mcp::JsonObject;

use super::definition;

pub(super) fn register(builder: EngineBuilder) -> EngineBuilder {
    builder.tool(Person).tool(Routed)
}

struct Person;

/// Whatever the schema lets through.
#[derive(Deserialize, JsonSchema)]
struct Arguments {
    #[serde(flatten)]
    members: Map<String, Value>,
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// How many members were given
    members: usize,
}

impl Tool for Person {
    type Arguments = Arguments;
    type Output = Output;
    const DEFINITION: Definition =
        definition("json_schema_2020_12_tool", "Tool with JSON Schema 2020-12 features");

    fn arguments_schema() -> JsonObject {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {
                "address": {
                    "$anchor": "addressDef",
                    "type": "object",
                    "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
                },
            },
            "properties": {
                "name": { "type": "string" },
                "address": { "$ref": "#/$defs/address" },
                "contactMethod": { "type": "string", "enum": ["phone", "email"] },
                "phone": { "type": "string" },
                "email": { "type": "string" },
            },
            "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
            "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
            "then": { "required": ["phone"] },
            "else": { "required": ["email"] },
            "additionalProperties": false,
        });
        schema.as_object().cloned().unwrap_or_default()
    }

    async fn call(&self, _context: RequestContext, arguments: Arguments) -> Result<Output, ToolError> {
        Ok(Output { members: arguments.members.len() })
    }
}

/// A tool whose caller repeats some of its arguments in headers.
struct Routed;

/// What `test_header_parameters` takes.
#[derive(Deserialize, JsonSchema)]
struct RoutedArguments {
    /// Where to
    #[serde(default)]
    region: Option<String>,
    /// How urgent
    #[serde(default)]
    priority: i64,
    /// Whether it is a rehearsal
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize, JsonSchema)]
struct Route {
    /// Where it went
    route: String,
}

impl Tool for Routed {
    type Arguments = RoutedArguments;
    type Output = Route;
    const DEFINITION: Definition =
        definition("test_header_parameters", "Takes arguments that are repeated in headers");

    fn arguments_schema() -> JsonObject {
        let schema = json!({
            "type": "object",
            "properties": {
                "region": { "type": "string", "description": "Where to", "x-mcp-header": "Region" },
                "priority": { "type": "integer", "description": "How urgent", "x-mcp-header": "Priority" },
                "dry_run": { "type": "boolean", "description": "Whether it is a rehearsal", "x-mcp-header": "Dry-Run" },
            },
            "additionalProperties": false,
        });
        schema.as_object().cloned().unwrap_or_default()
    }

    async fn call(&self, _context: RequestContext, arguments: RoutedArguments) -> Result<Route, ToolError> {
        let RoutedArguments { region, priority, dry_run } = arguments;
        let region = region.unwrap_or_else(|| "anywhere".to_owned());
        Ok(Route { route: format!("{region} {priority} {dry_run}") })
    }
}
