//! Whether an answer is one to its question. What comes from a person comes through a client, and is checked like
//! everything that does.

use serde::Deserialize;
use serde_json::Value;
use shared::mcp::{
    elicitation::{ElicitAction, ElicitRequestParams, ElicitResult},
    input::{InputRequest, ListRootsResult},
    object::object,
    sampling::CreateMessageResult,
};

/// An answer as it is taken, if it is one to `question`: it has the form that the protocol gives it, and what was filled in
/// the form that was asked for. Of a person's no only the no is taken, whatever is written beside it. The reason does not
/// repeat what was filled in.
pub(super) fn taken(question: &InputRequest, answer: &Value) -> Result<Value, String> {
    let no = action(answer).filter(|action| *action != ElicitAction::Accept);
    if let (InputRequest::Elicit { .. }, Some(no)) = (question, no) {
        return Ok(serde_json::json!({ "action": no }));
    }
    check(question, answer).map(|()| answer.clone())
}

fn check(question: &InputRequest, answer: &Value) -> Result<(), String> {
    match question {
        InputRequest::Elicit { params } => {
            let result = read::<ElicitResult>(answer)?;
            match (params, result.action) {
                (ElicitRequestParams::Form(form), ElicitAction::Accept) => {
                    let schema =
                        serde_json::to_value(&form.requested_schema).map_err(|error| error.to_string())?;
                    fits(&schema, &serde_json::json!(result.content.unwrap_or_default()))
                }
                (ElicitRequestParams::Url(_), ElicitAction::Accept)
                | (_, ElicitAction::Decline | ElicitAction::Cancel) => Ok(()),
            }
        }
        InputRequest::CreateMessage { .. } => read::<CreateMessageResult>(answer).map(drop),
        InputRequest::ListRoots { .. } => read::<ListRootsResult>(answer).map(drop),
    }
}

/// What a person did with a question, as far as it can be read. A no is one however the rest of it is written.
pub(super) fn action(answer: &Value) -> Option<ElicitAction> {
    match ElicitAction::deserialize(answer.as_object()?.get("action")?).ok()? {
        ElicitAction::Accept => read::<ElicitResult>(answer).ok().map(|result| result.action),
        no @ (ElicitAction::Decline | ElicitAction::Cancel) => Some(no),
    }
}

fn read<T: serde::de::DeserializeOwned>(answer: &Value) -> Result<T, String> {
    // The message of serde may quote a value.
    object(answer).map_err(|_| "it is not what the protocol says".to_owned())
}

fn fits(schema: &Value, content: &Value) -> Result<(), String> {
    let options =
        jsonschema::options().with_draft(jsonschema::Draft::Draft202012).should_validate_formats(true);
    let validator = options.build(schema).map_err(|_| "the form cannot be checked".to_owned())?;
    validator.validate(content).map_err(|error| {
        let place = error.instance_path().to_string();
        format!("what was filled in at `{place}` is not what the form asks for")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form() -> InputRequest {
        let question = json!({ "method": "elicitation/create", "params": {
            "message": "?",
            "requestedSchema": { "type": "object", "required": ["a"], "properties": {
                "a": { "type": "string", "minLength": 2, "maxLength": 4 },
                "n": { "type": "integer", "minimum": 1, "maximum": 3 },
                "b": { "type": "boolean" },
                "c": { "type": "string", "oneOf": [{ "const": "x", "title": "X" }] },
                "m": { "type": "array", "items": { "type": "string", "enum": ["x", "y"] }, "maxItems": 1 },
                "e": { "type": "string", "format": "email" },
            } },
        } });
        serde_json::from_value(question).unwrap()
    }

    #[test]
    fn a_no_is_one_whatever_is_written_beside_it_and_a_yes_only_where_all_of_it_can_be_read() {
        let (yes, no, away) = (ElicitAction::Accept, ElicitAction::Decline, ElicitAction::Cancel);
        for (answer, read) in [
            (json!({ "action": "accept" }), Some(yes)),
            (json!({ "action": "accept", "content": {} }), Some(yes)),
            (json!({ "action": "accept", "content": "all of it" }), None),
            (json!({ "action": "decline" }), Some(no)),
            (json!({ "action": "decline", "content": "none of it" }), Some(no)),
            (json!({ "action": "cancel", "content": [] }), Some(away)),
            (json!({ "action": "perhaps" }), None),
            (json!({ "content": { "action": "accept" } }), None),
            (json!(["accept"]), None),
            (json!("decline"), None),
            (json!(null), None),
        ] {
            assert_eq!(action(&answer), read, "{answer}");
        }
    }

    #[test]
    fn of_a_no_only_the_no_is_taken_and_of_everything_else_what_fits() {
        let (form, no) = (form(), json!({ "action": "decline" }));
        for beside in [json!(""), json!([1]), json!({ "a": 1 }), json!(null)] {
            assert_eq!(taken(&form, &json!({ "action": "decline", "content": beside })), Ok(no.clone()));
        }
        let yes = json!({ "action": "accept", "content": { "a": "ab" }, "_meta": { "x": 1 } });
        assert_eq!(taken(&form, &yes), Ok(yes.clone()));
        assert!(taken(&form, &json!({ "action": "accept", "content": "" })).is_err());
        let roots = serde_json::from_value(json!({ "method": "roots/list" })).unwrap();
        assert!(taken(&roots, &no).is_err(), "nobody was asked to say no");
    }

    #[test]
    fn what_is_filled_in_must_be_what_the_form_asks_for() {
        let form = form();
        for (content, good) in [
            (json!({ "a": "ab" }), true),
            (json!({ "a": "ab", "n": 3, "b": false, "c": "x", "m": ["y"], "e": "a@example.com" }), true),
            (json!({}), false),
            (json!({ "a": "a" }), false),
            (json!({ "a": 1 }), false),
            (json!({ "a": "ab", "n": 4 }), false),
            (json!({ "a": "ab", "n": 1.5 }), false),
            (json!({ "a": "ab", "b": "true" }), false),
            (json!({ "a": "ab", "c": "z" }), false),
            (json!({ "a": "ab", "m": ["z"] }), false),
            (json!({ "a": "ab", "m": ["x", "y"] }), false),
            (json!({ "a": "ab", "e": "nobody" }), false),
        ] {
            let answer = json!({ "action": "accept", "content": content });
            assert_eq!(check(&form, &answer).is_ok(), good, "{answer}");
        }
        for (answer, good) in [
            (json!({ "action": "decline" }), true),
            (json!({ "action": "cancel", "content": { "a": 1 } }), true),
            (json!({ "action": "accept" }), false),
            (json!({ "action": "perhaps" }), false),
            (json!(["accept", { "a": "ab" }]), false),
            (json!(12345), false),
            (json!(null), false),
        ] {
            assert_eq!(check(&form, &answer).is_ok(), good, "{answer}");
        }
    }
}
