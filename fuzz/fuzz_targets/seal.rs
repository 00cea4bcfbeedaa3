//! What was sealed, as a client might give it back: nobody who lacks the key makes one that opens.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use server::{identity::Pepper, mcp::fuzzing::opens};

static PEPPER: LazyLock<Pepper> = LazyLock::new(|| Pepper::generate().unwrap());

fuzz_target!(|text: &str| assert!(!opens(&PEPPER, text)));
