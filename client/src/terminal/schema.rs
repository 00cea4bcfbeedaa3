//! A tool described for a person: what it is for, and which arguments it takes.

use serde_json::Value;
use shared::mcp::tools::Tool;

use super::style::{FAINT, GOOD, NAME, Text, WARNING};

/// The tool's name, whether it only reads, its description, and a line for each argument.
pub(super) fn describe(tool: &Tool) -> Text {
    let text = Text::new().styled(NAME, &tool.name);
    let mut text = if tool.is_read_only() {
        text.plain("  ").styled(GOOD, "read-only").end()
    } else {
        text.plain("  ").styled(WARNING, "may change something").end()
    };
    if let Some(description) = &tool.description {
        text = text.indented("  ", description.trim()).end();
    }
    let required: Vec<&str> = strings(tool.input_schema.get("required"));
    let arguments = tool.input_schema.get("properties").and_then(Value::as_object);
    for (name, schema) in arguments.into_iter().flatten() {
        let rules = rules(schema, required.contains(&name.as_str()));
        text = text.plain("    ").styled(NAME, name).styled(FAINT, &format!("  {rules}")).end();
        if let Some(description) = schema.get("description").and_then(Value::as_str) {
            text = text.indented("      ", description.trim()).end();
        }
    }
    text
}

/// `integer, optional, 1 to 100, default 3`.
fn rules(schema: &Value, required: bool) -> String {
    let mut rules = vec![kind(schema), (if required { "required" } else { "optional" }).to_owned()];
    match (schema.get("minimum"), schema.get("maximum")) {
        (Some(least), Some(most)) => rules.push(format!("{least} to {most}")),
        (Some(least), None) => rules.push(format!("at least {least}")),
        (None, Some(most)) => rules.push(format!("at most {most}")),
        (None, None) => {}
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        let choices: Vec<String> = choices.iter().map(Value::to_string).collect();
        rules.push(format!("one of {}", choices.join(", ")));
    }
    if let Some(default) = schema.get("default") {
        rules.push(format!("default {default}"));
    }
    rules.join(", ")
}

fn kind(schema: &Value) -> String {
    match schema.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(kinds @ Value::Array(_)) => {
            let kinds: Vec<&str> = strings(Some(kinds)).into_iter().filter(|kind| *kind != "null").collect();
            kinds.join(" or ")
        }
        _ => "any value".to_owned(),
    }
}

fn strings(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}
