//! The resources that the suite reads.

use serde_json::json;
use server::{
    identity::{Permission, Principal},
    mcp::{
        EngineBuilder, Part, Parts, RequestContext, Resource, ResourceDefinition, ResourceTemplate,
        ToolError, Variables,
    },
};
use shared::mcp::resources::ResourceBody;

use super::tools::PNG;

/// Adds every resource.
pub(crate) fn register(builder: EngineBuilder) -> EngineBuilder {
    builder.resource(StaticText).resource(StaticBinary).resource(Watched).template(Data)
}

const fn definition(
    uri: &'static str,
    name: &'static str,
    description: &'static str,
    mime_type: &'static str,
) -> ResourceDefinition {
    ResourceDefinition {
        uri,
        name,
        title: None,
        description,
        mime_type: Some(mime_type),
        permission: Permission::BalanceRead,
    }
}

struct StaticText;

impl Resource for StaticText {
    const DEFINITION: ResourceDefinition =
        definition("test://static-text", "static-text", "A text that never changes", "text/plain");

    async fn read(&self, _context: RequestContext) -> Result<Parts, ToolError> {
        Ok(vec![Part::text("text/plain", "This is the content of the static text resource.")])
    }
}

struct StaticBinary;

impl Resource for StaticBinary {
    const DEFINITION: ResourceDefinition =
        definition("test://static-binary", "static-binary", "A picture that never changes", "image/png");

    async fn read(&self, _context: RequestContext) -> Result<Parts, ToolError> {
        Ok(vec![Part { mime_type: "image/png", body: ResourceBody::Blob(PNG.to_owned()) }])
    }
}

struct Watched;

impl Resource for Watched {
    const DEFINITION: ResourceDefinition =
        definition("test://watched-resource", "watched", "A text that can be subscribed to", "text/plain");
    const WATCHED: bool = true;

    async fn read(&self, _context: RequestContext) -> Result<Parts, ToolError> {
        Ok(vec![Part::text("text/plain", "Watched resource content")])
    }

    async fn fingerprint(&self, _principal: &Principal) -> Result<String, ToolError> {
        Ok(String::from("the same"))
    }
}

struct Data;

impl ResourceTemplate for Data {
    const DEFINITION: ResourceDefinition =
        definition("test://template/{id}/data", "data", "Data for any id", "application/json");

    async fn read(&self, _context: RequestContext, variables: Variables) -> Result<Option<Parts>, ToolError> {
        let Some(id) = variables.get("id") else { return Ok(None) };
        let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
        Ok(Some(vec![Part::text("application/json", data.to_string())]))
    }
}
