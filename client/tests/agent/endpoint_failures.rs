//! Every way an OpenAI-compatible endpoint can fail, and what becomes of the question.

#![cfg(test)]

use std::{sync::Arc, time::Duration};

use client::agent::{
    Agent, AgentError, Conversation, Model, ModelError, OpenAi, OpenAiError, OpenAiSettings, OpenAiTimeouts,
    Prompt, Reply,
};
use serde_json::json;
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

use crate::{
    KEY, ask, assert_fit_for_a_model, limits, model_at,
    openai_server::{Arm, OpenAiServer, Piece, delta, event, refuse, says},
    scripted::{Recorder, ScriptedToolbox},
    settings,
};

/// One attempt at one reply.
async fn attempt(model: &OpenAi) -> Result<Reply, ModelError> {
    let conversation = Conversation::new("Be brief.");
    model.reply(Prompt { conversation: &conversation, tools: &[] }, &mut |_| ()).await
}

/// What one attempt ends with; that it was one request, and that the key is not in it.
async fn failure(arm: Arm) -> ModelError {
    let server = OpenAiServer::armed([arm]).await;
    let error = attempt(&model_at(&server)).await.unwrap_err();
    assert_eq!(server.seen().len(), 1, "only the loop repeats");
    assert!(!format!("{error} {error:?}").contains(KEY), "{error}");
    error
}

fn transient(error: ModelError) -> (String, Option<Duration>) {
    match error {
        ModelError::Transient { reason, retry_after } => (reason, retry_after),
        ModelError::Empty { advice: None } => (String::new(), None),
        error @ (ModelError::Refused(_) | ModelError::Empty { advice: Some(_) }) => panic!("{error:?}"),
    }
}

fn refused(error: ModelError) -> String {
    match error {
        ModelError::Refused(reason) => reason,
        ModelError::Empty { advice: Some(advice) } => advice.to_owned(),
        error @ (ModelError::Transient { .. } | ModelError::Empty { advice: None }) => panic!("{error:?}"),
    }
}

fn plain(status: u16, body: &str) -> Arm {
    Arm::Status(status, ("content-type", "text/plain"), body.to_owned())
}

#[tokio::test]
async fn a_refused_key_names_the_variable_and_never_the_key() {
    for status in [401, 403] {
        let error =
            failure(refuse(status, "invalid_api_key", &format!("Incorrect API key provided: {KEY}."))).await;
        let reason = refused(error);
        assert!(reason.contains("OPENAI_API_KEY") && reason.contains("Incorrect API key"), "{reason}");
    }
    let server = OpenAiServer::armed([plain(401, "")]).await;
    let keyless = OpenAiSettings { api_key: None, ..settings(server.base()) };
    let reason = refused(attempt(&OpenAi::new(keyless).unwrap()).await.unwrap_err());
    assert!(reason.contains("wants a key: set OPENAI_API_KEY"), "{reason}");
}

#[tokio::test]
async fn an_unknown_model_or_path_names_both_settings() {
    for arm in [refuse(404, "model_not_found", "model 'x' not found"), plain(404, "404 page not found")] {
        let reason = refused(failure(arm).await);
        assert!(reason.contains("not found") && reason.contains("OPENAI_MODEL"), "{reason}");
        assert!(reason.contains("OPENAI_BASE_URL"), "{reason}");
    }
}

#[tokio::test]
async fn a_request_that_is_not_understood_is_refused_in_the_words_of_the_endpoint() {
    for body in [
        json!({ "error": { "message": "too many tokens", "code": 400 } }),
        json!({ "object": "error", "message": "too many tokens", "code": 400 }),
        json!({ "detail": "too many tokens" }),
        json!({ "error": "too many tokens" }),
    ] {
        let reason = refused(failure(plain(400, &body.to_string())).await);
        assert_eq!(reason, "HTTP status 400: too many tokens");
    }
    let reason = refused(failure(plain(422, "bad\u{1b}[2Jidea")).await);
    assert_eq!(reason, "HTTP status 422: bad\\u{1b}[2Jidea");
}

#[tokio::test]
async fn a_rate_limit_may_be_waited_out_and_an_empty_account_may_not() {
    let busy =
        |wait| Arm::Status(429, ("retry-after", wait), "{\"error\":{\"message\":\"slow down\"}}".to_owned());
    let (reason, wait) = transient(failure(busy("7")).await);
    assert!(reason.contains("slow down"), "{reason}");
    assert_eq!(wait, Some(Duration::from_secs(7)));
    assert_eq!(transient(failure(busy("soon")).await).1, None);
    let reason = refused(failure(refuse(429, "insufficient_quota", "You exceeded your current quota")).await);
    assert!(reason.contains("quota"), "{reason}");
}

#[tokio::test]
async fn overload_and_inner_failures_may_be_tried_again() {
    for status in [408, 500, 502, 503, 504, 529] {
        let (reason, _) = transient(failure(plain(status, "overloaded")).await);
        assert!(reason.contains(&status.to_string()) && reason.contains("overloaded"), "{reason}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = OpenAiServer::armed([Arm::Stream(says(&["caught"]))]).await;
    let target: &'static str = format!("{}/v1/chat/completions", elsewhere.base()).leak();
    let reason = refused(failure(Arm::Status(307, ("location", target), String::new())).await);
    assert!(reason.contains("OPENAI_BASE_URL"), "{reason}");
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn what_is_no_stream_is_not_taken_for_one() {
    let page =
        Arm::Status(200, ("content-type", "text/html; charset=utf-8"), "<html>Hello</html>".to_owned());
    assert!(refused(failure(page).await).contains("OPENAI_BASE_URL"));
    let error = json!({ "error": { "message": "overloaded", "code": 503 } }).to_string();
    let error = Arm::Status(200, ("content-type", "application/json"), error);
    assert!(transient(failure(error).await).0.contains("overloaded"));
}

#[tokio::test]
async fn a_reply_that_is_not_complete_may_be_tried_again() {
    let begun = || Piece::Send(delta(&json!({ "content": "It is" })));
    let unfinished = |reason: &str| {
        Piece::Send(event(&json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })))
    };
    for (pieces, why) in [
        (vec![Piece::Cut], "before the first piece"),
        (vec![begun(), Piece::Cut], "after a piece"),
        (vec![begun()], "ended in order but without a mark"),
        (vec![begun(), Piece::Send("data: {\"choices\": [{\n\n".to_owned())], "garbage"),
        (vec![begun(), Piece::Send("data: <html>\n\ndata: [DONE]\n\n".to_owned())], "more garbage"),
        (
            vec![begun(), Piece::Send("data: {\"choices\":[{\"delta\":{\"content\":\"7".to_owned())],
            "half an event",
        ),
        (vec![begun(), unfinished("")], "no reason to be finished"),
        (vec![begun(), unfinished("null")], "none in other words"),
        (vec![Piece::Send(format!("data: \"{KEY}\"\n\n"))], "a piece of another kind that repeats the key"),
        (vec![], "nothing"),
        (says(&[]), "an empty reply"),
        (vec![Piece::Send(event(&json!({ "error": { "message": "overloaded" } })))], "an error as an event"),
    ] {
        let (_, wait) = transient(failure(Arm::Stream(pieces)).await);
        assert_eq!(wait, None, "{why}");
    }
    let error = event(&json!({ "error": { "message": "bad schema", "code": 400 } }));
    assert!(refused(failure(Arm::Stream(vec![Piece::Send(error)])).await).contains("bad schema"));
}

#[tokio::test]
async fn silence_before_the_first_piece_and_between_two_is_given_up_on() {
    let short = Duration::from_millis(100);
    let long = Duration::from_secs(30);
    let quiet = || Piece::Hang(Arc::default());
    for (first_token, idle, pieces) in [
        (short, long, vec![quiet()]),
        (long, short, vec![Piece::Send(delta(&json!({ "content": "It is" }))), quiet()]),
    ] {
        let server = OpenAiServer::armed([Arm::Stream(pieces)]).await;
        let timeouts = OpenAiTimeouts { connect: long, first_token, idle };
        let model = OpenAi::new(OpenAiSettings { timeouts, ..settings(server.base()) }).unwrap();
        let (reason, _) = transient(attempt(&model).await.unwrap_err());
        assert!(reason.contains("too long"), "{reason}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_may_come_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (reason, _) = transient(attempt(&OpenAi::new(settings(&base)).unwrap()).await.unwrap_err());
    assert!(reason.starts_with(&format!("cannot reach {base}/v1: ")), "{reason}");
}

#[test]
fn settings_that_lead_nowhere_are_refused_and_say_which() {
    let refuse = |settings| OpenAi::new(settings).unwrap_err();
    assert!(matches!(refuse(settings("nonsense")), OpenAiError::BaseUrl(_)));
    let nameless = OpenAiSettings { model: " ".to_owned(), ..settings("http://127.0.0.1:1") };
    assert_eq!(refuse(nameless), OpenAiError::NoModel);
    let keyed = OpenAiSettings { api_key: Some("two words".into()), ..settings("http://127.0.0.1:1") };
    assert!(matches!(refuse(keyed), OpenAiError::Key(_)));
    let model = OpenAi::new(settings("http://127.0.0.1:1")).unwrap();
    assert!(!format!("{model:?} {:?}", settings("http://127.0.0.1:1")).contains(KEY));
}

#[tokio::test]
async fn through_every_failure_that_passes_the_answer_is_shown_once() {
    let begun = || Piece::Send(delta(&json!({ "content": "It is " })));
    for first in [
        Arm::Status(429, ("retry-after", "0"), "{}".to_owned()),
        plain(503, "overloaded"),
        plain(500, "oops"),
        Arm::Stream(says(&[])),
        Arm::Stream(vec![Piece::Cut]),
        Arm::Stream(vec![begun(), Piece::Cut]),
        Arm::Stream(vec![begun()]),
        Arm::Stream(vec![begun(), Piece::Send("data: garbage\n\n".to_owned())]),
    ] {
        let server =
            OpenAiServer::armed([first.clone(), first.clone(), Arm::Stream(says(&["It is ", "7."]))]).await;
        let asked = ask(&model_at(&server), &ScriptedToolbox::echo(&[])).await;
        assert_eq!(asked.answer().text, "It is 7.", "{first:?}");
        assert_eq!(asked.heard.shown(), "It is 7.", "{first:?}");
        assert_eq!(server.seen().len(), 3, "{first:?}");
        assert_eq!(server.seen()[0].body, server.seen()[2].body, "{first:?}");
    }
}

#[tokio::test]
async fn a_failure_that_stays_ends_the_question_after_the_last_attempt() {
    let server = OpenAiServer::armed([plain(503, "overloaded")]).await;
    let asked = ask(&model_at(&server), &ScriptedToolbox::echo(&[])).await;
    assert!(matches!(asked.outcome, Err(AgentError::Model(ModelError::Transient { .. }))));
    assert_eq!(server.seen().len(), 3);
    let server = OpenAiServer::armed([refuse(401, "invalid_api_key", "no")]).await;
    let asked = ask(&model_at(&server), &ScriptedToolbox::echo(&[])).await;
    assert!(matches!(asked.outcome, Err(AgentError::Model(ModelError::Refused(_)))));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn cancelling_in_the_middle_of_a_stream_leaves_a_chat_that_goes_on() {
    let reached = Arc::new(Notify::new());
    let begun = vec![Piece::Send(delta(&json!({ "content": "It is" }))), Piece::Hang(Arc::clone(&reached))];
    let server = OpenAiServer::armed([Arm::Stream(begun), Arm::Stream(says(&["Second."]))]).await;
    let (model, toolbox) = (model_at(&server), ScriptedToolbox::echo(&[]));
    let agent = Agent::new(&model, &toolbox, limits());
    let (mut conversation, heard) = (Conversation::new("Be brief."), Recorder::default());
    let cancel = CancellationToken::new();
    let cancelling = async {
        reached.notified().await;
        cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(agent.ask(&mut conversation, "First?", &heard, &cancel), cancelling);
    assert!(matches!(outcome, Err(AgentError::Cancelled)), "{outcome:?}");
    let never = CancellationToken::new();
    let answer = agent.ask(&mut conversation, "Second?", &heard, &never).await.unwrap();
    assert_eq!(answer.text, "Second.");
    assert_fit_for_a_model(&conversation);
    let roles: Vec<_> = server.seen()[1].body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
}
