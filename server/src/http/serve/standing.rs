//! How it stands between a connection and its peer: what the bodies know of it, and what the stream and the end go by.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// How it stands with the requests of one connection and their answers. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// How many answers are under way.
    answers: AtomicUsize,
    /// The last piece of an answer was handed to the connection, which may not have sent it yet.
    unsent: AtomicBool,
    /// There is more of the body of the request than was read.
    unread: AtomicBool,
}

impl Standing {
    /// A request, and whether it has a body. Its answer is under way until the guard is dropped.
    pub(super) fn begin(&self, has_body: bool) -> Answering {
        self.0.unread.store(has_body, Ordering::Release);
        self.0.answers.fetch_add(1, Ordering::AcqRel);
        Answering(self.clone())
    }

    /// The body was read to its end.
    pub(super) fn was_read(&self) {
        self.0.unread.store(false, Ordering::Release);
    }

    /// Whether there is more of the body of the request than was read.
    pub(super) fn is_unread(&self) -> bool {
        self.0.unread.load(Ordering::Acquire)
    }

    /// Everything that was handed to the connection is sent.
    pub(super) fn was_sent(&self) {
        self.0.unsent.store(false, Ordering::Release);
    }

    /// Whether every request is answered, and every answer sent.
    pub(super) fn is_done(&self) -> bool {
        self.0.answers.load(Ordering::Acquire) == 0 && !self.0.unsent.load(Ordering::Acquire)
    }
}

/// One answer: begins with the request's headers and ends when the last piece of it was handed to the connection.
#[derive(Debug)]
pub(super) struct Answering(Standing);

impl Drop for Answering {
    fn drop(&mut self) {
        let Standing(state) = &self.0;
        state.unsent.store(true, Ordering::Release);
        state.answers.fetch_sub(1, Ordering::AcqRel);
    }
}
