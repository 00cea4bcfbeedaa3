//! What the payment server lets be read by URI, one file each: what is on the account, and what happened in a month.

use crate::{mcp::EngineBuilder, payments::Ledger, store::StoreError};

mod balance;
pub(crate) mod statements;

use balance::Balance;
use statements::Statements;

/// Adds every resource of the payment server, in the order in which the lists name them.
#[must_use]
pub fn register(builder: EngineBuilder, ledger: Ledger) -> EngineBuilder {
    builder.resource(Balance::new(ledger.clone())).template(Statements::new(ledger))
}

/// What the caller is told of a store that does not answer.
fn unread(error: StoreError) -> crate::mcp::ToolError {
    crate::mcp::ToolError::Unavailable(Box::new(error))
}
