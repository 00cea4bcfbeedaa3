//! The program's subcommands: one file each, and what they share.
//!
//! A command says what happens through the [`Terminal`] and ends with an [`Exit`]. What it cannot go on after is a
//! [`Failure`]: what happened, what to do next, and the exit code.

mod answering;
mod ask;
mod asking;
mod call;
mod chat;
mod demo;
mod doctor;
mod failure;
mod floor;
mod interrupt;
mod outcome;
mod prompts;
mod readable;
mod resources;
mod session;
mod tools;

use std::sync::Arc;

pub use failure::Failure;
pub use floor::Floor;
pub use interrupt::Interrupts;

use crate::{
    config::{Command, Settings},
    exit::Exit,
    terminal::{Event, Look, Terminal, prompt},
};

/// What every command works with.
#[derive(Debug)]
pub struct Run {
    /// What to do, and how.
    pub settings: Settings,
    /// Where to say what happens.
    pub terminal: Arc<Terminal>,
    /// When to stop.
    pub interrupts: Arc<Interrupts>,
    /// Who may type.
    pub floor: Arc<Floor>,
}

impl Run {
    /// A run with the terminal of this process and its Ctrl-C. Must be called within the runtime.
    #[must_use]
    pub fn of_process(settings: Settings) -> Self {
        let interrupts = Interrupts::of_process();
        let look = Look {
            json: settings.json,
            narrated: matches!(
                settings.command,
                Command::Demo { .. } | Command::Ask { .. } | Command::Chat { .. }
            ),
            typed: matches!(settings.command, Command::Chat { .. }) && prompt::is_attended(),
            dumb: settings.dumb_terminal,
        };
        let terminal = Arc::new(Terminal::of_process(look, interrupts.stop().clone()));
        Self { settings, terminal, interrupts, floor: Arc::default() }
    }

    /// Runs the command to its end and tells of it. Every session that was opened is closed.
    pub async fn to_end(&self) -> Exit {
        let settings = &self.settings;
        self.terminal.show(&Event::RunStarted {
            version: env!("CARGO_PKG_VERSION"),
            url: &settings.url_for_people(),
            protocol: settings.protocol.as_str(),
        });
        let outcome = match &settings.command {
            Command::Demo { users } => demo::run(self, users).await,
            Command::Ask { user, question } => ask::run(self, user, question).await,
            Command::Chat { user } => chat::run(self, user).await,
            Command::Tools { user } => tools::run(self, user).await,
            Command::Call { user, tool, arguments } => call::run(self, user, tool, arguments).await,
            Command::Resources { user, uri } => resources::run(self, user, uri.as_deref()).await,
            Command::Prompts { user, prompt } => prompts::run(self, user, prompt.as_ref()).await,
            Command::Doctor { user } => doctor::run(self, user).await,
        };
        let exit = outcome.unwrap_or_else(|error| self.report(&error));
        self.terminal.show(&Event::RunFinished { exit_code: exit.code() });
        self.terminal.output_lost().unwrap_or(exit)
    }

    /// Tells of what ended a command or a question.
    fn report(&self, error: &anyhow::Error) -> Exit {
        let unforeseen;
        let failure = match error.downcast_ref::<Failure>() {
            Some(failure) => failure,
            None => {
                unforeseen = Failure::new(Exit::Failed, format!("{error:#}"), "");
                &unforeseen
            }
        };
        if self.terminal.output_lost().is_none() {
            self.terminal.fail(failure.exit, &failure.message, &failure.next);
        }
        failure.exit
    }
}
