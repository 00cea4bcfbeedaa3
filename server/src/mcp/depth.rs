//! How deeply a message may be nested.
//!
//! Parameters that nobody reads are never parsed, so the parser's own bound does not see them; and a model that reads
//! an echo, or a tool that recurses, should not have to have one.

/// Objects and arrays within each other; no message of MCP comes near it.
pub(super) const DEPTH_MAX: usize = 64;

/// Whether `json` nests deeper than [`DEPTH_MAX`]. Text that is not JSON gets an answer too: any.
pub(super) fn is_too_deep(json: &str) -> bool {
    // Hardly any message has so many of them, wherever they stand.
    if memchr::memchr2_iter(b'{', b'[', json.as_bytes()).nth(DEPTH_MAX).is_none() {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth = depth.saturating_add(1);
                if depth > DEPTH_MAX {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_message_that_is_taken_has_the_limits_depth() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert!(!is_too_deep(&nested(DEPTH_MAX)));
            assert!(is_too_deep(&nested(DEPTH_MAX + 1)));
        }
    }

    #[test]
    fn what_stands_in_a_string_or_side_by_side_is_not_nested() {
        assert!(!is_too_deep(&format!(r#"{{"a":"{}\"{}"}}"#, "[".repeat(500), "{".repeat(500))));
        assert!(!is_too_deep(&format!("[{}0]", "[],".repeat(500))));
        assert!(is_too_deep(&format!(r#"{{"a":"\\","b":{}"#, "[".repeat(500))));
    }
}
