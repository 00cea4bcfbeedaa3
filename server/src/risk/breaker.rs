//! The circuit breaker before the risk service: after some failures in a row nobody waits for it any more, and one
//! attempt at a time finds out whether it is back. An attempt that is dropped counts as neither.

use std::sync::Arc;

use tower::{Layer as _, service_fn, util::BoxCloneSyncService};
use tower_resilience_circuitbreaker::{CircuitBreakerError, CircuitBreakerLayer, CircuitState};

use super::{
    BreakerSettings, RiskSettingsError,
    answer::Answer,
    attempt::{Failed, Peer, Question},
};

/// The risk service behind its breaker.
pub(super) type Guarded = BoxCloneSyncService<Question, Answer, CircuitBreakerError<Failed>>;

/// Puts the breaker before the service.
///
/// # Errors
/// [`RiskSettingsError::Breaker`].
pub(super) fn guarded(peer: Peer, settings: BreakerSettings) -> Result<Guarded, RiskSettingsError> {
    let layer = CircuitBreakerLayer::builder()
        .name("risk service")
        .consecutive_failures(settings.failures)
        .wait_duration_in_open(settings.open_for)
        .permitted_calls_in_half_open(1)
        .on_state_transition(|_, to| tell(to))
        .build()
        .map_err(|_| RiskSettingsError::Breaker)?;
    let peer = Arc::new(peer);
    let asking = service_fn(move |question: Question| {
        let peer = Arc::clone(&peer);
        async move { peer.ask(question).await }
    });
    Ok(BoxCloneSyncService::new(layer.layer(asking)))
}

fn tell(state: CircuitState) {
    match state {
        CircuitState::Open => {
            tracing::warn!("the risk service failed several times and is left alone for a while")
        }
        CircuitState::HalfOpen => tracing::info!("the risk service is tried again"),
        CircuitState::Closed => tracing::info!("the risk service is back"),
    }
}
