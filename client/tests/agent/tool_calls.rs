//! What becomes of the tool calls in a reply.

#![cfg(test)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use client::{
    agent::{AgentLimits, MAX_RESULT_BYTES, Message, Stop, ToolResult},
    mcp::{McpError, TimedOut},
};
use serde_json::json;
use shared::{
    jsonrpc::{ErrorCode, ErrorObject},
    mcp::tools::CallToolResult,
};
use tokio::{
    sync::{Barrier, Notify},
    task::yield_now,
    time::timeout,
};

use crate::{
    ask, ask_within, limits,
    scripted::{ScriptedModel, ScriptedToolbox, Turn, text},
};

#[tokio::test]
async fn an_answer_comes_from_the_results_of_the_calls_before_it() {
    let model = ScriptedModel::new([
        Turn::Call("Let me look.", vec![("a", "read", r#"{"limit":5}"#)]),
        Turn::Say("It is 7."),
    ]);
    let toolbox = ScriptedToolbox::new(&["read"], |_, _, _| async { Ok(text("7")) });
    let asked = ask(&model, &toolbox).await;
    assert_eq!((asked.answer().text.as_str(), asked.answer().steps), ("It is 7.", 2));
    assert_eq!(asked.answer().stop, Stop::Answered);
    assert_eq!(toolbox.calls(), [("read".to_owned(), json!({ "limit": 5 }))]);
    assert_eq!(
        asked.heard.lines(),
        [
            "turn 1",
            "text Let me look.",
            "start a read {\"limit\":5}",
            "end a read ok",
            "turn 2",
            "text It is 7.",
        ]
    );
    let kinds: Vec<_> = asked.conversation.messages().iter().map(kind).collect();
    assert_eq!(kinds, ["system", "user", "assistant", "result", "assistant"]);
    assert_eq!(asked.conversation.since_question().len(), 4);
}

fn kind(message: &Message) -> &'static str {
    match message {
        Message::System(_) => "system",
        Message::User(_) => "user",
        Message::Assistant(_) => "assistant",
        Message::ToolResult(_) => "result",
    }
}

#[tokio::test(start_paused = true)]
async fn reads_next_to_each_other_run_at_once_and_their_results_keep_the_order() {
    let calls = vec![("a", "read_late", ""), ("b", "read_early", "{}")];
    let model = ScriptedModel::new([Turn::Call("", calls), Turn::Say("Done.")]);
    let (both, early) = (Arc::new(Barrier::new(2)), Arc::new(Notify::new()));
    let toolbox = ScriptedToolbox::new(&["read_late", "read_early"], move |name, _, _| {
        let (both, early) = (Arc::clone(&both), Arc::clone(&early));
        async move {
            // Neither gets past this unless the other one is running.
            both.wait().await;
            if name == "read_late" {
                early.notified().await;
            } else {
                early.notify_one();
            }
            Ok(text(&name))
        }
    });
    let asked =
        timeout(Duration::from_secs(10), ask(&model, &toolbox)).await.expect("one waits for the other");
    assert_eq!(asked.result_texts(), ["read_late", "read_early"]);
    let lines = asked.heard.lines();
    let end = |line| lines.iter().position(|heard| heard == line).unwrap();
    assert!(end("end b read_early ok") < end("end a read_late ok"), "{lines:?}");
}

/// How many calls were under way at most while these ran.
async fn most_at_once(calls: Vec<(&'static str, &'static str, &'static str)>, limits: AgentLimits) -> usize {
    let model = ScriptedModel::new([Turn::Call("", calls), Turn::Say("Done.")]);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let peak = Arc::clone(&most);
    let toolbox = ScriptedToolbox::new(&["read", "write", "put"], move |name, _, _| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        async move {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            for _ in 0..20 {
                yield_now().await;
            }
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(text(&name))
        }
    });
    let asked = ask_within(&model, &toolbox, limits).await;
    assert!(asked.results().iter().all(|result| !result.result.failed()));
    peak.load(Ordering::SeqCst)
}

#[tokio::test]
async fn what_writes_runs_alone_and_reads_are_bounded() {
    let x = |n| ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}", "{\"n\":4}", "{\"n\":5}", "{\"n\":6}"][n];
    let reads = || (0..6).map(|n| ("", "read", x(n))).collect::<Vec<_>>();
    assert_eq!(most_at_once(reads(), AgentLimits { parallel_reads: 2, ..limits() }).await, 2);
    assert_eq!(most_at_once(reads(), AgentLimits { parallel_reads: 0, ..limits() }).await, 1);
    let mixed =
        vec![("", "write", ""), ("", "read", ""), ("", "write", x(0)), ("", "put", ""), ("", "read", x(1))];
    assert_eq!(most_at_once(mixed, limits()).await, 1);
}

#[tokio::test]
async fn calls_run_in_the_order_of_the_model_around_what_writes() {
    let calls = vec![("", "read", ""), ("", "write", "{}"), ("", "read", "{}"), ("", "write", "{\"n\":2}")];
    let model = ScriptedModel::new([Turn::Call("", calls), Turn::Say("Done.")]);
    let toolbox = ScriptedToolbox::echo(&["read", "write"]);
    ask(&model, &toolbox).await;
    let names: Vec<_> = toolbox.calls().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["read", "write", "read", "write"]);
}

#[tokio::test]
async fn what_a_model_got_wrong_goes_back_to_it_and_nothing_is_called() {
    let wrong = [
        ("read", "{\"limit\":"),
        ("read", "[5]"),
        ("read", "null"),
        ("read", "\"five\""),
        ("reed", "{}"),
        ("", ""),
    ];
    let model = ScriptedModel::new(
        wrong
            .map(|(name, arguments)| Turn::Call("", vec![("", name, arguments)]))
            .into_iter()
            .chain([Turn::Say("Oh.")]),
    );
    let toolbox = ScriptedToolbox::echo(&["read", "write"]);
    let asked = ask(&model, &toolbox).await;
    assert_eq!(asked.answer().text, "Oh.");
    assert_eq!(toolbox.calls(), []);
    let results = asked.results();
    assert_eq!(results.len(), wrong.len());
    for (result, (name, arguments)) in results.iter().zip(wrong) {
        let told = result.text_for_model();
        assert!(result.result.failed(), "{told}");
        if name == "read" {
            assert!(told.contains("must be one JSON object") && told.contains(arguments), "{told}");
        } else {
            assert!(
                told.contains(&format!("no tool named `{name}`")) && told.contains("read, write"),
                "{told}"
            );
        }
    }
}

#[tokio::test]
async fn no_arguments_at_all_are_an_empty_object() {
    let model = ScriptedModel::new([Turn::Call("", vec![("a", "read", "")]), Turn::Say("Done.")]);
    let toolbox = ScriptedToolbox::echo(&["read"]);
    ask(&model, &toolbox).await;
    assert_eq!(toolbox.calls(), [("read".to_owned(), json!({}))]);
}

/// What a model is told when calling `name` ends with `error`.
async fn told(name: &'static str, error: McpError) -> String {
    let model = ScriptedModel::new([Turn::Call("", vec![("a", name, "")]), Turn::Say("I see.")]);
    let toolbox = ScriptedToolbox::failing(&["read", "put", "write"], error);
    let asked = ask(&model, &toolbox).await;
    assert_eq!(asked.answer().text, "I see.");
    assert!(asked.results()[0].result.failed());
    asked.result_texts().remove(0)
}

#[tokio::test]
async fn a_call_that_may_have_happened_says_so_and_how_to_find_out() {
    for error in [
        McpError::TimedOut(TimedOut::Call),
        McpError::TimedOut(TimedOut::Idle),
        McpError::Broken("reset".to_owned()),
        McpError::ServerFailed { status: 502, retry_after: None },
        McpError::Protocol("no id".to_owned()),
        McpError::Rpc(ErrorObject::new(ErrorCode(-32001), "Request timed out")),
    ] {
        let write = told("write", error.clone()).await;
        assert!(
            write.contains("unknown_outcome: nobody knows how `write` ended") && write.contains("(read)"),
            "{write}"
        );
        assert!(write.contains("Do not call it again before you know"), "{write}");
        for repeatable in ["read", "put"] {
            let told = told(repeatable, error.clone()).await;
            assert!(told.contains("safe to call it again"), "{told}");
        }
    }
}

#[tokio::test]
async fn a_call_that_did_not_happen_says_so() {
    for error in [
        McpError::Rpc(ErrorObject {
            code: ErrorCode::INVALID_PARAMS,
            message: "limit is too large".to_owned(),
            data: None,
        }),
        McpError::Busy { retry_after: Some(Duration::from_secs(3)) },
        McpError::NotMcp { url: "http://x".to_owned(), reason: "a web page".to_owned() },
        McpError::SessionEnded,
        McpError::TimedOut(TimedOut::Connect),
    ] {
        let said = told("write", error.clone()).await;
        assert!(said.contains("`write` was not carried out") && said.contains(&error.to_string()), "{said}");
    }
}

#[tokio::test]
async fn a_tool_that_failed_is_heard_in_its_own_words() {
    let model = ScriptedModel::new([Turn::Call("", vec![("a", "read", "")]), Turn::Say("I see.")]);
    let toolbox =
        ScriptedToolbox::new(&["read"], |_, _, _| async { Ok(CallToolResult::error("limit: 1 to 100")) });
    let asked = ask(&model, &toolbox).await;
    assert_eq!(asked.result_texts(), ["The tool failed: limit: 1 to 100"]);
}

#[tokio::test]
async fn the_third_same_call_in_a_row_is_told_so_and_not_made() {
    let same = || Turn::Call("", vec![("", "read", "{\"a\":1,\"b\":2}")]);
    let model = ScriptedModel::new([
        same(),
        Turn::Call("", vec![("", "read", "{ \"b\": 2, \"a\": 1 }")]),
        same(),
        Turn::Call("", vec![("", "read", "{}")]),
        same(),
        Turn::Say("Done."),
    ]);
    let toolbox = ScriptedToolbox::echo(&["read"]);
    let asked = ask(&model, &toolbox).await;
    let told = asked.result_texts();
    assert!(told[2].contains("3 times in a row"), "{told:?}");
    assert_eq!([&told[0], &told[1], &told[3], &told[4]], ["read"; 4]);
    assert_eq!(toolbox.calls().len(), 4);
}

#[tokio::test]
async fn ids_that_are_missing_or_repeated_are_made_unique_and_lead_to_their_results() {
    let model = ScriptedModel::new([
        Turn::Call("", vec![("a", "read", ""), ("a", "read_b", ""), ("", "read_c", "")]),
        Turn::Call("", vec![("a", "read_b", "")]),
        Turn::Say("Done."),
    ]);
    let asked = ask(&model, &ScriptedToolbox::echo(&["read", "read_b", "read_c"])).await;
    assert_eq!(asked.result_texts(), ["read", "read_b", "read_c", "read_b"]);
    assert_eq!(asked.results()[0].call_id, "a");
}

#[tokio::test]
async fn more_calls_in_one_turn_than_are_carried_out_are_told_so() {
    let calls = vec![("", "read", "{\"n\":1}"), ("", "read", "{\"n\":2}"), ("", "read", "{\"n\":3}")];
    let model = ScriptedModel::new([Turn::Call("", calls), Turn::Say("Done.")]);
    let toolbox = ScriptedToolbox::echo(&["read"]);
    let asked = ask_within(&model, &toolbox, AgentLimits { calls_per_turn: 2, ..limits() }).await;
    assert_eq!(toolbox.calls().len(), 2);
    assert!(asked.result_texts()[2].contains("at most 2 tool calls"));
}

#[test]
fn a_result_for_a_model_is_never_longer_than_it_may_be() {
    let result = |result| ToolResult { call_id: String::new(), name: String::new(), result };
    let whole = result(text(&"é".repeat(MAX_RESULT_BYTES / 2))).text_for_model();
    assert_eq!(whole.len(), MAX_RESULT_BYTES);
    let cut = result(text(&format!("x{}", "é".repeat(MAX_RESULT_BYTES)))).text_for_model();
    let (kept, note) = cut.split_once('\n').unwrap();
    assert_eq!(kept.len(), MAX_RESULT_BYTES - 1);
    assert!(note.contains(&format!("{} bytes", 2 * MAX_RESULT_BYTES + 1)), "{note}");
    let structured: CallToolResult =
        serde_json::from_value(json!({ "structuredContent": { "a": 1 } })).unwrap();
    assert_eq!(result(structured).text_for_model(), r#"{"a":1}"#);
    let picture = json!({ "content": [{ "type": "image", "data": "AAAA", "mimeType": "image/png" }] });
    assert_eq!(result(serde_json::from_value(picture).unwrap()).text_for_model(), "[an image, image/png]");
}
