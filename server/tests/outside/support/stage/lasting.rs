//! A tool whose commit takes as long as a test wants.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use server::{
    mcp::{Definition, Recorded, RequestContext, Tool, ToolError},
    money::{Amount, Currency},
    store::{AuditRecord, Ending, NewTransfer, Store, StoreError, Transaction, UserId, Work, transact},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{Done, Steps, definition};

/// The commits that have begun, each with what tells whether anybody still wants the answer.
pub(crate) type Begun = Arc<Mutex<Vec<CancellationToken>>>;

/// Tells a number of steps, and commits: waits at the gate, then moves a dollar from Bob to Alice together with the
/// record of the call.
pub(super) struct Lasting {
    gate: Arc<Semaphore>,
    begun: Begun,
    store: Arc<dyn Store>,
}

impl Lasting {
    pub(super) fn new(gate: Arc<Semaphore>, begun: Begun, store: Arc<dyn Store>) -> Self {
        Self { gate, begun, store }
    }
}

impl Tool for Lasting {
    type Arguments = Steps;
    type Output = Done;
    const DEFINITION: Definition = definition("lasting");

    async fn call(&self, context: RequestContext, steps: Steps) -> Result<Done, ToolError> {
        for step in 1..=steps.told {
            context.progress(step, Some(steps.told.into()), Some("telling"));
            tokio::task::yield_now().await;
        }
        let (gate, store, begun) = (Arc::clone(&self.gate), Arc::clone(&self.store), Arc::clone(&self.begun));
        let wanted = context.cancelled().clone();
        context
            .commit(|record| async move {
                begun.lock().push(wanted);
                let permit = gate.acquire().await.map_err(|error| ToolError::Failed(Box::new(error)))?;
                permit.forget();
                transact(&*store, Dollar(record)).await?;
                Ok((Done { done: true }, Recorded::Yes))
            })
            .await
    }
}

/// A dollar of Bob's for Alice.
struct Dollar(AuditRecord);

#[async_trait]
impl Work for Dollar {
    type Output = ();

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<()>, StoreError> {
        let (from, to) = (UserId(1), UserId(3));
        let amount = Amount::from_minor(100, Currency::USD);
        let date = jiff::civil::date(2026, 11, 28);
        transaction.lock_accounts(&[from, to]).await?;
        transaction.post(&NewTransfer { id: None, from, to, amount, date }).await?;
        transaction.append_audit(&self.0).await?;
        Ok(Ending::Keep(()))
    }
}
