//! A page of tools: every definition is taken or left out, and none is lost.
#![no_main]

use client::mcp::fuzzing::tool_page;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    if let Some((taken, left_out)) = tool_page(text)
        && let Ok(page) = serde_json::from_str::<Value>(text)
    {
        // As the connection has made sure before.
        let Some(page) = page.as_object() else { return };
        assert_eq!(page["tools"].as_array().map(Vec::len), Some(taken + left_out));
    }
});
