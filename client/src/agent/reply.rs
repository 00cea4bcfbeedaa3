//! One reply of the model, asked for again while that may help.

use tokio_util::sync::CancellationToken;

use super::{AgentError, AgentEvent, Model, ModelError, Observer, Prompt, Reply};
use crate::mcp::RetryPolicy;

/// What a reply is asked for with.
pub(super) struct Replying<'a> {
    pub(super) model: &'a dyn Model,
    pub(super) retry: RetryPolicy,
    pub(super) observer: &'a dyn Observer,
    pub(super) cancel: &'a CancellationToken,
}

impl Replying<'_> {
    /// Gets one reply. `shown` is what the observer holds of it when this ends without one, and empty otherwise.
    pub(super) async fn reply(&self, prompt: Prompt<'_>, shown: &mut String) -> Result<Reply, AgentError> {
        let mut failed = 0_u32;
        loop {
            shown.clear();
            let outcome = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(AgentError::Cancelled),
                outcome = self.attempt(prompt, shown) => outcome,
            };
            let error = match outcome {
                Ok(reply) => {
                    shown.clear();
                    return Ok(reply);
                }
                Err(error) => error,
            };
            failed = failed.saturating_add(1);
            self.pause(error, failed, shown).await?;
        }
    }

    async fn attempt(&self, prompt: Prompt<'_>, shown: &mut String) -> Result<Reply, ModelError> {
        let mut delta = |text: &str| {
            if !text.is_empty() {
                shown.push_str(text);
                self.observer.on(&AgentEvent::Text { delta: text });
            }
        };
        self.model.reply(prompt, &mut delta).await
    }

    /// Waits until the reply may be asked for again; gives the error back when it is not to be.
    async fn pause(&self, error: ModelError, failed: u32, shown: &mut String) -> Result<(), AgentError> {
        let asked = match &error {
            ModelError::Refused(_) | ModelError::Empty { advice: Some(_) } => return Err(error.into()),
            ModelError::Transient { retry_after, .. } => *retry_after,
            ModelError::Empty { advice: None } => None,
        };
        let Some(wait) = self.retry.pause(failed, asked) else {
            return Err(error.into());
        };
        if !shown.is_empty() {
            shown.clear();
            self.observer.on(&AgentEvent::TextReset);
        }
        let reason = error.to_string();
        self.observer.on(&AgentEvent::Retrying { reason: &reason, wait, attempt: failed.saturating_add(1) });
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(AgentError::Cancelled),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }
}
