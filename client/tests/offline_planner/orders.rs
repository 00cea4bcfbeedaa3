//! An order of which one call has only prepared the rest: it goes on with the step that the result asks for, once, and
//! with nothing else.
#![cfg(test)]

use client::agent::{Conversation, Reply};
use serde_json::{Value, json};
use shared::mcp::tools::{CallToolResult, Tool};

use super::{
    answers::{asked, structured, text},
    calls, reply, server,
};

fn payment(status: &str) -> CallToolResult {
    structured(json!({
        "paymentId": "pay_1", "status": status, "from": "bob", "to": "alice", "amount": 25, "currency": "USD",
    }))
}

async fn after(tools: &[Tool], question: &str, results: &[(&str, CallToolResult)]) -> Reply {
    let conversation: Conversation = asked(question, results);
    reply(&conversation, tools).await
}

fn named(reply: &Reply) -> Vec<(String, Value)> {
    calls(reply).into_iter().map(|call| (call.name, call.arguments)).collect()
}

#[tokio::test]
async fn what_was_ordered_goes_on_with_the_step_that_the_result_asks_for() {
    let tools = server("payment-server");
    let prepared = [("createPayment", payment("requires_confirmation"))];
    let confirm = vec![("confirmPayment".to_owned(), json!({ "paymentId": "pay_1" }))];
    for order in ["Pay alice 25", "Send alice 25.", "please transfer 25 to alice"] {
        assert_eq!(named(&after(&tools, order, &prepared).await), confirm, "{order}");
    }
}

#[tokio::test]
async fn whoever_orders_the_first_step_alone_gets_it_alone() {
    let tools = server("payment-server");
    let prepared = [("createPayment", payment("requires_confirmation"))];
    let payment = |verb: &str| format!("{verb} a payment of 25 to alice");
    let verbs = ["Create", "Make", "Prepare", "Submit", "Add", "Raise", "Open", "File"];
    for order in verbs.map(payment).iter().map(String::as_str).chain(["how do I stand?"]) {
        let said = after(&tools, order, &prepared).await;
        assert!(
            said.tool_calls.is_empty() && said.text.contains("requires confirmation"),
            "{order}: {said:?}"
        );
    }
}

#[tokio::test]
async fn it_goes_on_once_and_only_where_it_is_clear_with_what() {
    let tools = server("payment-server");
    let order = "Pay alice 25";
    let ended = |status: &str| [("createPayment", payment(status))];
    for status in ["requires_action", "succeeded", "expired", ""] {
        let said = after(&tools, order, &ended(status)).await;
        assert!(said.tool_calls.is_empty(), "{status}: {said:?}");
    }
    let prepared = payment("requires_confirmation");
    // A server that asks for the same again is not obeyed.
    let again = [("createPayment", prepared.clone()), ("confirmPayment", prepared.clone())];
    assert!(after(&tools, order, &again).await.tool_calls.is_empty());
    // Nor is text that only looks like a result.
    let told = [("createPayment", text(r#"{"paymentId":"pay_1","status":"requires_confirmation"}"#))];
    assert!(after(&tools, order, &told).await.tool_calls.is_empty());
    // Two tools that confirm, and none.
    let mut two = tools.clone();
    let mut other = two.iter().find(|tool| tool.name == "confirmPayment").unwrap().clone();
    other.name = "confirmTransfer".to_owned();
    two.push(other);
    assert!(after(&two, order, &[("createPayment", prepared.clone())]).await.tool_calls.is_empty());
    assert!(after(&server("paying"), order, &[("createPayment", prepared)]).await.tool_calls.is_empty());
}

#[tokio::test]
async fn a_payment_is_told_as_it_stands_in_the_end() {
    let tools = server("payment-server");
    let results =
        [("createPayment", payment("requires_confirmation")), ("confirmPayment", payment("succeeded"))];
    let said = after(&tools, "Pay alice 25", &results).await.text;
    assert_eq!(said, "Payment: 25 USD from bob to alice: succeeded (payment id: pay_1).");
}
