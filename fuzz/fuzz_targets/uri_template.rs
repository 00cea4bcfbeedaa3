//! A template of URIs and a URI, a line each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use server::mcp::fuzzing::template;

fuzz_target!(|text: &str| {
    let (pattern, uri) = text.split_once('\n').unwrap_or(("payments://statements/{month}", text));
    let _ = template(pattern, uri);
});
