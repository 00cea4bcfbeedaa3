//! The tools of an engine with their types erased, and their descriptions as `tools/list` sends them, written once.

use std::{collections::HashMap, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use shared::mcp::{JsonObject, ProtocolVersion, tools::ToolAnnotations};

use super::{
    BuildError,
    arguments::{ArgumentError, Shape},
    context::RequestContext,
    schema,
    tool::{Content, Definition, Tool, ToolError},
};
use crate::identity::Principal;

/// What a tool returned, in both of its forms.
#[derive(Debug)]
pub(super) struct ToolOutput {
    pub(super) content: Content,
    pub(super) structured: Option<Box<RawValue>>,
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
            Ok(ToolOutput {
                structured: structured.transpose().map_err(unwritable)?,
                content: T::content(output).map_err(unwritable)?,
            })
        };
        Ok(call.boxed())
    }
}

/// A tool and what is said of it.
pub(super) struct ListedTool {
    pub(super) definition: Definition,
    pub(super) tool: Arc<dyn ErasedTool>,
    /// Without what came with 2025-06-18: titles and output schemas.
    first: Box<RawValue>,
    later: Box<RawValue>,
}

/// The tools of an engine, in the order in which they were added.
#[derive(Default)]
pub(super) struct Toolbox {
    tools: Vec<ListedTool>,
    by_name: HashMap<&'static str, usize>,
}

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

/// Result of `tools/list`: one page, of descriptions that were written before.
#[derive(Serialize)]
pub(super) struct Page<'a> {
    tools: Vec<&'a RawValue>,
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
        if self.by_name.insert(name, self.tools.len()).is_some() {
            return Err(BuildError::DuplicateTool(name));
        }
        let shape = Shape::new(name, &arguments);
        let first = Description {
            name,
            title: None,
            description: definition.description,
            input_schema: &arguments,
            output_schema: None,
            annotations: &definition.annotations,
        };
        let later = Description { title: definition.title, output_schema: output.as_ref(), ..first };
        let (first, later) = (to_raw_value(&first), to_raw_value(&later));
        self.tools.push(ListedTool {
            definition,
            tool: Arc::new(Typed { tool, shape }),
            first: first.map_err(BuildError::Schema)?,
            later: later.map_err(BuildError::Schema)?,
        });
        Ok(())
    }

    /// The tool of this name, whoever may call it.
    pub(super) fn find(&self, name: &str) -> Option<&ListedTool> {
        self.by_name.get(name).and_then(|index| self.tools.get(*index))
    }

    /// The tools that `principal` may call, as this revision describes them.
    pub(super) fn page<'a>(&'a self, principal: &Principal, protocol: ProtocolVersion) -> Page<'a> {
        let described = |listed: &'a ListedTool| -> &'a RawValue {
            match protocol {
                ProtocolVersion::V2025_03_26 => &listed.first,
                ProtocolVersion::V2025_06_18
                | ProtocolVersion::V2025_11_25
                | ProtocolVersion::V2026_07_28 => &listed.later,
            }
        };
        let callable = |listed: &&ListedTool| principal.authorize(listed.definition.permission).is_ok();
        Page { tools: self.tools.iter().filter(callable).map(described).collect() }
    }
}
