//! Tools that ask the person or the model on the client's side.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use server::mcp::{Content, Definition, EngineBuilder, RequestContext, Tool, ToolError};
use shared::mcp::{
    elicitation::{ElicitRequestParams, ElicitResult},
    sampling::CreateMessageRequestParams,
};

use super::{Blocks, Nothing, definition, tool};

pub(super) fn register(builder: EngineBuilder) -> EngineBuilder {
    builder.tool(Sampling).tool(Elicitation).tool(Streaming).tool(ElicitationDefaults).tool(ElicitationEnums)
}

/// What `test_sampling` takes.
#[derive(Deserialize, JsonSchema)]
struct SamplingArguments {
    /// What to say to the model
    prompt: String,
}

/// What `test_elicitation` takes.
#[derive(Deserialize, JsonSchema)]
struct ElicitationArguments {
    /// What to say to the user
    message: String,
}

/// Reads what a question is made of from JSON, in which it is easier to see.
pub(crate) fn question<T: serde::de::DeserializeOwned>(json: Value) -> Result<T, ToolError> {
    serde_json::from_value(json).map_err(|error| ToolError::Failed(Box::new(error)))
}

fn described(result: &ElicitResult) -> String {
    let action = json!(result.action);
    format!("action={}, content={}", action.as_str().unwrap_or_default(), json!(result.content))
}

async fn ask(context: &RequestContext, message: &str, fields: Value) -> Result<ElicitResult, ToolError> {
    let required: Vec<_> = fields.as_object().into_iter().flat_map(|fields| fields.keys()).collect();
    let schema = json!({ "type": "object", "properties": fields, "required": required });
    let form: ElicitRequestParams = question(json!({ "message": message, "requestedSchema": schema }))?;
    Ok(context.elicit("question", form).await?)
}

tool!(
    Sampling,
    "test_sampling",
    "Asks the client's model",
    SamplingArguments,
    async |context: RequestContext, arguments: SamplingArguments| {
        let params: CreateMessageRequestParams = question(json!({
            "messages": [{ "role": "user", "content": { "type": "text", "text": arguments.prompt } }],
            "maxTokens": 100,
        }))?;
        let reply = context.create_message("reply", params).await?;
        let content = json!(reply.content);
        let text = content.get("text").and_then(Value::as_str).unwrap_or_default();
        Ok::<_, ToolError>(Blocks::text(format!("LLM response: {text}")))
    }
);

tool!(
    Elicitation,
    "test_elicitation",
    "Asks the user for a name and an address",
    ElicitationArguments,
    async |context: RequestContext, arguments: ElicitationArguments| {
        let fields = json!({
            "username": { "type": "string", "description": "User's response" },
            "email": { "type": "string", "description": "User's email address" },
        });
        let result = ask(&context, &arguments.message, fields).await?;
        Ok::<_, ToolError>(Blocks::text(format!("User response: {}", described(&result))))
    }
);

tool!(
    Streaming,
    "test_streaming_elicitation",
    "Tells something, then asks the user",
    Nothing,
    async |context: RequestContext, _| {
        context.progress(1u32, Some(2.into()), Some("about to ask"));
        let result = ask(&context, "Go on?", json!({ "goOn": { "type": "boolean" } })).await?;
        Ok::<_, ToolError>(Blocks::text(format!("User response: {}", described(&result))))
    }
);

tool!(
    ElicitationDefaults,
    "test_elicitation_sep1034_defaults",
    "Asks the user with a value filled in for every kind of field",
    Nothing,
    async |context: RequestContext, _| {
        let fields = json!({
            "name": { "type": "string", "default": "John Doe" },
            "age": { "type": "integer", "default": 30 },
            "score": { "type": "number", "default": 95.5 },
            "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
            "verified": { "type": "boolean", "default": true },
        });
        let result = ask(&context, "Please check what is filled in", fields).await?;
        Ok::<_, ToolError>(Blocks::text(format!("Elicitation completed: {}", described(&result))))
    }
);

tool!(
    ElicitationEnums,
    "test_elicitation_sep1330_enums",
    "Asks the user to choose, in every way there is",
    Nothing,
    async |context: RequestContext, _| {
        let titled = |value: &str, title: &str| json!({ "const": value, "title": title });
        let fields = json!({
            "untitledSingle": { "type": "string", "enum": ["option1", "option2", "option3"] },
            "titledSingle": { "type": "string", "oneOf": [
                titled("value1", "First Option"), titled("value2", "Second Option"), titled("value3", "Third Option"),
            ] },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {
                "type": "array",
                "items": { "type": "string", "enum": ["option1", "option2", "option3"] },
            },
            "titledMulti": { "type": "array", "items": { "anyOf": [
                titled("value1", "First Choice"), titled("value2", "Second Choice"), titled("value3", "Third Choice"),
            ] } },
        });
        let result = ask(&context, "Please choose", fields).await?;
        Ok::<_, ToolError>(Blocks::text(format!("Elicitation completed: {}", described(&result))))
    }
);
