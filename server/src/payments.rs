//! The rules of money: what may be read of the ledger, and what the demo begins with. No HTTP, no SQL, no JSON-RPC.

pub mod card;
pub mod demo;
mod ledger;
mod statement;

pub use self::{ledger::Ledger, statement::Statement};
