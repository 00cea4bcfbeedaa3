//! A cursor: what nobody sealed opens for nobody, and what was sealed with anything in it is a place or is refused.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use server::{
    identity::Pepper,
    mcp::fuzzing::{cursor, cursor_of},
};

static PEPPER: LazyLock<Pepper> = LazyLock::new(|| Pepper::generate().unwrap());

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(cursor(&PEPPER, text), None);
    }
    assert_eq!(cursor_of(&PEPPER, bytes).is_some(), bytes.len() == 8);
});
