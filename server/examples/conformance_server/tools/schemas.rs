//! A tool whose arguments have a schema that no Rust type would make.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use server::mcp::{Definition, EngineBuilder, RequestContext, Tool, ToolError};
use shared::mcp::JsonObject;

use super::definition;

pub(super) fn register(builder: EngineBuilder) -> EngineBuilder {
    builder.tool(Person)
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
