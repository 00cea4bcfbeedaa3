//! `x-mcp-header`: parameters of a tool that its callers repeat in headers (2026-07-28, Streamable HTTP transport,
//! "Custom Headers from Tool Parameters").

use std::collections::HashSet;

use serde_json::{Map, Value};

const ANNOTATION: &str = "x-mcp-header";

/// A parameter that is repeated in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Annotated {
    /// The name as the tool wrote it.
    pub(super) name: String,
    /// The header, in lower case.
    pub(super) header: String,
    /// Where the value is in the arguments (RFC 6901).
    pub(super) pointer: String,
}

/// The parameters of a tool that are repeated in headers.
#[derive(Debug, Default)]
pub(in crate::mcp) struct HeaderAnnotations(Vec<Annotated>);

/// Why a tool's annotations cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderProblem {
    /// The name is not one that a header can have.
    #[error("`x-mcp-header` must be a header name of letters, digits and -_.!#$%&'*+^`|~, and it is {0}")]
    Name(String),
    /// Two parameters want the same header.
    #[error("two parameters want the header {0}")]
    Twice(String),
    /// The parameter is no string, integer or boolean.
    #[error("the parameter {0} is repeated in a header, so it must be a string, an integer or a boolean")]
    Kind(String),
    /// The parameter cannot be found by a chain of properties.
    #[error("`x-mcp-header` stands where it names no parameter: under {0}")]
    Place(String),
}

impl HeaderAnnotations {
    /// Those of a schema of arguments.
    pub(in crate::mcp) fn of(schema: &Map<String, Value>) -> Result<Self, HeaderProblem> {
        let mut found = Self::default();
        found.search(schema, "", true)?;
        let mut names = HashSet::new();
        match found.0.iter().find(|one| !names.insert(one.header.as_str())) {
            Some(twice) => Err(HeaderProblem::Twice(twice.name.clone())),
            None => Ok(found),
        }
    }

    pub(in crate::mcp) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Annotated> {
        self.0.iter()
    }

    /// Looks through a schema. `reachable` while the way from the root led through `properties` alone.
    fn search(
        &mut self,
        schema: &Map<String, Value>,
        pointer: &str,
        reachable: bool,
    ) -> Result<(), HeaderProblem> {
        if let Some(name) = schema.get(ANNOTATION) {
            if !reachable || pointer.is_empty() {
                return Err(HeaderProblem::Place(if pointer.is_empty() { "/" } else { pointer }.to_owned()));
            }
            self.0.push(annotated(name, schema, pointer)?);
        }
        for (keyword, value) in schema {
            match (keyword.as_str(), value) {
                ("properties", Value::Object(properties)) => {
                    for (name, property) in properties {
                        let name = name.replace('~', "~0").replace('/', "~1");
                        if let Value::Object(property) = property {
                            self.search(property, &format!("{pointer}/{name}"), reachable)?;
                        }
                    }
                }
                // Values, not schemas: whatever stands in them annotates nothing.
                ("default" | "const" | "enum" | "examples", _) => {}
                (_, other) => self.search_below(other, &format!("{pointer}/{keyword}"))?,
            }
        }
        Ok(())
    }

    fn search_below(&mut self, value: &Value, pointer: &str) -> Result<(), HeaderProblem> {
        match value {
            Value::Object(schema) => self.search(schema, pointer, false),
            Value::Array(schemas) => schemas.iter().try_for_each(|schema| self.search_below(schema, pointer)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }
}

fn annotated(name: &Value, schema: &Map<String, Value>, pointer: &str) -> Result<Annotated, HeaderProblem> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let text = name.as_str().filter(|name| !name.is_empty() && name.bytes().all(token));
    let text = text.ok_or_else(|| HeaderProblem::Name(name.to_string()))?;
    let kind = schema.get("type").and_then(Value::as_str);
    if !kind.is_some_and(|kind| ["string", "integer", "boolean"].contains(&kind)) {
        return Err(HeaderProblem::Kind(pointer.to_owned()));
    }
    let header = format!("{}{}", shared::headers::PARAMETER_PREFIX, text.to_ascii_lowercase());
    Ok(Annotated { name: text.to_owned(), header, pointer: pointer.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(schema: &Value) -> Result<Vec<(String, String)>, HeaderProblem> {
        let found = HeaderAnnotations::of(schema.as_object().unwrap())?;
        Ok(found.iter().map(|one| (one.header.clone(), one.pointer.clone())).collect())
    }

    #[test]
    fn annotated_parameters_are_found_at_any_depth_of_properties() {
        let schema = json!({ "type": "object", "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "plain": { "type": "string" },
            "deep/er": { "type": "object", "properties": { "no": { "type": "integer", "x-mcp-header": "No" } } },
        } });
        let pair = |header: &str, pointer: &str| (header.to_owned(), pointer.to_owned());
        let mut found = of(&schema).unwrap();
        found.sort();
        assert_eq!(found, [pair("mcp-param-no", "/deep~1er/no"), pair("mcp-param-region", "/region")]);
        assert!(of(&json!({ "type": "object", "properties": {} })).unwrap().is_empty());
    }

    #[test]
    fn what_the_specification_forbids_is_refused() {
        let one = |property: Value| json!({ "type": "object", "properties": { "a": property } });
        let named = |name: Value| one(json!({ "type": "string", "x-mcp-header": name }));
        for name in
            [json!(""), json!("a b"), json!("a\r\nb"), json!("ä"), json!(1), json!(null), json!("a:b")]
        {
            assert!(matches!(of(&named(name.clone())), Err(HeaderProblem::Name(_))), "{name}");
        }
        for kind in [json!("number"), json!("array"), json!("object"), json!(["string", "null"]), json!(null)]
        {
            let schema = one(json!({ "type": kind, "x-mcp-header": "A" }));
            assert!(matches!(of(&schema), Err(HeaderProblem::Kind(_))), "{kind}");
        }
        let annotated = json!({ "type": "string", "x-mcp-header": "A" });
        for schema in [
            json!({ "type": "object", "x-mcp-header": "A" }),
            one(json!({ "type": "array", "items": annotated })),
            json!({ "type": "object", "anyOf": [{ "properties": { "a": annotated } }] }),
            json!({ "type": "object", "$defs": { "a": annotated } }),
            json!({ "type": "object", "if": { "properties": { "a": annotated } } }),
        ] {
            assert!(matches!(of(&schema), Err(HeaderProblem::Place(_))), "{schema}");
        }
        let twice = json!({ "type": "object", "properties": {
            "a": { "type": "string", "x-mcp-header": "Same" }, "b": { "type": "string", "x-mcp-header": "same" },
        } });
        assert!(matches!(of(&twice), Err(HeaderProblem::Twice(_))));
    }
}
