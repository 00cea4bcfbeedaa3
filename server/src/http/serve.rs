//! Connections: accepted, bounded, and ended in time.
//!
//! `axum::serve` sets no limit on a connection, so the loop is ours, over hyper's HTTP/1. It holds four promises that
//! the routes rely on. A peer that is slow to send its headers or its body is cut. An answer that is the last on its
//! connection, because the request was refused before its body had come, says so, that the next request is sent on another
//! (RFC 9112, 9.6). Running out of file descriptors is survived. And a shutdown ends: a connection without a request gets a
//! moment to flush, one with a request gets the drain time, and none gets more.

use std::{convert::Infallible, io, net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::yield_now,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Routes,
    peer::Peer,
    tls::{self, Tls},
};
use crate::{
    audit::{Refusals, RefusedRequest, Sender},
    store::Outcome,
};

use self::{
    body::{Counted, Timely},
    lingering::Lingering,
    standing::Standing,
    together::Together,
};

mod body;
mod lingering;
mod standing;
mod together;

/// What one connection may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeLimits {
    /// From when a request could begin until its headers are complete; so also how long a connection may be idle.
    pub header_read: Duration,
    /// From when a request's body is first waited for until it is complete.
    pub body_read: Duration,
    /// Request line and headers together, in bytes; more is answered with 431. There may be 100 headers: hyper's own
    /// bound, which costs no allocation.
    pub header_bytes: usize,
    /// What is buffered of one connection, in bytes; at least 8,192.
    pub buffer_bytes: usize,
    /// After the stop, for a connection that answers no request.
    pub flush: Duration,
    /// After the stop, for a connection that still answers one.
    pub drain: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(10),
            body_read: Duration::from_secs(30),
            header_bytes: 32 * 1024,
            buffer_bytes: 64 * 1024,
            flush: Duration::from_millis(250),
            drain: Duration::from_secs(6),
        }
    }
}

/// How long accepting pauses when the machine has no file descriptor or memory left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How connections are served.
#[derive(Debug, Clone)]
pub struct Serving {
    /// What each may take.
    pub limits: ServeLimits,
    /// TLS, where it ends here.
    pub tls: Option<Tls>,
    /// Where it is noted who did not get as far as a request.
    pub refusals: Refusals,
}

/// Serves `routes` on `listener` until `stop`; returns when the last connection has ended, which takes no longer than
/// `limits.drain` from then.
pub async fn serve(listener: TcpListener, routes: Routes, serving: Serving, stop: CancellationToken) {
    let limits = serving.limits;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.buffer_bytes);
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                let (http, routes) = (http.clone(), routes.clone());
                let address = peer.ip().to_canonical();
                let connection =
                    Connection { http, routes, serving: serving.clone(), address, stop: stop.clone() };
                connections.spawn(connection.begin(stream));
            }
            Err(error) if concerns_one_connection(&error) => {
                tracing::debug!(%error, "a connection ended before it was accepted");
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// One accepted connection, and what it needs.
struct Connection {
    http: http1::Builder,
    routes: Routes,
    serving: Serving,
    address: IpAddr,
    stop: CancellationToken,
}

impl Connection {
    /// Begins with TLS where it ends here.
    async fn begin(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended at once");
            return;
        }
        let Some(tls) = &self.serving.tls else { return self.run(stream, None).await };
        let deadline = Instant::now() + self.serving.limits.header_read;
        let heard = self.stop.run_until_cancelled(timeout_at(deadline, stream.peek(&mut [0]))).await;
        // One that sends nothing is only idle.
        let Some(Ok(Ok(1..))) = heard else { return };
        let shaking = timeout_at(deadline, tls.acceptor().accept(stream));
        match self.stop.run_until_cancelled(shaking).await {
            None => {}
            Some(Err(_)) => self.note("connection: too slow"),
            Some(Ok(Err(error))) => {
                tracing::debug!(%error, "a TLS handshake failed");
                if let Some(rule) = tls::rule_of(&error) {
                    self.note(rule);
                }
            }
            Some(Ok(Ok(stream))) => {
                let certificates = stream.get_ref().1.peer_certificates();
                let certificate = certificates.and_then(<[_]>::first).map(|der| Arc::from(der.as_ref()));
                self.run(stream, certificate).await;
            }
        }
    }

    /// Answers requests until the peer goes, breaks the rules, or the stop's time is over.
    async fn run<S>(self, stream: S, certificate: Option<Arc<[u8]>>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = self.serving.limits;
        let peer = Peer { address: self.address, certificate };
        let standing = Standing::default();
        let (peer, routes) = (&peer, &self.routes);
        let service = service_fn(|request: http::Request<Incoming>| {
            let answering = standing.begin(!request.body().is_end_stream());
            let timely = |body| Timely::new(body, limits.body_read, standing.clone());
            let (request, standing) = (request.map(timely), standing.clone());
            async move {
                let response = routes.answer(peer, request).await;
                if standing.is_unread() {
                    // The connection looks whether the rest has come. Where it has not, there is no telling where the next
                    // request begins, and the head of the answer says that it ends with that.
                    yield_now().await;
                }
                Ok::<_, Infallible>(response.map(|body| Counted::new(body, answering)))
            }
        });
        let stream = TokioIo::new(Together::new(Lingering::new(stream, standing.clone())));
        let mut connection = self.http.serve_connection(stream, service);
        let mut ended = self.stop.run_until_cancelled(&mut connection).await;
        if ended.is_none() {
            Pin::new(&mut connection).graceful_shutdown();
            ended = timeout(limits.flush, &mut connection).await.ok();
        }
        if ended.is_none() && !standing.is_done() {
            let rest = limits.drain.saturating_sub(limits.flush);
            ended = timeout(rest, &mut connection).await.ok();
        }
        match ended {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::debug!(%error, "a connection ended with an error");
                // One that has begun no request was only idle; an empty line before it does not begin it.
                if error.is_timeout() && !connection.into_parts().read_buf.trim_ascii().is_empty() {
                    self.note("connection: too slow");
                }
            }
            None => tracing::debug!("a connection was cut by the shutdown"),
        }
    }

    /// Notes that the peer did not get as far as a request.
    fn note(&self, rule: &str) {
        self.serving.refusals.note(RefusedRequest {
            sender: Sender::unknown(),
            from: self.address,
            rule,
            outcome: Outcome::Denied,
            request_id: "",
            session: None,
        });
    }
}
