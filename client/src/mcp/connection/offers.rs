//! What a server offers beside tools: resources and prompts, listed to the last page, read and filled in.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::mcp::{
    JsonObject, methods,
    prompts::{GetPromptResult, ListPromptsResult, Prompt},
    resources::{
        ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource, ResourceTemplate,
    },
};
use tokio_util::sync::CancellationToken;

use super::{Connection, peer::Call};
use crate::mcp::McpError;

impl Connection {
    /// Every resource that the server lists; none where it offers none.
    ///
    /// # Errors
    /// [`McpError`] when a page could not be had; [`McpError::Protocol`] also when the pages never end.
    pub async fn list_resources(&self) -> Result<Vec<Resource>, McpError> {
        if self.server().capabilities.resources.is_none() {
            return Ok(Vec::new());
        }
        let next = |page: ListResourcesResult| (page.resources, page.next_cursor);
        self.all_of(methods::LIST_RESOURCES, next).await
    }

    /// Every family of resources that the server lists; none where it offers none.
    ///
    /// # Errors
    /// As [`Connection::list_resources`].
    pub async fn list_resource_templates(&self) -> Result<Vec<ResourceTemplate>, McpError> {
        if self.server().capabilities.resources.is_none() {
            return Ok(Vec::new());
        }
        let next = |page: ListResourceTemplatesResult| (page.resource_templates, page.next_cursor);
        self.all_of(methods::LIST_RESOURCE_TEMPLATES, next).await
    }

    /// Every prompt that the server lists; none where it offers none.
    ///
    /// # Errors
    /// As [`Connection::list_resources`].
    pub async fn list_prompts(&self) -> Result<Vec<Prompt>, McpError> {
        if self.server().capabilities.prompts.is_none() {
            return Ok(Vec::new());
        }
        let next = |page: ListPromptsResult| (page.prompts, page.next_cursor);
        self.all_of(methods::LIST_PROMPTS, next).await
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// [`McpError`]; [`McpError::Rpc`] when there is no such resource.
    pub async fn read_resource(
        &self,
        uri: &str,
        cancel: &CancellationToken,
    ) -> Result<ReadResourceResult, McpError> {
        let params = JsonObject::from_iter([("uri".to_owned(), Value::from(uri))]);
        let mut patience = self.shared.peer.patience(cancel);
        self.ask(Call::repeatable(methods::READ_RESOURCE, params), &mut patience).await
    }

    /// Fills in a prompt.
    ///
    /// # Errors
    /// [`McpError`]; [`McpError::Rpc`] when there is no such prompt, or it wants something else filled in.
    pub async fn prompt(
        &self,
        name: &str,
        arguments: BTreeMap<String, String>,
        cancel: &CancellationToken,
    ) -> Result<GetPromptResult, McpError> {
        let mut params = JsonObject::from_iter([("name".to_owned(), Value::from(name))]);
        if !arguments.is_empty() {
            let arguments = arguments.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
            params.insert("arguments".to_owned(), Value::Object(arguments));
        }
        let mut patience = self.shared.peer.patience(cancel);
        self.ask(Call::repeatable(methods::GET_PROMPT, params), &mut patience).await
    }

    async fn all_of<P: DeserializeOwned, T>(
        &self,
        method: &'static str,
        next: impl Fn(P) -> (Vec<T>, Option<String>),
    ) -> Result<Vec<T>, McpError> {
        let never = CancellationToken::new();
        let add = |all: &mut Vec<T>, page: P| {
            let (items, following) = next(page);
            all.extend(items);
            Ok(following)
        };
        self.all_pages(method, &mut self.shared.peer.patience(&never), Vec::new, add).await
    }
}
