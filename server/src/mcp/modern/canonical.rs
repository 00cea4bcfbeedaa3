//! What JSON says, whatever way it is written: one text for all texts that are read alike.

use std::borrow::Cow;

use crate::mcp::tokens::Tokens;

/// The text of `json`, which must be a JSON value that does not nest too deeply: without white space, strings written one
/// way, members in the order of their names. Numbers stay as they were written, for a tool may take them digit by
/// digit. Of members of one name all stay, in their order: which of them counts is not decided here.
pub(super) fn canonical(json: &str) -> Vec<u8> {
    let mut tokens = Tokens::of(json);
    let first = tokens.take();
    let mut text = Vec::with_capacity(json.len());
    Value::read(first, &mut tokens).write(&mut text);
    text
}

/// A value, of whose tokens none is copied unless it is written another way.
enum Value<'a> {
    Scalar(Cow<'a, str>),
    Items(Vec<Self>),
    /// In the order of their names.
    Members(Vec<(Cow<'a, str>, Self)>),
}

impl<'a> Value<'a> {
    /// The value that begins with `token`.
    fn read(token: &'a str, rest: &mut Tokens<'a>) -> Self {
        match token {
            "{" => Self::Members(members(rest)),
            "[" => Self::Items(items(rest)),
            token => Self::Scalar(scalar(token)),
        }
    }

    fn write(&self, text: &mut Vec<u8>) {
        match self {
            Self::Scalar(token) => text.extend_from_slice(token.as_bytes()),
            Self::Items(items) => {
                text.push(b'[');
                for (place, item) in items.iter().enumerate() {
                    separate(place, text);
                    item.write(text);
                }
                text.push(b']');
            }
            Self::Members(members) => {
                text.push(b'{');
                for (place, (name, value)) in members.iter().enumerate() {
                    separate(place, text);
                    text.extend_from_slice(name.as_bytes());
                    text.push(b':');
                    value.write(text);
                }
                text.push(b'}');
            }
        }
    }
}

fn items<'a>(rest: &mut Tokens<'a>) -> Vec<Value<'a>> {
    let mut items = Vec::new();
    loop {
        match rest.take() {
            "]" | "" => return items,
            "," => {}
            first => items.push(Value::read(first, rest)),
        }
    }
}

fn members<'a>(rest: &mut Tokens<'a>) -> Vec<(Cow<'a, str>, Value<'a>)> {
    let mut members = Vec::new();
    loop {
        match rest.take() {
            "}" | "" => break,
            "," => {}
            name => {
                let _colon = rest.take();
                let first = rest.take();
                members.push((scalar(name), Value::read(first, rest)));
            }
        }
    }
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    members
}

fn separate(place: usize, text: &mut Vec<u8>) {
    if place > 0 {
        text.push(b',');
    }
}

/// A string without escapes is written one way only. One that cannot be read says nothing but itself.
fn scalar(token: &str) -> Cow<'_, str> {
    let has_escapes = token.starts_with('"') && token.contains('\\');
    let read = has_escapes.then(|| serde_json::from_str::<String>(token).ok()).flatten();
    read.and_then(|read| serde_json::to_string(&read).ok()).map_or(Cow::Borrowed(token), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::canonical;
    use crate::mcp::tests::any_json;

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
