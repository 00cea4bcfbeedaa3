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
    /// A request has begun, and its answer has not.
    at_work: AtomicBool,
    /// The last piece of an answer was handed to the connection, which may not have sent it yet.
    unsent: AtomicBool,
    /// There is more of the body of the request than was read.
    unread: AtomicBool,
}

impl Standing {
    /// A request, and whether it has a body. Its answer is under way until the guard is dropped.
    pub(super) fn begin(&self, has_body: bool) -> Answering {
        self.0.unread.store(has_body, Ordering::Release);
        self.0.at_work.store(true, Ordering::Release);
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

    /// Whether a request has begun whose answer has not.
    pub(super) fn is_at_work(&self) -> bool {
        self.0.at_work.load(Ordering::Acquire)
    }

    /// Everything that was handed to the connection is sent; whether that is the end of an answer.
    pub(super) fn was_sent(&self) -> bool {
        self.0.unsent.swap(false, Ordering::AcqRel)
    }

    /// Whether the end of an answer has yet to be sent.
    pub(super) fn is_unsent(&self) -> bool {
        self.0.unsent.load(Ordering::Acquire)
    }

    /// Whether every request is answered, and every answer sent.
    pub(super) fn is_done(&self) -> bool {
        self.0.answers.load(Ordering::Acquire) == 0 && !self.is_unsent()
    }
}

/// One answer: begins with the request's headers and ends when the last piece of it was handed to the connection.
#[derive(Debug)]
pub(super) struct Answering(Standing);

impl Answering {
    /// The answer begins: what is yet to come of it may take any time.
    pub(super) fn begins(&self) {
        self.0.0.at_work.store(false, Ordering::Release);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let Standing(state) = &self.0;
        state.unsent.store(true, Ordering::Release);
        state.answers.fetch_sub(1, Ordering::AcqRel);
    }
}
