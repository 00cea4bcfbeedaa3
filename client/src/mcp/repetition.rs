//! Whether what may have run may be sent again.
//!
//! When an answer is lost, nobody knows whether the tool ran. A call that only reads, or that changes nothing when it
//! comes twice, is sent again. A call that carries a key of its own (`idempotencyKey`) is sent again too: the server
//! knows it by the key and answers as it did before. Everything else is sent once, and its outcome is unknown until
//! somebody looks. What cannot have run is another matter: that may always be sent again.

use serde_json::Value;
use shared::mcp::tools::Tool;

use super::{Arguments, McpError, TimedOut};

/// The argument by which a server knows a call again.
pub const IDEMPOTENCY_KEY: &str = "idempotencyKey";

/// Why a call may be sent again after it may have run, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repetition {
    /// The tool says that a second call does no harm: it reads, or is idempotent.
    Harmless,
    /// The call carries this key.
    Keyed(String),
    /// A second call would do it twice, as far as anybody knows.
    Never,
}

impl Repetition {
    /// Of a call of the tool. Where the tool takes a key and was given none, a fresh one is put into the arguments: it
    /// is the same in each repetition, and no other call has it.
    pub fn of(tool: &Tool, arguments: &mut Arguments) -> Self {
        if tool.is_safe_to_repeat() {
            return Self::Harmless;
        }
        if !takes_key(tool) {
            return Self::Never;
        }
        let given = arguments.members().remove(IDEMPOTENCY_KEY).map(|key| serde_json::from_str(key.get()));
        match given {
            Some(Ok(Value::String(key))) if !key.is_empty() => Self::Keyed(key),
            Some(_) => Self::Never,
            None => {
                // Without a source of randomness the call goes without a key, and only once.
                let Some(key) = fresh_key() else { return Self::Never };
                arguments.add(IDEMPOTENCY_KEY, &key);
                Self::Keyed(key)
            }
        }
    }

    /// Whether it may run twice.
    #[must_use]
    pub const fn is_safe(&self) -> bool {
        match self {
            Self::Harmless | Self::Keyed(_) => true,
            Self::Never => false,
        }
    }
}

fn takes_key(tool: &Tool) -> bool {
    let kind = tool
        .input_schema
        .get("properties")
        .and_then(|properties| properties.get(IDEMPOTENCY_KEY)?.get("type"));
    match kind {
        Some(Value::String(one)) => one == "string",
        Some(Value::Array(several)) => several.iter().any(|one| one == "string"),
        Some(_) | None => false,
    }
}

/// A random UUID (RFC 9562, version 4).
fn fresh_key() -> Option<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).ok()?;
    let random = u128::from_be_bytes(bytes);
    let value = (random & !(0xF << 76 | 0x3 << 62)) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{value:032x}");
    let part = |from: usize, to: usize| hex.get(from..to);
    Some([part(0, 8)?, part(8, 12)?, part(12, 16)?, part(16, 20)?, part(20, 32)?].join("-"))
}

/// Whether a request that failed so is worth sending again, and may be. `is_safe`: it may run twice.
pub(super) const fn is_worth_repeating(failure: &McpError, is_safe: bool) -> bool {
    match failure {
        // It did not run.
        McpError::Busy { .. } | McpError::Unreachable { .. } | McpError::TimedOut(TimedOut::Connect) => true,
        // It may have run.
        McpError::ServerFailed { .. }
        | McpError::Broken(_)
        | McpError::TimedOut(TimedOut::FirstByte | TimedOut::Idle | TimedOut::Progress) => is_safe,
        // It would end as it did, or its time is over.
        McpError::TimedOut(TimedOut::Call)
        | McpError::Unauthorized(_)
        | McpError::NoCredentials(_)
        | McpError::Forbidden(_)
        | McpError::NotMcp { .. }
        | McpError::Protocol(_)
        | McpError::Rpc(_)
        | McpError::SessionEnded
        | McpError::Cancelled => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(key: Value, hints: Value) -> Tool {
        let properties = if key.is_null() { json!({}) } else { json!({ "idempotencyKey": key }) };
        let schema = json!({ "type": "object", "properties": properties });
        serde_json::from_value(json!({ "name": "t", "inputSchema": schema, "annotations": hints })).unwrap()
    }

    fn of(tool: &Tool, arguments: Value) -> (Repetition, Value) {
        let mut arguments = Arguments::parse(&arguments.to_string()).unwrap();
        let repetition = Repetition::of(tool, &mut arguments);
        (repetition, serde_json::from_str(arguments.as_str()).unwrap())
    }

    #[test]
    fn a_tool_that_takes_a_key_gets_one_and_keeps_the_one_it_has() {
        for kind in [json!({ "type": "string" }), json!({ "type": ["string", "null"] })] {
            let tool = tool(kind, json!({}));
            let (first, arguments) = of(&tool, json!({ "to": "alice" }));
            let Repetition::Keyed(key) = &first else { panic!("{first:?}") };
            assert_eq!((key.len(), key.as_bytes()[14]), (36, b'4'), "{key}");
            assert!(matches!(key.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{key}");
            assert_eq!(arguments["idempotencyKey"], **key);
            assert_ne!(of(&tool, json!({})).0, first, "another call has another key");
            assert_eq!(of(&tool, arguments).0, first);
            assert_eq!(
                of(&tool, json!({ "idempotencyKey": "mine" })).0,
                Repetition::Keyed("mine".to_owned())
            );
            for wrong in [json!(null), json!(7), json!("")] {
                assert_eq!(of(&tool, json!({ "idempotencyKey": wrong })).0, Repetition::Never);
            }
        }
    }

    #[test]
    fn a_tool_that_reads_is_not_given_a_key_to_look_for() {
        let filter = tool(json!({ "type": "string" }), json!({ "readOnlyHint": true }));
        assert_eq!(of(&filter, json!({})), (Repetition::Harmless, json!({})));
    }

    #[test]
    fn what_says_nothing_of_itself_is_sent_once() {
        for (key, hints) in [(json!(null), json!({})), (json!({ "type": "integer" }), json!({}))] {
            assert_eq!(of(&tool(key, hints), json!({})), (Repetition::Never, json!({})));
        }
        let idempotent = tool(json!(null), json!({ "idempotentHint": true }));
        assert_eq!(of(&idempotent, json!({})).0, Repetition::Harmless);
    }

    #[test]
    fn what_may_have_run_is_repeated_only_where_that_is_safe() {
        let broken = || McpError::Broken("cut".to_owned());
        for (failure, when_safe, otherwise) in [
            (McpError::Busy { retry_after: None }, true, true),
            (McpError::TimedOut(TimedOut::Connect), true, true),
            (McpError::ServerFailed { status: 503, retry_after: None }, true, false),
            (broken(), true, false),
            (McpError::TimedOut(TimedOut::FirstByte), true, false),
            (McpError::TimedOut(TimedOut::Idle), true, false),
            (McpError::TimedOut(TimedOut::Progress), true, false),
            (McpError::TimedOut(TimedOut::Call), false, false),
            (McpError::Unauthorized(String::new()), false, false),
            (McpError::NoCredentials(String::new()), false, false),
            (McpError::Forbidden(String::new()), false, false),
            (McpError::SessionEnded, false, false),
            (McpError::Cancelled, false, false),
        ] {
            assert_eq!(is_worth_repeating(&failure, true), when_safe, "{failure}");
            assert_eq!(is_worth_repeating(&failure, false), otherwise, "{failure}");
        }
    }
}
