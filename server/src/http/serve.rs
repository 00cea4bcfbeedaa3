//! Connections: accepted, bounded, and ended in time.
//!
//! `axum::serve` sets no limit on a connection, so the loop is ours, over hyper's HTTP/1. It holds three promises that
//! the routes rely on. A peer that is slow to send its headers or its body is cut. Running out of file descriptors is
//! survived. And a shutdown ends: a connection without a request gets a moment to flush, one with a request gets the
//! drain time, and none gets more.

use std::{io, pin::pin, time::Duration};

use axum::{Router, body::Body};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    body::{Answers, Counted, Timely},
    lingering::Lingering,
};

mod body;
mod lingering;

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
            drain: Duration::from_secs(7),
        }
    }
}

/// How long accepting pauses when the machine has no file descriptor or memory left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until `stop`; returns when the last connection has ended, which takes no longer than
/// `limits.drain` from then.
pub async fn serve(listener: TcpListener, router: Router, limits: ServeLimits, stop: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.buffer_bytes);
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _peer)) => {
                let connection =
                    Connection { http: http.clone(), router: router.clone(), limits, stop: stop.clone() };
                connections.spawn(connection.run(stream));
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
    router: Router,
    limits: ServeLimits,
    stop: CancellationToken,
}

impl Connection {
    /// Answers requests until the peer goes, breaks the rules, or the stop's time is over.
    async fn run(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended at once");
            return;
        }
        let answers = Answers::default();
        let routes = TowerToHyperService::new(self.router);
        let body_read = self.limits.body_read;
        let service = service_fn(|request: http::Request<Incoming>| {
            let answering = answers.begin();
            let answer = routes.call(request.map(|body| Body::new(Timely::new(body, body_read))));
            async move { answer.await.map(|response| response.map(|body| Counted::new(body, answering))) }
        });
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(Lingering::new(stream)), service));
        let mut ended = self.stop.run_until_cancelled(connection.as_mut()).await;
        if ended.is_none() {
            connection.as_mut().graceful_shutdown();
            ended = timeout(self.limits.flush, connection.as_mut()).await.ok();
        }
        if ended.is_none() && !answers.are_done() {
            let rest = self.limits.drain.saturating_sub(self.limits.flush);
            ended = timeout(rest, connection).await.ok();
        }
        match ended {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(%error, "a connection ended with an error"),
            None => tracing::debug!("a connection was cut by the shutdown"),
        }
    }
}
