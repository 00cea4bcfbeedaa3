//! The official example messages of revision 2026-07-28 survive a trip through our types without loss.
//!
//! The examples are not part of this repository: `MCP_SCHEMA_DIR` says where they are (`.ci/run` sets it).

#![cfg(test)]

#[path = "support/official.rs"]
mod official;

use std::fs;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use shared::{
    jsonrpc::{ErrorObject, Incoming},
    mcp::{
        annotations::{Annotations, Icon},
        content::{ContentBlock, EmbeddedResource, MediaContent, TextContent},
        elicitation::{ElicitRequestParams, ElicitResult, FormField},
        input::{InputRequest, InputRequests, InputRequiredResult, InputResponses, ListRootsResult, Root},
        lifecycle::{ClientCapabilities, Implementation, ServerCapabilities},
        modern::{
            CacheableResult, DiscoverResult, LoggingMessageNotificationParams,
            MissingRequiredClientCapabilityData, RequestMeta, RequestParams,
            SubscriptionsAcknowledgedNotificationParams, SubscriptionsListenRequestParams,
            SubscriptionsListenResult, TypedResult, UnsupportedProtocolVersionData,
        },
        prompts::{
            CompleteRequestParams, CompleteResult, GetPromptRequestParams, GetPromptResult, ListPromptsResult,
        },
        resources::{
            ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource, ResourceContents,
            ResourceRequestParams, ResourceUpdatedNotificationParams,
        },
        sampling::{
            CreateMessageRequestParams, CreateMessageResult, ModelPreferences, SamplingBlock, SamplingMessage,
        },
        tools::{CallToolRequestParams, CallToolResult, ListToolsResult, Tool},
        utilities::{CancelledNotificationParams, PaginatedRequestParams, ProgressNotificationParams},
    },
};

/// Reads `value` as a `T` and writes it again.
fn through<T: Serialize + DeserializeOwned>(value: &Value) -> Value {
    let typed: T = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"));
    serde_json::to_value(typed).unwrap()
}

/// Sends the member `name` of a message through `T`, and the message itself through the JSON-RPC grammar.
fn member<T: Serialize + DeserializeOwned>(message: &Value, name: &str) -> Value {
    let mut message = message.clone();
    if message.get("jsonrpc").is_some() {
        let text = message.to_string();
        Incoming::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    }
    if let Some(inner) = message.get(name) {
        let inner = through::<T>(inner);
        message[name] = inner;
    }
    message
}

/// `error`, and its `data` as a `D`.
fn error<D: Serialize + DeserializeOwned>(message: &Value) -> Value {
    let mut message = member::<ErrorObject>(message, "error");
    message["error"] = member::<D>(&message["error"], "data");
    message
}

/// The trip for the schema type `name`; `None` if there is none, which the test does not let pass.
fn trip(name: &str, value: &Value) -> Option<Value> {
    part(name, value).or_else(|| message(name, value)).or_else(|| asked(name, value))
}

/// What messages are made of.
fn part(name: &str, value: &Value) -> Option<Value> {
    Some(match name {
        "Annotations" => through::<Annotations>(value),
        "Icon" => through::<Icon>(value),
        "AudioContent" | "ImageContent" => {
            through::<MediaContent>(value);
            through::<ContentBlock>(value)
        }
        "TextContent" => {
            through::<TextContent>(value);
            through::<ContentBlock>(value)
        }
        "EmbeddedResource" => {
            through::<EmbeddedResource>(value);
            through::<ContentBlock>(value)
        }
        "ResourceLink" => through::<ContentBlock>(value),
        "ToolUseContent" | "ToolResultContent" => through::<SamplingBlock>(value),
        "BlobResourceContents" | "TextResourceContents" => through::<ResourceContents>(value),
        "Resource" => through::<Resource>(value),
        "Root" => through::<Root>(value),
        "Tool" => through::<Tool>(value),
        "Implementation" => through::<Implementation>(value),
        "ClientCapabilities" => through::<ClientCapabilities>(value),
        "ServerCapabilities" => through::<ServerCapabilities>(value),
        "RequestMetaObject" => through::<RequestMeta>(value),
        "ModelPreferences" => through::<ModelPreferences>(value),
        "SamplingMessage" => through::<SamplingMessage>(value),
        name if name.ends_with("Schema") => through::<FormField>(value),
        _ => return None,
    })
}

/// Requests and their results.
fn message(name: &str, value: &Value) -> Option<Value> {
    Some(match name {
        "CallToolRequestParams" => through::<CallToolRequestParams>(value),
        "CallToolRequest" => member::<CallToolRequestParams>(value, "params"),
        "CallToolResult" => through::<TypedResult<CallToolResult>>(value),
        "CallToolResultResponse" => member::<TypedResult<CallToolResult>>(value, "result"),
        "CompleteRequestParams" => through::<CompleteRequestParams>(value),
        "CompleteRequest" => member::<CompleteRequestParams>(value, "params"),
        "CompleteResult" => through::<TypedResult<CompleteResult>>(value),
        "CompleteResultResponse" => member::<TypedResult<CompleteResult>>(value, "result"),
        "GetPromptRequestParams" => through::<GetPromptRequestParams>(value),
        "GetPromptRequest" => member::<GetPromptRequestParams>(value, "params"),
        "GetPromptResult" => through::<TypedResult<GetPromptResult>>(value),
        "GetPromptResultResponse" => member::<TypedResult<GetPromptResult>>(value, "result"),
        "ReadResourceRequestParams" => through::<ResourceRequestParams>(value),
        "ReadResourceRequest" => member::<ResourceRequestParams>(value, "params"),
        "ReadResourceResult" => through::<CacheableResult<ReadResourceResult>>(value),
        "ReadResourceResultResponse" => member::<CacheableResult<ReadResourceResult>>(value, "result"),
        "DiscoverRequest" => member::<RequestParams>(value, "params"),
        "DiscoverResult" => through::<CacheableResult<DiscoverResult>>(value),
        "DiscoverResultResponse" => member::<CacheableResult<DiscoverResult>>(value, "result"),

        "PaginatedRequestParams" => through::<PaginatedRequestParams>(value),
        "ListToolsRequest"
        | "ListPromptsRequest"
        | "ListResourcesRequest"
        | "ListResourceTemplatesRequest" => member::<PaginatedRequestParams>(value, "params"),
        "ListToolsResult" => through::<CacheableResult<ListToolsResult>>(value),
        "ListToolsResultResponse" => member::<CacheableResult<ListToolsResult>>(value, "result"),
        "ListPromptsResult" => through::<CacheableResult<ListPromptsResult>>(value),
        "ListPromptsResultResponse" => member::<CacheableResult<ListPromptsResult>>(value, "result"),
        "ListResourcesResult" => through::<CacheableResult<ListResourcesResult>>(value),
        "ListResourcesResultResponse" => member::<CacheableResult<ListResourcesResult>>(value, "result"),
        "ListResourceTemplatesResult" => through::<CacheableResult<ListResourceTemplatesResult>>(value),
        "ListResourceTemplatesResultResponse" => {
            member::<CacheableResult<ListResourceTemplatesResult>>(value, "result")
        }
        _ => return None,
    })
}

/// What a server asks for, what it tells of its own accord, and errors.
fn asked(name: &str, value: &Value) -> Option<Value> {
    Some(match name {
        "InputRequests" => through::<InputRequests>(value),
        "InputResponses" => through::<InputResponses>(value),
        "InputRequiredResult" => through::<TypedResult<InputRequiredResult>>(value),
        "ElicitRequest" | "CreateMessageRequest" | "ListRootsRequest" => {
            let mut request = through::<InputRequest>(value);
            // The `id` of the example is of the revisions in which this was a request of its own.
            if let Some(id) = value.get("id") {
                request["id"] = id.clone();
            }
            request
        }
        "ElicitRequestFormParams" | "ElicitRequestURLParams" => through::<ElicitRequestParams>(value),
        "ElicitResult" => through::<ElicitResult>(value),
        "CreateMessageRequestParams" => through::<CreateMessageRequestParams>(value),
        "CreateMessageResult" => through::<CreateMessageResult>(value),
        "ListRootsResult" => through::<ListRootsResult>(value),

        "SubscriptionsListenRequest" => member::<SubscriptionsListenRequestParams>(value, "params"),
        "SubscriptionsListenResult" => through::<TypedResult<SubscriptionsListenResult>>(value),
        "SubscriptionsListenResultResponse" => {
            member::<TypedResult<SubscriptionsListenResult>>(value, "result")
        }
        "SubscriptionsAcknowledgedNotification" => {
            member::<SubscriptionsAcknowledgedNotificationParams>(value, "params")
        }
        "CancelledNotificationParams" => through::<CancelledNotificationParams>(value),
        "CancelledNotification" => member::<CancelledNotificationParams>(value, "params"),
        "ProgressNotificationParams" => through::<ProgressNotificationParams>(value),
        "ProgressNotification" => member::<ProgressNotificationParams>(value, "params"),
        "LoggingMessageNotificationParams" => through::<LoggingMessageNotificationParams>(value),
        "LoggingMessageNotification" => member::<LoggingMessageNotificationParams>(value, "params"),
        "ResourceUpdatedNotificationParams" => through::<ResourceUpdatedNotificationParams>(value),
        "ResourceUpdatedNotification" => member::<ResourceUpdatedNotificationParams>(value, "params"),
        "PromptListChangedNotification"
        | "ResourceListChangedNotification"
        | "ToolListChangedNotification" => member::<Value>(value, "params"),

        "UnsupportedProtocolVersionError" => error::<UnsupportedProtocolVersionData>(value),
        "MissingRequiredClientCapabilityError" => error::<MissingRequiredClientCapabilityData>(value),
        "HeaderMismatchError" => error::<Value>(value),
        "InternalError" | "InvalidParamsError" | "MethodNotFoundError" | "ParseError" => {
            through::<ErrorObject>(value)
        }
        _ => return None,
    })
}

#[test]
fn every_official_example_survives_a_round_trip() {
    let Some(folder) = official::folder() else {
        return official::say_that_they_are_missing("there are no official examples to read");
    };
    let mut examples = 0;
    for kind in fs::read_dir(folder.join("2026-07-28/examples")).unwrap() {
        let kind = kind.unwrap();
        let name = kind.file_name().into_string().unwrap();
        for file in fs::read_dir(kind.path()).unwrap() {
            let file = file.unwrap().path();
            let value: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            let after = trip(&name, &value).unwrap_or_else(|| panic!("no type of ours reads a {name}"));
            assert_eq!(after, value, "{}", file.display());
            examples += 1;
        }
    }
    assert!(examples >= 129, "only {examples} examples were found");
}

#[test]
fn what_the_schema_forbids_is_refused() {
    for (name, value) in [
        ("Root", json!({ "name": "no uri" })),
        ("ElicitResult", json!({ "action": "maybe" })),
        ("TextResourceContents", json!({ "uri": "file:///a" })),
        ("ToolUseContent", json!({ "type": "tool_use", "id": "1", "name": "x", "input": [] })),
    ] {
        assert!(std::panic::catch_unwind(|| trip(name, &value)).is_err(), "{name} took {value}");
    }
}
