//! The URL of a server: read or refused, and what is shown of it holds no secret of its query.
#![no_main]

use client::mcp::fuzzing::endpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(shown) = endpoint(text) {
        assert!(matches!(shown.split_once('?'), None | Some((_, "…"))), "{shown}");
    }
});
