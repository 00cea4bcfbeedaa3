//! Reading `tools/list`: tool by tool, so that one malformed definition costs nobody the others.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use shared::mcp::{parameter_headers::HeaderAnnotations, tools::Tool};

use crate::mcp::{
    McpError,
    excerpt::{excerpt, is_unprintable},
};

/// How many tools a server may have.
const MAX_TOOLS: usize = 10_000;

/// How long a tool's name may be (tools, "Tool Names").
const MAX_NAME_CHARS: usize = 128;

/// What a server has to offer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToolList {
    /// The tools that can be called, in the server's order, no name twice.
    pub tools: Vec<Tool>,
    /// The definitions that were left out.
    pub rejected: Vec<RejectedTool>,
}

/// A definition that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedTool {
    /// The name, as far as there is one; made harmless to show.
    pub name: String,
    /// What is wrong with the definition.
    pub reason: String,
}

/// One page as the server sends it, its tools unread.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    tools: Vec<Box<RawValue>>,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// A listing under way.
#[derive(Debug, Default)]
pub(super) struct Listing {
    list: ToolList,
    annotations: HashMap<String, HeaderAnnotations>,
    /// Whether headers repeat annotated parameters, so that their annotations must be right.
    checks_headers: bool,
    names: HashSet<String>,
}

impl Listing {
    /// A listing whose tools are called in the era that repeats parameters in headers.
    pub(super) fn with_headers() -> Self {
        Self { checks_headers: true, ..Self::default() }
    }

    /// Adds a page. Returns where the next one starts, or `None` after the last one.
    ///
    /// # Errors
    /// [`McpError::Protocol`] when there are too many tools.
    pub(super) fn add(&mut self, page: Page) -> Result<Option<String>, McpError> {
        for definition in page.tools {
            if self.list.tools.len().saturating_add(self.list.rejected.len()) >= MAX_TOOLS {
                return Err(McpError::Protocol(format!("it lists more than {MAX_TOOLS} tools")));
            }
            self.add_tool(&definition);
        }
        Ok(page.next_cursor)
    }

    /// The list, and which parameters of which tool are repeated in headers.
    pub(super) fn finish(self) -> (ToolList, HashMap<String, HeaderAnnotations>) {
        (self.list, self.annotations)
    }

    fn add_tool(&mut self, definition: &RawValue) {
        // What is JSON and yet cannot be held, such as a number that is too large, is malformed as well.
        let definition: Result<Value, _> = serde_json::from_str(definition.get());
        let name = definition.as_ref().ok().and_then(|definition| definition.get("name")?.as_str());
        let name = name.unwrap_or_default().to_owned();
        let checked =
            definition.map_err(|error| excerpt(&error.to_string())).and_then(tool).and_then(|tool| {
                let annotations = match self.checks_headers {
                    true => HeaderAnnotations::of(&tool.input_schema)
                        .map_err(|problem| excerpt(&problem.to_string()))?,
                    false => HeaderAnnotations::default(),
                };
                match self.names.insert(tool.name.clone()) {
                    true => Ok((tool, annotations)),
                    false => Err("another tool has the same name".to_owned()),
                }
            });
        match checked {
            Ok((tool, annotations)) => {
                if !annotations.is_empty() {
                    self.annotations.insert(tool.name.clone(), annotations);
                }
                self.list.tools.push(tool);
            }
            Err(reason) => {
                let name = excerpt(&name.chars().take(MAX_NAME_CHARS).collect::<String>());
                tracing::warn!(tool.name = %name, %reason, "a malformed tool was left out");
                self.list.rejected.push(RejectedTool { name, reason });
            }
        }
    }
}

/// Reads one definition, or says what is wrong with it.
fn tool(definition: Value) -> Result<Tool, String> {
    match definition.get("name").and_then(Value::as_str) {
        None => return Err("`name` is missing or not a string".to_owned()),
        Some("") => return Err("`name` is empty".to_owned()),
        Some(name) if name.chars().count() > MAX_NAME_CHARS => {
            return Err(format!("`name` is longer than {MAX_NAME_CHARS} characters"));
        }
        Some(name) if name.chars().any(is_unprintable) => {
            return Err("`name` has control characters in it".to_owned());
        }
        Some(_) => {}
    }
    match definition.get("inputSchema") {
        Some(Value::Object(schema)) if schema.get("type").and_then(Value::as_str) == Some("object") => {}
        Some(Value::Object(_)) => return Err("`inputSchema` does not describe an object".to_owned()),
        Some(_) | None => return Err("`inputSchema` is missing or not an object".to_owned()),
    }
    serde_json::from_value(definition).map_err(|error| excerpt(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(tools: Value, next_cursor: Value) -> Page {
        serde_json::from_value(json!({ "tools": tools, "nextCursor": next_cursor })).unwrap()
    }

    fn good(name: &str) -> Value {
        json!({ "name": name, "inputSchema": { "type": "object" } })
    }

    #[test]
    fn each_malformed_definition_is_left_out_with_its_reason_and_the_rest_is_kept() {
        let object = json!({ "type": "object" });
        let cases = [
            (json!({ "inputSchema": object }), "`name` is missing or not a string"),
            (json!({ "name": 7, "inputSchema": object }), "`name` is missing or not a string"),
            (json!({ "name": "", "inputSchema": object }), "`name` is empty"),
            (
                json!({ "name": "x".repeat(129), "inputSchema": object }),
                "`name` is longer than 128 characters",
            ),
            (json!({ "name": "a\u{1b}[2J", "inputSchema": object }), "`name` has control characters in it"),
            (json!({ "name": "a" }), "`inputSchema` is missing or not an object"),
            (json!({ "name": "a", "inputSchema": [] }), "`inputSchema` is missing or not an object"),
            (json!({ "name": "a", "inputSchema": {} }), "`inputSchema` does not describe an object"),
            (
                json!({ "name": "a", "inputSchema": { "type": "array" } }),
                "`inputSchema` does not describe an object",
            ),
            (good("first"), "another tool has the same name"),
            (json!("not even an object"), "`name` is missing or not a string"),
        ];
        let mut definitions = vec![good("first")];
        definitions.extend(cases.iter().map(|(definition, _)| definition.clone()));
        definitions.push(json!({ "name": "b", "inputSchema": object, "outputSchema": "text" }));
        definitions.push(good(&"y".repeat(128)));
        let mut listing = Listing::default();
        assert_eq!(listing.add(page(definitions.into(), Value::Null)).unwrap(), None);
        let (list, _) = listing.finish();
        let names: Vec<_> = list.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["first", &"y".repeat(128)]);
        let reasons: Vec<_> = list.rejected.iter().map(|tool| tool.reason.as_str()).collect();
        assert_eq!(reasons[..cases.len()], cases.each_ref().map(|(_, reason)| *reason));
        assert!(reasons[cases.len()].contains("invalid type"), "{}", reasons[cases.len()]);
        assert_eq!(list.rejected[4].name, "a\\u{1b}[2J");
    }

    #[test]
    fn a_list_of_too_many_tools_is_refused() {
        let mut huge = Listing::default();
        let tools: Vec<_> = (0..=MAX_TOOLS).map(|number| good(&number.to_string())).collect();
        assert!(
            huge.add(page(tools.into(), Value::Null)).unwrap_err().to_string().contains("more than 10000")
        );
    }
}
