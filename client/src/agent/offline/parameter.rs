//! What a tool takes: its input schema, as far as a question can fill it.

use serde_json::Value;
use shared::mcp::JsonObject;

use super::candidate::Term;
use super::words::{split_name, tokens};

/// One parameter.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    /// What the schema calls it.
    pub(super) name: String,
    /// The words of its name.
    pub(super) words: Vec<Term>,
    /// The stems of its description.
    pub(super) about: Vec<String>,
    /// What it takes.
    pub(super) takes: Takes,
    /// What it is for.
    pub(super) role: Role,
    /// Smallest and largest number.
    pub(super) range: (Option<i64>, Option<i64>),
    /// The call fails without it.
    pub(super) required: bool,
}

/// The kinds of value that can be found in a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Takes {
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// Text.
    Text,
    /// True or false.
    Flag,
    /// One of these words.
    Choice(Vec<String>),
    /// Something that cannot be said in a question: an object, a list.
    Other,
}

/// What a value is for, judged by the parameter's name and description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// How many.
    Count,
    /// Which one.
    Identifier,
    /// How much money.
    Amount,
    /// Where.
    Place,
    /// Whom something goes to.
    Receiver,
    /// Whose, or by whom.
    Person,
    /// In which currency.
    Currency,
    /// What it is for, in the asker's words.
    Note,
    /// For programs to make up: nothing in a question says it.
    Opaque,
    /// What to look for.
    Query,
    /// Anything else: given by its name or in quotation marks only.
    Plain,
}

impl Parameter {
    /// The parameters of an input schema.
    pub(super) fn all(schema: &JsonObject) -> Vec<Self> {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        properties
            .map(|(name, property)| Self::new(name, property, schema, required.contains(&name.as_str())))
            .collect()
    }

    fn new(name: &str, property: &Value, root: &JsonObject, required: bool) -> Self {
        let shape = shape(property, root);
        let words: Vec<Term> = split_name(name).iter().map(|word| Term::new(word)).collect();
        let description =
            property.get("description").or_else(|| shape.get("description")).and_then(Value::as_str);
        let about = tokens(description.unwrap_or_default()).into_iter().map(|token| token.stem).collect();
        let takes = takes(shape);
        let role = role(&words, &takes, description.unwrap_or_default());
        let bound = |inclusive: &str, exclusive: &str, step: i64| {
            let bound = shape.get(inclusive).and_then(whole);
            bound.or_else(|| shape.get(exclusive).and_then(whole).map(|bound| bound.saturating_add(step)))
        };
        let range = (bound("minimum", "exclusiveMinimum", 1), bound("maximum", "exclusiveMaximum", -1));
        Self { name: name.to_owned(), words, about, takes, role, range, required }
    }

    /// One of the words of its name has this stem.
    pub(super) fn is_called(&self, stem: &str) -> bool {
        self.words.iter().any(|term| term.stem == stem)
    }

    /// The word goes with it: its description has it, or its name is made from it, as "assignee" from "assigned".
    pub(super) fn goes_with(&self, stem: &str) -> bool {
        let made = |term: &Term| stem.len() >= 5 && term.word.starts_with(stem);
        self.about.iter().any(|known| known == stem) || self.words.iter().any(made)
    }
}

/// A bound as a whole number; `100.0` is one.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.to_string().strip_suffix(".0").and_then(|text| text.parse().ok()))
}

/// The schema proper, behind references and the alternatives to `null`.
fn shape<'s>(property: &'s Value, root: &'s JsonObject) -> &'s Value {
    let mut shape = property;
    for _ in 0..4 {
        let reference =
            shape.get("$ref").and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next());
        let defined = reference.and_then(|name| {
            root.get("$defs")
                .or_else(|| root.get("definitions"))
                .and_then(|definitions| definitions.get(name))
        });
        let alternatives =
            ["anyOf", "oneOf", "allOf"].iter().find_map(|key| shape.get(*key)).and_then(Value::as_array);
        let one = alternatives.and_then(|all| {
            let mut real = all.iter().filter(|one| one.get("type").and_then(Value::as_str) != Some("null"));
            real.next().filter(|_| real.next().is_none())
        });
        match defined.or(one) {
            Some(next) => shape = next,
            None => break,
        }
    }
    shape
}

fn takes(shape: &Value) -> Takes {
    let mut choices: Vec<String> = Vec::new();
    let constants =
        shape.get("oneOf").or_else(|| shape.get("anyOf")).and_then(Value::as_array).into_iter().flatten();
    choices.extend(constants.filter_map(|one| one.get("const")?.as_str().map(str::to_owned)));
    let values = shape.get("enum").and_then(Value::as_array).into_iter().flatten();
    choices.extend(values.filter_map(|value| value.as_str().map(str::to_owned)));
    if !choices.is_empty() {
        return Takes::Choice(choices);
    }
    let named = match shape.get("type") {
        Some(Value::String(name)) => Some(name.as_str()),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        _ => None,
    };
    match named {
        Some("integer") => Takes::Integer,
        Some("number") => Takes::Number,
        Some("string") => Takes::Text,
        Some("boolean") => Takes::Flag,
        _ => Takes::Other,
    }
}

fn role(words: &[Term], takes: &Takes, description: &str) -> Role {
    let description = description.to_lowercase();
    let called = |names: &[&str]| words.iter().any(|term| names.contains(&term.word.as_str()));
    let numeric = matches!(takes, Takes::Integer | Takes::Number);
    let counts = ["number of", "how many", "maximum", "max "].iter().any(|words| description.contains(words));
    if numeric && (called(&["limit", "count", "top", "size", "max", "take", "n", "first", "last"]) || counts)
    {
        return Role::Count;
    }
    if called(&["amount", "sum", "price", "value"]) && numeric {
        return Role::Amount;
    }
    if called(&["idempotency", "nonce", "cursor"]) {
        return Role::Opaque;
    }
    if called(&["id", "key", "number", "no", "uuid", "ref", "reference", "identifier", "handle"]) {
        return Role::Identifier;
    }
    if *takes != Takes::Text {
        return Role::Plain;
    }
    if called(&["currency"]) {
        Role::Currency
    } else if called(&["memo", "note", "purpose", "reason"]) {
        Role::Note
    } else if called(&["city", "location", "place", "town", "country", "region", "address", "area"]) {
        Role::Place
    } else if called(&["to", "recipient", "payee", "receiver", "assignee", "beneficiary"]) {
        Role::Receiver
    } else if called(&[
        "user", "username", "author", "owner", "creator", "reporter", "sender", "customer", "person",
    ]) {
        Role::Person
    } else if called(&["query", "q", "search", "keyword", "keywords", "term", "text", "topic"]) {
        Role::Query
    } else {
        Role::Plain
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(property: Value) -> Parameter {
        let schema = json!({"properties": {"limit": property}, "$defs": {"Kind": {"enum": ["a", "b"]}}});
        Parameter::all(schema.as_object().unwrap()).remove(0)
    }

    #[test]
    fn types_are_found_behind_null_and_references() {
        assert_eq!(one(json!({"type": ["integer", "null"]})).takes, Takes::Integer);
        assert_eq!(one(json!({"anyOf": [{"type": "string"}, {"type": "null"}]})).takes, Takes::Text);
        assert_eq!(
            one(json!({"$ref": "#/$defs/Kind"})).takes,
            Takes::Choice(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(
            one(json!({"oneOf": [{"const": "x"}, {"const": "y"}]})).takes,
            Takes::Choice(vec!["x".to_owned(), "y".to_owned()])
        );
        assert_eq!(one(json!({"type": "object"})).takes, Takes::Other);
        assert_eq!(one(json!(true)).takes, Takes::Other);
    }

    #[test]
    fn ranges_are_read_inclusive() {
        assert_eq!(
            one(json!({"type": "integer", "minimum": 1, "maximum": 100.0})).range,
            (Some(1), Some(100))
        );
        assert_eq!(one(json!({"type": "integer", "exclusiveMinimum": 0})).range, (Some(1), None));
    }

    #[test]
    fn a_number_that_counts_is_told_from_one_that_names() {
        let role = |name: &str, description: &str| {
            let schema = json!({"properties": {name: {"type": "integer", "description": description}}});
            Parameter::all(schema.as_object().unwrap()).remove(0).role
        };
        assert_eq!(role("number", "Number of rows"), Role::Count);
        assert_eq!(role("issueNumber", "Which issue"), Role::Identifier);
        assert_eq!(role("amount", ""), Role::Amount);
    }
}
