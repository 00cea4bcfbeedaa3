//! Which era a message belongs to: the revisions with sessions, or those without.
//!
//! A message of a revision without sessions says so in its own `_meta`, or is one of the methods that only such a
//! revision has. Nearly every other message does not even contain the words, so it is not read twice.

use serde::Deserialize;
use serde_json::value::RawValue;
use shared::mcp::{ProtocolVersion, methods, modern::meta, object::Object};

/// Whether the message is for the revisions without sessions. `announced` is the header's revision, `in_session` whether
/// the request names a session.
pub(super) fn is_stateless(message: &str, announced: Option<ProtocolVersion>, in_session: bool) -> bool {
    if !in_session && announced.is_some_and(|version| !version.has_sessions()) {
        return true;
    }
    may_say_so(message.as_bytes()) && says_so(message)
}

/// Whether one of the words may be in it. Each has one slash, and so has hardly anything else in a message; but JSON may
/// write any of these characters as an escape, and a slash with one before it.
fn may_say_so(message: &[u8]) -> bool {
    const WORDS: [&str; 3] = [meta::PROTOCOL_VERSION, methods::DISCOVER, methods::LISTEN];
    memchr::memchr2_iter(b'/', b'\\', message).any(|at| {
        let Some((before, [b'/', after @ ..])) = message.split_at_checked(at) else { return true };
        let stands_here = |word: &str| {
            word.split_once('/').is_some_and(|(first, second)| {
                before.ends_with(first.as_bytes()) && after.starts_with(second.as_bytes())
            })
        };
        WORDS.into_iter().any(stands_here)
    })
}

/// As little of a message as tells the eras apart.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    method: Option<String>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<&'a RawValue>,
}

fn says_so(message: &str) -> bool {
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(message) else { return false };
    if envelope.method.is_some_and(|method| method == methods::DISCOVER || method == methods::LISTEN) {
        return true;
    }
    let meta = envelope.params.and_then(|params| serde_json::from_str::<Params<'_>>(params.get()).ok()?.meta);
    meta.and_then(|meta| serde_json::from_str::<Object<Meta<'_>>>(meta.get()).ok()?.0.version).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_belongs_to_the_era_that_it_says() {
        let with = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"x"}}}"#;
        let listed = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":["io.modelcontextprotocol/protocolVersion"]}}"#;
        let quoted = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"text":"io.modelcontextprotocol/protocolVersion server/discover"}}}"#;
        let discover = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#;
        let plain = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        for (message, version, in_session, stateless) in [
            (with, None, false, true),
            (with, Some("2025-11-25"), true, true),
            (discover, None, false, true),
            (listed, None, true, false),
            (quoted, None, true, false),
            (quoted, Some("2025-11-25"), false, false),
            (plain, None, false, false),
            (plain, Some("2026-07-28"), false, true),
            (plain, Some("2026-07-28"), true, false),
            (plain, Some("1999-01-01"), false, false),
            ("[1,", None, false, false),
            ("", None, false, false),
        ] {
            let announced = version.and_then(|version: &str| version.parse().ok());
            let found = is_stateless(message, announced, in_session);
            assert_eq!(found, stateless, "{message} {version:?} {in_session}");
        }
    }
}
