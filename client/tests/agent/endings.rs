//! How a question ends early, and that the next one can be asked.

#![cfg(test)]

use std::{sync::Arc, time::Duration};

use client::{
    agent::{Agent, AgentError, Answer, Conversation, Message, Stop},
    mcp::McpError,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    ask, assert_fit_for_a_model, limits,
    scripted::{Recorder, ScriptedModel, ScriptedToolbox, Turn, text},
};

#[tokio::test]
async fn at_the_step_limit_one_last_turn_without_tools_sums_up() {
    let arguments = ["{\"n\":1}", "{\"n\":2}"];
    let turns = (0..20).map(|n| Turn::Call("", vec![("", "read", arguments[n % 2])]));
    let model = ScriptedModel::new(turns.chain([Turn::Say("This far I came.")]));
    let toolbox = ScriptedToolbox::echo(&["read"]);
    let asked = ask(&model, &toolbox).await;
    let expected = Answer { text: "This far I came.".to_owned(), steps: 20, stop: Stop::StepLimit };
    assert_eq!(asked.answer(), &expected);
    assert_eq!(toolbox.calls().len(), 20);

    let prompts = model.prompts();
    assert_eq!(prompts.len(), 21);
    assert!(prompts[..20].iter().all(|(_, tools)| *tools == 1));
    let (messages, tools) = &prompts[20];
    assert_eq!(*tools, 0);
    let [.., Message::Assistant(_), Message::ToolResult(_), Message::System(note)] = messages.as_slice()
    else {
        panic!("{messages:?}");
    };
    assert!(note.contains("limit of 20 steps") && note.contains("Sum up"), "{note}");
    assert!(asked.heard.lines().contains(&"limit 20".to_owned()));
}

#[tokio::test]
async fn a_model_that_wants_tools_even_then_gets_none_and_there_is_an_answer_all_the_same() {
    let model = ScriptedModel::new([Turn::Call("", vec![("", "write", "")])]);
    let toolbox = ScriptedToolbox::echo(&["write"]);
    let asked = ask(&model, &toolbox).await;
    assert_eq!(asked.answer().stop, Stop::StepLimit);
    assert!(asked.answer().text.contains("stopped after 20 steps"), "{:?}", asked.answer());
    assert!(asked.heard.shown().ends_with(&asked.answer().text), "what is answered is shown");
    assert_eq!(toolbox.calls().len(), 2, "the same call again and again is made twice");
}

#[tokio::test]
async fn a_refused_key_and_a_server_that_is_gone_end_the_question_and_what_was_to_follow() {
    for error in [
        McpError::Unauthorized("wrong key".to_owned()),
        McpError::Forbidden("wrong host".to_owned()),
        McpError::Unreachable { url: "http://x".to_owned(), reason: "refused".to_owned() },
    ] {
        let calls = vec![("", "write", ""), ("", "write", "{\"n\":2}")];
        let model = ScriptedModel::new([Turn::Call("", calls), Turn::Say("Never said.")]);
        let toolbox = ScriptedToolbox::failing(&["write"], error.clone());
        let asked = ask(&model, &toolbox).await;
        let ended = asked.outcome.as_ref().unwrap_err();
        assert!(matches!(ended, AgentError::Server(_)), "{ended:?}");
        assert_eq!(ended.to_string(), error.to_string());
        assert_eq!(toolbox.calls().len(), 1);
        assert!(asked.result_texts()[1].contains("Not called"), "{:?}", asked.result_texts());
        assert_eq!(model.prompts().len(), 1);
    }
}

/// Asks, cancels as soon as `reached`, and asks again. Returns the conversation after the first question.
async fn cancel_and_ask_again(
    model: &ScriptedModel,
    toolbox: &ScriptedToolbox,
    reached: &Notify,
) -> Conversation {
    let mut conversation = Conversation::new("Be brief.");
    let agent = Agent::new(model, toolbox, limits());
    let (heard, cancel) = (Recorder::default(), CancellationToken::new());
    let asking = agent.ask(&mut conversation, "First?", &heard, &cancel);
    let cancelling = async {
        reached.notified().await;
        cancel.cancel();
    };
    let began = Instant::now();
    let (outcome, ()) =
        timeout(Duration::from_secs(60), async { tokio::join!(asking, cancelling) }).await.unwrap();
    assert!(matches!(outcome, Err(AgentError::Cancelled)), "{outcome:?}");
    assert!(began.elapsed() <= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_fit_for_a_model(&conversation);
    let first = conversation.clone();
    let answer = agent.ask(&mut conversation, "Second?", &heard, &CancellationToken::new()).await.unwrap();
    assert_eq!(answer.text, "Second answer.");
    assert_fit_for_a_model(&conversation);
    first
}

#[tokio::test(start_paused = true)]
async fn cancelling_a_reply_keeps_what_was_read_of_it_and_chat_goes_on() {
    let reached = Arc::new(Notify::new());
    let model = ScriptedModel::new([Turn::Hang("It is", Arc::clone(&reached)), Turn::Say("Second answer.")]);
    let toolbox = ScriptedToolbox::echo(&[]);
    let conversation = cancel_and_ask_again(&model, &toolbox, &reached).await;
    let Some(Message::Assistant(reply)) = conversation.messages().last() else { panic!("{conversation:?}") };
    assert_eq!(reply.text, "It is\n[The user stopped this answer.]");
}

#[tokio::test(start_paused = true)]
async fn cancelling_a_tool_call_leaves_a_result_for_every_call_and_chat_goes_on() {
    for listens in [true, false] {
        let reached = Arc::new(Notify::new());
        let begun = Arc::clone(&reached);
        let toolbox = ScriptedToolbox::new(&["read", "write", "write_too"], move |name, _, cancel| {
            let begun = Arc::clone(&begun);
            async move {
                if name == "read" {
                    return Ok(text("7"));
                }
                begun.notify_one();
                if listens {
                    cancel.cancelled().await;
                    return Err(McpError::Cancelled);
                }
                std::future::pending().await
            }
        });
        let calls = vec![("a", "read", ""), ("b", "write", ""), ("c", "write_too", "")];
        let model = ScriptedModel::new([Turn::Call("", calls), Turn::Say("Second answer.")]);
        let conversation = cancel_and_ask_again(&model, &toolbox, &reached).await;
        let told: Vec<_> = conversation
            .messages()
            .iter()
            .filter_map(|message| match message {
                Message::ToolResult(result) => Some(result.text_for_model()),
                Message::System(_) | Message::User(_) | Message::Assistant(_) => None,
            })
            .collect();
        assert_eq!(told[0], "7");
        assert!(told[1].contains("may have been carried out"), "{told:?}");
        assert!(told[2].contains("Not called"), "{told:?}");
        assert_eq!(toolbox.calls().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_a_wait_for_the_model_at_once() {
    let wait = Duration::from_secs(20);
    let busy = client::agent::ModelError::Transient { reason: "busy".to_owned(), retry_after: Some(wait) };
    let model = ScriptedModel::new([Turn::Fail("", busy)]);
    let (mut conversation, heard, cancel) =
        (Conversation::new(""), Recorder::default(), CancellationToken::new());
    let toolbox = ScriptedToolbox::echo(&[]);
    let agent = Agent::new(&model, &toolbox, limits());
    let began = Instant::now();
    let cancelling = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(agent.ask(&mut conversation, "?", &heard, &cancel), cancelling);
    assert!(matches!(outcome, Err(AgentError::Cancelled)));
    assert_eq!(began.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_dropped_in_a_tool_call_leaves_a_conversation_that_can_go_on() {
    let model = ScriptedModel::new([Turn::Call("", vec![("a", "write", "")])]);
    let toolbox = ScriptedToolbox::new(&["write"], |_, _, _| std::future::pending());
    let (mut conversation, heard, cancel) =
        (Conversation::new(""), Recorder::default(), CancellationToken::new());
    let agent = Agent::new(&model, &toolbox, limits());
    let asking = agent.ask(&mut conversation, "?", &heard, &cancel);
    assert!(timeout(Duration::from_secs(5), asking).await.is_err());
    assert_eq!(toolbox.calls().len(), 1);
    assert_fit_for_a_model(&conversation);
}
