//! A model that fails, and is asked again without anything being shown twice.

#![cfg(test)]

use std::time::Duration;

use client::{
    agent::{AgentError, AgentLimits, ModelError},
    mcp::RetryPolicy,
};
use tokio::time::Instant;

use crate::{
    ask, ask_within, limits,
    scripted::{ScriptedModel, ScriptedToolbox, Turn},
};

fn overloaded(retry_after: Option<Duration>) -> ModelError {
    ModelError::Transient { reason: "overloaded".to_owned(), retry_after }
}

#[tokio::test(start_paused = true)]
async fn text_that_was_shown_of_a_broken_reply_is_taken_back_and_shown_once() {
    let model = ScriptedModel::new([
        Turn::Fail("", overloaded(None)),
        Turn::Fail("It is ", overloaded(None)),
        Turn::Say("It is 7."),
    ]);
    let asked = ask(&model, &ScriptedToolbox::echo(&[])).await;
    assert_eq!(asked.answer().text, "It is 7.");
    assert_eq!(
        asked.heard.lines(),
        ["turn 1", "retry 2", "text It is ", "reset", "retry 3", "text It is 7."],
        "nothing is taken back where nothing was shown"
    );
    assert_eq!(asked.heard.shown(), "It is 7.");
    let prompts = model.prompts();
    assert!(prompts.iter().all(|(messages, _)| messages.len() == 2), "a broken reply is not remembered");
}

#[tokio::test(start_paused = true)]
async fn it_waits_as_long_as_asked_and_longer_each_time_otherwise() {
    let asked_for = Duration::from_secs(7);
    let model = ScriptedModel::new([Turn::Fail("", overloaded(Some(asked_for))), Turn::Say("Here.")]);
    let began = Instant::now();
    ask(&model, &ScriptedToolbox::echo(&[])).await;
    assert!(began.elapsed() >= asked_for && began.elapsed() < asked_for * 2, "{:?}", began.elapsed());

    let base = Duration::from_secs(1);
    let retry = RetryPolicy { attempts: 4, base, max_wait: base * 60 };
    let model = ScriptedModel::new([Turn::Fail("", overloaded(None))]);
    let began = Instant::now();
    let asked = ask_within(&model, &ScriptedToolbox::echo(&[]), AgentLimits { retry, ..limits() }).await;
    assert!(matches!(asked.outcome, Err(AgentError::Model(ModelError::Transient { .. }))));
    assert_eq!(model.prompts().len(), 4);
    let waited = began.elapsed();
    assert!(waited >= base * 7 / 2 && waited <= base * 7 + base / 10, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_asks_for_too_long_a_wait_is_not_waited_for() {
    let model = ScriptedModel::new([Turn::Fail("", overloaded(Some(Duration::from_secs(3_600))))]);
    let began = Instant::now();
    let asked = ask(&model, &ScriptedToolbox::echo(&[])).await;
    assert!(matches!(asked.outcome, Err(AgentError::Model(_))));
    assert_eq!((model.prompts().len(), began.elapsed()), (1, Duration::ZERO));
}

#[tokio::test]
async fn a_refusal_is_not_repeated() {
    let model = ScriptedModel::new([Turn::Fail("", ModelError::Refused("no such model".to_owned()))]);
    let asked = ask(&model, &ScriptedToolbox::echo(&[])).await;
    assert_eq!(asked.outcome.unwrap_err().to_string(), "the model endpoint refused: no such model");
    assert_eq!(model.prompts().len(), 1);
}
