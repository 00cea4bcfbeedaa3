//! How often a request is sent again, and how long to wait before. Whether it may be is [`super::repetition`]'s.

use std::time::{Duration, SystemTime};

use super::{McpError, repetition::is_worth_repeating};

/// How often and how patiently to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a request is sent at most, the first time included. 0 counts as 1.
    pub attempts: u32,
    /// The wait before the second attempt where the server names none; doubles with each further one.
    pub base: Duration,
    /// The longest wait between two attempts. A server that asks for more is not waited for.
    pub max_wait: Duration,
}

impl Default for RetryPolicy {
    /// 3 attempts, 200 ms doubling, at most 10 s.
    fn default() -> Self {
        Self { attempts: 3, base: Duration::from_millis(200), max_wait: Duration::from_secs(10) }
    }
}

impl RetryPolicy {
    /// How long to wait after `failed` failures; `asked` is what the other side wants. Never earlier than asked, and a
    /// little later, so that clients sent away together do not return together. `None` when there is to be no further
    /// attempt: there were enough, or the other side asks for too much.
    pub(crate) fn pause(self, failed: u32, asked: Option<Duration>) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        match asked {
            Some(wait) => (wait <= self.max_wait).then(|| (wait + jitter(self.base)).min(self.max_wait)),
            None => Some(self.backoff(failed)),
        }
    }

    /// Between half and all of the doubling wait.
    fn backoff(self, failed: u32) -> Duration {
        let doublings = failed.saturating_sub(1).min(31);
        let full = self.base.saturating_mul(1_u32 << doublings).min(self.max_wait);
        let half = full / 2;
        half + jitter(full.saturating_sub(half))
    }
}

/// The attempts of one call.
#[derive(Debug)]
pub(super) struct Attempts {
    policy: RetryPolicy,
    failed: u32,
    /// How the last of those ended that may have run and were repeated.
    lost: Option<McpError>,
    /// Whether one of them belongs to what is counted at present.
    in_doubt: bool,
}

impl Attempts {
    pub(super) const fn new(policy: RetryPolicy) -> Self {
        Self { policy, failed: 0, lost: None, in_doubt: false }
    }

    /// Whether an attempt that was repeated may have run, of those since the count began.
    pub(super) const fn are_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Counts from the beginning again. That something may have run is still told in the end.
    pub(super) const fn count_anew(&mut self) {
        self.failed = 0;
        self.in_doubt = false;
    }

    /// What the caller learns in the end. That the last attempt did not run says nothing of one before that may have.
    pub(super) fn concluded(&self, last: McpError) -> McpError {
        match &self.lost {
            Some(lost) if !last.may_have_run() => McpError::Broken(format!("{lost}; and then: {last}")),
            Some(_) | None => last,
        }
    }

    /// Counts one failed attempt. Returns how long to wait before the next one, or `None` when there is to be none.
    /// `at_least` is what the server wants as the pause after a broken stream.
    pub(super) fn pause_after(
        &mut self,
        failure: &McpError,
        repeatable: bool,
        at_least: Option<Duration>,
    ) -> Option<Duration> {
        self.failed = self.failed.saturating_add(1);
        if self.failed >= self.policy.attempts {
            return None;
        }
        if !is_worth_repeating(failure, repeatable) {
            return None;
        }
        if failure.may_have_run() {
            self.lost = Some(failure.clone());
            self.in_doubt = true;
        }
        if let McpError::Busy { retry_after }
        | McpError::ServerFailed { retry_after: retry_after @ Some(_), .. } = failure
        {
            return self.policy.pause(self.failed, *retry_after);
        }
        let pause = self.policy.backoff(self.failed).max(at_least.unwrap_or_default());
        (pause <= self.policy.max_wait).then_some(pause)
    }
}

/// A random part of `whole`. Without a source of randomness: none of it.
pub(super) fn jitter(whole: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or_default();
    whole.checked_mul(random >> 16).map_or(Duration::ZERO, |product| product / (1 << 16))
}

/// How long a `Retry-After` asks to wait: seconds, or a date. `now` is the server's own `Date` where it sent one, so
/// that two clocks that disagree do not matter. `None` when it is neither.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let when = httpdate::parse_http_date(value).ok()?;
    Some(when.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { attempts: 4, base: Duration::from_millis(100), max_wait: Duration::from_secs(2) };

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = httpdate::parse_http_date("Tue, 24 Nov 2026 10:00:00 GMT").unwrap();
        let read = |value| retry_after(value, now);
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(read("Tue, 24 Nov 2026 10:00:05 GMT"), Some(Duration::from_secs(5)));
        assert_eq!(read("Tue, 24 Nov 2026 09:59:00 GMT"), Some(Duration::ZERO));
        for nonsense in ["", "-1", "1.5", "soon", "+3"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn the_wait_is_never_shorter_than_asked_and_never_longer_than_allowed() {
        for _ in 0..200 {
            let asked = Duration::from_millis(1_950);
            let busy = McpError::Busy { retry_after: Some(asked) };
            let failed = McpError::ServerFailed { status: 503, retry_after: Some(asked) };
            for (failure, is_safe) in [(&busy, false), (&failed, true)] {
                let wait = Attempts::new(POLICY).pause_after(failure, is_safe, None).unwrap();
                assert!(wait >= asked && wait <= POLICY.max_wait, "{wait:?}");
            }
        }
        let too_long = McpError::Busy { retry_after: Some(Duration::from_millis(2_001)) };
        assert_eq!(Attempts::new(POLICY).pause_after(&too_long, true, None), None);
        let endless = McpError::Busy { retry_after: Some(Duration::MAX) };
        assert_eq!(Attempts::new(POLICY).pause_after(&endless, true, None), None);
    }

    #[test]
    fn waits_double_within_their_jitter_and_then_end() {
        let mut attempts = Attempts::new(POLICY);
        let failed = McpError::ServerFailed { status: 500, retry_after: None };
        for full in [100, 200, 400] {
            let wait = attempts.pause_after(&failed, true, None).unwrap();
            assert!(
                wait >= Duration::from_millis(full / 2) && wait <= Duration::from_millis(full),
                "{wait:?}"
            );
        }
        assert_eq!(attempts.pause_after(&failed, true, None), None);
    }

    #[test]
    fn a_pause_that_the_stream_asked_for_is_kept_up_to_the_limit() {
        let broken = McpError::Broken("cut".to_owned());
        let pause =
            |asked| Attempts::new(POLICY).pause_after(&broken, true, Some(Duration::from_millis(asked)));
        assert_eq!(pause(1_500), Some(Duration::from_millis(1_500)));
        assert_eq!(pause(3_000), None);
    }
}
