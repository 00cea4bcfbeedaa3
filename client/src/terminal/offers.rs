//! What a server offers beside tools, described for a person: resources and prompts.

use shared::mcp::{
    prompts::Prompt,
    resources::{Resource, ResourceTemplate},
};

use super::style::{FAINT, NAME, Text};

/// The resource's URI, its kind and size, and what it holds.
pub(super) fn resource(resource: &Resource) -> Text {
    let size = resource.size.map(|bytes| format!("{bytes} bytes"));
    let facts: Vec<&str> = [resource.mime_type.as_deref(), size.as_deref()].into_iter().flatten().collect();
    named(
        &resource.uri,
        resource.title.as_ref().unwrap_or(&resource.name),
        resource.description.as_deref(),
        &facts,
    )
}

/// The template, the kind of what it names, and what that holds.
pub(super) fn template(template: &ResourceTemplate) -> Text {
    let facts: Vec<&str> = template.mime_type.as_deref().into_iter().collect();
    let title = template.title.as_ref().unwrap_or(&template.name);
    named(&template.uri_template, title, template.description.as_deref(), &facts)
}

/// The prompt's name, what it is for, and a line for each argument.
pub(super) fn prompt(prompt: &Prompt) -> Text {
    let title = prompt.title.as_deref().unwrap_or_default();
    let mut text = named(&prompt.name, title, prompt.description.as_deref(), &[]);
    for argument in prompt.arguments.iter().flatten() {
        let rule = if argument.required == Some(true) { "required" } else { "optional" };
        text = text.plain("    ").styled(NAME, &argument.name).styled(FAINT, &format!("  {rule}")).end();
        if let Some(description) = &argument.description {
            text = text.indented("      ", description.trim()).end();
        }
    }
    text
}

fn named(name: &str, title: &str, description: Option<&str>, facts: &[&str]) -> Text {
    let mut text = Text::new().styled(NAME, name);
    for fact in [title].iter().chain(facts).filter(|fact| !fact.is_empty()) {
        text = text.plain("  ").styled(FAINT, fact);
    }
    let text = text.end();
    match description {
        Some(description) => text.indented("  ", description.trim()).end(),
        None => text,
    }
}
