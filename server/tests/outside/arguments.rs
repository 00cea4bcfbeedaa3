//! Arguments that a tool does not take: a tool error that a model can act on, for every way of being wrong.

use serde_json::{Value, json};

use crate::support::{
    app::spawn_app,
    client::{BOB, Client, request},
};

#[tokio::test]
async fn every_wrong_limit_is_a_tool_error_that_names_the_field_and_the_range() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for limit in [
        "0",
        "-1",
        "101",
        "1.5",
        "1e308",
        "-1e308",
        "1e2147483648",
        "\"abc\"",
        "\"3\"",
        "null",
        "true",
        "[]",
        "[3]",
        "{}",
        "99999999999999999999999999",
        "-0.0",
        "3.5e0",
        "18446744073709551616",
        "9223372036854775808",
        "\"\"",
    ] {
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{{"name":"getLatestTransactions","arguments":{{"limit":{limit}}}}}}}"#
        );
        let answer = bob.post(call).send(app.address).await;
        if limit == "1e2147483648" {
            // Beyond what a JSON number can be read as: the message is not JSON that anybody can use.
            assert!(answer.status == 400 || answer.json()["result"]["isError"] == true, "{answer:?}");
            continue;
        }
        assert_eq!(answer.status, 200, "{limit}: {answer:?}");
        let result = &answer.json()["result"];
        assert_eq!(result["isError"], true, "{limit}: {answer:?}");
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("limit") && text.contains("from 1 to 100"), "{limit}: {text}");
        assert!(result.get("structuredContent").is_none(), "{limit}");
    }
}

#[tokio::test]
async fn a_field_that_a_tool_does_not_know_is_named() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for (tool, arguments) in [
        ("getLatestTransactions", json!({ "limit": 3, "user": "alice" })),
        ("getLatestTransactions", json!({ "user": "alice" })),
        ("getAllTransactions", json!({ "user": "alice" })),
        ("getAccountBalance", json!({ "user": "alice" })),
    ] {
        let result = bob.result(tool, arguments).await;
        assert_eq!(result["isError"], true, "{tool}: {result}");
        assert!(result["content"][0]["text"].as_str().unwrap().contains("user"), "{tool}: {result}");
    }
}

#[tokio::test]
async fn the_same_field_twice_is_not_taken_for_one_of_the_two() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let call = r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"getLatestTransactions","arguments":{"limit":1,"limit":2}}}"#;
    let answer = bob.post(call).send(app.address).await;
    let refused =
        answer.status == 400 || answer.code() == Some(-32602) || answer.json()["result"]["isError"] == true;
    assert!(refused, "{answer:?}");
}

#[tokio::test]
async fn arguments_that_are_no_object_are_refused() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for arguments in [json!([]), json!("limit"), json!(3), json!([{ "limit": 3 }])] {
        let answer = bob.call("getLatestTransactions", arguments.clone()).send(app.address).await;
        let tool_error = answer.json()["result"]["isError"] == true;
        assert!(answer.code() == Some(-32602) || tool_error, "{arguments}: {answer:?}");
    }
}

#[tokio::test]
async fn a_call_without_a_name_is_a_protocol_error() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for params in [json!({}), json!({ "name": 3 }), json!({ "name": null }), json!({ "arguments": {} })] {
        let answer = bob.post(request(6, "tools/call", params.clone())).send(app.address).await;
        assert_eq!((answer.status, answer.code()), (200, Some(-32602)), "{params}: {answer:?}");
        assert_eq!(answer.json()["id"], 6);
    }
}

#[tokio::test]
async fn every_wrong_call_is_in_the_audit_trail_as_what_it_was() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    bob.result("getLatestTransactions", json!({ "limit": -1 })).await;
    bob.result("getAccountBalance", json!({})).await;
    bob.call("nothingLikeIt", Value::Null).send(app.address).await;
    app.store.flush_audit().await.unwrap();
    let records = app.store.latest_audit(10).await.unwrap();
    let seen: Vec<_> = records.iter().map(|record| (&*record.tool, record.outcome.as_str())).collect();
    assert_eq!(
        seen,
        [
            ("nothingLikeIt", "unknown_tool"),
            ("getAccountBalance", "ok"),
            ("getLatestTransactions", "invalid_arguments"),
        ]
    );
    for record in records {
        assert_eq!((record.username.as_str(), record.key.0.as_str()), ("bob", "1"));
        assert!(record.session.is_some() && !record.request_id.is_empty() && record.duration_us >= 0);
    }
}
