//! What is said about results: exactly what came back, in words and tables.
#![cfg(test)]

use client::agent::{Conversation, Message, Reply, ToolCall, ToolResult};
use serde_json::{Value, json};
use shared::mcp::content::ContentBlock;
use shared::mcp::tools::CallToolResult;

use super::{ask, reply, server};

pub(crate) fn structured(value: Value) -> CallToolResult {
    CallToolResult {
        content: vec![ContentBlock::text(serde_json::to_string_pretty(&value).unwrap())],
        structured_content: Some(value),
        ..CallToolResult::default()
    }
}

pub(crate) fn text(text: &str) -> CallToolResult {
    CallToolResult { content: vec![ContentBlock::text(text)], ..CallToolResult::default() }
}

pub(crate) fn asked(question: &str, results: &[(&str, CallToolResult)]) -> Conversation {
    let mut conversation = Conversation::new("system");
    conversation.push(Message::User(question.to_owned()));
    let call = |(at, (name, _)): (usize, &(&str, CallToolResult))| ToolCall {
        id: format!("offline-{}", at + 1),
        name: (*name).to_owned(),
        arguments: "{}".to_owned(),
        is_cut_off: false,
    };
    let tool_calls = results.iter().enumerate().map(call).collect();
    conversation.push(Message::Assistant(Reply { tool_calls, ..Reply::default() }));
    for (at, (name, result)) in results.iter().enumerate() {
        let call_id = format!("offline-{}", at + 1);
        conversation.push(Message::ToolResult(ToolResult {
            call_id,
            name: (*name).to_owned(),
            result: result.clone(),
        }));
    }
    conversation
}

async fn answer(question: &str, results: &[(&str, CallToolResult)]) -> String {
    let reply = reply(&asked(question, results), &server("payments")).await;
    assert!(reply.tool_calls.is_empty(), "{reply:?}");
    reply.text
}

#[tokio::test]
async fn a_record_becomes_a_sentence() {
    let result = text("{\n  \"username\": \"bob\",\n  \"balance\": -200\n}");
    assert_eq!(
        answer("balance", &[("getAccountBalance", result)]).await,
        "The account balance is -200 (username: bob)."
    );
    let result = structured(json!({"city": "Paris", "temperature": 12.5, "dry": true, "note": null}));
    let expected = "Current weather: city: Paris, dry: true, temperature: 12.5.";
    assert_eq!(answer("weather", &[("get_current_weather", result)]).await, expected);
}

#[tokio::test]
async fn rows_become_a_table_in_the_order_of_the_text() {
    let mut result = structured(json!({"transactions": [
        {"id": 5, "from": "bob", "to": "alice", "amount": 200, "date": "2024-03-19"},
        {"id": 3, "from": "bob", "to": "a|b", "amount": 0.1, "date": "2024-03-17"}
    ]}));
    result.content =
        vec![ContentBlock::text(r#"[{"id": 5, "from": "bob", "to": "alice", "amount": 200, "date": "x"}]"#)];
    let expected = "Here are 2 latest transactions:\n\n\
        | id | from | to | amount | date |\n\
        | --- | --- | --- | --- | --- |\n\
        | 5 | bob | alice | 200 | 2024-03-19 |\n\
        | 3 | bob | a\\|b | 0.1 | 2024-03-17 |";
    assert_eq!(answer("recent", &[("getLatestTransactions", result)]).await, expected);
}

#[tokio::test]
async fn one_row_and_no_row_are_told_apart() {
    let one = structured(json!({"transactions": [{"id": 1}]}));
    let none = structured(json!({"transactions": []}));
    let said = answer("all", &[("getAllTransactions", one), ("getAllTransactions", none)]).await;
    assert_eq!(said, "Here is 1 transaction:\n\n| id |\n| --- |\n| 1 |\n\nThere are no transactions.");
}

#[tokio::test]
async fn results_of_several_calls_are_answered_in_their_order() {
    let balance = structured(json!({"username": "bob", "balance": -200}));
    let failed = CallToolResult::error("No transactions found for user bob");
    let said = answer("both", &[("getAccountBalance", balance), ("getLatestTransactions", failed)]).await;
    let expected = "The account balance is -200 (username: bob).\n\n\
        Error from `getLatestTransactions`: No transactions found for user bob";
    assert_eq!(said, expected);
}

#[tokio::test]
async fn results_that_share_a_handle_are_told_one_by_one_unless_they_say_how_far_a_thing_has_come() {
    let balance = structured(json!({"accountId": "acc_1", "balance": 180}));
    let limit = structured(json!({"accountId": "acc_1", "limit": 1000}));
    let said = answer("both", &[("getBalance", balance), ("getLimit", limit)]).await;
    assert_eq!(said, "The balance is 180 (account id: acc_1).\n\nThe limit is 1000 (account id: acc_1).");
    let order = |status: &str| structured(json!({"orderId": "ord_1", "status": status}));
    let said = answer("both", &[("getOrder", order("open")), ("getOrder", order("closed"))]).await;
    assert_eq!(said, "Order: order id: ord_1, status: closed.");
}

#[tokio::test]
async fn an_answer_to_a_part_of_a_list_says_that_it_is_the_whole_list() {
    let rows = || structured(json!({"transactions": [{"id": 1}]}));
    let partial = answer("what did I spend?", &[("getAllTransactions", rows())]).await;
    assert!(partial.ends_with("nothing was filtered, counted or added up by topic."), "{partial}");
    let whole = answer("my transactions", &[("getAllTransactions", rows())]).await;
    assert!(!whole.contains("nothing was filtered"), "{whole}");
}

#[tokio::test]
async fn what_is_no_record_is_told_as_it_came() {
    assert_eq!(answer("x", &[("ping", text("All is well."))]).await, "All is well.");
    assert_eq!(
        answer("x", &[("getTags", text("[\"a\", 1.50, null]"))]).await,
        "Here are 3 tags:\n\n- a\n- 1.50\n- "
    );
    assert_eq!(
        answer("x", &[("ping", CallToolResult::default())]).await,
        "`ping` was called and gave nothing back."
    );
    assert_eq!(answer("x", &[("countUsers", text("7"))]).await, "Users: 7.");
}

#[tokio::test]
async fn nested_values_and_large_records_stay_readable() {
    let result = text(
        r#"{"order": {"id": 1, "state": "new", "total": 2.0, "lines": [{"sku": "a", "tags": ["x", "y"]}], "a": 1, "b": 2}, "next": "p2"}"#,
    );
    let said = answer("x", &[("getOrder", result)]).await;
    for piece in ["| sku | tags |", "| a | x, y |", "| total | 2.0 |", "next: p2"] {
        assert!(said.contains(piece), "{piece} is missing: {said}");
    }
}

#[tokio::test]
async fn a_last_turn_without_tools_answers_from_what_is_there() {
    let mut conversation = asked("balance", &[("getAccountBalance", structured(json!({"balance": 5})))]);
    let said = reply(&conversation, &[]).await;
    assert_eq!(said.text, "The account balance is 5.");
    conversation.push(Message::User("Sum up without tools.".to_owned()));
    assert_eq!(reply(&conversation, &[]).await.text, "The account balance is 5.");
}

#[tokio::test]
async fn an_abstention_says_what_it_is_why_and_what_can_be_asked() {
    let said = ask(&server("payments"), "transfer 100 to Alice").await.text;
    let expected = "I am the offline planner: I match words and am not a language model. You ask for a change \
        (\u{201c}transfer\u{201d}), and no tool of this server makes it. Nothing was called.\n\n\
        What can be asked here:\n\n\
        - Get a list of all transactions for the authenticated user (`getAllTransactions`)\n\
        - Get the latest transactions for the authenticated user (`getLatestTransactions`)\n\
        - Get the current account balance for the authenticated user (`getAccountBalance`)\n\n\
        To ask freely, use a language model: set `OPENAI_API_KEY`, or `OPENAI_BASE_URL` for another endpoint.";
    assert_eq!(said, expected);
    assert!(
        ask(&server("payments"), "last 500 payments")
            .await
            .text
            .contains("`limit` takes a number from 1 to 100, not 500")
    );
    assert!(ask(&server("paying"), "pay alice").await.text.contains("does not clearly give `amount`"));
    assert!(ask(&[], "balance").await.text.contains("lists no tools"));
}

#[tokio::test]
async fn every_call_of_a_conversation_has_an_id_of_its_own() {
    let mut conversation = asked("balance", &[("getAccountBalance", structured(json!({"balance": 5})))]);
    conversation.push(Message::User("my balance and my payments".to_owned()));
    let said = reply(&conversation, &server("payments")).await;
    let ids: Vec<&str> = said.tool_calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["offline-2", "offline-3"]);
}

/// Records of which each has a member of its own.
fn unlike(count: usize) -> Value {
    (0..count).map(|at| json!({ format!("member {at}"): at })).collect()
}

#[tokio::test]
async fn records_that_have_too_little_in_common_are_told_line_by_line() {
    let told = answer("rows", &[("getRows", structured(unlike(32)))]).await;
    assert!(told.contains("| --- |"), "{told}");
    let told = answer("rows", &[("getRows", structured(unlike(2_000)))]).await;
    assert!(told.starts_with("Here are 2000 rows:\n\n- member 0: 0\n- member 1: 1\n"), "{told}");
    assert!(told.len() < 100_000, "{}", told.len());
}

#[tokio::test]
async fn one_long_value_does_not_make_every_row_as_wide() {
    let mut rows = vec![json!({ "id": 1 }); 5_000];
    rows.push(json!({ "id": "ä".repeat(50_000) }));
    let told = answer("rows", &[("getRows", structured(Value::Array(rows)))]).await;
    assert!(!told.contains("| --- |"), "a table would be drawn with columns as wide as their widest cells");
    assert!(told.len() < 100_000 && told.ends_with(&format!("- id: {}…", "ä".repeat(200))), "{}", told.len());
    let mut record: serde_json::Map<String, Value> =
        (0..5_000).map(|at| (format!("member {at}"), json!(at))).collect();
    record.insert("memo".to_owned(), json!("ä".repeat(50_000)));
    let told = answer("record", &[("getRecord", structured(Value::Object(record)))]).await;
    assert!(told.starts_with("Record:\n\n- member 0: 0\n- member 1: 1\n"), "{}", told.len());
}
