//! Events told to a person.

use std::time::Duration;

use super::{
    CheckStatus, Event, Look, escape,
    markdown::Markdown,
    offers, schema,
    style::{BAD, FAINT, GOOD, HEADING, NAME, QUESTION, Text, WARNING},
};
use crate::agent::AgentEvent;

/// Turns events into text, knowing what was shown before.
#[derive(Debug)]
pub(super) struct Narrator {
    look: Look,
    markdown: Markdown,
    /// What the model has said in this turn.
    said: String,
    /// Whether the cursor stands within a line.
    within_line: bool,
    /// The calls that are running: id and tool.
    running: Vec<(String, String)>,
    doing: Option<String>,
    in_session: bool,
}

impl Narrator {
    pub(super) fn new(look: Look, width: Option<u16>) -> Self {
        let markdown = Markdown::new(width);
        Self {
            look,
            markdown,
            said: String::new(),
            within_line: false,
            running: Vec::new(),
            doing: None,
            in_session: false,
        }
    }

    /// What is being waited for after the last event.
    pub(super) fn doing(&self) -> Option<String> {
        self.doing.clone().filter(|_| !self.within_line)
    }

    /// The event as text, styles included.
    pub(super) fn tell(&mut self, event: &Event<'_>) -> Text {
        self.doing = None;
        if matches!(event, Event::Question { .. } | Event::Agent(AgentEvent::TurnStarted { .. })) {
            // What was cancelled before never said that it ended.
            self.running.clear();
        }
        match *event {
            Event::Agent(AgentEvent::Text { delta }) => self.text(delta),
            Event::Answer { text, .. } => self.answer(text),
            Event::Agent(AgentEvent::TurnStarted { .. }) => {
                self.said.clear();
                self.doing = Some("waiting for the model".to_owned());
                Text::new()
            }
            Event::RunStarted { .. } | Event::RunFinished { .. } => Text::new(),
            _ => self.whole_lines().and(&self.line(event)),
        }
    }

    fn text(&mut self, delta: &str) -> Text {
        self.said.push_str(delta);
        let shown = self.markdown.push(delta);
        self.doing = Some("receiving the answer".to_owned());
        self.track(&shown);
        Text::new().block(&shown)
    }

    fn answer(&mut self, text: &str) -> Text {
        // White space that a model began with is no other answer.
        let is_told = self.said.trim() == text.trim();
        let before = if is_told { Text::new() } else { self.whole_lines() };
        let mut shown = if is_told { String::new() } else { self.markdown.push(text) };
        shown += &self.markdown.finish();
        self.said.clear();
        self.track(&shown);
        let shown = before.block(&shown);
        let shown = if self.within_line { shown.end() } else { shown };
        self.within_line = false;
        shown
    }

    fn track(&mut self, shown: &str) {
        if !shown.is_empty() {
            self.within_line = !shown.ends_with('\n');
        }
    }

    /// What is left of the text before, and the end of its line.
    fn whole_lines(&mut self) -> Text {
        let left = self.markdown.finish();
        self.track(&left);
        let text = Text::new().block(&left);
        if std::mem::take(&mut self.within_line) { text.end() } else { text }
    }

    /// Everything that is told in lines of its own.
    fn line(&mut self, event: &Event<'_>) -> Text {
        match *event {
            Event::ModelChosen { model, why } => model_chosen(model, why),
            Event::UserStarted { user } => heading(&format!("Testing {user}'s Access")),
            Event::PaymentStarted { payer, payee } => heading(&format!("{payer} Pays {payee}")),
            Event::SessionOpened { server, version, protocol, session, ref tools, .. }
                if self.look.narrated =>
            {
                self.in_session = session.is_some();
                let tools = counted(tools.len(), "tool");
                let opened = match session {
                    Some(_) => {
                        format!("session with {server} {version} opened (protocol {protocol}, {tools})")
                    }
                    None => {
                        format!("connected to {server} {version} (protocol {protocol}, no session, {tools})")
                    }
                };
                Text::new().styled(FAINT, &opened).end()
            }
            Event::SessionClosed { .. } if self.look.narrated && self.in_session => {
                Text::new().end().styled(FAINT, "session closed").end()
            }
            Event::Question { text } if !self.look.typed => {
                Text::new().end().styled(QUESTION, &format!("> {text}")).end()
            }
            Event::Agent(ref event) => self.agent(event),
            Event::Tool { tool } => schema::describe(tool),
            Event::Resource { resource } => offers::resource(resource),
            Event::ResourceTemplate { template } => offers::template(template),
            Event::Prompt { prompt } => offers::prompt(prompt),
            Event::Asked { server, message } => {
                let asks = Text::new().end().styled(WARNING, "? ").plain(server).plain(" asks you:").end();
                asks.indented("  ", message).end()
            }
            Event::ToolRejected { name, reason } => {
                let ignored = format!("the tool \"{name}\" is ignored: {reason}");
                Text::new().styled(WARNING, "warning: ").plain(&ignored).end()
            }
            Event::Check { name, status, found, next } => check(name, status, found, next),
            Event::Notice { text } => Text::new().block(text).end(),
            Event::Error { message, next, .. } => failure(message, next),
            Event::SessionOpened { .. }
            | Event::SessionClosed { .. }
            | Event::Question { .. }
            | Event::ToolResult { .. }
            | Event::ResourceRead { .. }
            | Event::PromptFilled { .. }
            | Event::RunStarted { .. }
            | Event::RunFinished { .. }
            | Event::Answer { .. } => Text::new(),
        }
    }

    /// What the agent does that is told in lines of its own.
    fn agent(&mut self, event: &AgentEvent<'_>) -> Text {
        match *event {
            AgentEvent::ToolCallStarted { id, name, arguments } => {
                self.running.push((id.to_owned(), name.to_owned()));
                self.doing = self.calling();
                Text::new().plain("  → ").styled(NAME, name).plain(" ").plain(arguments).end()
            }
            AgentEvent::ToolCallFinished { id, name, elapsed, result, .. } => {
                self.running.retain(|(running, _)| running != id);
                self.doing = self.calling();
                let time = format!(" {}", duration(elapsed));
                let text = if result.failed() {
                    let reason = format!(": {}", result.text());
                    Text::new().styled(BAD, "  ✗ ").styled(NAME, name).styled(FAINT, &time).plain(&reason)
                } else {
                    Text::new().styled(GOOD, "  ✓ ").styled(NAME, name).styled(FAINT, &time)
                };
                text.end()
            }
            AgentEvent::Retrying { reason, wait, attempt } => {
                let wait = duration(wait);
                self.doing = Some(format!("waiting {wait} before attempt {attempt}"));
                warning(&format!("{reason}; trying again in {wait} (attempt {attempt})"))
            }
            AgentEvent::TextReset => {
                self.said.clear();
                warning("the reply was cut off; it starts again")
            }
            AgentEvent::AnswerCutOff => {
                warning("the model stopped in the middle of its answer; this is not all of it")
            }
            AgentEvent::StepLimitReached { max_steps } => {
                self.doing = Some("waiting for the model to sum up".to_owned());
                warning(&format!(
                    "stopped after {}; this is what is known so far",
                    counted_u32(max_steps, "turn")
                ))
            }
            AgentEvent::TurnStarted { .. } | AgentEvent::Text { .. } => Text::new(),
        }
    }

    /// Which calls are running.
    fn calling(&self) -> Option<String> {
        match self.running.as_slice() {
            [] => None,
            [(_, name)] => Some(format!("calling {name}")),
            several => Some(format!("calling {} tools", several.len())),
        }
    }
}

/// A part of the demo begins.
fn heading(text: &str) -> Text {
    Text::new().end().styled(HEADING, &format!("=== {text} ===")).end()
}

fn model_chosen(model: &str, why: &str) -> Text {
    let text = Text::new().styled(HEADING, "model: ").plain(model);
    if why.is_empty() { text.end() } else { text.plain("; ").plain(why).end() }
}

fn warning(text: &str) -> Text {
    Text::new().styled(WARNING, "  ! ").plain(text).end()
}

fn failure(message: &str, next: &str) -> Text {
    let text = Text::new().styled(BAD, "error: ").plain(message).end();
    if next.is_empty() { text } else { text.styled(WARNING, " next: ").plain(next).end() }
}

fn check(name: &str, status: CheckStatus, found: &str, next: &str) -> Text {
    let text = match status {
        CheckStatus::Passed => Text::new().styled(GOOD, "✓ "),
        CheckStatus::Failed => Text::new().styled(BAD, "✗ "),
        CheckStatus::Noted => Text::new().styled(WARNING, "· "),
    };
    let text = text.plain(&format!("{:<10} ", escape::line(name))).plain(found).end();
    if next.is_empty() { text } else { text.plain(&format!("  {:<10} ", "")).plain(next).end() }
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn counted_u32(number: u32, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A time as a person says it.
fn duration(time: Duration) -> String {
    let ms = time.as_millis();
    if ms < 1000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1000, ms % 1000 / 100) }
}

#[cfg(test)]
mod tests;
