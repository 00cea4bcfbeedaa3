//! What goes to a client before the answer to its request: progress, log messages, and questions.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;

/// How many messages may wait; what is beyond may be left out by whoever sends.
const WAITING_MAX: usize = 64;

/// One step before the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send this message.
    Message(Vec<u8>),
    /// End the connection; the client comes back after so long and goes on where it was.
    LetGo(Duration),
}

/// Steps on their way out, in order. Costs nothing until the first one.
pub(super) struct Outbox(Mutex<Waiting>);

struct Waiting {
    steps: VecDeque<Step>,
    reader: Option<Waker>,
    open: bool,
    abandoned: bool,
}

impl Outbox {
    /// One whose messages are sent.
    pub(super) const fn open() -> Self {
        Self::new(true)
    }

    /// One that has no way out: what is put in is dropped.
    pub(super) const fn shut() -> Self {
        Self::new(false)
    }

    const fn new(open: bool) -> Self {
        Self(Mutex::new(Waiting { steps: VecDeque::new(), reader: None, open, abandoned: false }))
    }

    /// Whether what is put in can arrive.
    pub(super) fn is_open(&self) -> bool {
        self.0.lock().open
    }

    /// Whoever was to read it went away, and nobody comes back for it.
    pub(super) fn abandon(&self) {
        self.0.lock().abandoned = true;
    }

    /// Whether nobody reads what is put in, and nobody will.
    pub(super) fn is_abandoned(&self) -> bool {
        self.0.lock().abandoned
    }

    /// Sends a message that nobody waits for; left out when many are waiting already.
    pub(super) fn tell(&self, message: impl FnOnce() -> Vec<u8>) {
        let has_room = {
            let waiting = self.0.lock();
            waiting.open && waiting.steps.len() < WAITING_MAX
        };
        if has_room {
            self.send(Step::Message(message()));
        }
    }

    /// Takes a step.
    pub(super) fn send(&self, step: Step) {
        let mut waiting = self.0.lock();
        if waiting.open {
            waiting.steps.push_back(step);
            if let Some(reader) = waiting.reader.take() {
                reader.wake();
            }
        }
    }

    /// The next step.
    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Step> {
        let mut waiting = self.0.lock();
        if let Some(step) = waiting.steps.pop_front() {
            return Poll::Ready(step);
        }
        if !waiting.reader.as_ref().is_some_and(|reader| reader.will_wake(context.waker())) {
            waiting.reader = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

/// What comes next of a request's steps and its answer.
pub(super) enum Next<T> {
    Step(Step),
    Answer(T),
}

/// Work and the steps that it takes on its way. Going on with it needs no task and no channel.
pub(super) struct Progressing<W: Future> {
    work: W,
    /// The answer, while steps that were taken before it are still to be handed out.
    answer: Option<W::Output>,
}

impl<W: Future + Unpin> Progressing<W> {
    pub(super) const fn new(work: W) -> Self {
        Self { work, answer: None }
    }

    /// The next step, or when there is none any more, the answer. Not to be called again after that.
    pub(super) async fn next(&mut self, outbox: &Outbox) -> Next<W::Output> {
        poll_fn(|context| {
            if self.answer.is_none()
                && let Poll::Ready(answer) = Pin::new(&mut self.work).poll(context)
            {
                self.answer = Some(answer);
            }
            match (outbox.poll_next(context), self.answer.is_some()) {
                (Poll::Ready(step), _) => Poll::Ready(Next::Step(step)),
                (Poll::Pending, true) => {
                    self.answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Next::Answer(answer)))
                }
                (Poll::Pending, false) => Poll::Pending,
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_come_out_in_order_and_many_of_them_are_left_out() {
        let outbox = Outbox::open();
        for number in 0..100u8 {
            outbox.tell(|| vec![number]);
        }
        outbox.send(Step::Message(vec![200]));
        for expected in (0..64).chain([200]) {
            let step = poll_fn(|context| outbox.poll_next(context)).await;
            assert_eq!(step, Step::Message(vec![expected]));
        }
        assert!(
            futures_util::FutureExt::now_or_never(poll_fn(|context| outbox.poll_next(context))).is_none()
        );
    }

    #[tokio::test]
    async fn a_message_wakes_whoever_waits_for_it() {
        let outbox = Outbox::open();
        let first = poll_fn(|context| outbox.poll_next(context));
        let (message, ()) = tokio::join!(first, async { outbox.tell(|| b"late".to_vec()) });
        assert_eq!(message, Step::Message(b"late".to_vec()));
    }

    #[test]
    fn nothing_enters_what_has_no_way_out() {
        let outbox = Outbox::shut();
        outbox.send(Step::LetGo(Duration::ZERO));
        outbox.tell(|| unreachable!("it is not even written"));
        assert!(outbox.0.lock().steps.is_empty() && !outbox.is_open());
    }

    #[tokio::test]
    async fn steps_taken_with_the_answer_come_before_it() {
        let outbox = Outbox::open();
        let mut work = Progressing::new(Box::pin(async {
            outbox.tell(|| vec![1]);
            outbox.tell(|| vec![2]);
            "done"
        }));
        for expected in [1, 2] {
            assert!(
                matches!(work.next(&outbox).await, Next::Step(Step::Message(message)) if message == [expected])
            );
        }
        assert!(matches!(work.next(&outbox).await, Next::Answer("done")));
    }
}
