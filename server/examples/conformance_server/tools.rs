//! The tools that the suite calls. It knows them by name and looks at what they return, so names and texts are its own.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use server::{
    identity::Permission,
    mcp::{Content, Definition, EngineBuilder, RequestContext, Tool, ToolError},
};
use shared::mcp::{
    content::{ContentBlock, EmbeddedResource, MediaContent},
    resources::{ResourceBody, ResourceContents},
    tools::ToolAnnotations,
};

mod asking;
mod schemas;
mod telling;

/// How long tools that tell something wait between one thing and the next.
const PAUSE: Duration = Duration::from_millis(50);

/// A picture of one red pixel.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

/// A sound without samples.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

/// Adds every tool.
pub(crate) fn register(builder: EngineBuilder) -> EngineBuilder {
    let builder = builder
        .logging()
        .tool(SimpleText)
        .tool(ImageContent)
        .tool(AudioContent)
        .tool(EmbeddedContent)
        .tool(MultipleContentTypes)
        .tool(ErrorHandling);
    schemas::register(asking::register(telling::register(builder)))
}

/// What a tool says of itself that whoever has the demo user's key may call.
pub(crate) const fn definition(name: &'static str, description: &'static str) -> Definition {
    Definition {
        name,
        title: None,
        description,
        permission: Permission::BalanceRead,
        annotations: ToolAnnotations {
            title: None,
            read_only_hint: Some(true),
            destructive_hint: None,
            idempotent_hint: None,
            open_world_hint: None,
        },
    }
}

/// A tool without arguments.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Nothing {}

/// Blocks of content and nothing else.
#[derive(Serialize)]
pub(crate) struct Blocks(pub(crate) Vec<ContentBlock>);

impl Blocks {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self(vec![ContentBlock::text(text)])
    }
}

impl JsonSchema for Blocks {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Blocks".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        Schema::default()
    }
}

/// A tool whose output is blocks: its name, its description, its arguments, and what it does with them.
macro_rules! tool {
    ($tool:ident, $name:literal, $description:literal, $arguments:ty, $call:expr) => {
        struct $tool;

        impl Tool for $tool {
            type Arguments = $arguments;
            type Output = Blocks;
            const DEFINITION: Definition = definition($name, $description);
            const STRUCTURED: bool = false;

            async fn call(
                &self,
                context: RequestContext,
                arguments: $arguments,
            ) -> Result<Blocks, ToolError> {
                $call(context, arguments).await
            }

            fn content(output: Blocks) -> serde_json::Result<Content> {
                Ok(Content::Blocks(output.0))
            }
        }
    };
}
pub(crate) use asking::question;
pub(crate) use tool;

fn media(data: &str, mime_type: &str) -> MediaContent {
    MediaContent { data: data.to_owned(), mime_type: mime_type.to_owned(), annotations: None, meta: None }
}

pub(crate) fn embedded(uri: &str, mime_type: &str, text: &str) -> ContentBlock {
    let resource = ResourceContents {
        uri: uri.to_owned(),
        mime_type: Some(mime_type.to_owned()),
        body: ResourceBody::Text(text.to_owned()),
        meta: None,
    };
    ContentBlock::Resource(EmbeddedResource { resource, annotations: None, meta: None })
}

tool!(SimpleText, "test_simple_text", "Returns a text", Nothing, async |_, _| {
    Ok(Blocks::text("This is a simple text response for testing."))
});

tool!(ImageContent, "test_image_content", "Returns a picture", Nothing, async |_, _| {
    Ok(Blocks(vec![ContentBlock::Image(media(PNG, "image/png"))]))
});

tool!(AudioContent, "test_audio_content", "Returns a sound", Nothing, async |_, _| {
    Ok(Blocks(vec![ContentBlock::Audio(media(WAV, "audio/wav"))]))
});

tool!(EmbeddedContent, "test_embedded_resource", "Returns a resource", Nothing, async |_, _| {
    Ok(Blocks(vec![embedded(
        "test://embedded-resource",
        "text/plain",
        "This is an embedded resource content.",
    )]))
});

tool!(
    MultipleContentTypes,
    "test_multiple_content_types",
    "Returns a text, a picture and a resource",
    Nothing,
    async |_, _| {
        Ok(Blocks(vec![
            ContentBlock::text("Multiple content types test:"),
            ContentBlock::Image(media(PNG, "image/png")),
            embedded("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ]))
    }
);

tool!(ErrorHandling, "test_error_handling", "Returns an error", Nothing, async |_, _| {
    Err(ToolError::Refused("This tool intentionally returns an error for testing".to_owned()))
});
