//! What JSON says, whatever way it is written: one text for all texts that are read alike.

use std::ops::Range;

/// The text of `json`, which must be a JSON value that does not nest too deeply: without white space, strings written one
/// way, members in the order of their names. Numbers stay as they were written, for a tool may take them digit by
/// digit. Of members of one name all stay, in their order: which of them counts is not decided here.
pub(super) fn canonical(json: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(json.len());
    let mut tokens = Tokens(json);
    let first = tokens.take();
    tokens.write(first, &mut text);
    text
}

/// What of a JSON text is still to be read.
struct Tokens<'a>(&'a str);

impl<'a> Tokens<'a> {
    /// The next token: a string, a number or a word whole, everything else by itself. Empty at the end.
    fn take(&mut self) -> &'a str {
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

    /// Writes the value that begins with `token`.
    fn write(&mut self, token: &str, text: &mut Vec<u8>) {
        match token {
            "{" => self.write_members(text),
            "[" => self.write_items(text),
            scalar => write_scalar(scalar, text),
        }
    }

    fn write_items(&mut self, text: &mut Vec<u8>) {
        text.push(b'[');
        loop {
            match self.take() {
                "]" | "" => break,
                "," => text.push(b','),
                first => self.write(first, text),
            }
        }
        text.push(b']');
    }

    fn write_members(&mut self, text: &mut Vec<u8>) {
        let start = text.len();
        let mut members: Vec<Member> = Vec::new();
        loop {
            match self.take() {
                "}" | "" => break,
                "," => {}
                name => {
                    let begin = text.len();
                    write_scalar(name, text);
                    let name = begin..text.len();
                    text.push(b':');
                    let _colon = self.take();
                    let first = self.take();
                    self.write(first, text);
                    members.push(Member { name, whole: begin..text.len() });
                }
            }
        }
        let written = text.split_off(start);
        let of = |range: &Range<usize>| {
            written
                .get(range.start.saturating_sub(start)..range.end.saturating_sub(start))
                .unwrap_or_default()
        };
        members.sort_by(|one, other| of(&one.name).cmp(of(&other.name)));
        let members: Vec<&[u8]> = members.iter().map(|member| of(&member.whole)).collect();
        text.push(b'{');
        text.extend_from_slice(&members.join(&b','));
        text.push(b'}');
    }
}

/// Where a member is in the text.
struct Member {
    name: Range<usize>,
    whole: Range<usize>,
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

/// A string without escapes is written one way only. One that cannot be read says nothing but itself.
fn write_scalar(token: &str, text: &mut Vec<u8>) {
    let has_escapes = token.starts_with('"') && token.contains('\\');
    let read = has_escapes.then(|| serde_json::from_str::<String>(token).ok()).flatten();
    match read.and_then(|read| serde_json::to_vec(&read).ok()) {
        Some(written) => text.extend_from_slice(&written),
        None => text.extend_from_slice(token.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn shown(json: &str) -> String {
        String::from_utf8(canonical(json)).unwrap()
    }

    #[test]
    fn what_says_the_same_is_written_the_same() {
        for (json, same) in [
            ("{}", "{}"),
            (" { } ", "{}"),
            (r#"{"b":1,"a":{"d":[1, 2],"c":null}}"#, r#"{"a":{"c":null,"d":[1,2]},"b":1}"#),
            ("{\r\n\t\"a\" : [ ] , \"b\" : [ { } , true ]\n}", r#"{"a":[],"b":[{},true]}"#),
            (r#"{"\u0061":"\u00e9\/\n","b":"\"{,}\\"}"#, r#"{"a":"é/\n","b":"\"{,}\\"}"#),
            (r#"[1.50, -0, 1E400, 12345678901234567890123]"#, "[1.50,-0,1E400,12345678901234567890123]"),
            (r#"{"a":"\ud800"}"#, r#"{"a":"\ud800"}"#),
            (" \"a\" ", "\"a\""),
        ] {
            assert_eq!(shown(json), same, "{json}");
        }
    }

    #[test]
    fn what_may_be_read_otherwise_is_written_otherwise() {
        for (one, other) in [
            (r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{"a":1,"\u0061":2}"#, r#"{"\u0061":2,"a":1}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
            (r#"{"a":1}"#, r#"{"a":1.0}"#),
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"{"a":"b c"}"#, r#"{"a":"bc"}"#),
            (r#"{"a":{"b":1},"c":2}"#, r#"{"a":{"b":1,"c":2}}"#),
            (r#"{"a":"\ud800"}"#, r#"{"a":"\\ud800"}"#),
        ] {
            assert_ne!(shown(one), shown(other), "{one} {other}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        scalar.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_says_what_it_was_made_from(value in any_json()) {
            let tight = shown(&value.to_string());
            prop_assert_eq!(serde_json::from_str::<Value>(&tight).unwrap(), value.clone());
            prop_assert_eq!(shown(&serde_json::to_string_pretty(&value).unwrap()), tight.clone());
            prop_assert_eq!(shown(&tight), tight);
        }

        #[test]
        fn any_text_comes_to_an_end(text in ".*") {
            canonical(&text);
        }
    }
}
