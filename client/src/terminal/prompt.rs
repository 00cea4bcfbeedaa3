//! Where a person types: a line editor on a terminal, plain lines from a pipe.
//!
//! Both wait for input in a thread of their own, which ends with the process: there is no way to take back a read. What
//! can be taken back is the terminal ([`super::hold`]); and two editors never read at once, or they would share the keys.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use rustyline::{Config, Editor, error::ReadlineError, history::MemHistory};
use tokio::sync::mpsc;

use super::{escape, hold::Hold};

/// Editors whose line nobody waits for, and where that arrives.
static ABANDONED: Mutex<Vec<Abandoned>> = Mutex::new(Vec::new());

/// By its hold, an editor knows that it is itself.
type Abandoned = (Arc<Hold>, mpsc::Receiver<Input>);

/// What is asked while another editor has the next line.
const PRESS_ENTER: &str = "press Enter to go on: ";

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

/// Asks for one line at a time. What was typed is remembered for the arrow keys and never written to disk. Dropped before
/// the line was typed, it leaves the terminal as it found it, and what was typed of the line counts for nothing.
#[derive(Debug)]
pub struct Prompt {
    asked: mpsc::Sender<()>,
    typed: mpsc::Receiver<Input>,
    /// A line was asked for and has not come yet.
    is_waiting: bool,
    hold: Arc<Hold>,
}

/// Whether a person sits at stdin and stdout, so that a prompt makes sense.
#[must_use]
pub fn is_attended() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

impl Prompt {
    /// A line editor that shows `prompt`, escaped, and has the lines typed `before` at the arrow keys.
    ///
    /// # Errors
    /// The terminal cannot be set up.
    pub fn edited(prompt: &str, before: &[String]) -> anyhow::Result<Self> {
        let prompt = escape::line(prompt);
        let mut editor = Editor::<(), MemHistory>::with_history(Config::default(), MemHistory::new())?;
        for line in before {
            // Only a line that cannot be remembered is not: nothing is lost with it.
            editor.add_history_entry(line.as_str()).ok();
        }
        let hold = Arc::<Hold>::default();
        let prompt = Shown { text: prompt, hold: Arc::clone(&hold) };
        Ok(Self::reading(Arc::clone(&hold), move || {
            if let Some(interrupted) = end_abandoned(&hold) {
                return interrupted;
            }
            if !hold.take() {
                return Input::End;
            }
            let read = editor.readline(&prompt);
            hold.free();
            match read {
                Ok(line) => {
                    editor.add_history_entry(line.as_str()).ok();
                    Input::Line(line)
                }
                Err(ReadlineError::Interrupted) => Input::Interrupted,
                Err(ReadlineError::Eof) => Input::End,
                Err(error) => Input::Broken(error.to_string()),
            }
        }))
    }

    /// Lines from stdin as they are.
    #[must_use]
    pub fn plain() -> Self {
        Self::reading(Arc::default(), || {
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

    fn reading(hold: Arc<Hold>, mut read: impl FnMut() -> Input + Send + 'static) -> Self {
        let (asked, mut questions) = mpsc::channel(1);
        let (answer, typed) = mpsc::channel(1);
        thread::spawn(
            move || {
                while questions.blocking_recv().is_some() && answer.blocking_send(read()).is_ok() {}
            },
        );
        Self { asked, typed, is_waiting: false, hold }
    }

    /// The next line. Dropping the future loses nothing: the line that was asked for is the next one still.
    pub async fn next(&mut self) -> Input {
        if !self.is_waiting {
            if self.asked.send(()).await.is_err() {
                return Input::End;
            }
            self.is_waiting = true;
        }
        let input = self.typed.recv().await;
        self.is_waiting = false;
        input.unwrap_or(Input::End)
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        if self.is_waiting {
            self.hold.give_up();
            let reading = mem::replace(&mut self.typed, mpsc::channel(1).1);
            abandoned().push((Arc::clone(&self.hold), reading));
        }
    }
}

fn abandoned() -> MutexGuard<'static, Vec<Abandoned>> {
    ABANDONED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until the editors whose lines nobody waits for have read them. What is typed there was not meant for what is asked
/// now, so it counts for nothing, except Ctrl-C. One that was itself abandoned before it began leaves that to the next.
fn end_abandoned(own: &Arc<Hold>) -> Option<Input> {
    let before = {
        let mut abandoned = abandoned();
        if let Some(at) = abandoned.iter().position(|(hold, _)| Arc::ptr_eq(hold, own)) {
            abandoned.remove(at);
            return Some(Input::End);
        }
        mem::take(&mut *abandoned)
    };
    let mut interrupted = None;
    for (_, mut reading) in before {
        if !matches!(reading.try_recv(), Err(mpsc::error::TryRecvError::Empty)) {
            continue;
        }
        let mut out = io::stdout();
        // Where it cannot be shown, Enter is waited for all the same.
        drop(out.write_all(PRESS_ENTER.as_bytes()).and_then(|()| out.flush()));
        interrupted = reading.blocking_recv().filter(|input| *input == Input::Interrupted).or(interrupted);
    }
    interrupted
}

/// What the editor shows. It asks for the text once it has changed the terminal's settings.
struct Shown {
    text: String,
    hold: Arc<Hold>,
}

impl rustyline::Prompt for Shown {
    fn raw(&self) -> &str {
        self.hold.taken();
        &self.text
    }
}
