//! The one room that keeps anything, and what it promises.
//!
//! [`Store`] is six small traits, one a noun: [`KeyStore`], [`SessionStore`], [`LedgerStore`], [`PaymentStore`],
//! [`AuditStore`] and [`SealingStore`]. Work on money that must happen wholly or not at all is a [`Work`] on a
//! [`Transaction`].
//! The risk service, which has a database of its own, keeps its decisions in an [`ExposureStore`] there.
//! Nothing above this room knows which engine is behind them, and one contract suite (`server/tests/store_contract.rs`)
//! holds every engine to the same promises:
//!
//! - **Atomic.** A call happens wholly or not at all, also when the process dies in the middle of it.
//! - **Visible.** When a call has returned `Ok`, every later call, from any task, sees what it did.
//! - **Durable**, in two grades. [`LedgerStore::post`], [`KeyStore::put_key`] and everything else that is not named
//!   below survive the loss of power once they have returned. Sessions and audit records of reads survive the death of
//!   the process (they may lose their last moments with the power).
//! - **Grouped.** Concurrent writes share a commit; a caller waits for its own commit and no longer.
//! - **Plain errors.** [`StoreError`] says whose fault it was; what an engine said of it is the `source`, for the log.

use async_trait::async_trait;

mod audit;
mod database;
mod exposure;
mod key;
mod known_keys;
mod ledger;
mod payment;
pub mod postgres;
mod sealing;
mod session;
pub mod sqlite;
mod transaction;

pub use audit::{AuditEntry, AuditFilter, AuditRecord, AuditStore, ChainHash, Outcome};
pub use database::{DatabaseUrl, Migration, NotADatabaseUrl};
pub use exposure::{Exposure, ExposureBounds, ExposureDecision, ExposureStore};
pub use key::{
    AccountHolder, DEMO_KEY_IDS, KeyChange, KeyChanged, KeyDigest, KeyEnd, KeyId, KeyMode, KeyStore,
    KnownSecret, Replacement, Revision, Rotation, StoredKey, UserId,
};
pub use ledger::{
    AccountBalance, EarlierTransfers, LedgerStore, Month, MonthlyTransfers, NewTransfer, NotAMonth,
    PostedTransfer, TransferId,
};
pub use payment::{
    AccountState, BatchId, BatchStep, Compensation, IdempotencyClaim, IdempotencyRecord, NewPayment,
    NotAStatus, PaymentChange, PaymentFilter, PaymentId, PaymentPolicy, PaymentStatus, PaymentStore,
    PolicyChange, StoredPayment,
};
use payment::{Side, Walk};
pub use sealing::{SealingKey, SealingStore, SealingTurn};
pub use session::{
    ClientAbilities, OpenSession, SessionCaps, SessionFilter, SessionHash, SessionMail, SessionStore,
    StoredSession,
};
pub use transaction::{Ending, ErasedWork, Held, Transaction, Work, transact};

/// Everything that is kept. See the module's promises.
#[async_trait]
pub trait Store: KeyStore + SessionStore + LedgerStore + PaymentStore + AuditStore + SealingStore {
    /// Answers whether reads and writes work at this moment, for `/readyz`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when they do not.
    async fn check(&self) -> Result<(), StoreError>;

    /// Finishes what was queued and lets go of the database. Calls after it are [`StoreError::Unavailable`]. Closing
    /// twice is closing once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when something that was queued could not be written.
    async fn close(&self) -> Result<(), StoreError>;
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is full, locked or closed. Nothing was changed; only where the commit itself
    /// broke off can that not be known. Try again later, and a transfer with the same number: it moves nothing twice.
    /// The caller of a tool is told so.
    #[error("the database is unavailable: {reason}")]
    Unavailable {
        /// What was being done, for the log.
        reason: String,
        /// What the engine said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// What was read breaks a rule of the schema: a bug, or a database that something else wrote to.
    #[error("the database holds something it must not: {0}")]
    Corrupt(String),
    /// The account is not there.
    #[error("no account belongs to user {0}")]
    NoSuchAccount(String),
    /// A number, a name or a secret that must be unique belongs to another. Nothing was changed; choose another one.
    #[error("{0}")]
    Taken(String),
    /// A transfer with this id was posted before, with other contents.
    #[error("transfer {0} exists with other contents")]
    TransferExists(TransferId),
    /// A balance or amount would leave the range of whole minor units.
    #[error("the amount is out of range")]
    OutOfRange,
}
