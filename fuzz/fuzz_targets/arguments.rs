//! The arguments of a call: read or refused in words that repeat nothing at length.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use server::mcp::fuzzing::{ArgumentShape, arguments};

static SHAPE: LazyLock<ArgumentShape> = LazyLock::new(|| ArgumentShape::new().unwrap());

fuzz_target!(|text: &str| {
    match arguments(&SHAPE, text) {
        Some(Ok(read)) => assert!(read["to"].is_string()),
        Some(Err(refusal)) => assert!(refusal.len() < 1_000, "{refusal}"),
        None => {}
    }
});
