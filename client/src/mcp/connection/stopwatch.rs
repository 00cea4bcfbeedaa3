//! How long one attempt of a call may go without news.

use std::{
    future::pending,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use crate::mcp::{McpError, TimedOut, asking::AskedFor};

/// Ends one attempt when for too long there was neither an answer nor word of progress. While a person is asked, the
/// time does not count.
pub(super) struct Stopwatch<'a> {
    limit: Option<Duration>,
    asked_for: &'a AskedFor,
    /// When it was started last, and for how long people had been asked by then.
    started: Mutex<(Instant, Duration)>,
}

impl<'a> Stopwatch<'a> {
    /// Started now; without a limit it never ends anything.
    pub(super) fn new(limit: Option<Duration>, asked_for: &'a AskedFor) -> Self {
        Self { limit, asked_for, started: Mutex::new((Instant::now(), asked_for.total())) }
    }

    /// Starts it anew: there was progress.
    pub(super) fn restart(&self) {
        *self.started() = (Instant::now(), self.asked_for.total());
    }

    /// Runs `work` unless the time runs out.
    pub(super) async fn bound<T, E: From<McpError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            biased;
            outcome = work => outcome,
            () = self.run_out() => Err(McpError::TimedOut(TimedOut::Progress).into()),
        }
    }

    async fn run_out(&self) {
        let Some(limit) = self.limit else { return pending().await };
        loop {
            let (at, asked_before) = *self.started();
            let asked_for = self.asked_for.total();
            let asked_since = asked_for.saturating_sub(asked_before);
            let end = at.checked_add(limit).and_then(|end| end.checked_add(asked_since));
            let Some(end) = end else { return pending().await };
            sleep_until(end).await;
            if self.started().0 == at && self.asked_for.total() == asked_for {
                return;
            }
        }
    }

    fn started(&self) -> MutexGuard<'_, (Instant, Duration)> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::time::{advance, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stopwatch_counts_from_the_last_progress_and_not_while_a_person_is_asked() {
        let asked_for = AskedFor::default();
        let stopwatch = Stopwatch::new(Some(Duration::from_secs(10)), &asked_for);
        let began = Instant::now();
        let never = stopwatch.bound(pending::<Result<Infallible, McpError>>());
        let meanwhile = async {
            sleep(Duration::from_secs(9)).await;
            stopwatch.restart();
            sleep(Duration::from_secs(8)).await;
            let asking = asked_for.begin();
            sleep(Duration::from_secs(100)).await;
            drop(asking);
            pending::<()>().await;
        };
        let outcome = tokio::select! { outcome = never => outcome, () = meanwhile => unreachable!() };
        assert!(matches!(outcome, Err(McpError::TimedOut(TimedOut::Progress))));
        assert_eq!(began.elapsed(), Duration::from_secs(119));
        let unlimited = Stopwatch::new(None, &asked_for);
        advance(Duration::from_secs(1_000_000)).await;
        assert!(unlimited.bound(async { Ok::<_, McpError>(()) }).await.is_ok());
    }
}
