//! Bodies of one connection: what comes in has a deadline, what goes out is counted until it is gone.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

/// A request's body that must be complete in time. Waiting is what starts the clock, so that a body that is already
/// there costs no timer.
pub(super) struct Timely {
    body: Incoming,
    limit: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    unread: Unread,
}

/// Whether there is more of the body of a connection's request than was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Unread(Arc<AtomicBool>);

impl Unread {
    pub(super) fn any(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, any: bool) {
        self.0.store(any, Ordering::Release);
    }
}

impl Timely {
    /// Gives `body` the time `limit` from when it is first waited for; `unread` says from now on how it stands with this
    /// one.
    pub(super) fn new(body: Incoming, limit: Duration, unread: Unread) -> Self {
        unread.set(!body.is_end_stream());
        Self { body, limit, deadline: None, unread }
    }
}

impl Body for Timely {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            if frame.is_none() {
                this.unread.set(false);
            }
            return Poll::Ready(frame.map(|read| read.map_err(Into::into)));
        }
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(this.limit)));
        ready!(deadline.as_mut().poll(context));
        let error = io::Error::new(io::ErrorKind::TimedOut, "the request's body did not arrive in time");
        Poll::Ready(Some(Err(error.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How many answers of one connection are under way.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers(Arc<AtomicUsize>);

impl Answers {
    /// One more, until the guard is dropped.
    pub(super) fn begin(&self) -> Answering {
        self.0.fetch_add(1, Ordering::AcqRel);
        Answering(Arc::clone(&self.0))
    }

    /// Whether there is none.
    pub(super) fn are_done(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

/// One answer: begins with the request's headers and ends when the last piece of it was handed to the connection.
#[derive(Debug)]
pub(super) struct Answering(Arc<AtomicUsize>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An answer's body, which holds its [`Answering`].
pub(super) struct Counted<B> {
    body: B,
    _answering: Answering,
}

impl<B> Counted<B> {
    /// `body` as the last part of `answering`.
    pub(super) fn new(body: B, answering: Answering) -> Self {
        Self { body, _answering: answering }
    }
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
