//! Who has the keyboard: the prompt of `chat`, or a question of a server. Two that read at once would share the keys.

use tokio::sync::{Mutex, MutexGuard, watch};

/// The keyboard, for one at a time.
#[derive(Debug, Default)]
pub struct Floor {
    turn: Mutex<()>,
    /// How many questions wait for it.
    questions: watch::Sender<usize>,
}

/// The keyboard, for as long as this lives.
#[derive(Debug)]
pub(super) struct Turn<'a>(#[expect(dead_code, reason = "it is held and not looked at")] MutexGuard<'a, ()>);

/// A question waits for as long as this lives.
struct Waiting<'a>(&'a Floor);

impl Floor {
    /// For the prompt of `chat`, which gives it up where it is [wanted](Floor::wanted).
    pub(super) async fn take(&self) -> Turn<'_> {
        Turn(self.turn.lock().await)
    }

    /// For a question: whoever has it is told.
    pub(super) async fn take_for_question(&self) -> Turn<'_> {
        let _waiting = Waiting::begin(self);
        self.take().await
    }

    /// Whether a question waits for it.
    pub(super) fn is_wanted(&self) -> bool {
        *self.questions.borrow() > 0
    }

    /// Returns when a question waits for it.
    pub(super) async fn wanted(&self) {
        // The sender lives as long as this does.
        self.questions.subscribe().wait_for(|waiting| *waiting > 0).await.ok();
    }
}

impl<'a> Waiting<'a> {
    fn begin(floor: &'a Floor) -> Self {
        floor.questions.send_modify(|waiting| *waiting = waiting.saturating_add(1));
        Self(floor)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.questions.send_modify(|waiting| *waiting = waiting.saturating_sub(1));
    }
}
