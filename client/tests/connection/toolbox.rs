//! The tools of a server as the agent calls them.

#![cfg(test)]

use std::sync::{Arc, Mutex};

use client::{
    agent::{McpToolbox, Toolbox},
    mcp::McpError,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    arguments,
    mcp_server::{Step, TestServer, json_result, status, steps, text_result},
    open,
};

fn arm_tools(server: &TestServer) {
    let schema = json!({ "type": "object" });
    server.arm(
        "tools/list",
        json_result(json!({ "tools": [
            { "name": "look", "inputSchema": schema, "annotations": { "readOnlyHint": true } },
            { "name": "pay", "inputSchema": schema },
            { "name": "broken" },
        ] })),
    );
}

#[tokio::test]
async fn the_tools_are_listed_once_and_those_that_cannot_be_called_are_named() {
    let server = TestServer::start().await;
    arm_tools(&server);
    let toolbox = McpToolbox::open(open(&server).await).await.unwrap();
    let names: Vec<_> = toolbox.tools().iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["look", "pay"]);
    assert_eq!(toolbox.rejected()[0].name, "broken");
    let result = toolbox.call("look", arguments().into(), &CancellationToken::new()).await.unwrap();
    assert_eq!(result.text(), r#"{"limit":5}"#);
    assert_eq!(server.count("tools/list"), 1);
}

#[tokio::test]
async fn only_what_is_safe_to_repeat_is_repeated() {
    let server = TestServer::start().await;
    arm_tools(&server);
    let toolbox = McpToolbox::open(open(&server).await).await.unwrap();
    let never = CancellationToken::new();
    server.arm("tools/call", status(500, &[], "", ""));
    assert!(toolbox.call("look", arguments().into(), &never).await.is_ok());
    assert_eq!(server.count("tools/call"), 2);
    server.arm("tools/call", status(500, &[], "", ""));
    let error = toolbox.call("pay", arguments().into(), &never).await.unwrap_err();
    assert!(error.may_have_run(), "{error}");
    assert_eq!(server.count("tools/call"), 3);
}

#[tokio::test]
async fn progress_is_heard_with_the_name_of_the_tool() {
    let server = TestServer::start().await;
    arm_tools(&server);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let toolbox =
        McpToolbox::open(open(&server).await).await.unwrap().with_progress(move |tool, progress| {
            hears.lock().unwrap().push((tool.to_owned(), progress.message));
        });
    server.arm(
        "tools/call",
        Arc::new(|seen| {
            let token = &seen.body["params"]["_meta"]["progressToken"];
            let progress = json!({
                "jsonrpc": "2.0", "method": "notifications/progress",
                "params": { "progressToken": token, "progress": 1, "message": "half way" },
            });
            let answer = crate::mcp_server::response(seen, text_result("done"));
            let events = format!("data: {progress}\n\ndata: {answer}\n\n");
            let head = crate::mcp_server::STREAM_HEAD.to_vec();
            vec![Step::Send(head), Step::Send(events.into_bytes()), Step::Close]
        }),
    );
    let result = toolbox.call("look", arguments().into(), &CancellationToken::new()).await.unwrap();
    assert_eq!(result.text(), "done");
    assert_eq!(*heard.lock().unwrap(), [("look".to_owned(), Some("half way".to_owned()))]);
}

#[tokio::test]
async fn a_cancelled_call_ends_and_the_server_is_told() {
    let server = TestServer::start().await;
    arm_tools(&server);
    let toolbox = McpToolbox::open(open(&server).await).await.unwrap();
    server.arm("tools/call", steps(vec![Step::Hang]));
    let cancel = CancellationToken::new();
    let (named, with) = ("pay", arguments().into());
    let cancelling = async {
        server.first("tools/call").await;
        cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(toolbox.call(named, with, &cancel), cancelling);
    assert!(matches!(outcome, Err(McpError::Cancelled)), "{outcome:?}");
    server.first("notifications/cancelled").await;
}
