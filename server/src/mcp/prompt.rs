//! What a prompt is: something that a person picks from a menu, fills in and sends to a model.

use std::{collections::BTreeMap, future::ready};

use shared::mcp::prompts::GetPromptResult;

use super::{context::RequestContext, resource::Typing, tool::ToolError};
use crate::identity::{Permission, Principal};

/// What a prompt says of itself.
#[derive(Debug, Clone, Copy)]
pub struct PromptDefinition {
    /// The name to get it by; unique in an engine.
    pub name: &'static str,
    /// A name for people.
    pub title: Option<&'static str>,
    /// What it is for.
    pub description: &'static str,
    /// What can be filled in.
    pub arguments: &'static [ArgumentDefinition],
    /// What a key must be allowed in order to see and to get it.
    pub permission: Permission,
}

/// Something that can be filled in.
#[derive(Debug, Clone, Copy)]
pub struct ArgumentDefinition {
    /// Its name.
    pub name: &'static str,
    /// A name for people.
    pub title: Option<&'static str>,
    /// What it means.
    pub description: &'static str,
    /// Whether it must be filled in.
    pub required: bool,
}

/// What was filled in; every required argument is there, and none that the prompt does not name.
pub type PromptArguments = BTreeMap<String, String>;

/// One prompt.
pub trait Prompt: Send + Sync + 'static {
    /// What it says of itself.
    const DEFINITION: PromptDefinition;

    /// The messages that it comes to.
    ///
    /// # Errors
    /// [`ToolError`].
    fn messages(
        &self,
        context: RequestContext,
        arguments: PromptArguments,
    ) -> impl Future<Output = Result<GetPromptResult, ToolError>> + Send;

    /// Values of an argument that begin with what is typed, best first.
    ///
    /// # Errors
    /// [`ToolError`].
    fn complete(
        &self,
        _principal: &Principal,
        _typing: Typing,
    ) -> impl Future<Output = Result<Vec<String>, ToolError>> + Send {
        ready(Ok(Vec::new()))
    }
}
