//! Is the process alive, and should it be sent requests? Two questions, because their answers differ while it drains.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};

use tokio::{sync::Mutex, time::Instant};

use crate::store::Store;

/// How long the store may take to say that it works.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long what the store said is believed. Its check writes, and whoever can connect may ask for it.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// What `/readyz` knows. Clones share one state.
#[derive(Clone)]
pub struct Health {
    store: Arc<dyn Store>,
    draining: Arc<AtomicBool>,
    checked: Arc<Checked>,
}

/// What the store's last check came to, and when.
#[derive(Default)]
struct Checked(Mutex<Option<(Instant, Readiness)>>);

impl Checked {
    /// What it came to, or what `check` does where that is too long ago. Of those who come at once one checks.
    async fn or(&self, check: impl Future<Output = Readiness>) -> Readiness {
        let mut checked = self.0.lock().await;
        if let Some((at, readiness)) = *checked
            && at.elapsed() < CHECK_EVERY
        {
            return readiness;
        }
        let readiness = check.await;
        *checked = Some((Instant::now(), readiness));
        readiness
    }
}

/// Whether requests should come here, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// They should.
    Ready,
    /// The server is about to stop.
    Draining,
    /// The store does not work at this moment.
    StoreUnavailable,
}

impl Health {
    /// Ready for as long as `store` works and [`drain`](Self::drain) was not called.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, draining: Arc::default(), checked: Arc::default() }
    }

    /// From now on the server is not ready. There is no way back.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// The answer to `GET /healthz`: 200 while the process lives.
    #[must_use]
    pub fn live(&self) -> Response {
        answer(StatusCode::OK, r#"{"status":"ok"}"#)
    }

    /// The answer to `GET /readyz`: 200, or 503 while draining or when the store does not work. Says which, and nothing
    /// else.
    pub async fn ready(&self) -> Response {
        match self.readiness().await {
            Readiness::Ready => answer(StatusCode::OK, r#"{"status":"ready"}"#),
            Readiness::Draining => answer(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"draining"}"#),
            Readiness::StoreUnavailable => {
                answer(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"store unavailable"}"#)
            }
        }
    }

    /// Whether requests should come here, as of the last tenth of a second. A store that has not answered in two seconds does not
    /// work. However many ask, the store is asked ten times a second at most, by one of them.
    pub async fn readiness(&self) -> Readiness {
        if self.draining.load(Ordering::Acquire) {
            return Readiness::Draining;
        }
        self.checked.or(self.check()).await
    }

    async fn check(&self) -> Readiness {
        match tokio::time::timeout(CHECK_TIMEOUT, self.store.check()).await {
            Ok(Ok(())) => Readiness::Ready,
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the store's check failed");
                Readiness::StoreUnavailable
            }
            Err(_elapsed) => {
                tracing::warn!("the store's check took too long");
                Readiness::StoreUnavailable
            }
        }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("draining", &self.draining).finish_non_exhaustive()
    }
}

fn answer(status: StatusCode, body: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_store_is_asked_ten_times_a_second_at_most_however_many_ask() {
        let (checked, checks) = (Checked::default(), AtomicU32::new(0));
        for times in 1..=3 {
            let ask = || {
                checked.or(async {
                    checks.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    Readiness::Ready
                })
            };
            assert_eq!(join_all((0..20).map(|_| ask())).await, [Readiness::Ready; 20]);
            assert_eq!(checks.load(Ordering::Relaxed), times);
            tokio::time::advance(CHECK_EVERY).await;
        }
    }
}
