//! Bodies of one connection: what comes in has a deadline, what goes out is under way until it is handed over.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::standing::{Answering, Standing};

/// A request's body that must be complete in time. Waiting is what starts the clock, so that a body that is already
/// there costs no timer.
pub(super) struct Timely {
    body: Incoming,
    limit: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    standing: Standing,
}

impl Timely {
    /// Gives `body` the time `limit` from when it is first waited for.
    pub(super) const fn new(body: Incoming, limit: Duration, standing: Standing) -> Self {
        Self { body, limit, deadline: None, standing }
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
                this.standing.was_read();
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

/// An answer's body, which holds its [`Answering`].
pub(super) struct Counted<B> {
    body: B,
    _answering: Answering,
}

impl<B> Counted<B> {
    /// `body` as the last part of `answering`, which begins.
    pub(super) fn new(body: B, answering: Answering) -> Self {
        answering.begins();
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
