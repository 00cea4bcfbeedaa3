//! What a line editor takes from the terminal, and how it is given back when nobody waits for the line any more.
//!
//! An editor changes the terminal's settings (no echo, no Ctrl-C) and puts them back when it has read its line. A read
//! cannot be taken back, though: whoever drops a question that was not answered, and whoever ends the program, puts them
//! back in the editor's place.

use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use self::system::Settings;

/// How long to wait for an editor that is just changing the settings, which is a matter of microseconds.
const SET_WITHIN: Duration = Duration::from_millis(500);

/// Every editor of this process, and whether the program has ended.
static HOLDS: Mutex<Holds> = Mutex::new(Holds { held: Vec::new(), ended: false });

struct Holds {
    held: Vec<Weak<Hold>>,
    ended: bool,
}

/// One editor's hold on the terminal.
#[derive(Debug, Default)]
pub(super) struct Hold {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Free,
    /// The editor is about to change the settings, which were these.
    Taking(Option<Settings>),
    /// It has changed them.
    Taken(Option<Settings>),
    /// Nobody waits for a line any more.
    GivenUp,
}

impl Hold {
    /// Before the editor begins. `false`: nobody waits for the line any more, so it must not begin.
    pub(super) fn take(self: &Arc<Self>) -> bool {
        let mut holds = holds();
        let mut state = self.state();
        if holds.ended || matches!(*state, State::GivenUp) {
            return false;
        }
        holds.held.retain(|hold| hold.strong_count() > 0 && !hold.ptr_eq(&Arc::downgrade(self)));
        holds.held.push(Arc::downgrade(self));
        *state = State::Taking(system::settings());
        true
    }

    /// Once the editor has changed the settings.
    pub(super) fn taken(&self) {
        self.change(|state| match state {
            State::Taking(found) => State::Taken(found),
            State::Free | State::Taken(_) | State::GivenUp => state,
        });
    }

    /// Once the editor has ended and has put the settings back itself.
    pub(super) fn free(&self) {
        self.change(|state| match state {
            State::Free | State::Taking(_) | State::Taken(_) => State::Free,
            State::GivenUp => state,
        });
    }

    /// Puts the settings back in the place of the editor, which goes on reading or never begins.
    pub(super) fn give_up(&self) {
        let taking = |state: &mut State| matches!(state, State::Taking(_));
        let waited = self.changed.wait_timeout_while(self.state(), SET_WITHIN, taking);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match mem::replace(&mut *state, State::GivenUp) {
            State::Taking(Some(found)) | State::Taken(Some(found)) => system::put_back(&found),
            State::Taking(None) | State::Taken(None) | State::Free | State::GivenUp => {}
        }
    }

    fn change(&self, change: impl FnOnce(State) -> State) {
        let mut state = self.state();
        *state = change(mem::take(&mut *state));
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives back whatever an editor still holds; from now on none begins. For the end of the program.
pub fn give_back() {
    let held = {
        let mut holds = holds();
        holds.ended = true;
        mem::take(&mut holds.held)
    };
    // The one that began last found what the one before it had set.
    held.iter().rev().filter_map(Weak::upgrade).for_each(|hold| hold.give_up());
}

/// Nobody reads what was typed up to now. For a question that must not be answered by what was typed before it.
pub(crate) fn forget_typed() {
    system::forget_typed();
}

fn holds() -> MutexGuard<'static, Holds> {
    HOLDS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
mod system {
    use std::io;

    use rustix::{process, termios};

    pub(super) type Settings = termios::Termios;

    /// The settings as they are; `None` where there is no terminal.
    pub(super) fn settings() -> Option<Settings> {
        termios::tcgetattr(io::stdin()).ok()
    }

    pub(super) fn put_back(settings: &Settings) {
        if is_in_background() {
            return;
        }
        // A terminal that has gone away needs nothing any more.
        termios::tcsetattr(io::stdin(), termios::OptionalActions::Now, settings).ok();
    }

    pub(super) fn forget_typed() {
        if !is_in_background() {
            // Where there is no terminal, nothing was typed.
            termios::tcflush(io::stdin(), termios::QueueSelector::IFlush).ok();
        }
    }

    /// Whether the terminal belongs to somebody else: the system stops whoever changes it then.
    fn is_in_background() -> bool {
        termios::tcgetpgrp(io::stdin()).is_ok_and(|foreground| foreground != process::getpgrp())
    }
}

#[cfg(not(unix))]
mod system {
    /// Here the system gives every program settings of its own.
    #[derive(Debug)]
    pub(super) struct Settings;

    pub(super) const fn settings() -> Option<Settings> {
        None
    }

    pub(super) const fn put_back(_: &Settings) {}

    pub(super) const fn forget_typed() {}
}
