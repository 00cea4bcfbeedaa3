//! The types of MCP: whatever is read as one of them can be written and read again, and is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::mcp::{
    elicitation::{ElicitRequestParams, ElicitResult},
    input::InputRequiredResult,
    lifecycle::{InitializeRequestParams, InitializeResult},
    modern::{DiscoverResult, RequestParams},
    prompts::{CompleteRequestParams, GetPromptResult},
    resources::{ListResourcesResult, ReadResourceResult},
    sampling::CreateMessageRequestParams,
    tools::{CallToolResult, ListToolsResult},
};

fn round<T: serde::de::DeserializeOwned + serde::Serialize + PartialEq + std::fmt::Debug>(text: &str) {
    if let Ok(read) = serde_json::from_str::<T>(text) {
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<T>(&written).unwrap(), read, "{written}");
    }
}

fuzz_target!(|text: &str| {
    round::<InitializeRequestParams>(text);
    round::<InitializeResult>(text);
    round::<DiscoverResult>(text);
    round::<RequestParams>(text);
    round::<CallToolResult>(text);
    round::<ListToolsResult>(text);
    round::<ListResourcesResult>(text);
    round::<ReadResourceResult>(text);
    round::<GetPromptResult>(text);
    round::<CompleteRequestParams>(text);
    round::<CreateMessageRequestParams>(text);
    round::<ElicitRequestParams>(text);
    round::<ElicitResult>(text);
    round::<InputRequiredResult>(text);
});
