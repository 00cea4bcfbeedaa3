//! The prompts that the suite gets.

use serde_json::json;
use server::{
    identity::{Permission, Principal},
    mcp::{
        ArgumentDefinition, EngineBuilder, Prompt, PromptArguments, PromptDefinition, RequestContext,
        ToolError, Typing,
    },
};
use shared::mcp::{
    annotations::Role,
    content::{ContentBlock, MediaContent},
    prompts::{GetPromptResult, PromptMessage},
};

use super::tools::{PNG, embedded, question};

/// Adds every prompt.
pub(crate) fn register(builder: EngineBuilder) -> EngineBuilder {
    builder.prompt(Simple).prompt(WithArguments).prompt(WithResource).prompt(WithImage).prompt(Asking)
}

const fn argument(name: &'static str, description: &'static str) -> ArgumentDefinition {
    ArgumentDefinition { name, title: None, description, required: true }
}

const fn definition(
    name: &'static str,
    description: &'static str,
    arguments: &'static [ArgumentDefinition],
) -> PromptDefinition {
    PromptDefinition { name, title: None, description, arguments, permission: Permission::BalanceRead }
}

fn said(blocks: Vec<ContentBlock>) -> GetPromptResult {
    let messages = blocks.into_iter().map(|content| PromptMessage { role: Role::User, content }).collect();
    GetPromptResult { description: None, messages, meta: None }
}

fn value<'a>(arguments: &'a PromptArguments, name: &str) -> &'a str {
    arguments.get(name).map_or("", String::as_str)
}

struct Simple;

impl Prompt for Simple {
    const DEFINITION: PromptDefinition = definition("test_simple_prompt", "Says one thing", &[]);

    async fn messages(
        &self,
        _context: RequestContext,
        _arguments: PromptArguments,
    ) -> Result<GetPromptResult, ToolError> {
        Ok(said(vec![ContentBlock::text("This is a simple prompt for testing.")]))
    }
}

struct WithArguments;

impl Prompt for WithArguments {
    const DEFINITION: PromptDefinition = definition(
        "test_prompt_with_arguments",
        "Says what was filled in",
        &[argument("arg1", "First test argument"), argument("arg2", "Second test argument")],
    );

    async fn messages(
        &self,
        _context: RequestContext,
        arguments: PromptArguments,
    ) -> Result<GetPromptResult, ToolError> {
        let (first, second) = (value(&arguments, "arg1"), value(&arguments, "arg2"));
        let text = format!("Prompt with arguments: arg1='{first}', arg2='{second}'");
        Ok(said(vec![ContentBlock::text(text)]))
    }

    async fn complete(&self, _principal: &Principal, typing: Typing) -> Result<Vec<String>, ToolError> {
        Ok(typing.matching(["paris", "park", "party"].map(str::to_owned)))
    }
}

struct WithResource;

impl Prompt for WithResource {
    const DEFINITION: PromptDefinition = definition(
        "test_prompt_with_embedded_resource",
        "Has a resource in it",
        &[argument("resourceUri", "URI of the resource to embed")],
    );

    async fn messages(
        &self,
        _context: RequestContext,
        arguments: PromptArguments,
    ) -> Result<GetPromptResult, ToolError> {
        let uri = value(&arguments, "resourceUri");
        Ok(said(vec![
            embedded(uri, "text/plain", "Embedded resource content for testing."),
            ContentBlock::text("Please process the embedded resource above."),
        ]))
    }
}

struct WithImage;

impl Prompt for WithImage {
    const DEFINITION: PromptDefinition = definition("test_prompt_with_image", "Has a picture in it", &[]);

    async fn messages(
        &self,
        _context: RequestContext,
        _arguments: PromptArguments,
    ) -> Result<GetPromptResult, ToolError> {
        let image = MediaContent {
            data: PNG.to_owned(),
            mime_type: "image/png".to_owned(),
            annotations: None,
            meta: None,
        };
        Ok(said(vec![ContentBlock::Image(image), ContentBlock::text("Please analyze the image above.")]))
    }
}

struct Asking;

impl Prompt for Asking {
    const DEFINITION: PromptDefinition =
        definition("test_input_required_result_prompt", "Asks for a context first", &[]);

    async fn messages(
        &self,
        context: RequestContext,
        _arguments: PromptArguments,
    ) -> Result<GetPromptResult, ToolError> {
        let form = question(json!({
            "message": "What context should the prompt use?",
            "requestedSchema": {
                "type": "object",
                "properties": { "context": { "type": "string" } },
                "required": ["context"],
            },
        }))?;
        let answer = context.elicit("user_context", form).await?;
        let filled = answer.content.as_ref().and_then(|content| content.get("context"));
        let context = filled.and_then(serde_json::Value::as_str).unwrap_or("none");
        Ok(said(vec![ContentBlock::text(format!("Use this context: {context}"))]))
    }
}
