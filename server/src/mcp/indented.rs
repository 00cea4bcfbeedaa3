//! What a tool returns as text for a model: its JSON, indented, which is itself a string of the JSON that carries it.
//!
//! As a string of its own it would be written twice, and the second time piece by piece, since it is full of quotes and line
//! breaks. So it is written as it is sent, at once.

use std::io::{Result, Write};

use serde::Serialize;
use serde_json::{
    Serializer,
    ser::{CharEscape, Formatter},
};

/// A value's JSON, indented by two spaces, as a JSON string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indented(String);

impl Indented {
    /// That of `value`.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn of(value: &impl Serialize) -> serde_json::Result<Self> {
        let mut json = Vec::with_capacity(512);
        json.push(b'"');
        value.serialize(&mut Serializer::with_formatter(&mut json, Within::default()))?;
        json.push(b'"');
        String::from_utf8(json).map(Self).map_err(serde::ser::Error::custom)
    }

    /// The string, with its quotes.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

/// Writes JSON as serde's pretty form has it, and every character of it as it is within a string.
#[derive(Default)]
struct Within {
    depth: usize,
    has_members: bool,
}

impl Within {
    fn begin<W: Write + ?Sized>(&mut self, writer: &mut W, bracket: &[u8]) -> Result<()> {
        self.depth = self.depth.saturating_add(1);
        self.has_members = false;
        writer.write_all(bracket)
    }

    fn end<W: Write + ?Sized>(&mut self, writer: &mut W, bracket: &[u8]) -> Result<()> {
        self.depth = self.depth.saturating_sub(1);
        if self.has_members {
            self.begin_line(writer)?;
        }
        writer.write_all(bracket)
    }

    fn begin_member<W: Write + ?Sized>(&self, writer: &mut W, is_first: bool) -> Result<()> {
        if !is_first {
            writer.write_all(b",")?;
        }
        self.begin_line(writer)
    }

    fn begin_line<W: Write + ?Sized>(&self, writer: &mut W) -> Result<()> {
        writer.write_all(br"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for Within {
    fn begin_string<W: Write + ?Sized>(&mut self, writer: &mut W) -> Result<()> {
        writer.write_all(br#"\""#)
    }

    fn end_string<W: Write + ?Sized>(&mut self, writer: &mut W) -> Result<()> {
        writer.write_all(br#"\""#)
    }

    fn write_char_escape<W: Write + ?Sized>(&mut self, writer: &mut W, escape: CharEscape) -> Result<()> {
        // Of an escape, too, every character.
        writer.write_all(match escape {
            CharEscape::Quote => br#"\\\""#,
            CharEscape::ReverseSolidus => br"\\\\",
            CharEscape::Solidus => br"\\/",
            CharEscape::Backspace => br"\\b",
            CharEscape::FormFeed => br"\\f",
            CharEscape::LineFeed => br"\\n",
            CharEscape::CarriageReturn => br"\\r",
            CharEscape::Tab => br"\\t",
            CharEscape::AsciiControl(byte) => return write!(writer, r"\\u{byte:04x}"),
        })
    }

    fn begin_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> Result<()> {
        self.begin(writer, b"[")
    }

    fn end_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> Result<()> {
        self.end(writer, b"]")
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> Result<()> {
        self.begin_member(writer, first)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, _: &mut W) -> Result<()> {
        self.has_members = true;
        Ok(())
    }

    fn begin_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> Result<()> {
        self.begin(writer, b"{")
    }

    fn end_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> Result<()> {
        self.end(writer, b"}")
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> Result<()> {
        self.begin_member(writer, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, _: &mut W) -> Result<()> {
        self.has_members = true;
        Ok(())
    }

    fn write_raw_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> Result<()> {
        let quoted = serde_json::to_string(fragment)?;
        let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        writer.write_all(inner.unwrap_or_default().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{json, value::to_raw_value};

    use super::*;
    use crate::mcp::tests::any_json;

    fn written_twice(value: &impl Serialize) -> String {
        serde_json::to_string(&serde_json::to_string_pretty(value).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn it_is_what_writing_it_twice_makes(value in any_json()) {
            let written = Indented::of(&value).unwrap();
            prop_assert_eq!(written.as_json(), written_twice(&value));
        }
    }

    #[test]
    fn every_escape_and_what_is_json_already_are_escaped_once_more() {
        let controls: String = (0..=0x7f_u8).map(char::from).collect();
        for value in [json!(controls), json!({ "\"\\": controls, "": {} }), json!([[], {}, 1.5, null])] {
            assert_eq!(Indented::of(&value).unwrap().as_json(), written_twice(&value));
        }
        for raw in [json!({ "a\"": "\\\n", "b": [""] }), json!("\""), json!("")] {
            let raw = to_raw_value(&raw).unwrap();
            assert_eq!(Indented::of(&raw).unwrap().as_json(), written_twice(&raw));
        }
    }
}
