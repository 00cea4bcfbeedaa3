//! What a server does of its own accord while it runs, every few seconds until it stops.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::UnixMillis,
    identity::Pepper,
    mcp::{Engine, Sealing},
    metrics::Metrics,
    payments::Payments,
    store::Store,
};

/// How often. Sessions and payments are refused from the moment they expire; this gives back what they held.
const INTERVAL: Duration = Duration::from_secs(5);

/// How often in a row payments are swept where there is more: much more than comes due meanwhile.
const ROUNDS: u32 = 100;

/// Ends expired sessions and counts the others.
pub(super) async fn sessions(
    engine: Arc<Engine>,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        engine.sweep().await;
        match store.count_sessions().await {
            Ok(open) => metrics.observe_sessions(open),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "sessions could not be counted");
            }
        }
    }
}

/// Lets payments expire that nobody confirmed, finishes those that a server left behind, and gives back exposure that
/// is not needed.
pub(super) async fn payments(payments: Payments, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        for _ in 0..ROUNDS {
            match stop.run_until_cancelled(payments.sweep(UnixMillis::now())).await {
                Some(Ok(swept)) => {
                    tracing::debug!(?swept, "payments were swept");
                    if !swept.has_more {
                        break;
                    }
                }
                Some(Err(error)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "payments could not be swept");
                    break;
                }
                None => return,
            }
        }
    }
}

/// What seals are made and opened with: the keys that servers on one store take turns with.
pub(super) struct Seals {
    pub(super) sealing: Sealing,
    pub(super) pepper: Pepper,
}

/// Makes a new sealing key when it is time, and learns of those that other servers made.
pub(super) async fn seals(seals: Seals, store: Arc<dyn Store>, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match stop.run_until_cancelled(store.turn_sealing_keys(UnixMillis::now(), false)).await {
            Some(Ok(keys)) => seals.sealing.renew(&keys, &seals.pepper),
            Some(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "sealing keys could not be read");
            }
            None => return,
        }
    }
}
