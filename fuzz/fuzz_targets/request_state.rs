//! A request state: what nobody sealed opens for nobody, and what was sealed with anything in it is read or refused.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use server::{
    identity::Pepper,
    mcp::fuzzing::{request_state, request_state_of},
};

static PEPPER: LazyLock<Pepper> = LazyLock::new(|| Pepper::generate().unwrap());

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(!request_state(&PEPPER, text));
    }
    let _ = request_state_of(&PEPPER, bytes);
});
