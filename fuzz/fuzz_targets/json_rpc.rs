//! A JSON-RPC message: read or refused, and what was read says the same when it is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::jsonrpc::Incoming;

fuzz_target!(|text: &str| {
    if let Ok(Incoming::Request { id, .. }) = Incoming::parse(text) {
        let written = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<shared::jsonrpc::RequestId>(&written).unwrap(), id);
    }
});
