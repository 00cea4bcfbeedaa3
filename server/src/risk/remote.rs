//! The risk service as the assessor: asked again where that may help, and left alone where it does not.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use backon::{BackoffBuilder as _, ExponentialBuilder};
use serde_json::json;
use shared::mcp::JsonObject;
use tokio::time::sleep;
use tower::ServiceExt as _;
use tower_resilience_circuitbreaker::CircuitBreakerError;

use super::{
    Assessment, RiskAssessor, RiskError, RiskSettings, RiskSettingsError, Verdict,
    answer::Answer,
    attempt::{Failed, Peer, Question},
    breaker::{Guarded, guarded},
};

/// The waits between attempts: two, doubling, each with as much again by chance.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(1))
    .with_max_times(2)
    .with_jitter();

/// Another server that assesses.
struct Remote {
    service: Guarded,
    url: String,
}

/// The risk service behind these settings. Nothing is sent before the first question.
///
/// # Errors
/// [`RiskSettingsError`], which names the setting.
pub fn assessor(settings: &RiskSettings) -> Result<Arc<dyn RiskAssessor>, RiskSettingsError> {
    let url = settings.endpoint.url().to_owned();
    let service = guarded(Peer::new(settings.clone())?, settings.breaker)?;
    Ok(Arc::new(Remote { service, url }))
}

impl Remote {
    async fn ask(&self, question: Question) -> Result<Answer, RiskError> {
        let mut pauses = PAUSES.build();
        let mut failed: Option<Failed> = None;
        loop {
            let error = match self.service.clone().oneshot(question.clone()).await {
                Ok(answer) => return Ok(answer),
                // It opened between two of our attempts: what came of the first one is what there is to say.
                Err(CircuitBreakerError::OpenCircuit) => {
                    return Err(failed.map_or(RiskError::Open, RiskError::from));
                }
                Err(CircuitBreakerError::Inner(error)) => error,
            };
            let Some(pause) = pauses.next().and_then(|planned| error.pause(planned)) else {
                return Err(error.into());
            };
            tracing::debug!(%error, wait_ms = pause.as_millis(), "the risk service will be asked again");
            sleep(pause).await;
            failed = Some(error);
        }
    }
}

#[async_trait]
impl RiskAssessor for Remote {
    async fn assess(&self, request: &Assessment) -> Result<Verdict, RiskError> {
        match self.ask(question(request, false)).await? {
            Answer::Verdict(verdict) => Ok(verdict),
            Answer::Released => Err(RiskError::Nonsense("it was released, and not assessed".to_owned())),
        }
    }

    async fn release(&self, request: &Assessment) -> Result<(), RiskError> {
        match self.ask(question(request, true)).await? {
            Answer::Released => Ok(()),
            Answer::Verdict(_) => Err(RiskError::Nonsense("it was assessed, and not released".to_owned())),
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("url", &self.url).finish_non_exhaustive()
    }
}

fn question(request: &Assessment, is_release: bool) -> Question {
    let mut arguments = JsonObject::new();
    let mut put = |name: &str, value| arguments.insert(name.to_owned(), value);
    put("payment", json!(request.payment));
    put("from", json!(request.from));
    put("to", json!(request.to));
    put("amount", json!(request.amount.to_string()));
    put("currency", json!(request.amount.currency().code()));
    if is_release {
        put("release", json!(true));
    }
    Question { payment: request.payment.clone(), is_release, arguments, trace: request.trace }
}
