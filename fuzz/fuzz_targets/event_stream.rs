//! A stream of events: the same events however the bytes are cut.
#![no_main]

use client::mcp::fuzzing::events;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = events(bytes, usize::MAX);
    assert_eq!(events(bytes, 1), whole);
    assert_eq!(events(bytes, 3), whole);
});
