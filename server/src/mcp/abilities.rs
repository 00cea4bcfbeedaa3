//! What a client can be asked for, in the form in which a session remembers it.

use serde_json::{Map, Value};
use shared::mcp::elicitation::ElicitRequestParams;
use shared::mcp::{JsonObject, input::InputRequest, lifecycle::ClientCapabilities};

use crate::store::ClientAbilities;

const FORM: u32 = 1;
const URL: u32 = 1 << 1;
const SAMPLING: u32 = 1 << 2;
const ROOTS: u32 = 1 << 3;

/// What these capabilities come to. `elicitation: {}` means forms, as before there were pages (2025-11-25,
/// "Elicitation", "Capabilities").
pub(super) fn of(capabilities: &ClientCapabilities) -> ClientAbilities {
    let elicitation = capabilities.elicitation.as_ref().map_or(0, |modes| {
        let url = if modes.contains_key("url") { URL } else { 0 };
        let form = if modes.contains_key("form") || url == 0 { FORM } else { 0 };
        url | form
    });
    let sampling = if capabilities.sampling.is_some() { SAMPLING } else { 0 };
    let roots = if capabilities.roots.is_some() { ROOTS } else { 0 };
    ClientAbilities(elicitation | sampling | roots)
}

/// Whether a client can be asked this.
pub(super) const fn cover(abilities: ClientAbilities, question: &InputRequest) -> bool {
    abilities.0 & needed(question) != 0
}

/// Whether a client can show a form.
pub(super) const fn cover_forms(abilities: ClientAbilities) -> bool {
    abilities.0 & FORM != 0
}

const fn needed(question: &InputRequest) -> u32 {
    match question {
        InputRequest::Elicit { params: ElicitRequestParams::Form(_) } => FORM,
        InputRequest::Elicit { params: ElicitRequestParams::Url(_) } => URL,
        InputRequest::CreateMessage { .. } => SAMPLING,
        InputRequest::ListRoots { .. } => ROOTS,
    }
}

/// The capabilities that a client would have to announce to be asked this.
pub(super) fn required_for(question: &InputRequest) -> JsonObject {
    let (name, mode) = match question {
        InputRequest::Elicit { params: ElicitRequestParams::Form(_) } => ("elicitation", Some("form")),
        InputRequest::Elicit { params: ElicitRequestParams::Url(_) } => ("elicitation", Some("url")),
        InputRequest::CreateMessage { .. } => ("sampling", None),
        InputRequest::ListRoots { .. } => ("roots", None),
    };
    let modes = mode.map(|mode| (mode.to_owned(), Value::Object(Map::new()))).into_iter().collect();
    Map::from_iter([(name.to_owned(), Value::Object(modes))])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn abilities(capabilities: &Value) -> u32 {
        of(&serde_json::from_value(capabilities.clone()).unwrap()).0
    }

    #[test]
    fn a_client_that_names_no_mode_can_show_forms() {
        for (capabilities, expected) in [
            (json!({}), 0),
            (json!({ "elicitation": {} }), FORM),
            (json!({ "elicitation": { "form": {} } }), FORM),
            (json!({ "elicitation": { "url": {} } }), URL),
            (json!({ "elicitation": { "form": {}, "url": {} } }), FORM | URL),
            (json!({ "sampling": {}, "roots": { "listChanged": true } }), SAMPLING | ROOTS),
        ] {
            assert_eq!(abilities(&capabilities), expected, "{capabilities}");
        }
    }
}
