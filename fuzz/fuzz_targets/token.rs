//! A signed token, as a caller might make one up: whoever lacks the issuer's key makes none that holds.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use server::identity::fuzzing::Tokens;

static TOKENS: LazyLock<Tokens> = LazyLock::new(|| Tokens::new().unwrap());

fuzz_target!(|text: &str| {
    assert!(!TOKENS.hold(text));
    // What is between the dots need not be base64 to be tried: as claims under a header that names the right key.
    assert!(!TOKENS.hold_with_claims(text));
});
