//! The value of a header that repeats a parameter: what is encoded is decoded to the same, and is a header's value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::mcp::parameter_headers::{HeaderAnnotations, decoded, encoded};

fuzz_target!(|text: &str| {
    let value = encoded(text);
    assert!(value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)), "{value:?}");
    assert_eq!(decoded(&value).as_deref(), Some(text));
    let _ = decoded(text);
    if let Ok(serde_json::Value::Object(schema)) = serde_json::from_str(text) {
        let _ = HeaderAnnotations::of(&schema);
    }
});
