//! What is told depends on what was told before.

use shared::mcp::tools::CallToolResult;

use super::*;

fn narrator() -> Narrator {
    Narrator::new(Look { narrated: true, ..Look::default() }, None)
}

/// Tells the events and gives the text without its styles.
fn told(narrator: &mut Narrator, events: &[Event<'_>]) -> String {
    let text: String = events.iter().map(|event| narrator.tell(event).as_str().to_owned()).collect();
    anstream::adapter::strip_str(&text).to_string()
}

fn answer(text: &str) -> Event<'_> {
    Event::Answer { text, steps: 1, complete: true }
}

fn started<'a>(id: &'a str, name: &'a str) -> Event<'a> {
    Event::Agent(AgentEvent::ToolCallStarted { id, name, arguments: "{}" })
}

#[test]
fn an_answer_that_was_streamed_is_not_told_twice() {
    let turn = Event::Agent(AgentEvent::TurnStarted { step: 1 });
    let streamed = [
        turn.clone(),
        Event::Agent(AgentEvent::Text { delta: "Hel" }),
        Event::Agent(AgentEvent::Text { delta: "lo." }),
        answer("Hello."),
    ];
    assert_eq!(told(&mut narrator(), &streamed), "Hello.\n");
    assert_eq!(told(&mut narrator(), &[turn, answer("Hello.")]), "Hello.\n");
}

#[test]
fn what_a_model_says_before_a_call_ends_its_line() {
    let events = [
        Event::Agent(AgentEvent::TurnStarted { step: 1 }),
        Event::Agent(AgentEvent::Text { delta: "Let me see" }),
        started("1", "look"),
    ];
    assert_eq!(told(&mut narrator(), &events), "Let me see\n  → look {}\n");
}

#[test]
fn a_reply_that_starts_again_is_said_to() {
    let events = [
        Event::Agent(AgentEvent::TurnStarted { step: 1 }),
        Event::Agent(AgentEvent::Text { delta: "You ha" }),
        Event::Agent(AgentEvent::TextReset),
        Event::Agent(AgentEvent::Retrying {
            reason: "cut off",
            wait: Duration::from_millis(1500),
            attempt: 2,
        }),
        Event::Agent(AgentEvent::Text { delta: "You have 3." }),
        answer("You have 3."),
    ];
    let text = told(&mut narrator(), &events);
    let expected = "You ha\n  ! the reply was cut off; it starts again\n  ! cut off; trying again in 1.5 s (attempt 2)\n";
    assert_eq!(text, format!("{expected}You have 3.\n"));
}

#[test]
fn the_spinner_says_which_calls_are_running() {
    let mut narrator = narrator();
    let result = CallToolResult::default();
    narrator.tell(&started("1", "first"));
    assert_eq!(narrator.doing().as_deref(), Some("calling first"));
    narrator.tell(&started("2", "first"));
    assert_eq!(narrator.doing().as_deref(), Some("calling 2 tools"));
    let finished = |id| {
        Event::Agent(AgentEvent::ToolCallFinished {
            id,
            name: "first",
            arguments: "{}",
            elapsed: Duration::from_millis(3),
            result: &result,
        })
    };
    narrator.tell(&finished("1"));
    assert_eq!(narrator.doing().as_deref(), Some("calling first"));
    narrator.tell(&finished("2"));
    assert_eq!(narrator.doing(), None);
}

#[test]
fn a_call_that_was_cancelled_is_not_running_in_the_next_question() {
    let mut narrator = narrator();
    narrator.tell(&started("1", "first"));
    narrator.tell(&Event::Error { exit_code: 130, message: "interrupted", next: "" });
    narrator.tell(&Event::Question { text: "again?" });
    narrator.tell(&started("2", "second"));
    assert_eq!(narrator.doing().as_deref(), Some("calling second"));
}

#[test]
fn the_spinner_keeps_away_from_a_line_that_is_being_written() {
    let mut narrator = narrator();
    narrator.tell(&Event::Agent(AgentEvent::TurnStarted { step: 1 }));
    assert!(narrator.doing().is_some());
    narrator.tell(&Event::Agent(AgentEvent::Text { delta: "You ha" }));
    assert_eq!(narrator.doing(), None);
    narrator.tell(&Event::Agent(AgentEvent::Text { delta: "ve:\n| a |\n" }));
    assert!(narrator.doing().is_some(), "a table is being received and nothing of it shown yet");
}
