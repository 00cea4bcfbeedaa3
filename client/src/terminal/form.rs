//! What a server asks the person, as questions for single lines, and what was typed, as values.
//!
//! The fields are flat (specification, "Elicitation"): text, number, yes or no, one choice, several choices. A choice
//! may be typed by its number in the list, by its value or by its name.

use serde_json::{Number, Value};
use shared::mcp::elicitation::{FieldType, FormField};

/// One field to fill in.
#[derive(Debug)]
pub struct Question<'a> {
    name: &'a str,
    field: &'a FormField,
    required: bool,
}

impl<'a> Question<'a> {
    /// The field `name` of a form.
    #[must_use]
    pub const fn new(name: &'a str, field: &'a FormField, required: bool) -> Self {
        Self { name, field, required }
    }

    /// What is asked, in lines: the field's name, what it means, and the choices if there are any.
    #[must_use]
    pub fn explained(&self) -> String {
        let title = self.field.title.as_deref().unwrap_or(self.name);
        let mut text = match &self.field.description {
            Some(description) => format!("{title}: {description}"),
            None => title.to_owned(),
        };
        for (number, (value, name)) in (1..).zip(self.choices()) {
            text += &format!("\n  {number}  {name}");
            if name != value {
                text += &format!(" ({value})");
            }
        }
        text
    }

    /// What stands before the cursor: the name, what may be typed, and what Enter alone means.
    #[must_use]
    pub fn prompt(&self) -> String {
        let enter = match (&self.field.default, self.required) {
            (Some(default), _) => format!(" [{}]", self.shown(default)),
            (None, true) => String::new(),
            (None, false) => " [leave out]".to_owned(),
        };
        format!("{} ({}){enter}: ", self.name, self.rule())
    }

    /// The value that was typed; `None` leaves the field out.
    ///
    /// # Errors
    /// The rule that the input breaks, for the person.
    pub fn read(&self, typed: &str) -> Result<Option<Value>, String> {
        let typed = typed.trim();
        if typed.is_empty() {
            return match (&self.field.default, self.required) {
                (Some(default), _) => Ok(Some(default.clone())),
                (None, false) => Ok(None),
                (None, true) => Err(format!("{} has to be filled in: {}", self.name, self.rule())),
            };
        }
        let value = match self.field.kind {
            FieldType::Boolean => yes_or_no(typed).map(Value::Bool),
            FieldType::Integer | FieldType::Number => self.number(typed),
            FieldType::Array => self.several(typed),
            FieldType::String if self.choices().is_empty() => self.text(typed),
            FieldType::String => self.choice(typed).map(Value::String),
        };
        value.map(Some).ok_or_else(|| format!("not understood; {} wants {}", self.name, self.rule()))
    }

    /// The values that can be chosen, with their names for people.
    fn choices(&self) -> Vec<(&'a str, &'a str)> {
        let field = self.field;
        let titled = field.one_of.as_ref().or(field.items.as_ref().and_then(|items| items.any_of.as_ref()));
        if let Some(titled) = titled {
            return titled.iter().map(|one| (one.value.as_str(), one.title.as_str())).collect();
        }
        let values = field.values.as_ref().or(field.items.as_ref().and_then(|items| items.values.as_ref()));
        let names = field.enum_names.as_deref().unwrap_or_default();
        let values = values.into_iter().flatten().map(String::as_str).enumerate();
        values.map(|(at, value)| (value, names.get(at).map_or(value, String::as_str))).collect()
    }

    fn choice(&self, typed: &str) -> Option<String> {
        let choices = self.choices();
        let exact = choices.iter().find(|(value, name)| *value == typed || *name == typed);
        let by_number = || choices.get(typed.parse::<usize>().ok()?.checked_sub(1)?);
        let loose = || {
            let mut alike = choices.iter().filter(|(value, name)| {
                value.eq_ignore_ascii_case(typed) || name.eq_ignore_ascii_case(typed)
            });
            alike.next().filter(|_| alike.next().is_none())
        };
        exact.or_else(by_number).or_else(loose).map(|(value, _)| (*value).to_owned())
    }

    fn several(&self, typed: &str) -> Option<Value> {
        let mut values: Vec<String> = Vec::new();
        for piece in typed.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
            let value = self.choice(piece)?;
            if !values.contains(&value) {
                values.push(value);
            }
        }
        let count = u64::try_from(values.len()).unwrap_or(u64::MAX);
        let enough = self.field.min_items.is_none_or(|least| count >= least);
        let few = self.field.max_items.is_none_or(|most| count <= most);
        (enough && few).then(|| values.into())
    }

    fn text(&self, typed: &str) -> Option<Value> {
        let length = u64::try_from(typed.chars().count()).unwrap_or(u64::MAX);
        let long = self.field.min_length.is_none_or(|least| length >= least);
        let short = self.field.max_length.is_none_or(|most| length <= most);
        let formed = match self.field.format.as_deref() {
            Some("email") => {
                typed.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
            }
            Some("uri") => url::Url::parse(typed).is_ok(),
            Some("date") => is_date(typed),
            Some("date-time") => {
                typed.split_once(['T', 't']).is_some_and(|(date, time)| is_date(date) && !time.is_empty())
            }
            Some(_) | None => true,
        };
        (long && short && formed).then(|| Value::from(typed))
    }

    fn number(&self, typed: &str) -> Option<Value> {
        let number: Number = match self.field.kind {
            FieldType::Integer => typed.parse::<i64>().ok()?.into(),
            _ => match typed.parse::<i64>() {
                Ok(whole) => whole.into(),
                Err(_) => Number::from_f64(typed.parse().ok()?)?,
            },
        };
        let value = number.as_f64()?;
        let bound = |bound: &Option<Number>| bound.as_ref().and_then(Number::as_f64);
        let large = bound(&self.field.minimum).is_none_or(|least| value >= least);
        let small = bound(&self.field.maximum).is_none_or(|most| value <= most);
        (large && small).then_some(Value::Number(number))
    }

    /// What may be typed, for people.
    fn rule(&self) -> String {
        let field = self.field;
        match field.kind {
            FieldType::Boolean => "yes or no".to_owned(),
            FieldType::Integer => format!("a whole number{}", between(&field.minimum, &field.maximum, "")),
            FieldType::Number => format!("a number{}", between(&field.minimum, &field.maximum, "")),
            FieldType::Array => {
                format!(
                    "choices with commas between{}",
                    between(&field.min_items, &field.max_items, " of them")
                )
            }
            FieldType::String if !self.choices().is_empty() => "one of the choices".to_owned(),
            FieldType::String => {
                let kind = match field.format.as_deref() {
                    Some("email") => "an e-mail address",
                    Some("uri") => "a URI",
                    Some("date") => "a date, YYYY-MM-DD",
                    Some("date-time") => "a date and time, YYYY-MM-DDTHH:MM:SSZ",
                    Some(_) | None => "text",
                };
                format!("{kind}{}", between(&field.min_length, &field.max_length, " characters"))
            }
        }
    }

    /// A value as a person would type it.
    fn shown(&self, value: &Value) -> String {
        match value {
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            Value::String(text) => text.clone(),
            Value::Array(values) => {
                values.iter().map(|value| self.shown(value)).collect::<Vec<_>>().join(", ")
            }
            Value::Null | Value::Number(_) | Value::Object(_) => value.to_string(),
        }
    }
}

/// `yes`, `no`, and how people shorten them.
#[must_use]
pub fn yes_or_no(typed: &str) -> Option<bool> {
    match typed.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" | "true" => Some(true),
        "n" | "no" | "false" => Some(false),
        _ => None,
    }
}

fn between<T: std::fmt::Display>(least: &Option<T>, most: &Option<T>, unit: &str) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!(", {least} to {most}{unit}"),
        (Some(least), None) => format!(", at least {least}{unit}"),
        (None, Some(most)) => format!(", at most {most}{unit}"),
        (None, None) => String::new(),
    }
}

/// Whether it is a day of the calendar as `YYYY-MM-DD`.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let mut part = |digits: usize| {
        let part =
            parts.next().filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()));
        part.and_then(|part| part.parse::<u32>().ok())
    };
    let (Some(year), Some(month), Some(day)) = (part(4), part(2), part(2)) else { return false };
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(schema: Value) -> FormField {
        serde_json::from_value(schema).unwrap()
    }

    /// What each input is read as; `"refused"` where it is asked again.
    fn readings(schema: Value, required: bool, inputs: &[&str]) -> Vec<Value> {
        let field = field(schema);
        let question = Question::new("it", &field, required);
        let read = |typed: &&str| match question.read(typed) {
            Ok(Some(value)) => value,
            Ok(None) => json!("left out"),
            Err(reason) => {
                assert!(reason.contains("it"), "{reason}");
                json!("refused")
            }
        };
        inputs.iter().map(read).collect()
    }

    #[test]
    fn text_has_a_length_and_a_format() {
        let short = json!({ "type": "string", "minLength": 2, "maxLength": 4 });
        assert_eq!(
            readings(short, true, &["", "a", "ab", "äöüß", "abcde"]),
            ["refused", "refused", "ab", "äöüß", "refused"]
        );
        let date = json!({ "type": "string", "format": "date", "default": "2024-03-01" });
        let inputs = ["", "2024-02-29", "2023-02-29", "24-1-1", "2024-13-01", "2024-03-00"];
        assert_eq!(
            readings(date, true, &inputs),
            ["2024-03-01", "2024-02-29", "refused", "refused", "refused", "refused"]
        );
        let mail = json!({ "type": "string", "format": "email" });
        assert_eq!(
            readings(mail, false, &["", "bob", "@", "bob@example.com"]),
            ["left out", "refused", "refused", "bob@example.com"]
        );
        let uri = json!({ "type": "string", "format": "uri" });
        assert_eq!(
            readings(uri, false, &["no uri", "https://example.com/"]),
            ["refused", "https://example.com/"]
        );
    }

    #[test]
    fn numbers_are_whole_where_they_must_be_and_within_bounds() {
        let whole = json!({ "type": "integer", "minimum": 1, "maximum": 10 });
        assert_eq!(
            readings(whole, true, &["1", "10", "11", "0", "1.5", "1e1", "ten"]),
            [
                json!(1),
                json!(10),
                json!("refused"),
                json!("refused"),
                json!("refused"),
                json!("refused"),
                json!("refused")
            ]
        );
        let any = json!({ "type": "number", "default": 2.5 });
        assert_eq!(
            readings(any, false, &["", "3", "-0.25", "NaN", "inf"]),
            [json!(2.5), json!(3), json!(-0.25), json!("refused"), json!("refused")]
        );
    }

    #[test]
    fn yes_and_no_are_read_however_they_are_shortened() {
        let schema = json!({ "type": "boolean", "default": false });
        assert_eq!(
            readings(schema, true, &["", "y", "Yes", "N", "true", "maybe"]),
            [json!(false), json!(true), json!(true), json!(false), json!(true), json!("refused")]
        );
    }

    #[test]
    fn a_choice_is_typed_by_number_value_or_name() {
        let titled = json!({ "type": "string", "oneOf": [
            { "const": "r", "title": "Red" }, { "const": "g", "title": "Green" },
        ] });
        assert_eq!(
            readings(titled, true, &["1", "g", "Green", "GREEN", "3", "0", "blue"]),
            ["r", "g", "g", "g", "refused", "refused", "refused"]
        );
        let named = json!({ "type": "string", "enum": ["1", "2"], "enumNames": ["two", "one"] });
        // What is a value itself is not taken for a place in the list.
        assert_eq!(readings(named, true, &["2", "one"]), ["2", "2"]);
    }

    #[test]
    fn several_choices_have_commas_between() {
        let schema = json!({ "type": "array", "minItems": 1, "maxItems": 2, "items": { "anyOf": [
            { "const": "a", "title": "A one" }, { "const": "b", "title": "B one" }, { "const": "c", "title": "C one" },
        ] } });
        assert_eq!(
            readings(schema, true, &["a, B one", "2,2", "a,b,c", ",", "a,z"]),
            [json!(["a", "b"]), json!(["b"]), json!("refused"), json!("refused"), json!("refused")]
        );
        let plain =
            json!({ "type": "array", "items": { "type": "string", "enum": ["x", "y"] }, "default": ["x"] });
        assert_eq!(readings(plain, false, &["", "y"]), [json!(["x"]), json!(["y"])]);
    }

    #[test]
    fn the_prompt_says_the_rule_and_what_enter_means() {
        let prompt = |schema: Value, required| Question::new("it", &field(schema), required).prompt();
        assert_eq!(prompt(json!({ "type": "boolean", "default": true }), true), "it (yes or no) [yes]: ");
        assert_eq!(
            prompt(json!({ "type": "integer", "minimum": 1 }), true),
            "it (a whole number, at least 1): "
        );
        assert_eq!(
            prompt(json!({ "type": "string", "maxLength": 9 }), false),
            "it (text, at most 9 characters) [leave out]: "
        );
        let choice = field(json!({ "type": "string", "title": "Colour", "description": "of the car",
            "oneOf": [{ "const": "r", "title": "Red" }] }));
        let question = Question::new("it", &choice, true);
        assert_eq!(question.explained(), "Colour: of the car\n  1  Red (r)");
    }
}
