//! A key, as any header may claim to be one: taken or refused, and what is taken is found again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use server::identity::{ApiKey, fuzzing::is_credential};

fuzz_target!(|bytes: &[u8]| {
    let (own, bearer) = bytes.split_at(bytes.len() / 2);
    let _ = is_credential(bytes, &[]);
    let _ = is_credential(own, bearer);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = ApiKey::new(text) {
        assert_eq!(key.expose(), text);
        assert!(text.is_ascii() && (8..=256).contains(&text.len()));
        assert!(!text.starts_with("mcpay_live_") || ApiKey::is_in(text));
    }
});
