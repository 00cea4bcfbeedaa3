//! Work that ends although nobody waits for it any more.
//!
//! When a client's connection drops, hyper drops the future that was answering it. A disconnect is no cancellation, so
//! a tool call must not be dropped with it. Spawning every call would cost each of them a task; instead the call runs
//! inside its request, and moves to a task of its own only when the request is dropped before the call is done.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// A future that goes on in a task when it is dropped before its end.
pub(super) struct RunToEnd<T: Send + 'static> {
    rest: Option<BoxFuture<'static, T>>,
    tracker: TaskTracker,
}

impl<T: Send + 'static> RunToEnd<T> {
    /// `work`, which goes on in a task of `tracker` if need be.
    pub(super) fn new(work: BoxFuture<'static, T>, tracker: &TaskTracker) -> Self {
        Self { rest: Some(work), tracker: tracker.clone() }
    }
}

impl<T: Send + 'static> Future for RunToEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(rest) = &mut self.rest else { return Poll::Pending };
        let polled = rest.poll_unpin(context);
        if polled.is_ready() {
            self.rest = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for RunToEnd<T> {
    fn drop(&mut self) {
        if let (Some(rest), Ok(runtime)) = (self.rest.take(), Handle::try_current()) {
            self.tracker.spawn_on(rest, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn work_that_is_dropped_in_the_middle_still_ends() {
        let tracker = TaskTracker::new();
        let (go, gone) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel::<()>();
        let mut work = RunToEnd::new(
            async move {
                gone.await.unwrap();
                done.send(()).unwrap();
            }
            .boxed(),
            &tracker,
        );
        assert!((&mut work).now_or_never().is_none());
        drop(work);
        go.send(()).unwrap();
        is_done.await.unwrap();
        tracker.close();
        tracker.wait().await;
    }

    #[tokio::test]
    async fn work_that_ended_is_not_spawned() {
        let tracker = TaskTracker::new();
        assert_eq!(RunToEnd::new(async { 7 }.boxed(), &tracker).await, 7);
        assert!(tracker.is_empty());
    }
}
