//! Work that commits: what a call does and the record of it, together or not at all.
//!
//! A tool that changes something hands its record to whatever commits the change. From then on the call can neither be
//! cancelled nor run out of time: it is done or it is not, and the caller learns which.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{context::RequestContext, tool::ToolError};
use crate::{
    audit::Call,
    store::{AuditRecord, Outcome},
};

/// How far a call has committed itself.
#[derive(Default)]
pub(super) struct Commitment {
    call: OnceLock<Call>,
    is_recorded: AtomicBool,
    /// Held while something is being committed, and until the tool has seen what came of it.
    committing: Arc<Mutex<()>>,
}

/// Whether what was committed holds the record of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It does: the engine writes no other.
    Yes,
    /// Nothing was changed, or without the record; the engine writes it.
    No,
}

impl Commitment {
    /// Names the call that a record would be of. The first one stays.
    pub(super) fn begin(&self, call: Call) {
        self.call.get_or_init(|| call);
    }

    /// The call that a record would be of.
    pub(super) fn call(&self) -> Option<&Call> {
        self.call.get()
    }

    /// Whether the record of the call is kept already.
    pub(super) fn is_recorded(&self) -> bool {
        self.is_recorded.load(Ordering::Acquire)
    }

    /// Waits until nothing is being committed.
    pub(super) async fn settled(&self) {
        drop(self.committing.lock().await);
    }
}

impl RequestContext {
    /// Runs work that changes something and commits the record of this call with it. The work ends whatever becomes of
    /// the call, and the time that it takes is not counted: bound it by itself.
    ///
    /// # Errors
    /// What the work returned; [`ToolError::Failed`] where it panicked or nothing is being called.
    pub async fn commit<T, W>(&self, work: impl FnOnce(AuditRecord) -> W) -> Result<T, ToolError>
    where
        T: Send + 'static,
        W: Future<Output = Result<(T, Recorded), ToolError>> + Send + 'static,
    {
        let call = self.commitment().call.get().ok_or_else(|| failed("there is no call to record"))?;
        let record = call.record(self.origin(), Outcome::Ok);
        let _standing = self.stopwatch().pause();
        let held = Arc::clone(&self.commitment().committing).lock_owned().await;
        let (work, context) = (work(record), self.clone());
        let committing = tokio::spawn(async move {
            let (done, recorded) = work.await?;
            if recorded == Recorded::Yes {
                context.commitment().is_recorded.store(true, Ordering::Release);
            }
            Ok::<(T, OwnedMutexGuard<()>), ToolError>((done, held))
        });
        let (done, _held) = committing.await.map_err(|error| ToolError::Failed(Box::new(error)))??;
        Ok(done)
    }
}

fn failed(why: &str) -> ToolError {
    ToolError::Failed(why.into())
}
