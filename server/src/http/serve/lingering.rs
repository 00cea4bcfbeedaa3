//! Ending a connection so that its last answer arrives, and ending one whose peer takes no answer.
//!
//! A request may be refused before its body was read. Closing the socket then would make the kernel answer the rest of
//! that body with a reset, and a reset throws away what the peer has not read yet: the refusal. So the sending side is
//! closed first, and what still comes is discarded for a moment.
//!
//! A peer may also close its own side behind its last request. To the connection that is the end of everything, and a peer
//! that is gone looks the same; so it is kept back for as long as a request is read and its answer made, where that is not for
//! long, and until the answer is sent.
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

/// How long an answer may take to begin for a peer that has closed its side, until the peer counts as gone.
const CLOSED_BEFORE: Duration = Duration::from_millis(250);

/// How much of what it sends then is discarded, in bytes.
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// A connection that lingers when it is shut down.
pub(super) struct Lingering<S> {
    stream: S,
    end: Option<End>,
    /// Until when the peer has to take something, where it takes nothing at the moment.
    stalled: Option<Pin<Box<Sleep>>>,
    /// When the peer counts as gone, where it has closed its side before its answer was made.
    gone: Option<Pin<Box<Sleep>>>,
    standing: Standing,
}

/// The sending side is closed.
struct End {
    deadline: Pin<Box<Sleep>>,
    discarded: usize,
}

impl<S> Lingering<S> {
    pub(super) const fn new(stream: S, standing: Standing) -> Self {
        Self { stream, end: None, stalled: None, gone: None, standing }
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

    /// When the connection may know that the peer has closed its side.
    fn may_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let is_unsent = self.standing.is_unsent();
        if !is_unsent && !self.standing.is_at_work() {
            return Poll::Ready(());
        }
        let gone = self.gone.get_or_insert_with(|| Box::pin(sleep(CLOSED_BEFORE)));
        if is_unsent { Poll::Pending } else { gone.as_mut().poll(context) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() == before && buffer.remaining() > 0 {
            ready!(self.may_end(context));
        }
        Poll::Ready(Ok(()))
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
        // The connection asks for this once it has written everything. What was kept back until then may be known now.
        if flushed.is_ready() && self.standing.was_sent() && self.gone.is_some() {
            context.waker().wake_by_ref();
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        time::Instant,
    };

    use super::*;

    /// A connection whose peer closes its side behind its request.
    async fn half_closed() -> (Lingering<DuplexStream>, Standing, DuplexStream) {
        let (here, mut there) = duplex(8);
        let standing = Standing::default();
        there.shutdown().await.unwrap();
        (Lingering::new(here, standing.clone()), standing, there)
    }

    #[tokio::test]
    async fn a_peer_that_closes_its_side_has_done_so_once_its_answer_is_sent() {
        let (mut connection, standing, mut there) = half_closed().await;
        let answering = standing.begin(false);
        assert_eq!(connection.read_u8().now_or_never().map(|read| read.is_ok()), None);
        answering.begins();
        drop(answering);
        assert_eq!(connection.read_u8().now_or_never().map(|read| read.is_ok()), None);
        connection.write_all(b"answer").await.unwrap();
        connection.flush().await.unwrap();
        assert_eq!(connection.read_u8().now_or_never().map(|read| read.is_ok()), Some(false));
        let mut answer = [0; 6];
        there.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_closes_its_side_counts_as_gone_when_its_answer_takes_long_or_goes_on() {
        let (mut connection, standing, _there) = half_closed().await;
        let (began, answering) = (Instant::now(), standing.begin(false));
        assert!(connection.read_u8().await.is_err());
        assert_eq!(began.elapsed().as_millis(), CLOSED_BEFORE.as_millis());

        let (mut connection, standing, _there) = half_closed().await;
        let stream = standing.begin(false);
        stream.begins();
        assert!(connection.read_u8().now_or_never().unwrap().is_err());
        drop((answering, stream));
    }
}
