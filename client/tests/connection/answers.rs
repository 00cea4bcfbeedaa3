//! What the server answers, and in which shape it arrives.

#![cfg(test)]

use std::sync::{Arc, Mutex};

use client::mcp::{CallOptions, McpError};
use serde_json::json;

use crate::{
    arguments, call, call_repeatable,
    mcp_server::{
        STREAM_HEAD, Step, TestServer, filled, json_result, response, status, steps, stream, text_result,
    },
    open,
};

#[tokio::test]
async fn a_call_is_answered_in_json_and_carries_what_the_transport_asks_for() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    assert_eq!(connection.server().server_info.name, "test-server");
    let result = call(&connection).await.unwrap();
    assert_eq!(result.text(), r#"{"limit":5}"#);

    let opening = server.first("initialize").await;
    assert_eq!(opening.header("accept"), Some("application/json, text/event-stream"));
    assert_eq!(opening.header("content-type"), Some("application/json"));
    assert_eq!(opening.header("x-api-key"), Some(crate::KEY));
    assert_eq!(opening.header("mcp-protocol-version"), None);
    assert_eq!(opening.body["params"]["protocolVersion"], "2025-11-25");
    for kind in ["notifications/initialized", "tools/call"] {
        let seen = server.first(kind).await;
        assert_eq!(seen.header("accept"), Some("application/json, text/event-stream"), "{kind}");
        assert_eq!(seen.header("mcp-protocol-version"), Some("2025-11-25"), "{kind}");
        assert_eq!(seen.header("mcp-session-id"), Some("00000000000000000000000000000001-session"), "{kind}");
    }
    let kinds: Vec<_> = server.seen().iter().map(|seen| seen.kind().to_owned()).collect();
    assert_eq!(kinds, ["initialize", "notifications/initialized", "tools/call"]);
}

#[tokio::test]
async fn ids_are_never_used_twice() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    let calls = (0..20).map(|_| connection.ping());
    futures_util::future::try_join_all(calls).await.unwrap();
    server.arm("ping", status(500, &[], "", ""));
    connection.ping().await.unwrap();
    let mut ids: Vec<_> = server.seen().iter().filter_map(|seen| seen.body["id"].as_i64()).collect();
    let sent = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((sent, ids.len()), (23, 23));
}

#[tokio::test]
async fn a_stream_is_read_however_it_is_written() {
    let shapes = [
        "data: RESPONSE\n\n",
        "event: message\r\nid: 4\r\ndata: RESPONSE\r\n\r\n",
        ": welcome\n\nid: 1\nretry: 10\ndata:\n\n: still here\n\ndata: RESPONSE\n\n",
        "\u{feff}data: RESPONSE\r\r",
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/unheard/of\"}\n\ndata: RESPONSE\n\n",
        "event: other\ndata: not for us\n\ndata: RESPONSE\n\n",
        "data: RESPONSE\n\ndata: what comes after it does not matter\n\n",
    ];
    let server = TestServer::start().await;
    let connection = open(&server).await;
    for shape in shapes {
        server.arm("tools/call", stream(shape));
        assert_eq!(call(&connection).await.unwrap().text(), "Grüße ✓ 👍", "{shape:?}");
        server.arm(
            "tools/call",
            Arc::new(move |seen| {
                let text = filled(shape, seen).into_bytes();
                vec![Step::Send(STREAM_HEAD.to_vec()), Step::Bytewise(text), Step::Close]
            }),
        );
        assert_eq!(call(&connection).await.unwrap().text(), "Grüße ✓ 👍", "{shape:?} in slices of one byte");
    }
    assert_eq!(server.count("tools/call"), 2 * shapes.len());
}

#[tokio::test]
async fn data_in_several_lines_is_one_message() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    server.arm(
        "tools/call",
        stream("data: {\"jsonrpc\": \"2.0\",\ndata: \"id\": ID,\ndata: \"result\": {}}\n\n"),
    );
    assert!(call(&connection).await.unwrap().content.is_empty());
}

#[tokio::test]
async fn the_call_ends_with_its_response_although_the_stream_stays_open() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    server.arm(
        "tools/call",
        Arc::new(|seen| {
            let event = filled("data: RESPONSE\n\n", seen).into_bytes();
            vec![Step::Send(STREAM_HEAD.to_vec()), Step::Send(event), Step::Hang]
        }),
    );
    assert!(call(&connection).await.is_ok());
}

#[tokio::test]
async fn progress_reaches_the_caller_it_is_for_and_nobody_else() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":TOKEN,"progress":1,"total":2,"message":"half"}}"#;
    let text = format!(
        "data: {}\n\ndata: {}\n\ndata: {}\n\ndata: RESPONSE\n\n",
        progress.replace("TOKEN", "ID"),
        progress.replace("TOKEN", "999999"),
        progress.replace("TOKEN", "\"ID\""),
    );
    server.arm_always("tools/call", stream(text.leak()));
    let heard = Mutex::new(Vec::new());
    let tell = |progress| heard.lock().unwrap().push(progress);
    let options = CallOptions { progress: Some(&tell), ..CallOptions::default() };
    connection.call_tool("echo", arguments(), options).await.unwrap();
    let heard = heard.into_inner().unwrap();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(heard[0].message.as_deref(), Some("half"));
    assert_eq!(serde_json::to_value(&heard[0]).unwrap()["total"].as_f64(), Some(2.0));
    let asked = server.first("tools/call").await;
    assert_eq!(asked.body["params"]["_meta"]["progressToken"], asked.body["id"]);

    call(&connection).await.unwrap();
    assert_eq!(server.seen().last().unwrap().body["params"].get("_meta"), None);
}

#[tokio::test]
async fn a_request_of_the_server_is_answered_while_the_call_goes_on() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    server.arm(
        "tools/call",
        stream(concat!(
            "data: {\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}\n\n",
            "data: {\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"sampling/createMessage\",\"params\":{}}\n\n",
            "data: RESPONSE\n\n",
        )),
    );
    call(&connection).await.unwrap();
    let mut answers: Vec<_> = server.seen().into_iter().filter(|seen| seen.kind() == "response").collect();
    answers.sort_by_key(|seen| seen.body["id"].is_number());
    assert_eq!(answers[0].body, json!({ "jsonrpc": "2.0", "id": "p", "result": {} }));
    assert_eq!((&answers[1].body["id"], &answers[1].body["error"]["code"]), (&json!(8), &json!(-32601)));
    assert!(answers.iter().all(|answer| answer.header("mcp-session-id").is_some()));
}

#[tokio::test]
async fn a_json_rpc_error_is_the_servers_refusal_in_json_and_in_a_stream() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    let error = r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32602,"message":"Unknown tool: \u001b[2Jx"}}"#;
    server.arm("tools/call", stream(format!("data: {error}\n\n").leak()));
    server.arm(
        "tools/call",
        Arc::new(move |seen| status(200, &[], "application/json", &filled(error, seen))(seen)),
    );
    server.arm(
        "tools/call",
        Arc::new(move |seen| status(400, &[], "application/json", &filled(error, seen))(seen)),
    );
    let nameless = r#"{"jsonrpc":"2.0","error":{"code":-32602,"message":"Unknown tool: \u001b[2Jx"}}"#;
    server.arm("tools/call", status(200, &[], "application/json", nameless));
    for _ in 0..4 {
        let error = call_repeatable(&connection, true).await.unwrap_err();
        assert!(matches!(&error, McpError::Rpc(error) if error.code.0 == -32602), "{error:?}");
        assert_eq!(error.to_string(), "the server refused the request: Unknown tool: \\u{1b}[2Jx (-32602)");
        assert!(!error.may_have_run());
    }
    assert_eq!(server.count("tools/call"), 4);
}

#[tokio::test]
async fn an_answer_that_breaks_the_protocol_is_an_error_that_says_how() {
    let other_id = r#"{"jsonrpc":"2.0","id":4711,"result":{}}"#;
    let bad_result = |seen: &crate::mcp_server::Seen| {
        status(200, &[], "application/json", &response(seen, json!({ "content": 7 })).to_string())(seen)
    };
    let cases = [
        (status(200, &[], "application/json", other_id), "it answered request 4711 where"),
        (stream("data: {\"jsonrpc\":\"2.0\",\"id\":4711,\"result\":{}}\n\ndata: RESPONSE\n\n"), "4711"),
        (status(202, &[], "", ""), "HTTP status 202"),
        (status(200, &[], "text/html", "<h1>Hi</h1>"), "a web page"),
        (status(200, &[], "", ""), "with nothing"),
        (status(200, &[], "application/json", ""), "empty"),
        (status(200, &[], "application/json", "{"), "not valid JSON"),
        (status(200, &[], "application/json", "[]"), "not a JSON-RPC"),
        (status(200, &[], "image/png", "x"), "image/png"),
        (status(200, &[], "application/json", r#"{"jsonrpc":"2.0","method":"x"}"#), "not the response"),
        (crate::mcp_server::json_result(json!([[], null, false])), "is no object"),
        (Arc::new(bad_result), "the result of tools/call is malformed"),
        (stream("data: nonsense\n\n"), "not valid JSON"),
        (steps(vec![Step::Send(STREAM_HEAD.to_vec()), Step::Send(b"data: \xff\n\n".to_vec())]), "not UTF-8"),
    ];
    let server = TestServer::start().await;
    let connection = open(&server).await;
    let expected = cases.len();
    for (act, words) in cases {
        server.arm("tools/call", act);
        let error = call_repeatable(&connection, true).await.unwrap_err();
        assert!(matches!(error, McpError::Protocol(_)), "{words}: {error:?}");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
    assert_eq!(server.count("tools/call"), expected);
    assert!(call(&connection).await.is_ok(), "the connection is as good as before");
}

#[tokio::test]
async fn endless_answers_are_cut_off() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    let long = "x".repeat(17 * 1024 * 1024);
    server.arm("tools/call", status(200, &[], "application/json", &long));
    server.arm("tools/call", stream(format!("data: {long}\n\n").leak()));
    for _ in 0..2 {
        let error = call(&connection).await.unwrap_err();
        assert!(error.to_string().contains("longer than"), "{error}");
    }
    let notification = "data: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\n";
    server.arm("tools/call", stream((notification.repeat(100_001) + "data: RESPONSE\n\n").leak()));
    let error = call(&connection).await.unwrap_err();
    assert!(error.to_string().contains("events and no response"), "{error}");
}

#[tokio::test]
async fn batches_are_read_in_the_revision_that_has_them_and_refused_in_the_others() {
    let batch = "data: [{\"jsonrpc\":\"2.0\",\"method\":\"x\"},RESPONSE]\n\n";
    for (version, is_read) in [("2025-03-26", true), ("2025-06-18", false), ("2025-11-25", false)] {
        let server = TestServer::start().await;
        server.keep_no_sessions();
        server.arm("initialize", json_result(crate::mcp_server::initialized(version)));
        let connection = open(&server).await;
        server.arm("tools/call", stream(batch));
        assert_eq!(call(&connection).await.is_ok(), is_read, "{version}");
    }
}

#[tokio::test]
async fn a_list_of_tools_that_is_too_large_in_all_is_refused_whatever_the_size_of_a_page() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    let described = "x".repeat(12 * 1024 * 1024);
    for number in 0..4 {
        let schema = json!({ "type": "object" });
        let tool = json!({ "name": number.to_string(), "description": described, "inputSchema": schema });
        let page = json!({ "tools": [tool], "nextCursor": number.to_string() });
        server.arm("tools/list", json_result(page));
    }
    let error = connection.list_tools().await.unwrap_err();
    assert!(error.to_string().contains("answer to tools/list has more than 33554432 bytes"), "{error}");
    assert_eq!(server.count("tools/list"), 3);
}

#[tokio::test]
async fn tools_are_listed_over_all_pages_and_malformed_ones_are_set_aside() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    let object = json!({ "type": "object" });
    server.arm(
        "tools/list",
        json_result(json!({ "nextCursor": "page 2", "tools": [
            { "name": "a", "inputSchema": object }, { "name": "", "inputSchema": object } ] })),
    );
    server.arm(
        "tools/list",
        json_result(json!({ "tools": [{ "name": "a", "inputSchema": object }, { "name": "b", "inputSchema": object }] })),
    );
    let list = connection.list_tools().await.unwrap();
    assert_eq!(list.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let rejected: Vec<_> = list.rejected.iter().map(|tool| tool.reason.as_str()).collect();
    assert_eq!(rejected, ["`name` is empty", "another tool has the same name"]);
    let cursors: Vec<_> = server
        .seen()
        .iter()
        .filter(|seen| seen.kind() == "tools/list")
        .map(|seen| seen.body["params"].clone())
        .collect();
    assert_eq!(cursors, [json!({}), json!({ "cursor": "page 2" })]);
}

#[tokio::test]
async fn a_tool_that_failed_is_a_result() {
    let server = TestServer::start().await;
    let connection = open(&server).await;
    let mut failed = text_result("no");
    failed["isError"] = json!(true);
    server.arm("tools/call", json_result(failed));
    assert!(call(&connection).await.unwrap().failed());
}
