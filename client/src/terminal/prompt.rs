//! Where a person types: a line editor on a terminal, plain lines from a pipe.
//!
//! Both wait for input in a thread of their own, which ends with the process: there is no way to take back a read.

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    thread,
};

use rustyline::{Config, Editor, error::ReadlineError, history::MemHistory};
use tokio::sync::mpsc;

use super::escape;

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A line, without its end.
    Line(String),
    /// Ctrl-C at the prompt.
    Interrupted,
    /// Ctrl-D, or the end of the pipe.
    End,
    /// The input cannot be read.
    Broken(String),
}

/// Asks for one line at a time. What was typed is remembered for the arrow keys and never written to disk.
#[derive(Debug)]
pub struct Prompt {
    asked: mpsc::Sender<()>,
    typed: mpsc::Receiver<Input>,
}

/// Whether a person sits at stdin and stdout, so that a prompt makes sense.
#[must_use]
pub fn is_attended() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

impl Prompt {
    /// A line editor that shows `prompt`, escaped.
    ///
    /// # Errors
    /// The terminal cannot be set up.
    pub fn edited(prompt: String) -> anyhow::Result<Self> {
        let prompt = escape::line(&prompt);
        let mut editor = Editor::<(), MemHistory>::with_history(Config::default(), MemHistory::new())?;
        Ok(Self::reading(move || match editor.readline(&prompt) {
            Ok(line) => {
                // Only a line that cannot be remembered is not: nothing is lost with it.
                editor.add_history_entry(line.as_str()).ok();
                Input::Line(line)
            }
            Err(ReadlineError::Interrupted) => Input::Interrupted,
            Err(ReadlineError::Eof) => Input::End,
            Err(error) => Input::Broken(error.to_string()),
        }))
    }

    /// Lines from stdin as they are.
    #[must_use]
    pub fn plain() -> Self {
        Self::reading(|| {
            let mut line = Vec::new();
            match io::stdin().lock().read_until(b'\n', &mut line) {
                Ok(0) => Input::End,
                Ok(_) => {
                    Input::Line(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
                }
                Err(error) => Input::Broken(error.to_string()),
            }
        })
    }

    fn reading(mut read: impl FnMut() -> Input + Send + 'static) -> Self {
        let (asked, mut questions) = mpsc::channel(1);
        let (answer, typed) = mpsc::channel(1);
        thread::spawn(
            move || {
                while questions.blocking_recv().is_some() && answer.blocking_send(read()).is_ok() {}
            },
        );
        Self { asked, typed }
    }

    /// The next line.
    pub async fn next(&mut self) -> Input {
        if self.asked.send(()).await.is_err() {
            return Input::End;
        }
        self.typed.recv().await.unwrap_or(Input::End)
    }
}
