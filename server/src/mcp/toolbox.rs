//! The tools of an engine with their types erased, and their descriptions as `tools/list` sends them, written once.

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use shared::mcp::{
    JsonObject, ProtocolVersion, parameter_headers::HeaderAnnotations, tools::ToolAnnotations,
};

use super::{
    BuildError,
    arguments::{ArgumentError, Shape},
    context::RequestContext,
    decimal, schema,
    tool::{Content, Definition, Tool, ToolError},
};
use crate::identity::Principal;

/// Largest form of a result, in bytes: more is too much for whoever reads it, and for memory.
const RESULT_MAX: usize = 4 * 1024 * 1024;

/// What a tool returned, in both of its forms.
#[derive(Debug)]
pub(super) struct ToolOutput {
    pub(super) content: Content,
    pub(super) structured: Option<Box<RawValue>>,
}

impl ToolOutput {
    fn is_too_large(&self) -> bool {
        let text = match &self.content {
            Content::Text(text) => text.as_json().len(),
            Content::Blocks(_) => 0,
        };
        text.max(self.structured.as_ref().map_or(0, |structured| structured.get().len())) > RESULT_MAX
    }
}

fn too_large() -> ToolError {
    ToolError::Refused(format!(
        "too_large: the result is larger than {RESULT_MAX} bytes. Ask for less of it at once."
    ))
}

/// A call whose arguments were accepted.
pub(super) type RunningCall = BoxFuture<'static, Result<ToolOutput, ToolError>>;

/// A tool whose types are not known here.
pub(super) trait ErasedTool: Send + Sync {
    /// Reads the arguments, an object or absent, and begins the call with them.
    fn start(
        self: Arc<Self>,
        context: RequestContext,
        arguments: Option<&RawValue>,
    ) -> Result<RunningCall, ArgumentError>;
}

struct Typed<T> {
    tool: T,
    shape: Shape,
}

impl<T: Tool> ErasedTool for Typed<T> {
    fn start(
        self: Arc<Self>,
        context: RequestContext,
        arguments: Option<&RawValue>,
    ) -> Result<RunningCall, ArgumentError> {
        let arguments: T::Arguments = self.shape.read(arguments)?;
        let call = async move {
            let output = self.tool.call(context, arguments).await?;
            let unwritable = |error| ToolError::Failed(Box::new(error));
            let structured = T::STRUCTURED.then(|| to_raw_value(&output));
            let structured = structured.transpose().map_err(unwritable)?;
            let output = ToolOutput { structured, content: T::content(output).map_err(unwritable)? };
            if output.is_too_large() { Err(too_large()) } else { Ok(output) }
        };
        Ok(call.boxed())
    }
}

/// A tool and what is said of it.
pub(super) struct ListedTool {
    pub(super) definition: Definition,
    pub(super) tool: Arc<dyn ErasedTool>,
    headers: HeaderAnnotations,
    /// Without what came with 2025-06-18: titles and output schemas.
    first: Box<RawValue>,
    later: Box<RawValue>,
}

/// The tools of an engine, in the order in which they were added.
#[derive(Default)]
pub(super) struct Toolbox(Vec<ListedTool>);

/// A tool as `tools/list` describes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    description: &'a str,
    input_schema: &'a JsonObject,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<&'a JsonObject>,
    annotations: &'a ToolAnnotations,
}

impl Toolbox {
    /// Adds a tool.
    pub(super) fn add<T: Tool>(&mut self, tool: T) -> Result<(), BuildError> {
        let definition = T::DEFINITION;
        let name = definition.name;
        let arguments = T::arguments_schema();
        let output = T::STRUCTURED.then(schema::of_output::<T::Output>);
        if ![Some(&arguments), output.as_ref()].into_iter().flatten().all(schema::describes_an_object) {
            return Err(BuildError::NotAnObject(name));
        }
        if self.find(name).is_some() {
            return Err(BuildError::DuplicateTool(name));
        }
        let shape = Shape::new(name, T::REFUSAL_CODE, &arguments)
            .map_err(|problem| BuildError::ArgumentsSchema { tool: name, problem })?;
        let headers = HeaderAnnotations::of(&arguments);
        let headers = headers.map_err(|problem| BuildError::Header { tool: name, problem })?;
        let published = decimal::published(&arguments);
        let first = Description {
            name,
            title: None,
            description: definition.description,
            input_schema: &published,
            output_schema: None,
            annotations: &definition.annotations,
        };
        let later = Description { title: definition.title, output_schema: output.as_ref(), ..first };
        let (first, later) = (to_raw_value(&first), to_raw_value(&later));
        self.0.push(ListedTool {
            definition,
            tool: Arc::new(Typed { tool, shape }),
            headers,
            first: first.map_err(BuildError::Schema)?,
            later: later.map_err(BuildError::Schema)?,
        });
        Ok(())
    }

    /// The tool of this name, whoever may call it.
    pub(super) fn find(&self, name: &str) -> Option<&ListedTool> {
        self.0.iter().find(|listed| listed.definition.name == name)
    }

    /// Which parameters of a tool are repeated in headers. Of a tool that the principal may not call nothing is told.
    pub(super) fn header_annotations(&self, name: &str, principal: &Principal) -> Option<&HeaderAnnotations> {
        let listed = self.find(name)?;
        principal.authorize(listed.definition.permission).ok().map(|()| &listed.headers)
    }

    /// The tools that `principal` may call, as this revision describes them.
    pub(super) fn described<'a>(
        &'a self,
        principal: &'a Principal,
        protocol: ProtocolVersion,
    ) -> impl Iterator<Item = &'a RawValue> {
        let callable = |listed: &&ListedTool| principal.authorize(listed.definition.permission).is_ok();
        self.0.iter().filter(callable).map(move |listed| match protocol {
            ProtocolVersion::V2025_03_26 => &*listed.first,
            ProtocolVersion::V2025_06_18 | ProtocolVersion::V2025_11_25 | ProtocolVersion::V2026_07_28 => {
                &*listed.later
            }
        })
    }
}
