//! Ending a connection so that its last answer arrives, and ending one whose peer takes no answer.
//!
//! A request may be refused before its body was read. Closing the socket then would make the kernel answer the rest of
//! that body with a reset, and a reset throws away what the peer has not read yet: the refusal. So the sending side is
//! closed first, and what still comes is discarded for a moment.
//!
//! A peer that reads nothing keeps an answer in memory, and the connection with it: it is given up after a while.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::standing::Standing;

/// How long a peer may go on sending after its answer is complete.
const LINGER: Duration = Duration::from_secs(1);

/// How long a peer may take nothing of an answer. The kernel says that there is room again when a third of what it keeps is
/// gone, which may be a megabyte: this is some 10 KB a second.
const TAKES_NOTHING: Duration = Duration::from_secs(120);

/// How much of what it sends then is discarded, in bytes.
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// A connection that lingers when it is shut down.
pub(super) struct Lingering<S> {
    stream: S,
    end: Option<End>,
    /// Until when the peer has to take something, where it takes nothing at the moment.
    stalled: Option<Pin<Box<Sleep>>>,
    standing: Standing,
}

/// The sending side is closed.
struct End {
    deadline: Pin<Box<Sleep>>,
    discarded: usize,
}

impl<S> Lingering<S> {
    pub(super) const fn new(stream: S, standing: Standing) -> Self {
        Self { stream, end: None, stalled: None, standing }
    }
}

impl<S> Lingering<S> {
    /// What writing came to; an error where nothing could be written for too long.
    fn in_time<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let deadline = self.stalled.get_or_insert_with(|| Box::pin(sleep(TAKES_NOTHING)));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.in_time(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            // The connection asks for this once it has written everything.
            self.standing.was_sent();
        }
        self.in_time(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.end.is_none() {
            let shut_down = Pin::new(&mut this.stream).poll_shutdown(context);
            ready!(this.in_time(shut_down, context))?;
        }
        let end = this.end.get_or_insert_with(|| End { deadline: Box::pin(sleep(LINGER)), discarded: 0 });
        let mut scratch = [0; 8 * 1024];
        while end.discarded < LINGER_BYTES {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut this.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    end.discarded = end.discarded.saturating_add(buffer.filled().len());
                }
                // The peer has closed its side as well, or is gone.
                Poll::Ready(Ok(()) | Err(_)) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    ready!(end.deadline.as_mut().poll(context));
                    return Poll::Ready(Ok(()));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
