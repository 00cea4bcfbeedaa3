//! What a server offers beside tools: resources and prompts, listed to the last page, read and filled in.

use std::collections::{BTreeMap, HashSet};

use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};
use shared::{
    jsonrpc::ErrorCode,
    mcp::{
        JsonObject, methods,
        prompts::{GetPromptResult, ListPromptsResult, Prompt},
        resources::{
            ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource, ResourceTemplate,
        },
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    Connection,
    listing::{MAX_BYTES, MAX_PAGES},
    peer::{Call, Patience},
    read,
};
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
        self.all_pages(methods::LIST_RESOURCES, next).await
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
        self.all_pages(methods::LIST_RESOURCE_TEMPLATES, next).await
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
        self.all_pages(methods::LIST_PROMPTS, next).await
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

    /// One page of a list. `None` where the cursor is not good any more, as the one of a page that was kept may not be:
    /// what was kept of the list is forgotten, and it is to be begun anew, once.
    pub(super) async fn page<P: DeserializeOwned>(
        &self,
        method: &'static str,
        cursor: Option<String>,
        began_anew: &mut bool,
        patience: &mut Patience<'_>,
    ) -> Result<Option<P>, McpError> {
        let has_cursor = cursor.is_some();
        let params = cursor.into_iter().map(|cursor| ("cursor".to_owned(), Value::from(cursor))).collect();
        patience.renew_attempts();
        match self.ask(Call::repeatable(method, params), patience).await {
            Err(McpError::Rpc(error))
                if error.code == ErrorCode::INVALID_PARAMS && has_cursor && !*began_anew =>
            {
                *began_anew = true;
                self.shared.peer.cache.forget(&[method]);
                Ok(None)
            }
            answered => answered.map(Some),
        }
    }

    async fn all_pages<P: DeserializeOwned, T>(
        &self,
        method: &'static str,
        next: impl Fn(P) -> (Vec<T>, Option<String>),
    ) -> Result<Vec<T>, McpError> {
        let never = CancellationToken::new();
        let mut patience = self.shared.peer.patience(&never);
        let (mut cursor, mut began_anew) = (None, false);
        let (mut all, mut seen, mut bytes) = (Vec::new(), HashSet::new(), 0_usize);
        while seen.len() < MAX_PAGES {
            let page =
                self.page::<Box<RawValue>>(method, cursor.take(), &mut began_anew, &mut patience).await?;
            let Some(page) = page else {
                (all, seen, bytes) = (Vec::new(), HashSet::new(), 0);
                continue;
            };
            bytes = bytes.saturating_add(page.get().len());
            if bytes > MAX_BYTES {
                let text = format!("its answer to {method} has more than {MAX_BYTES} bytes");
                return Err(McpError::Protocol(text));
            }
            let (items, following) = next(read(method, &page, &self.shared.peer)?);
            all.extend(items);
            let Some(following) = following else { return Ok(all) };
            if !seen.insert(following.clone()) {
                let text = format!("its answer to {method} goes in a circle: a cursor came twice");
                return Err(McpError::Protocol(text));
            }
            cursor = Some(following);
        }
        Err(McpError::Protocol(format!("its answer to {method} has more than {MAX_PAGES} pages")))
    }
}
