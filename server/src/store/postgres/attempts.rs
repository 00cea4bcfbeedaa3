//! How often work is begun again that met the work of others, and after which pause.

use std::time::Duration;

use super::failure::Failure;

/// How often work is begun, at most.
const ATTEMPTS: u32 = 12;

/// The first pause; each further one may be twice as long, up to the longest.
const FIRST_PAUSE_US: u64 = 500;
const LONGEST_PAUSE_US: u64 = 100_000;

/// The attempts at one piece of work.
#[derive(Debug, Default)]
pub(super) struct Attempts(u32);

impl Attempts {
    /// Whether to begin again after `failure`; waits for as long as is polite before it says so.
    pub(super) async fn go_on_after(&mut self, failure: &Failure) -> bool {
        self.0 = self.0.saturating_add(1);
        if !failure.is_worth_another_attempt() || self.0 >= ATTEMPTS {
            return false;
        }
        let longest = FIRST_PAUSE_US.saturating_mul(1 << self.0.min(16)).min(LONGEST_PAUSE_US);
        // Two that met each other must not meet again: any pause up to the longest is as good as another.
        let pause = getrandom::u32().map_or(longest, |random| u64::from(random) % longest);
        tokio::time::sleep(Duration::from_micros(pause)).await;
        true
    }
}
