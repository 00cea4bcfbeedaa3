//! What a tool gave back, with its numbers as they were written and its members in the order in which they came.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use shared::mcp::tools::CallToolResult;

/// Nesting beyond this is kept as text.
const DEEPEST: u8 = 16;

/// One value of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Datum {
    /// No value.
    Null,
    /// A number, a truth value, or what is nested too deeply, as it was written.
    Plain(String),
    /// A text.
    Text(String),
    /// Several values.
    List(Vec<Datum>),
    /// Named values.
    Record(Vec<(String, Datum)>),
}

impl Datum {
    /// What the result says: its structured content, else its text if that is JSON, else its text. Structured members
    /// are put in the order in which the text names them.
    pub(super) fn of(result: &CallToolResult) -> Self {
        let text = result.text();
        let written = serde_json::from_str::<&RawValue>(text.trim()).ok().map(|raw| Self::read(raw, DEEPEST));
        match (&result.structured_content, written) {
            (Some(value), written) => {
                let mut order = BTreeMap::new();
                if let Some(written) = &written {
                    written.note_order(&mut order);
                }
                Self::convert(value, &order)
            }
            (None, Some(written @ (Self::List(_) | Self::Record(_) | Self::Plain(_)))) => written,
            (None, Some(Self::Text(text))) => Self::Text(text),
            (None, Some(Self::Null) | None) => Self::Text(text),
        }
    }

    fn read(raw: &RawValue, depth: u8) -> Self {
        let text = raw.get();
        let as_written = || Self::Plain(text.to_owned());
        match text.as_bytes().first() {
            Some(b'{' | b'[') if depth == 0 => as_written(),
            Some(b'{') => serde_json::from_str::<Members<'_>>(text).map_or_else(
                |_| as_written(),
                |members| {
                    let read =
                        |(name, raw): (String, &RawValue)| (name, Self::read(raw, depth.saturating_sub(1)));
                    Self::Record(members.0.into_iter().map(read).collect())
                },
            ),
            Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(text).map_or_else(
                |_| as_written(),
                |items| {
                    Self::List(
                        items.into_iter().map(|raw| Self::read(raw, depth.saturating_sub(1))).collect(),
                    )
                },
            ),
            Some(b'"') => serde_json::from_str(text).map_or_else(|_| as_written(), Self::Text),
            Some(b'n') => Self::Null,
            _ => as_written(),
        }
    }

    /// The place of each name in the order of a text.
    fn note_order(&self, order: &mut BTreeMap<String, usize>) {
        match self {
            Self::List(items) => items.iter().for_each(|item| item.note_order(order)),
            Self::Record(members) => {
                for (name, member) in members {
                    let next = order.len();
                    order.entry(name.clone()).or_insert(next);
                    member.note_order(order);
                }
            }
            Self::Null | Self::Plain(_) | Self::Text(_) => {}
        }
    }

    fn convert(value: &Value, order: &BTreeMap<String, usize>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) | Value::Number(_) => Self::Plain(value.to_string()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(|item| Self::convert(item, order)).collect()),
            Value::Object(members) => {
                let mut members: Vec<(String, Self)> =
                    members.iter().map(|(name, value)| (name.clone(), Self::convert(value, order))).collect();
                members.sort_by_key(|(name, _)| order.get(name).copied().unwrap_or(usize::MAX));
                Self::Record(members)
            }
        }
    }

    /// In one line, without quotation marks around a text.
    pub(super) fn inline(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Plain(text) | Self::Text(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
            Self::List(items) => items.iter().map(Self::inline).collect::<Vec<_>>().join(", "),
            Self::Record(members) => {
                let members = members.iter().map(|(name, member)| match member {
                    Self::List(_) | Self::Record(_) => format!("{name}: ({})", member.inline()),
                    Self::Null | Self::Plain(_) | Self::Text(_) => format!("{name}: {}", member.inline()),
                });
                members.collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// It has no parts.
    pub(super) fn is_scalar(&self) -> bool {
        match self {
            Self::Null | Self::Plain(_) | Self::Text(_) => true,
            Self::List(_) | Self::Record(_) => false,
        }
    }
}

/// The members of a JSON object in the order in which they were written.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Members<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(String, &'de RawValue)> = Vec::new();
                let mut known = HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if known.insert(name.clone()) {
                        members.push((name, map.next_value()?));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::mcp::content::ContentBlock;

    use super::*;

    fn result(text: &str, structured: Option<Value>) -> CallToolResult {
        CallToolResult {
            content: vec![ContentBlock::text(text)],
            structured_content: structured,
            ..Default::default()
        }
    }

    #[test]
    fn numbers_in_a_text_stay_as_they_were_written() {
        let datum = Datum::of(&result(r#"{"b": 1.10, "a": 123456789012345678901234567890}"#, None));
        assert_eq!(datum.inline(), "b: 1.10, a: 123456789012345678901234567890");
    }

    #[test]
    fn structured_content_wins_and_takes_its_order_from_the_text() {
        let datum = Datum::of(&result(
            r#"[{"id": 1, "amount": 2}]"#,
            Some(json!({"rows": [{"amount": 3, "id": 4}]})),
        ));
        assert_eq!(datum.inline(), "rows: (id: 4, amount: 3)");
    }

    #[test]
    fn text_that_is_no_json_is_text_and_depth_is_bounded() {
        assert_eq!(Datum::of(&result("hello {", None)), Datum::Text("hello {".to_owned()));
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert!(Datum::of(&result(&deep, None)).inline().contains("[1]"));
    }
}
