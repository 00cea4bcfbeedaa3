//! A reply put together from its chunks.
//!
//! A tool call comes in fragments that an `index` holds together. Endpoints that send whole calls leave the index out,
//! or give every call the index 0, and some leave out the id as well; so a fragment also begins a new call when it
//! can be no continuation of the one it is said to belong to.

use serde::de::IgnoredAny;

use super::{
    chunk::{Chunk, Fragment},
    failure,
    names::Names,
};
use crate::agent::{ModelError, Reply, ToolCall};

/// A reply in the making.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    text: String,
    calls: Vec<Partial>,
    finish: Option<String>,
}

/// A tool call in the making.
#[derive(Debug, Default)]
struct Partial {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl Assembly {
    /// Adds a chunk; new text goes to `delta` at once.
    pub(super) fn add(&mut self, chunk: Chunk, delta: &mut (dyn for<'t> FnMut(&'t str) + Send)) {
        let Some(choice) = chunk.choices.into_iter().next() else { return };
        let text = choice.delta.text();
        if !text.is_empty() {
            self.text.push_str(&text);
            delta(&text);
        }
        for fragment in choice.delta.tool_calls {
            self.add_fragment(fragment);
        }
        // Some endpoints write that there is none yet as a text.
        let reason = choice.finish_reason.filter(|reason| !matches!(reason.as_str(), "" | "null"));
        if reason.is_some() {
            self.finish = reason;
        }
    }

    /// Whether the model has said that it is done.
    pub(super) const fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// The reply.
    ///
    /// # Errors
    /// [`ModelError`] when nothing is in it but white space.
    pub(super) fn into_reply(self, names: &Names) -> Result<Reply, ModelError> {
        if self.text.trim().is_empty() && self.calls.is_empty() {
            return Err(failure::empty(self.finish.as_deref()));
        }
        let is_cut_off = matches!(self.finish.as_deref(), Some("length" | "content_filter"));
        let last = self.calls.len().saturating_sub(1);
        let tool_calls = self.calls.into_iter().enumerate().map(|(position, call)| ToolCall {
            id: call.id,
            name: names.tool(&call.name),
            is_cut_off: is_cut_off && position == last && !is_complete(&call.arguments),
            arguments: call.arguments,
        });
        Ok(Reply { text: self.text, tool_calls: tool_calls.collect(), is_cut_off })
    }

    fn add_fragment(&mut self, fragment: Fragment) {
        let id = fragment.id.unwrap_or_default();
        let name = fragment.function.name.as_deref().unwrap_or_default();
        let arguments = fragment.function.arguments();
        if id.is_empty() && name.is_empty() && arguments.is_empty() {
            return;
        }
        let belongs_to = match fragment.index {
            Some(index) => self.calls.iter_mut().rfind(|call| call.index == Some(index)),
            None if id.is_empty() => self.calls.last_mut().filter(|_| name.is_empty()),
            None => self.calls.iter_mut().rfind(|call| call.id == id),
        };
        match belongs_to.filter(|call| call.continues_with(&id, name, &arguments)) {
            Some(call) => call.extend(&id, name, &arguments),
            None => self.calls.push(Partial { index: fragment.index, id, name: name.to_owned(), arguments }),
        }
    }
}

impl Partial {
    /// Whether a fragment that is said to belong to this call can be its continuation.
    fn continues_with(&self, id: &str, name: &str, arguments: &str) -> bool {
        let other_id = !id.is_empty() && !self.id.is_empty() && id != self.id;
        let begins_anew = !name.is_empty() && !arguments.is_empty() && is_complete(&self.arguments);
        !(other_id || begins_anew)
    }

    fn extend(&mut self, id: &str, name: &str, arguments: &str) {
        if self.id.is_empty() {
            id.clone_into(&mut self.id);
        }
        // A name comes in one piece; some endpoints repeat it with every fragment.
        if self.name.is_empty() {
            name.clone_into(&mut self.name);
        }
        self.arguments.push_str(arguments);
    }
}

fn is_complete(arguments: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(arguments).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn assemble(deltas: &[Value]) -> Reply {
        let mut assembly = Assembly::default();
        for delta in deltas {
            let chunk = json!({ "choices": [{ "index": 0, "delta": delta }] });
            assembly.add(serde_json::from_value(chunk).unwrap(), &mut |_| ());
        }
        assembly.into_reply(&Names::default()).unwrap()
    }

    fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
        let (id, name, arguments) = (id.to_owned(), name.to_owned(), arguments.to_owned());
        ToolCall { id, name, arguments, is_cut_off: false }
    }

    #[test]
    fn fragments_are_joined_by_their_index_even_interleaved() {
        let reply = assemble(&[
            json!({ "role": "assistant", "content": null }),
            json!({ "tool_calls": [{ "index": 0, "id": "a", "type": "function", "function": { "name": "one", "arguments": "" } }] }),
            json!({ "tool_calls": [{ "index": 1, "id": "b", "function": { "name": "two", "arguments": "{\"y\":" } }] }),
            json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "{\"x\":1" } }] }),
            json!({ "tool_calls": [{ "index": 1, "function": { "arguments": "2}" } }, { "index": 0, "function": { "arguments": "}" } }] }),
        ]);
        assert_eq!(reply.tool_calls, [call("a", "one", "{\"x\":1}"), call("b", "two", "{\"y\":2}")]);
    }

    #[test]
    fn whole_calls_are_told_apart_without_an_index_and_with_the_same_one() {
        let whole = |index: Value, id: Value, name: &str| json!({ "tool_calls": [{ "index": index, "id": id, "function": { "name": name, "arguments": "{}" } }] });
        let null = Value::Null;
        let two = ["one", "two"];
        for (indices, ids) in [
            ([null.clone(), null.clone()], [json!("a"), json!("b")]),
            ([null.clone(), null.clone()], [null.clone(), null.clone()]),
            ([json!(0), json!(0)], [json!("a"), json!("b")]),
            ([json!(0), json!(0)], [json!(""), json!("")]),
        ] {
            let deltas: Vec<_> = (0..2).map(|n| whole(indices[n].clone(), ids[n].clone(), two[n])).collect();
            let names: Vec<_> = assemble(&deltas).tool_calls.into_iter().map(|call| call.name).collect();
            assert_eq!(names, two, "{indices:?} {ids:?}");
        }
    }

    #[test]
    fn fragments_without_index_or_with_a_repeated_name_still_join() {
        let reply = assemble(&[
            json!({ "tool_calls": [{ "id": "a", "function": { "name": "one", "arguments": "{\"x\"" } }] }),
            json!({ "tool_calls": [{ "function": { "arguments": ":1}" } }] }),
            json!({ "tool_calls": [{ "index": 5, "id": "b", "function": { "name": "two", "arguments": "{" } }] }),
            json!({ "tool_calls": [{ "index": 5, "id": "b", "function": { "name": "two", "arguments": "}" } }] }),
        ]);
        assert_eq!(reply.tool_calls, [call("a", "one", "{\"x\":1}"), call("b", "two", "{}")]);
    }

    #[test]
    fn what_is_of_another_kind_than_expected_is_passed_over() {
        let reply = assemble(&[
            json!(null),
            json!({ "content": [{ "type": "text", "text": "Hel" }, { "type": "other" }], "reasoning": "hm" }),
            json!({ "content": "lo", "tool_calls": null }),
            json!({ "content": 5, "tool_calls": "none" }),
            json!({ "tool_calls": [{}, { "index": 0, "function": null }] }),
            json!({ "tool_calls": [{ "index": "x", "id": 7, "function": { "name": "one", "arguments": { "x": 1 } } }] }),
        ]);
        let tool_calls = vec![call("", "one", "{\"x\":1}")];
        assert_eq!(reply, Reply { text: "Hello".to_owned(), tool_calls, is_cut_off: false });
        let odd: Chunk = serde_json::from_value(json!({ "choices": null, "usage": {}, "x": 1 })).unwrap();
        assert!(odd.choices.is_empty() && odd.error.is_none());
    }

    #[test]
    fn numbers_of_an_object_in_place_of_its_text_stay_as_they_were_written() {
        let written = r#"{"amount":1e2,"least":25.00000000000000001}"#;
        let call = format!(r#"{{"tool_calls":[{{"function":{{"name":"one","arguments":{written}}}}}]}}"#);
        let chunk = format!(r#"{{"choices":[{{"delta":{call}}}]}}"#);
        let mut assembly = Assembly::default();
        assembly.add(serde_json::from_str(&chunk).unwrap(), &mut |_| ());
        let reply = assembly.into_reply(&Names::default()).unwrap();
        assert_eq!(reply.tool_calls[0].arguments, written);
    }

    #[test]
    fn nothing_at_all_is_an_error_that_knows_why() {
        let empty = |finish: Option<&str>| {
            let finish = finish.map(str::to_owned);
            Assembly { finish, ..Assembly::default() }.into_reply(&Names::default()).unwrap_err()
        };
        assert_eq!(empty(Some("stop")), ModelError::Empty { advice: None });
        assert!(matches!(empty(Some("content_filter")), ModelError::Empty { advice: Some(_) }));
    }
}
