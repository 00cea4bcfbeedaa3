//! How long work has taken, without the time in which it waited for a person.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Runs from its making; stands still while somebody is being asked.
pub(super) struct Stopwatch(Mutex<State>);

struct State {
    started: Instant,
    stood: Duration,
    /// Since when it stands, and for how many questions.
    stands: Option<(Instant, u32)>,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self(Mutex::new(State { started: Instant::now(), stood: Duration::ZERO, stands: None }))
    }

    /// Stands still while the pause lives.
    pub(super) fn pause(&self) -> Pause<'_> {
        let mut state = self.0.lock();
        state.stands = Some(match state.stands {
            Some((since, questions)) => (since, questions.saturating_add(1)),
            None => (Instant::now(), 1),
        });
        Pause(self)
    }

    /// How long it has run.
    pub(super) fn elapsed(&self) -> Duration {
        let state = self.0.lock();
        let until = state.stands.map_or_else(Instant::now, |(since, _)| since);
        until.duration_since(state.started).saturating_sub(state.stood)
    }

    /// Returns when it has run for `limit`.
    pub(super) async fn reaches(&self, limit: Duration) {
        loop {
            let left = limit.saturating_sub(self.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// Keeps a stopwatch standing.
pub(super) struct Pause<'a>(&'a Stopwatch);

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        match state.stands {
            Some((since, questions)) if questions > 1 => {
                state.stands = Some((since, questions.saturating_sub(1)));
            }
            Some((since, _)) => {
                state.stood = state.stood.saturating_add(since.elapsed());
                state.stands = None;
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_a_person_is_asked_does_not_count() {
        let watch = Stopwatch::start();
        tokio::time::advance(SECOND).await;
        let (outer, inner) = (watch.pause(), watch.pause());
        tokio::time::advance(SECOND * 60).await;
        drop(outer);
        tokio::time::advance(SECOND * 60).await;
        assert_eq!(watch.elapsed(), SECOND);
        drop(inner);
        tokio::time::advance(SECOND).await;
        assert_eq!(watch.elapsed(), SECOND * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_reached_when_that_much_time_has_counted() {
        let watch = Stopwatch::start();
        let begun = Instant::now();
        let asked = async {
            let pause = watch.pause();
            tokio::time::sleep(SECOND * 100).await;
            drop(pause);
        };
        tokio::join!(asked, watch.reaches(SECOND * 30));
        assert_eq!(begun.elapsed(), SECOND * 130);
    }
}
