//! Calls that take long under an idempotency key: they ask a person, or the risk service. Until one of them has ended,
//! a second call under the same key has nothing to be answered with, so it is told that the first is in flight.
//!
//! What is one transaction needs no claim: a second call waits for its turn, and then finds what the first came to
//! ([`Payments::named`]).

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{PaymentError, Payments, Refusal, creating::check_key};
use crate::{
    clock::UnixMillis,
    store::{IdempotencyClaim, Store, StoreError, UserId},
};

/// How long a key stays claimed after its server was last heard of.
const CLAIMED: Duration = Duration::from_secs(30);

/// How often a server says that the call goes on.
const RENEWED: Duration = Duration::from_secs(10);

impl Payments {
    /// Handles a call while it holds its idempotency key, where it has one: no other call is handled under the same key
    /// meanwhile, on any server.
    ///
    /// # Errors
    /// [`Refusal::KeyInFlight`], [`Refusal::InvalidArgument`]; the store's; what the call returns.
    pub async fn holding<T, E: From<PaymentError>>(
        &self,
        user: UserId,
        tool: &'static str,
        key: Option<&str>,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let Some(key) = key else { return call.await };
        let hold = self.hold(user, tool, key).await?;
        let answer = call.await;
        // Before the answer is sent: what its reader does next finds the key free.
        hold.release().await;
        answer
    }

    async fn hold(&self, user: UserId, tool: &'static str, key: &str) -> Result<Hold, PaymentError> {
        check_key(key)?;
        let mut call = [0; 16];
        getrandom::fill(&mut call).map_err(|_| StoreError::Unavailable {
            reason: "there is no randomness for a call".to_owned(),
            source: None,
        })?;
        let claim = IdempotencyClaim { user, tool, key: key.to_owned(), call };
        // A claim that is on its way is made whether or not the call still waits for it: then nobody takes the hold, which
        // lets go.
        let taking = tokio::spawn(take(Arc::clone(&self.store), claim));
        taking.await.map_err(|error| StoreError::Unavailable {
            reason: "an idempotency key was not claimed to the end".to_owned(),
            source: Some(error.into()),
        })?
    }
}

/// A call's hold on its idempotency key. A call that is dropped before its end lets go in the background.
struct Hold(Option<Held>);

struct Held {
    store: Arc<dyn Store>,
    claim: IdempotencyClaim,
    stop: CancellationToken,
    renewing: JoinHandle<()>,
}

impl Hold {
    async fn release(mut self) {
        if let Some(held) = self.0.take() {
            held.release().await;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(held) = self.0.take() {
            tokio::spawn(held.release());
        }
    }
}

impl Held {
    /// Lets go, once nothing claims the key any more.
    async fn release(self) {
        self.stop.cancel();
        let _ = self.renewing.await;
        if let Err(error) = self.store.release_idempotency_key(&self.claim).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "an idempotency key was not released");
        }
    }
}

async fn take(store: Arc<dyn Store>, claim: IdempotencyClaim) -> Result<Hold, PaymentError> {
    if !claim_again(&*store, &claim).await? {
        return Err(Refusal::KeyInFlight.into());
    }
    let stop = CancellationToken::new();
    let renewing = tokio::spawn(renew(Arc::clone(&store), claim.clone(), stop.clone()));
    Ok(Hold(Some(Held { store, claim, stop, renewing })))
}

async fn claim_again(store: &dyn Store, claim: &IdempotencyClaim) -> Result<bool, StoreError> {
    let now = UnixMillis::now();
    store.claim_idempotency_key(claim, now.plus(CLAIMED), now).await
}

async fn renew(store: Arc<dyn Store>, claim: IdempotencyClaim, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(RENEWED)).await.is_some() {
        // Where it is lost, the records of what was done still keep a second call from doing it again.
        if let Err(error) = claim_again(&*store, &claim).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "an idempotency key was not claimed again"
            );
        }
    }
}
