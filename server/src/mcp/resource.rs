//! What a resource is, and a family of resources: definitions, and how they are read.
//!
//! Like a tool, a resource is written once. The engine lists it, finds it by its URI, asks for permission, and turns
//! what it reads into what each revision of the protocol wants to see.

use std::{collections::BTreeMap, future::ready};

use shared::mcp::resources::{Resource as Listed, ResourceBody, ResourceContents};

use super::{context::RequestContext, tool::ToolError};
use crate::identity::{Permission, Principal};

/// What a resource says of itself.
#[derive(Debug, Clone, Copy)]
pub struct ResourceDefinition {
    /// Where to read it: a URI, or for a family a URI template with variables such as `{month}` (RFC 6570, level 1).
    pub uri: &'static str,
    /// Its name for a program.
    pub name: &'static str,
    /// A name for people.
    pub title: Option<&'static str>,
    /// What it holds, for a model.
    pub description: &'static str,
    /// Its media type, where it has one only.
    pub mime_type: Option<&'static str>,
    /// What a key must be allowed in order to see and to read it.
    pub permission: Permission,
}

/// What was read: one part or several.
pub type Parts = Vec<Part>;

/// One part of what was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its media type.
    pub mime_type: &'static str,
    /// The part itself.
    pub body: ResourceBody,
}

impl Part {
    /// A part that is text.
    pub fn text(mime_type: &'static str, text: impl Into<String>) -> Self {
        Self { mime_type, body: ResourceBody::Text(text.into()) }
    }

    /// The part as the contents of `uri`.
    #[must_use]
    pub fn of(self, uri: &str) -> ResourceContents {
        ResourceContents {
            uri: uri.to_owned(),
            mime_type: Some(self.mime_type.to_owned()),
            body: self.body,
            meta: None,
        }
    }
}

/// One resource.
pub trait Resource: Send + Sync + 'static {
    /// What it says of itself.
    const DEFINITION: ResourceDefinition;

    /// Whether clients may ask to be told when it changes.
    const WATCHED: bool = false;

    /// Reads it.
    ///
    /// # Errors
    /// [`ToolError`].
    fn read(&self, context: RequestContext) -> impl Future<Output = Result<Parts, ToolError>> + Send;

    /// A text that is another one when the resource has changed for this principal. Asked every second while somebody
    /// wants to be told, so it must be cheap.
    ///
    /// # Errors
    /// [`ToolError`]; then it is asked again later.
    fn fingerprint(&self, _principal: &Principal) -> impl Future<Output = Result<String, ToolError>> + Send {
        ready(Ok(String::new()))
    }
}

/// The variables of a family's URI template, decoded.
pub type Variables = BTreeMap<String, String>;

/// A family of resources.
pub trait ResourceTemplate: Send + Sync + 'static {
    /// What it says of itself; `uri` is a template.
    const DEFINITION: ResourceDefinition;

    /// Reads the member of the family that these variables name; `None` when there is none.
    ///
    /// # Errors
    /// [`ToolError`].
    fn read(
        &self,
        context: RequestContext,
        variables: Variables,
    ) -> impl Future<Output = Result<Option<Parts>, ToolError>> + Send;

    /// The members that `resources/list` is to name for this principal.
    ///
    /// # Errors
    /// [`ToolError`].
    fn members(&self, _principal: &Principal) -> impl Future<Output = Result<Vec<Listed>, ToolError>> + Send {
        ready(Ok(Vec::new()))
    }

    /// Values of a variable that begin with what is typed, best first.
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

/// What is being typed, and what is filled in already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Typing {
    /// The argument or variable.
    pub argument: String,
    /// What is typed of it so far.
    pub typed: String,
    /// The others that are filled in.
    pub filled: BTreeMap<String, String>,
}

impl Typing {
    /// Those of `values` that begin with what is typed, whatever the case.
    pub fn matching(&self, values: impl IntoIterator<Item = String>) -> Vec<String> {
        let typed = self.typed.to_lowercase();
        values.into_iter().filter(|value| value.to_lowercase().starts_with(&typed)).collect()
    }
}
