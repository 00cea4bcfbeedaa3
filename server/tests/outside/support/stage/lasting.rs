//! A tool whose commit takes as long as a test wants.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use server::{
    mcp::{Definition, Recorded, RequestContext, Tool, ToolError},
    money::{Amount, Currency},
    store::{AuditRecord, Ending, NewTransfer, Store, StoreError, Transaction, UserId, Work, transact},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{Done, definition};

/// The commits that have begun, each with what tells whether anybody still wants the answer.
pub(crate) type Begun = Arc<Mutex<Vec<CancellationToken>>>;

/// Tells a number of steps, takes its time, and commits: waits at the gate, then moves a dollar from Bob to Alice together with the
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

#[derive(Deserialize, JsonSchema)]
pub(super) struct Pace {
    /// How many steps to tell
    #[serde(default)]
    told: u32,
    /// Takes so many milliseconds before it commits
    #[serde(default)]
    before: u64,
}

impl Tool for Lasting {
    type Arguments = Pace;
    type Output = Done;
    const DEFINITION: Definition = definition("lasting");

    async fn call(&self, context: RequestContext, pace: Pace) -> Result<Done, ToolError> {
        for step in 1..=pace.told {
            context.progress(step, Some(pace.told.into()), Some("telling"));
            tokio::task::yield_now().await;
        }
        if pace.before > 0 {
            tokio::time::sleep(Duration::from_millis(pace.before)).await;
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
