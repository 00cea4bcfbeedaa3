//! Ctrl-C: ends the call that is running, else the run; and the program at once when it is pressed again. SIGTERM ends the
//! program at once.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio_util::sync::CancellationToken;

use crate::{exit::Exit, terminal::hold};

/// What a shell says of a program that SIGTERM ended: 128 and the number of the signal.
#[cfg(unix)]
const TERMINATED: i32 = 143;

/// What Ctrl-C ends.
#[derive(Debug, Default)]
pub struct Interrupts {
    stop: CancellationToken,
    call: Mutex<Option<CancellationToken>>,
    questions_ended: AtomicBool,
}

/// A call that Ctrl-C ends without ending the run, for as long as this lives.
#[derive(Debug)]
pub(super) struct OwnCall<'a> {
    interrupts: &'a Interrupts,
    token: CancellationToken,
}

impl Interrupts {
    /// Listens to Ctrl-C and SIGTERM of this process from now on. Must be called within the runtime.
    #[must_use]
    pub fn of_process() -> Arc<Self> {
        let interrupts = Arc::new(Self::default());
        let pressed = Arc::clone(&interrupts);
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if !pressed.interrupt() {
                    exit_at_once(i32::from(Exit::Interrupted.code()));
                }
            }
        });
        #[cfg(unix)]
        tokio::spawn(async {
            use tokio::signal::unix::{SignalKind, signal};
            // Where it cannot be listened to, the system ends the program by itself.
            if let Ok(mut terminated) = signal(SignalKind::terminate()) {
                terminated.recv().await;
                exit_at_once(TERMINATED);
            }
        });
        interrupts
    }

    /// Cancelled when the run is to end.
    #[must_use]
    pub const fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Begins a call that Ctrl-C ends alone.
    pub(super) fn own_call(&self) -> OwnCall<'_> {
        let token = self.stop.child_token();
        *self.call.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        OwnCall { interrupts: self, token }
    }

    /// A tool call begins: its server may ask.
    pub(super) fn tool_call_begins(&self) {
        self.questions_ended.store(false, Ordering::Release);
    }

    /// Ctrl-C was pressed at a question of a server: nothing more is asked for the tool call that it belongs to.
    pub(super) fn end_questions(&self) {
        self.questions_ended.store(true, Ordering::Release);
    }

    /// Whether a server may ask.
    pub(super) fn may_ask(&self) -> bool {
        !self.questions_ended.load(Ordering::Acquire)
    }

    /// Ends what is to be ended first; `false` when everything was told to end already.
    fn interrupt(&self) -> bool {
        let call = self.call.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match call {
            Some(call) if !call.is_cancelled() => call.cancel(),
            _ if !self.stop.is_cancelled() => self.stop.cancel(),
            _ => return false,
        }
        true
    }
}

/// Ends the program and leaves the terminal as it was found.
fn exit_at_once(code: i32) -> ! {
    hold::give_back();
    std::process::exit(code)
}

impl OwnCall<'_> {
    /// Cancelled when the call is to end.
    pub(super) const fn token(&self) -> &CancellationToken {
        &self.token
    }
}

impl Drop for OwnCall<'_> {
    fn drop(&mut self) {
        *self.interrupts.call.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_interrupt_ends_the_call_and_the_next_one_the_run() {
        let interrupts = Interrupts::default();
        let call = interrupts.own_call();
        assert!(interrupts.interrupt());
        assert!(call.token().is_cancelled() && !interrupts.stop().is_cancelled());
        assert!(interrupts.interrupt());
        assert!(interrupts.stop().is_cancelled());
        assert!(!interrupts.interrupt());
    }

    #[test]
    fn without_a_call_of_its_own_an_interrupt_ends_the_run() {
        let interrupts = Interrupts::default();
        drop(interrupts.own_call());
        assert!(interrupts.interrupt());
        assert!(interrupts.stop().is_cancelled());
    }

    #[test]
    fn questions_end_for_one_tool_call() {
        let interrupts = Interrupts::default();
        assert!(interrupts.may_ask());
        interrupts.end_questions();
        assert!(!interrupts.may_ask());
        interrupts.tool_call_begins();
        assert!(interrupts.may_ask());
    }
}
