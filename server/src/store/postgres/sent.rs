//! What was sent and is not waited for.
//!
//! PostgreSQL takes what it is sent one after the other. Where one of them fails, it refuses those that follow, and what
//! it is told to commit it undoes. So nobody has to wait for the outcome of a write before the next statement is on its
//! way: it is enough to look at all outcomes before the work is said to be done.

use std::{
    future::poll_fn,
    pin::pin,
    task::{Context, Poll},
};

use futures_util::future::{BoxFuture, FutureExt as _};

use super::failure::Failure;

/// The statements of one transaction that are on their way.
#[derive(Default)]
pub(super) struct Sent<'a> {
    unanswered: Vec<BoxFuture<'a, Result<(), Failure>>>,
    /// What went wrong first among those that were answered.
    failure: Option<Failure>,
}

impl<'a> Sent<'a> {
    /// Sends a statement, which `asking` has to do when it is polled first.
    pub(super) async fn send(&mut self, asking: impl Future<Output = Result<(), Failure>> + Send + 'a) {
        self.unanswered.push(asking.boxed());
        poll_fn(|context| {
            self.poll(context);
            Poll::Ready(())
        })
        .await;
    }

    /// What `step` comes to. Answers to what was sent before it are taken meanwhile: one that nobody takes would keep the
    /// connection from reading on. Where something before it went wrong, that is what is returned: the step cannot have
    /// come to anything.
    pub(super) async fn beside<T>(
        &mut self,
        step: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut step = pin!(step);
        let done = poll_fn(|context| {
            self.poll(context);
            step.as_mut().poll(context)
        })
        .await;
        match done {
            Ok(output) => Ok(output),
            Err(failure) => Err(self.answered().await.err().unwrap_or(failure)),
        }
    }

    /// Waits until all is answered; returns what went wrong first.
    pub(super) async fn answered(&mut self) -> Result<(), Failure> {
        poll_fn(|context| {
            self.poll(context);
            if self.unanswered.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Takes the answers that are there, in the order of the questions.
    fn poll(&mut self, context: &mut Context<'_>) {
        let Self { unanswered, failure } = self;
        unanswered.retain_mut(|asking| match asking.poll_unpin(context) {
            Poll::Pending => true,
            Poll::Ready(outcome) => {
                if let Err(wrong) = outcome {
                    failure.get_or_insert(wrong);
                }
                false
            }
        });
    }
}
