//! What a person picks from a menu, one file each: explain my spending, prepare a payment.

use crate::{mcp::EngineBuilder, payments::Ledger};

mod explain_spending;
mod prepare_payment;

use explain_spending::ExplainSpending;
use prepare_payment::PreparePayment;

/// Adds every prompt of the payment server, in the order in which `prompts/list` names them.
#[must_use]
pub fn register(builder: EngineBuilder, ledger: Ledger) -> EngineBuilder {
    builder.prompt(ExplainSpending::new(ledger.clone())).prompt(PreparePayment::new(ledger))
}
