//! What a person sees and types.
//!
//! The rest of the program says what happened as an [`Event`]; this room decides how that looks: rendered for a person,
//! or one JSON line each for a script. It is the only room that writes to stdout and stderr, and it keeps three
//! promises:
//!
//! - nothing from the network reaches the terminal unescaped ([`escape`], [`style::Text`]);
//! - colours only where they are wanted: on a terminal, and never with `NO_COLOR`;
//! - when whoever reads the output goes away, the run is stopped quietly.

pub mod escape;
pub mod event;
pub mod form;
pub mod hold;
mod indent;
pub mod log;
pub mod markdown;
mod narrator;
mod observer;
mod offers;
pub mod prompt;
mod schema;
mod spinner;
pub mod style;
pub mod table;
mod wire;

use std::{
    fmt,
    io::{self, IsTerminal as _, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

pub use event::{CheckStatus, Event};
pub use wire::Wire;

use crate::exit::Exit;
use narrator::Narrator;
use spinner::Spinner;
use style::Text;

/// How the program is to look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// One JSON event a line on stdout, and nothing else there.
    pub json: bool,
    /// The run as a whole is told: model, session, tool calls. Otherwise only results are.
    pub narrated: bool,
    /// Questions are typed at a prompt, where they can be read already.
    pub typed: bool,
    /// The terminal can do nothing but show text (`TERM=dumb`): no spinner.
    pub dumb: bool,
}

/// The screen of one run. All methods may be called at once from anywhere; what is shown together stays together.
pub struct Terminal {
    look: Look,
    spinner: Spinner,
    screen: Mutex<Screen>,
    stop: CancellationToken,
}

struct Screen {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    narrator: Narrator,
    lost: Option<io::Error>,
}

impl Terminal {
    /// The terminal of this process. `stop` is cancelled when stdout can no longer be written to.
    #[must_use]
    pub fn of_process(look: Look, stop: CancellationToken) -> Self {
        let attended = io::stderr().is_terminal() && !look.json && !look.dumb;
        let out: Box<dyn Write + Send> =
            if look.json { Box::new(io::stdout()) } else { Box::new(anstream::stdout()) };
        let narrator = Narrator::new(look, width());
        let screen = Screen { out, err: Box::new(anstream::stderr()), narrator, lost: None };
        Self { look, spinner: Spinner::new(attended), screen: Mutex::new(screen), stop }
    }

    /// Says what happened.
    pub fn show(&self, event: &Event<'_>) {
        let mut screen = self.screen();
        let text = screen.narrator.tell(event);
        let doing = screen.narrator.doing();
        if doing.is_none() {
            self.spinner.stop();
        }
        let written = self.spinner.aside(|| {
            match event {
                Event::Error { .. } | Event::ToolRejected { .. } => screen.write_err(text.as_str()),
                _ if self.look.json => {}
                _ => screen.write_out(text.as_str())?,
            }
            if self.look.json { screen.write_json(event) } else { Ok(()) }
        });
        screen.keep(written, &self.stop);
        if let Some(doing) = doing {
            self.spinner.start(&doing);
        }
    }

    /// Says what happened to scripts alone, where a person was told already.
    pub fn record(&self, event: &Event<'_>) {
        if self.look.json {
            let mut screen = self.screen();
            let written = screen.write_json(event);
            screen.keep(written, &self.stop);
        }
    }

    /// Says on stderr what went wrong and what to do next, and to scripts with which exit code.
    pub fn fail(&self, exit: Exit, message: &str, next: &str) {
        self.show(&Event::Error { exit_code: exit.code(), message, next });
    }

    /// Prints a result as it is, for commands that print nothing else. With `--json` their events say it.
    pub fn print(&self, text: &Text) {
        if self.look.json {
            return;
        }
        let mut screen = self.screen();
        let written = self.spinner.aside(|| screen.write_out(text.as_str()));
        screen.keep(written, &self.stop);
    }

    /// Prints a remark on stderr.
    pub fn remark(&self, text: &Text) {
        let mut screen = self.screen();
        self.spinner.aside(|| screen.write_err(text.as_str()));
    }

    /// Something begins that may take its time. The next [`Terminal::show`] ends it.
    pub fn working(&self, doing: &str) {
        self.spinner.start(doing);
    }

    /// Nothing is going on any more that takes its time.
    pub fn idle(&self) {
        self.spinner.stop();
    }

    /// Says more precisely what is going on, while it goes on.
    pub fn progress(&self, doing: &str) {
        self.spinner.detail(doing);
    }

    /// How the program is to look.
    #[must_use]
    pub const fn look(&self) -> Look {
        self.look
    }

    /// How the run ends when its output can no longer be written: well, if it is only that nobody reads it any more.
    #[must_use]
    pub fn output_lost(&self) -> Option<Exit> {
        let screen = self.screen();
        let lost = screen.lost.as_ref()?;
        Some(if lost.kind() == io::ErrorKind::BrokenPipe { Exit::Answered } else { Exit::Failed })
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.spinner.stop();
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").field("look", &self.look).finish_non_exhaustive()
    }
}

impl Screen {
    fn write_out(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Where nobody reads stderr the run goes on: its results are on stdout.
    fn write_err(&mut self, text: &str) {
        self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush()).ok();
    }

    fn write_json(&mut self, event: &Event<'_>) -> io::Result<()> {
        let line = escape::json(&serde_json::to_string(event)?);
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// Remembers the first failure to write to stdout and stops the run because of it.
    fn keep(&mut self, written: io::Result<()>, stop: &CancellationToken) {
        if let Err(error) = written {
            self.lost.get_or_insert(error);
            stop.cancel();
        }
    }
}

/// How many columns stdout has, if it is a terminal.
fn width() -> Option<u16> {
    #[cfg(unix)]
    let size = terminal_size::terminal_size_of(io::stdout());
    #[cfg(not(unix))]
    let size = io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    size.map(|(width, _)| width.0)
}
