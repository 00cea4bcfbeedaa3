//! Lists of what a server offers: page by page, and kept for as long as they say.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use client::mcp::{ConnectOptions, Connection, Era, McpError};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    mcp_server::{Act, Seen, TestServer, initialized, json_result, response, status},
    open_with, options,
    stateless::{list, refusal, server, stateless},
};

#[tokio::test]
async fn a_list_is_kept_for_as_long_as_it_says_and_for_one_credential_alone() {
    let server = server().await;
    server.arm("tools/list", list(60_000, "Limit"));
    server.arm("tools/list", list(0, "Limit"));
    let connection = open_with(&server, stateless()).await;
    for _ in 0..3 {
        connection.list_tools().await.unwrap();
    }
    assert_eq!(server.count("tools/list"), 1);
    // Public or not: what one credential was shown is not shown to another.
    let other = open_with(&server, stateless()).await;
    other.list_tools().await.unwrap();
    assert_eq!(server.count("tools/list"), 2);
    other.list_tools().await.unwrap();
    assert_eq!(server.count("tools/list"), 3, "0 ms are not kept");
}

#[tokio::test]
async fn resources_and_prompts_are_listed_to_the_last_page_and_read() {
    for era in [Era::Sessions, Era::Stateless] {
        let server = server().await;
        let mut opened = initialized("2025-11-25");
        opened["capabilities"] = json!({ "resources": {}, "prompts": {} });
        server.arm("initialize", json_result(opened));
        let paged: fn(&str, Value) -> Act = |key, one| {
            let key = key.to_owned();
            Arc::new(move |seen| {
                let mut page = json!({ "resultType": "complete", "ttlMs": 0, "cacheScope": "private" });
                page[&key] = json!([one]);
                if seen.body["params"]["cursor"].is_null() {
                    page["nextCursor"] = json!("second");
                }
                json_result(page)(seen)
            })
        };
        server.arm_always("resources/list", paged("resources", json!({ "uri": "a://b", "name": "b" })));
        server.arm_always(
            "resources/templates/list",
            paged("resourceTemplates", json!({ "uriTemplate": "a://{x}", "name": "x" })),
        );
        server.arm_always("prompts/list", paged("prompts", json!({ "name": "p" })));
        let contents = json!({ "contents": [{ "uri": "a://b", "text": "hello" }] });
        server.arm("resources/read", json_result(contents));
        let message = json!({ "role": "user", "content": { "type": "text", "text": "hi" } });
        server.arm("prompts/get", json_result(json!({ "messages": [message] })));
        let connection = open_with(&server, ConnectOptions { era, ..options() }).await;
        assert_eq!(connection.list_resources().await.unwrap().len(), 2);
        assert_eq!(connection.list_resource_templates().await.unwrap().len(), 2);
        assert_eq!(connection.list_prompts().await.unwrap().len(), 2);
        let never = CancellationToken::new();
        assert_eq!(connection.read_resource("a://b", &never).await.unwrap().contents.len(), 1);
        let filled = connection.prompt("p", [("x".to_owned(), "y".to_owned())].into(), &never).await.unwrap();
        assert_eq!(filled.messages.len(), 1);
        let asked = server.first("prompts/get").await;
        assert_eq!(asked.body["params"]["arguments"], json!({ "x": "y" }));
        if era == Era::Stateless {
            assert_eq!(asked.header("mcp-name"), Some("p"));
            assert_eq!(server.first("resources/read").await.header("mcp-name"), Some("a://b"));
        }
    }
}

#[tokio::test]
async fn a_list_that_goes_in_a_circle_is_refused() {
    for (method, key) in [("tools/list", "tools"), ("prompts/list", "prompts")] {
        let server = server().await;
        server.arm_always(method, json_result(json!({ key: [], "nextCursor": "again" })));
        let connection = open_with(&server, stateless()).await;
        let error = listed(&connection, method).await.unwrap_err();
        assert!(error.to_string().contains("goes in a circle"), "{method}: {error}");
        assert_eq!(server.count(method), 2, "{method}");
    }
}

#[tokio::test]
async fn a_list_of_too_many_bytes_is_refused() {
    let server = server().await;
    let page = |seen: &Seen| {
        let cursor = seen.body["params"]["cursor"].as_str().unwrap_or_default();
        let prompt = json!({ "name": "p", "description": "x".repeat(7 * 1024 * 1024) });
        let result = json!({ "prompts": [prompt], "nextCursor": format!("{cursor}x") });
        status(200, &[], "application/json", &response(seen, result).to_string())(seen)
    };
    server.arm_always("prompts/list", Arc::new(page));
    let connection = open_with(&server, stateless()).await;
    let error = connection.list_prompts().await.unwrap_err();
    assert!(error.to_string().contains("more than 33554432 bytes"), "{error}");
    assert_eq!(server.count("prompts/list"), 5);
}

#[tokio::test]
async fn what_came_of_several_rounds_is_not_kept() {
    let server = server().await;
    let read: Act = Arc::new(|seen| {
        let result = match seen.body["params"]["requestState"].is_null() {
            true => json!({ "resultType": "input_required", "requestState": "once" }),
            false => json!({
                "resultType": "complete", "ttlMs": 60_000, "cacheScope": "private",
                "contents": [{ "uri": "a://b", "text": "hello" }],
            }),
        };
        json_result(result)(seen)
    });
    server.arm_always("resources/read", read);
    let connection = open_with(&server, stateless()).await;
    for _ in 0..2 {
        connection.read_resource("a://b", &CancellationToken::new()).await.unwrap();
    }
    assert_eq!(server.count("resources/read"), 4);
}

/// A list in two pages, the first to be kept. Each first page names another second one, which can be had so many times.
fn two_pages(key: &'static str, times: usize) -> Act {
    let (begun, had) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let one = json!([{ "name": "echo", "inputSchema": { "type": "object" } }]);
    Arc::new(move |seen| {
        let page = json!({ "resultType": "complete", "cacheScope": "private", key: one });
        let with = |member: &str, value: Value| {
            let mut page = page.clone();
            page[member] = value;
            page
        };
        let Some(cursor) = seen.body["params"]["cursor"].as_str() else {
            had.store(0, Ordering::SeqCst);
            let mut first = with("ttlMs", json!(60_000));
            first["nextCursor"] = json!((begun.fetch_add(1, Ordering::SeqCst) + 1).to_string());
            return json_result(first)(seen);
        };
        let is_present = cursor == begun.load(Ordering::SeqCst).to_string();
        if is_present && had.fetch_add(1, Ordering::SeqCst) < times {
            return json_result(with("ttlMs", json!(0)))(seen);
        }
        refusal(400, json!({ "code": -32602, "message": "Invalid cursor" }))(seen)
    })
}

/// How many items a list has.
async fn listed(connection: &Connection, method: &str) -> Result<usize, McpError> {
    match method {
        "tools/list" => connection.list_tools().await.map(|list| list.tools.len()),
        _ => connection.list_prompts().await.map(|prompts| prompts.len()),
    }
}

/// The cursors that pages were asked for with.
fn cursors(server: &TestServer, method: &str) -> Vec<Option<String>> {
    let asked = server.seen().into_iter().filter(|seen| seen.kind() == method);
    asked.map(|seen| seen.body["params"]["cursor"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_list_whose_cursor_is_not_good_any_more_is_begun_anew_once() {
    for (method, key) in [("tools/list", "tools"), ("prompts/list", "prompts")] {
        let server = server().await;
        server.arm_always(method, two_pages(key, 1));
        let connection = open_with(&server, stateless()).await;
        for _ in 0..2 {
            // A tool that is listed twice counts once.
            let expected = if method == "tools/list" { 1 } else { 2 };
            assert_eq!(listed(&connection, method).await.unwrap(), expected);
        }
        let cursor = |text: &str| Some(text.to_owned());
        let expected = [None, cursor("1"), cursor("1"), None, cursor("2")];
        assert_eq!(cursors(&server, method), expected, "{method}");
    }
}

#[tokio::test]
async fn a_list_whose_cursors_are_never_good_is_refused() {
    for (method, key) in [("tools/list", "tools"), ("prompts/list", "prompts")] {
        let server = server().await;
        server.arm_always(method, two_pages(key, 0));
        let connection = open_with(&server, stateless()).await;
        let error = listed(&connection, method).await.unwrap_err();
        assert!(matches!(&error, McpError::Rpc(error) if error.code.0 == -32602), "{error:?}");
        assert_eq!(cursors(&server, method).len(), 4, "{method}");
    }
}
