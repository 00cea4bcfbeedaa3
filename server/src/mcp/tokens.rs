//! JSON as the tokens it is written in, none of which is read: not as a number that must fit, not as a text that must be one.

/// What of a JSON text is still to be taken.
pub(super) struct Tokens<'a>(&'a str);

impl<'a> Tokens<'a> {
    pub(super) const fn of(json: &'a str) -> Self {
        Self(json)
    }

    /// The next token: a string, a number or a word whole, everything else by itself. Empty at the end.
    pub(super) fn take(&mut self) -> &'a str {
        let rest = self.0.trim_ascii_start();
        let length = match rest.bytes().next() {
            None => 0,
            Some(b'"') => string_length(rest),
            Some(b'{' | b'}' | b'[' | b']' | b',' | b':') => 1,
            Some(_) => rest.find([',', '}', ']', ' ', '\t', '\r', '\n']).unwrap_or(rest.len()),
        };
        let (token, rest) = rest.split_at_checked(length).unwrap_or((rest, ""));
        self.0 = rest;
        token
    }
}

/// How long the string is that `text` begins with, its quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end.saturating_add(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_and_a_number_are_whole_whatever_they_say() {
        let mut tokens = Tokens::of(r#" {"a\"]" :[1e999,"\ud800"],"b":null}"#);
        let taken: Vec<_> =
            std::iter::from_fn(|| Some(tokens.take()).filter(|token| !token.is_empty())).collect();
        let whole =
            ["{", r#""a\"]""#, ":", "[", "1e999", ",", r#""\ud800""#, "]", ",", r#""b""#, ":", "null", "}"];
        assert_eq!(taken, whole);
    }
}
