//! The person at the terminal, asked in a server's name.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use scopeguard::ScopeGuard;
use shared::mcp::elicitation::{ElicitAction, ElicitRequestFormParams, ElicitRequestParams, ElicitResult};

use super::{Floor, Interrupts, Run};
use crate::{
    config::arguments::Confirm,
    mcp::{Answerer, declined},
    terminal::{
        Event, Terminal,
        form::{Question, yes_or_no},
        hold,
        prompt::{self, Input, Prompt},
    },
};

const SEND: &str = "send this answer? (yes, or no to decline; Ctrl-C to stop): ";
const NO_MORE: &str = "not answered; nothing more is asked for this call, and Ctrl-C ends it";
const TAKEN_BACK: &str = "\nnobody waits for this answer any more";
const YES_OR_NO: &str = "yes or no? [no]: ";

/// Whoever sits at this terminal, or whoever started the program and said beforehand what to answer.
#[derive(Debug)]
pub(super) struct Person {
    terminal: Arc<Terminal>,
    server: String,
    /// Somebody sits here who can be asked.
    is_present: bool,
    confirm: Confirm,
    interrupts: Arc<Interrupts>,
    /// One question at a time, and no other prompt beside it.
    floor: Arc<Floor>,
}

/// What became of one prompt.
enum Typed {
    Line(String),
    /// The person went away.
    Gone,
}

impl Person {
    /// The person of a run, asked by the server at a URL; `None` where nobody sits and nothing was said beforehand.
    pub(super) fn of(run: &Run, server: &str) -> Option<Self> {
        if !answers(run) {
            return None;
        }
        let (is_present, confirm) = (is_present(run), run.settings.confirm);
        let (terminal, interrupts) = (Arc::clone(&run.terminal), Arc::clone(&run.interrupts));
        let (server, floor) = (server.to_owned(), Arc::clone(&run.floor));
        Some(Self { terminal, server, is_present, confirm, interrupts, floor })
    }

    /// A question without fields: the server's words, and yes or no to them. Enter alone is no.
    async fn yes_or_no(&self) -> Option<ElicitResult> {
        let yes = match self.confirm {
            Confirm::Ask => loop {
                let Typed::Line(line) = self.typed(YES_OR_NO).await else { return None };
                match yes_or_no(&line) {
                    Some(yes) => break yes,
                    None if line.trim().is_empty() => break false,
                    None => {}
                }
            },
            Confirm::Yes | Confirm::No => {
                let yes = self.confirm == Confirm::Yes;
                let answer = if yes { "yes, as --confirm says" } else { "no, as --confirm says" };
                self.terminal.show(&Event::Notice { text: answer });
                yes
            }
        };
        Some(if yes {
            ElicitResult { action: ElicitAction::Accept, content: Some(BTreeMap::new()) }
        } else {
            declined()
        })
    }

    async fn typed(&self, prompt: &str) -> Typed {
        let Ok(mut prompt) = Prompt::edited(prompt, &[]) else { return Typed::Gone };
        match prompt.next().await {
            Input::Line(line) => Typed::Line(line),
            Input::Interrupted => {
                self.interrupts.end_questions();
                Typed::Gone
            }
            Input::End | Input::Broken(_) => Typed::Gone,
        }
    }

    async fn form(&self, form: &ElicitRequestFormParams) -> Option<ElicitResult> {
        if form.requested_schema.properties.is_empty() {
            return self.yes_or_no().await;
        }
        if !self.is_present {
            return Some(declined());
        }
        let required = form.requested_schema.required.as_deref().unwrap_or_default();
        let mut content = BTreeMap::new();
        for (name, field) in &form.requested_schema.properties {
            let question = Question::new(name, field, required.contains(name));
            self.terminal.show(&Event::Notice { text: &question.explained() });
            let value = loop {
                let Typed::Line(line) = self.typed(&question.prompt()).await else { return None };
                match question.read(&line) {
                    Ok(value) => break value,
                    Err(reason) => self.terminal.show(&Event::Notice { text: &reason }),
                }
            };
            content.extend(value.map(|value| (name.clone(), value)));
        }
        loop {
            let Typed::Line(line) = self.typed(SEND).await else { return None };
            let result = match yes_or_no(&line) {
                Some(true) => ElicitResult { action: ElicitAction::Accept, content: Some(content) },
                Some(false) => declined(),
                None => continue,
            };
            return Some(result);
        }
    }
}

/// Whether a server that asks yes or no gets an answer.
pub(super) fn answers(run: &Run) -> bool {
    is_present(run) || run.settings.confirm != Confirm::Ask
}

/// Whether somebody sits here who can be asked.
fn is_present(run: &Run) -> bool {
    !run.settings.json && prompt::is_attended()
}

#[async_trait]
impl Answerer for Person {
    async fn elicit(&self, question: &ElicitRequestParams) -> ElicitResult {
        let ElicitRequestParams::Form(form) = question else { return declined() };
        let gone = ElicitResult { action: ElicitAction::Cancel, content: None };
        if !self.interrupts.may_ask() {
            return gone;
        }
        let _turn = self.floor.take_for_question().await;
        if !self.interrupts.may_ask() {
            return gone;
        }
        let is_typed = self.confirm == Confirm::Ask || !form.requested_schema.properties.is_empty();
        if self.is_present && is_typed {
            // Nobody has read the question yet.
            hold::forget_typed();
        }
        self.terminal.show(&Event::Asked { server: &self.server, message: &form.message });
        let taken_back = scopeguard::guard(&self.terminal, |terminal| {
            // Behind the prompt, on a line of its own.
            terminal.show(&Event::Notice { text: TAKEN_BACK });
        });
        let result = self.form(form).await.unwrap_or(gone);
        let said = match result.action {
            ElicitAction::Accept => "sent",
            ElicitAction::Decline => "declined",
            ElicitAction::Cancel if self.interrupts.may_ask() => "not answered",
            ElicitAction::Cancel => NO_MORE,
        };
        ScopeGuard::into_inner(taken_back);
        self.terminal.show(&Event::Notice { text: said });
        self.terminal.working("waiting for the server");
        result
    }
}
