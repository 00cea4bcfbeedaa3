//! Calls and lists: every way to end, what each revision sees, and batches.

use super::*;

#[tokio::test]
async fn rule_14_every_way_a_call_can_end_leaves_one_record_and_says_what_to_do() {
    let stage = stage();
    let session = stage.open("read-only", "2025-11-25").await;
    for (name, arguments, outcome, says) in [
        ("obedient", json!({ "end": "well" }), Outcome::Ok, "\"done\": true"),
        ("obedient", json!({ "end": "refused" }), Outcome::ToolError, "no: ask for less"),
        ("obedient", json!({ "end": "unavailable" }), Outcome::Failed, "try again"),
        ("obedient", json!({ "end": "failed" }), Outcome::Failed, "request-7"),
        ("obedient", json!({ "end": "panic" }), Outcome::Failed, "request-7"),
        ("obedient", json!({ "end": "never" }), Outcome::TimedOut, "timed out"),
        ("obedient", json!({ "end": "sideways" }), Outcome::InvalidArguments, "`end` must be one of"),
        ("obedient", json!({}), Outcome::InvalidArguments, "`end` is required"),
        ("obedient", json!([]), Outcome::InvalidArguments, "must be an object"),
        (
            "operators",
            json!({}),
            Outcome::Denied,
            "permission_denied: operators needs the permission ops:read",
        ),
        ("nobody", json!({}), Outcome::UnknownTool, "Unknown tool: nobody"),
    ] {
        let answer = stage.answer("read-only", &session, &call(name, &arguments)).await;
        let text = answer["result"]["content"][0]["text"].as_str().or(answer["error"]["message"].as_str());
        let text = text.unwrap_or_else(|| panic!("{answer}"));
        assert!(text.contains(says), "{name} {arguments}: {answer}");
        assert!(!answer.to_string().contains("secret cause"), "{answer}");
        let is_error = answer["result"]["isError"] == true || answer["error"].is_object();
        assert_eq!(is_error, outcome != Outcome::Ok, "{answer}");
        let records: Vec<_> = std::mem::take(&mut *stage.store.records.lock());
        let [record] = &records[..] else { panic!("{records:?}") };
        assert_eq!((record.outcome, &*record.tool), (outcome, name));
        assert_eq!((&*record.request_id, &*record.client), ("request-7", "test/1"));
        assert_eq!((record.username.as_str(), record.session.is_some()), ("bob", true));
    }
}

#[tokio::test]
async fn a_tool_is_listed_exactly_when_it_can_be_called() {
    let stage = stage();
    for role in ["customer", "read-only", "auditor", "operator", "no such role"] {
        let session = stage.open(role, "2025-11-25").await;
        let listed = stage.answer(role, &session, &request("tools/list", &json!({}))).await;
        let listed: Vec<_> =
            listed["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
        for (name, arguments) in [("obedient", json!({ "end": "well" })), ("operators", json!({}))] {
            let answer = stage.answer(role, &session, &call(name, &arguments)).await;
            let called = answer["result"]["structuredContent"]["done"] == true;
            assert_eq!(called, listed.contains(&json!(name)), "{role} {name}: {answer}");
        }
    }
}

#[tokio::test]
async fn what_came_later_is_not_shown_to_the_first_revision() {
    let stage = stage();
    for (version, later) in [("2025-03-26", false), ("2025-06-18", true), ("2025-11-25", true)] {
        let session = stage.open("customer", version).await;
        let list = stage.answer("customer", &session, &request("tools/list", &json!({}))).await;
        let tool = &list["result"]["tools"][0];
        for member in ["title", "outputSchema"] {
            assert_eq!(tool.get(member).is_some(), later, "{member} in {version}");
        }
        let answer = stage.answer("customer", &session, &call("obedient", &json!({ "end": "well" }))).await;
        assert_eq!(answer["result"].get("structuredContent").is_some(), later, "{version}");
        assert_eq!(answer["result"]["content"][0]["text"], "{\n  \"done\": true\n}");
    }
}

#[tokio::test]
async fn rule_14_what_cannot_be_recorded_is_withheld() {
    let stage = stage();
    let session = stage.open("customer", "2025-11-25").await;
    stage.store.refuses_records.store(true, Ordering::Relaxed);
    let answer = stage.answer("customer", &session, &call("obedient", &json!({ "end": "well" }))).await;
    assert_eq!(answer["error"]["code"], -32603);
    assert!(!answer.to_string().contains("done"), "{answer}");
    let counted = stage.metrics.encode();
    assert!(counted.contains("outcome=\"failed\"") && !counted.contains("outcome=\"ok\""), "{counted}");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_client_goes_away_still_ends_and_is_recorded() {
    let stage = stage_on(Arc::default(), SessionSettings::default());
    let session = stage.open("customer", "2025-11-25").await;
    let body = call("obedient", &json!({ "end": "when_told" }));
    let mut posted = Box::pin(stage.post("customer", &session, &body));
    assert!((&mut posted).now_or_never().is_none(), "it waits to be told");
    drop(posted);
    assert!(stage.store.records.lock().is_empty());
    stage.go.notify_one();
    stage.engine.drained().await;
    assert_eq!(stage.store.records.lock()[0].outcome, Outcome::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_begins_to_commit_when_its_time_is_over_ends_as_the_commit_does() {
    let stage = stage();
    let session = stage.open("customer", "2025-11-25").await;
    let answer =
        stage.answer("customer", &session, &call("obedient", &json!({ "end": "commit_late" }))).await;
    assert_eq!(answer["result"]["structuredContent"]["done"], true, "{answer}");
    let records: Vec<_> = stage.store.records.lock().iter().map(|record| record.outcome).collect();
    assert_eq!(records, [Outcome::Ok]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_recorded_has_time_to_tidy_up() {
    let stage = stage();
    let session = stage.open("customer", "2025-11-25").await;
    let body = call("obedient", &json!({ "end": "commit_late_and_tidy_up" }));
    let answer = stage.answer("customer", &session, &body).await;
    assert_eq!(answer["result"]["structuredContent"]["done"], true, "{answer}");
    assert_eq!(stage.store.records.lock().len(), 0, "the work has kept it, and nobody else another");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_client_went_away_asks_nobody_and_ends_at_once() {
    let stage = stage();
    let session = stage.open("customer", "2025-11-25").await;
    let body = call("obedient", &json!({ "end": "ask_when_told" }));
    let mut posted = Box::pin(stage.post("customer", &session, &body));
    assert!((&mut posted).now_or_never().is_none(), "it waits to be told");
    drop(posted);
    stage.go.notify_one();
    let gone = tokio::time::Instant::now();
    stage.engine.drained().await;
    assert!(gone.elapsed() < Duration::from_secs(1), "it waited for {:?}", gone.elapsed());
    assert_eq!(stage.store.records.lock()[0].outcome, Outcome::ToolError);
}

#[tokio::test]
async fn a_batch_is_answered_in_order_in_the_one_revision_that_has_batches() {
    let stage = stage();
    let session = stage.open("customer", "2025-03-26").await;
    let batch = json!([
        { "jsonrpc": "2.0", "id": "a", "method": "ping" },
        { "jsonrpc": "2.0", "method": "notifications/initialized" },
        7,
        { "jsonrpc": "2.0", "id": "b", "method": "no/such" },
    ]);
    let answers = stage.answer("customer", &session, &batch).await;
    let codes: Vec<_> =
        answers.as_array().unwrap().iter().map(|answer| answer["error"]["code"].clone()).collect();
    assert_eq!(codes, [json!(null), json!(-32600), json!(-32601)]);
    let notifications = json!([{ "jsonrpc": "2.0", "method": "notifications/initialized" }]);
    assert!(matches!(stage.post("customer", &session, &notifications).await, Ok(Reply::Accepted)));
    let too_many = vec![json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }); 101];
    for refused in [json!([]), json!(too_many), json!([request("initialize", &json!({}))])] {
        let refusal = stage.post("customer", &session, &refused).await.unwrap_err().refusal;
        assert!(matches!(refusal, Refusal::Batch(_)), "{refusal}");
    }
    let later = stage.open("customer", "2025-06-18").await;
    let refusal = stage.post("customer", &later, &batch).await.unwrap_err().refusal;
    assert!(matches!(refusal, Refusal::Batch(_)), "{refusal}");
}
