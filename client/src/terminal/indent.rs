//! JSON text laid out for reading, without changing what it says: members stay in their order, numbers and strings as
//! they were written.

use serde::de::IgnoredAny;

/// How many levels are indented; what is nested deeper stands below the last of them.
const MAX_LEVELS: usize = 16;

/// The JSON with a member a line, or the text as it is where it is not JSON.
pub(super) fn indent(json: &str) -> String {
    if serde_json::from_str::<IgnoredAny>(json).is_err() {
        return json.to_owned();
    }
    let mut laid_out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let (mut in_string, mut escaped) = (false, false);
    let mut characters = json.chars().filter(|c| !c.is_control()).peekable();
    while let Some(c) = characters.next() {
        if in_string {
            laid_out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            ' ' => {}
            '"' => {
                in_string = true;
                laid_out.push(c);
            }
            '{' | '[' => {
                while characters.next_if_eq(&' ').is_some() {}
                laid_out.push(c);
                if let Some(close) = characters.next_if(|&next| next == '}' || next == ']') {
                    laid_out.push(close);
                } else {
                    depth += 1;
                    new_line(&mut laid_out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut laid_out, depth);
                laid_out.push(c);
            }
            ',' => {
                laid_out.push(c);
                new_line(&mut laid_out, depth);
            }
            ':' => laid_out.push_str(": "),
            c => laid_out.push(c),
        }
    }
    laid_out
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth.min(MAX_LEVELS)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn members_stay_in_their_order_and_strings_as_they_are() {
        let json = r#"{"z":1.50,"a":[ ],"s":"a,{\"}: b","n":{"x":[1,2]}}"#;
        insta::assert_snapshot!(indent(json), @r#"
        {
          "z": 1.50,
          "a": [],
          "s": "a,{\"}: b",
          "n": {
            "x": [
              1,
              2
            ]
          }
        }
        "#);
    }

    #[test]
    fn what_is_not_json_stays_as_it_is() {
        assert_eq!(indent("<html>, [1"), "<html>, [1");
    }

    #[test]
    fn the_lines_of_what_is_nested_deeply_do_not_grow() {
        let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
        let longest = indent(&deep).lines().map(str::len).max();
        assert_eq!(longest, Some(2 * MAX_LEVELS + 2));
    }

    proptest! {
        #[test]
        fn it_means_the_same(text in any::<String>(), number in any::<i64>()) {
            let value = serde_json::json!({ "b": [text, { "a": number }, [], {}], text.clone(): null });
            for written in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                prop_assert_eq!(serde_json::from_str::<Value>(&indent(&written)).unwrap(), value.clone());
            }
        }
    }
}
