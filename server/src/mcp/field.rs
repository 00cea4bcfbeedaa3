//! One argument of a tool, as its schema describes it: the rule in words, and whether a value keeps it.

use serde_json::Value;

use super::{decimal, sole::Sole};
use crate::text;

/// How much of a name that a caller made up is shown, in characters.
const SHOWN_MAX: usize = 64;

/// One argument.
#[derive(Debug)]
pub(super) struct Field {
    name: String,
    kind: Kind,
    /// `null` is as good as nothing.
    nullable: bool,
    required: bool,
    default: Option<String>,
}

/// What an argument must be.
#[derive(Debug)]
enum Kind {
    Integer {
        least: Option<i64>,
        most: Option<i64>,
    },
    Number,
    /// A number of which the digits count; more than zero where the schema says so.
    Decimal {
        is_positive: bool,
    },
    Text {
        least: Option<u64>,
        most: Option<u64>,
    },
    Choice(Vec<String>),
    Boolean,
    /// Whatever the tool's own type makes of it: lists and objects.
    Other,
}

impl Field {
    /// The argument `name` of this schema.
    pub(super) fn new(name: &str, schema: &Value, required: bool) -> Self {
        let bound = |key: &str| schema.get(key).and_then(Value::as_i64);
        let length = |key: &str| schema.get(key).and_then(Value::as_u64);
        let types = match schema.get("type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
            one => one.and_then(Value::as_str).into_iter().collect::<Vec<_>>(),
        };
        let nullable = types.contains(&"null");
        let mut others = types.into_iter().filter(|name| *name != "null");
        let only = others.next().filter(|_| others.next().is_none());
        let kind = match only {
            Some("integer") => Kind::Integer { least: bound("minimum"), most: bound("maximum") },
            Some("number") if decimal::is_one(schema) => {
                Kind::Decimal { is_positive: schema.get("exclusiveMinimum").is_some_and(|least| least == 0) }
            }
            Some("number") => Kind::Number,
            Some("string") => match schema.get("enum").and_then(Value::as_array) {
                Some(choices) => {
                    Kind::Choice(choices.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                }
                None => Kind::Text { least: length("minLength"), most: length("maxLength") },
            },
            Some("boolean") => Kind::Boolean,
            _ => Kind::Other,
        };
        let default = schema.get("default").filter(|default| !default.is_null()).map(Value::to_string);
        Self { name: name.to_owned(), kind, nullable, required, default }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn required(&self) -> bool {
        self.required
    }

    /// Whether its digits count.
    pub(super) fn is_decimal(&self) -> bool {
        matches!(self.kind, Kind::Decimal { .. })
    }

    /// Says that it is missing.
    pub(super) fn missing(&self) -> String {
        format!("`{}` is required: {}", self.name, self.rule())
    }

    /// The value that `json` stands for, or why it is not one.
    pub(super) fn read(&self, json: &str) -> Result<Value, String> {
        let Sole(value) = serde_json::from_str::<Sole<Value>>(json).map_err(|error| {
            if error.is_data() {
                self.wrong("not clear: a member in it is given twice")
            } else if error.is_syntax()
                && json.starts_with(|first: char| first.is_ascii_digit() || first == '-')
            {
                self.wrong(too(json.starts_with('-')))
            } else {
                self.wrong("not readable")
            }
        })?;
        match (&self.kind, value) {
            (_, Value::Null) if self.nullable => Ok(Value::Null),
            (Kind::Integer { least, most }, Value::Number(number)) => {
                let whole = whole(&number).map_err(|was| self.wrong(was))?;
                if least.is_some_and(|least| whole < least) {
                    return Err(self.wrong(too(true)));
                }
                if most.is_some_and(|most| whole > most) {
                    return Err(self.wrong(too(false)));
                }
                Ok(whole.into())
            }
            (Kind::Decimal { is_positive }, Value::Number(number)) => {
                let is_more = number.as_f64().is_some_and(|number| number > 0.0);
                if *is_positive && !is_more {
                    return Err(self.wrong(too(true)));
                }
                Ok(Value::Number(number))
            }
            (Kind::Text { least, most }, Value::String(text)) => {
                let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
                if least.is_some_and(|least| length < least) {
                    return Err(self.wrong("too short"));
                }
                if most.is_some_and(|most| length > most) {
                    return Err(self.wrong("too long"));
                }
                Ok(Value::String(text))
            }
            (Kind::Choice(choices), Value::String(text)) => {
                if choices.contains(&text) {
                    Ok(Value::String(text))
                } else {
                    Err(self.wrong("another string"))
                }
            }
            (Kind::Number, value @ Value::Number(_))
            | (Kind::Boolean, value @ Value::Bool(_))
            | (Kind::Other, value) => Ok(value),
            (
                Kind::Integer { .. }
                | Kind::Number
                | Kind::Decimal { .. }
                | Kind::Text { .. }
                | Kind::Choice(_)
                | Kind::Boolean,
                other,
            ) => Err(self.wrong(kind_of(&other))),
        }
    }

    fn wrong(&self, was: &str) -> String {
        let way_out =
            self.default.as_ref().map(|default| format!("; leave it out for the default of {default}"));
        format!("`{}` must be {}, and it is {was}{}", self.name, self.rule(), way_out.unwrap_or_default())
    }

    fn rule(&self) -> String {
        match &self.kind {
            Kind::Integer { least, most } => match span(*least, *most) {
                Some(span) if least.is_some() && most.is_some() => format!("a whole number from {span}"),
                Some(span) => format!("a whole number of {span}"),
                None => "a whole number".to_owned(),
            },
            Kind::Number => "a number".to_owned(),
            Kind::Decimal { is_positive: true } => "a number of more than 0, such as 25 or 12.50".to_owned(),
            Kind::Decimal { is_positive: false } => "a number such as 25 or 12.50".to_owned(),
            Kind::Text { least, most } => span(*least, *most)
                .map_or_else(|| "a string".to_owned(), |span| format!("a string of {span} characters")),
            Kind::Choice(choices) => format!("one of {}", choices.join(", ")),
            Kind::Boolean => "true or false".to_owned(),
            Kind::Other => "what the tool's schema describes".to_owned(),
        }
    }
}

/// The bounds in words, where there are any.
fn span<N: std::fmt::Display>(least: Option<N>, most: Option<N>) -> Option<String> {
    match (least, most) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    }
}

/// Writes the whole numbers in `value`, which keeps the schema, as such: `5.0` is one of them.
pub(super) fn settle_integers(schema: &Value, value: &mut Value) {
    match value {
        Value::Number(number) if schema.get("type").is_some_and(|name| name == "integer") => {
            if let Ok(whole) = whole(number) {
                *value = whole.into();
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| settle_integers(schema, item));
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                if let Some(schema) = schema.get("properties").and_then(|all| all.get(name)) {
                    settle_integers(schema, value);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The whole number that a JSON number stands for: `5` and `5.0` are the same.
fn whole(number: &serde_json::Number) -> Result<i64, &'static str> {
    if let Some(whole) = number.as_i64() {
        return Ok(whole);
    }
    let float = number.as_f64().unwrap_or(f64::INFINITY);
    if float.fract() != 0.0 {
        return Err("a fraction");
    }
    format!("{float:.0}").parse().map_err(|_| too(float < 0.0))
}

const fn too(small: bool) -> &'static str {
    if small { "too small" } else { "too large" }
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A name that a caller made up, in backticks: short, and of visible characters only.
pub(super) fn quoted(name: &str) -> String {
    let shown = name.chars().map(|char| if text::is_plain(char) && char != ' ' { char } else { '?' });
    format!("`{}`", shown.take(SHOWN_MAX).collect::<String>())
}
