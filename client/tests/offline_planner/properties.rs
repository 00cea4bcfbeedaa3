//! What holds for any text: nothing panics, and nothing is changed that was not ordered to be.
#![cfg(test)]

use client::agent::{Conversation, Message, Model, Offline, Prompt, ToolResult};
use proptest::prelude::*;
use shared::mcp::content::ContentBlock;
use shared::mcp::tools::{CallToolResult, Tool};

use super::server;

/// Every word that orders one of the changes that the test servers can make.
const ORDERS: &[&str] = &[
    "pay", "send", "transfer", "wire", "create", "add", "make", "open", "raise", "file", "submit", "post",
    "close", "resolve", "finish", "complete", "shut", "cancel", "void", "abort", "refund", "comment",
    "report", "purchase", "spend", "buy", "deposit", "log", "give",
];

fn called(tools: &[Tool], question: &str) -> Vec<String> {
    let mut conversation = Conversation::new("system");
    conversation.push(Message::User(question.to_owned()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let prompt = Prompt { conversation: &conversation, tools };
    let reply = runtime.block_on(Offline::new().reply(prompt, &mut |_| {})).unwrap();
    reply.tool_calls.into_iter().map(|call| call.name).collect()
}

fn changes(name: &str) -> bool {
    ["create", "cancel", "refund", "close", "add"].iter().any(|verb| name.starts_with(verb))
}

fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        proptest::sample::select(vec![
            "my",
            "the",
            "last",
            "payment",
            "payments",
            "balance",
            "alice",
            "to",
            "20",
            "did",
            "i",
            "send",
            "sent",
            "pay",
            "paid",
            "issue",
            "42",
            "close",
            "closed",
            "create",
            "cancel",
            "cancelled",
            "refund",
            "comment",
            "on",
            "what",
            "show",
            "not",
            "of",
            "\"x\"",
            "pay_1",
            "titled",
            "saying",
            "?",
            ".",
            ",",
            "and",
            "a",
            "new",
            "all",
            "open",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,8}",
    ];
    proptest::collection::vec(word, 0..12).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_and_nothing_changes_without_an_order(text in words()) {
        for name in ["payments", "paying", "payment-server", "weather", "issues"] {
            let tools = server(name);
            let called = called(&tools, &text);
            prop_assert!(called.len() <= 3);
            prop_assert!(called.iter().all(|name| tools.iter().any(|tool| tool.name == *name)));
            let ordered = text.to_lowercase().split(|c: char| !c.is_alphabetic()).any(|word| ORDERS.contains(&word));
            prop_assert!(ordered || !called.iter().any(|name| changes(name)), "{text:?} called {called:?}");
            prop_assert!(!called.iter().any(|name| changes(name)) || called.len() == 1);
        }
    }

    #[test]
    fn no_text_panics_anywhere(text in any::<String>(), result in any::<String>()) {
        called(&server("paying"), &text);
        let mut conversation = Conversation::new("system");
        conversation.push(Message::User(text));
        conversation.push(Message::ToolResult(ToolResult {
            call_id: "1".to_owned(),
            name: result.clone(),
            result: CallToolResult { content: vec![ContentBlock::text(result)], ..CallToolResult::default() },
        }));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let prompt = Prompt { conversation: &conversation, tools: &[] };
        let reply = runtime.block_on(Offline::new().reply(prompt, &mut |_| {})).unwrap();
        prop_assert!(!reply.text.is_empty());
    }
}

#[test]
fn the_property_is_about_something_orders_do_reach_tools_that_change() {
    assert_eq!(called(&server("paying"), "pay alice 20"), ["createPayment"]);
    assert_eq!(called(&server("issues"), "close issue 42"), ["close_issue"]);
}
