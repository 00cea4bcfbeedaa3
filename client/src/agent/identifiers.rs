//! The names of tool calls. Models repeat them, or leave them out, and an endpoint that is then shown two calls with
//! one name, or none, refuses the whole conversation.

use std::collections::HashSet;

use super::{Conversation, Message, ToolCall};

/// The longest id that is kept.
const MAX_ID_BYTES: usize = 256;

/// Gives every call an id that no other call in the conversation has. Good ids stay as they are.
pub(super) fn make_unique(calls: &mut [ToolCall], conversation: &Conversation) {
    let mut taken: HashSet<String> =
        conversation.messages().iter().flat_map(ids).map(str::to_owned).collect();
    let mut next = taken.len();
    for call in calls {
        while call.id.is_empty() || call.id.len() > MAX_ID_BYTES || taken.contains(&call.id) {
            next = next.saturating_add(1);
            call.id = format!("call_{next}");
        }
        taken.insert(call.id.clone());
    }
}

fn ids(message: &Message) -> impl Iterator<Item = &str> {
    let calls = match message {
        Message::Assistant(reply) => reply.tool_calls.as_slice(),
        Message::System(_) | Message::User(_) | Message::ToolResult(_) => &[],
    };
    calls.iter().map(|call| call.id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Reply;

    fn calls(ids: &[&str]) -> Vec<ToolCall> {
        ids.iter()
            .map(|id| ToolCall {
                id: (*id).to_owned(),
                name: "t".to_owned(),
                arguments: String::new(),
                is_cut_off: false,
            })
            .collect()
    }

    #[test]
    fn missing_repeated_and_endless_ids_are_replaced_and_good_ones_kept() {
        let mut conversation = Conversation::new("");
        let earlier = Reply { tool_calls: calls(&["a", "call_3"]), ..Reply::default() };
        conversation.push(Message::Assistant(earlier));
        let endless = "x".repeat(MAX_ID_BYTES + 1);
        let mut new = calls(&["b", "", "a", "b", &endless]);
        make_unique(&mut new, &conversation);
        let ids: Vec<_> = new.iter().map(|call| call.id.as_str()).collect();
        assert_eq!(ids, ["b", "call_4", "call_5", "call_6", "call_7"]);
    }

    #[test]
    fn an_id_that_was_made_up_does_not_collide_with_one_that_comes_later() {
        let mut new = calls(&["", "call_1"]);
        make_unique(&mut new, &Conversation::new(""));
        assert_ne!(new[0].id, new[1].id);
    }
}
