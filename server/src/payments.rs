//! The rules of money. No HTTP, no SQL, no JSON-RPC: what a tool wants, a rule decides and the store keeps.
//!
//! [`Ledger`] is what an account's owner may read. [`Payments`] is how money moves: prepared, confirmed by a person (or
//! by the key's policy), assessed where it is much, and then moved in one transaction with its audit record.

mod batch;
pub mod card;
mod claiming;
mod confirming;
mod creating;
pub mod demo;
mod desk;
mod ending;
mod error;
mod execution;
mod handle;
mod ledger;
mod recovery;
mod refunding;
mod statement;
mod terms;

pub use batch::{Batch, BatchItem, BatchOrder, BatchOutlook, BatchPlan, Progress};
pub use confirming::{Consent, Unasked};
pub use creating::PaymentOrder;
pub use desk::{Actor, Payments, RiskGate};
pub use error::{PaymentError, Refusal};
pub use handle::Handle;
pub use ledger::Ledger;
pub use recovery::{Swept, record};
pub use refunding::{RefundOrder, RefundOutlook, Refunded};
pub use statement::Statement;
