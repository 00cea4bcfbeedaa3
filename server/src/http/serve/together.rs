//! Answers that are ready at the same time are sent together.
//!
//! To send is a system call, and wakes whoever waits at the other end. Sent one by one, each answer takes the kernel's code
//! and the peer's waking in between two requests. So a connection lets those that can go on go on first: what is ready by then
//! is sent one after the other, and a server that has nothing else to do sends at once.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
};

/// A connection that sends after those that could go on have done so.
pub(super) struct Together<S> {
    stream: S,
    /// The others have had their turn.
    is_due: bool,
}

impl<S> Together<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, is_due: false }
    }

    /// Lets the others have their turn, once for what is sent next. The runtime wakes a task that yields when it has looked
    /// for what came in and nothing else can go on, or after some sixty others.
    fn turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.is_due {
            self.is_due = true;
            ready!(pin!(yield_now()).poll(context));
        }
        self.is_due = false;
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Together<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Together<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.turn(context));
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.turn(context));
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tokio::{io::AsyncWriteExt as _, spawn};

    use super::*;

    type Log = Arc<Mutex<Vec<&'static str>>>;

    /// Says when it is written to.
    struct Logged(Log);

    impl AsyncWrite for Logged {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.0.lock().push("sent");
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn all_that_can_go_on_do_so_before_any_of_them_sends() {
        let log = Log::default();
        let answering = [(); 3].map(|()| {
            let log = Arc::clone(&log);
            spawn(async move {
                let mut connection = Together::new(Logged(Arc::clone(&log)));
                for _ in 0..2 {
                    log.lock().push("ready");
                    connection.write_all(b"an answer").await.unwrap();
                }
            })
        });
        for answering in answering {
            answering.await.unwrap();
        }
        let [ready, sent] = ["ready", "sent"];
        // Whoever has sent its first is ready with its second at once, which waits its turn again.
        let second = [sent, ready, sent, ready, sent, ready];
        assert_eq!(*log.lock(), [[ready; 3].as_slice(), &second, &[sent; 3]].concat());
    }
}
