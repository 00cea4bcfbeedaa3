//! How soon a stream that ended is opened again (2025-11-25, Streamable HTTP transport, "Resumability and Redelivery").

use std::time::Duration;

/// Where the server does not say how long to wait.
pub(super) const USUAL: Duration = Duration::from_secs(1);

/// Whatever the server says.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// How far the wait grows while the streams of a server end without a message.
const GROWN: Duration = Duration::from_secs(5);

/// The streams that were opened one after the other to hear one thing.
#[derive(Debug, Default)]
pub(super) struct Reopening {
    /// How many in a row ended, or did not come about, without a message.
    fruitless: u32,
}

impl Reopening {
    /// A stream ended or did not come about.
    pub(super) const fn ended(&mut self, has_delivered: bool) {
        self.fruitless = if has_delivered { 0 } else { self.fruitless.saturating_add(1) };
    }

    /// How long to wait before the next one, where the server asked for a pause: that long, and twice as long after each
    /// fruitless stream as after the one before.
    pub(super) fn pause(&self, asked: Option<Duration>) -> Duration {
        let doubled = 2_u32.saturating_pow(self.fruitless.saturating_sub(1));
        let grown = SHORTEST.saturating_mul(doubled).min(GROWN);
        asked.unwrap_or(USUAL).max(grown).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses in ms after so many fruitless streams and a last one.
    fn pauses(asked_ms: Option<u64>) -> Vec<u128> {
        let mut reopening = Reopening::default();
        let asked = asked_ms.map(Duration::from_millis);
        let fruitless = (0..9).map(|_| {
            reopening.ended(false);
            reopening.pause(asked).as_millis()
        });
        let mut pauses: Vec<_> = fruitless.collect();
        reopening.ended(true);
        pauses.push(reopening.pause(asked).as_millis());
        pauses
    }

    #[test]
    fn pauses_grow_while_nothing_is_delivered_and_are_never_shorter_than_asked() {
        assert_eq!(pauses(Some(0)), [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 100]);
        assert_eq!(pauses(None), [1_000, 1_000, 1_000, 1_000, 1_600, 3_200, 5_000, 5_000, 5_000, 1_000]);
        assert_eq!(pauses(Some(7_000)), [7_000; 10]);
        assert_eq!(pauses(Some(u64::MAX)), [30_000; 10]);
    }

    #[test]
    fn however_many_streams_there_were_the_pause_is_one() {
        let reopening = Reopening { fruitless: u32::MAX };
        assert_eq!(reopening.pause(None), GROWN);
    }
}
