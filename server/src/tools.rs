//! The tools of the payment server, one file each.
//!
//! A tool says what it is called, what it takes and returns and which permission it needs, and then asks a room of
//! rules. It decides nothing about money itself.

use std::sync::Arc;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use shared::mcp::tools::ToolAnnotations;

use crate::{
    identity::ApiKey,
    mcp::{EngineBuilder, Indented, Screen, ToolError},
    payments::{Ledger, Payments, card},
    store::{PostedTransfer, Store, StoreError},
    text,
};

mod get_account_balance;
mod get_all_transactions;
mod get_latest_transactions;
mod list_audit_records;
mod payment;
mod who_am_i;

use get_account_balance::GetAccountBalance;
use get_all_transactions::GetAllTransactions;
use get_latest_transactions::GetLatestTransactions;
use list_audit_records::ListAuditRecords;
use payment::{
    CancelPayment, ConfirmPayment, CreatePayment, CreatePaymentBatch, GetPayment, ListPayments, RefundPayment,
};
use who_am_i::WhoAmI;

pub use who_am_i::Limits;

/// Adds every tool of the payment server, in the order in which `tools/list` names them.
#[must_use]
pub fn register(
    builder: EngineBuilder,
    ledger: Ledger,
    payments: Payments,
    store: Arc<dyn Store>,
    limits: Limits,
) -> EngineBuilder {
    builder
        .screening(Screen { glance: may_hold_secrets, judge: no_secrets })
        .tool(GetAllTransactions::new(ledger.clone()))
        .tool(GetLatestTransactions::new(ledger.clone()))
        .tool(GetAccountBalance::new(ledger.clone()))
        .tool(CreatePayment::new(payments.clone()))
        .tool(ConfirmPayment::new(payments.clone()))
        .tool(GetPayment::new(payments.clone()))
        .tool(ListPayments::new(payments.clone()))
        .tool(CancelPayment::new(payments.clone()))
        .tool(RefundPayment::new(payments.clone()))
        .tool(CreatePaymentBatch::new(payments.clone()))
        .tool(WhoAmI::new(limits, ledger, payments))
        .tool(ListAuditRecords::new(store))
}

/// A card number has at least a dozen digits and a key begins in one way, unless they are written as escapes or with
/// characters between them that nobody sees.
fn may_hold_secrets(raw: &str) -> bool {
    raw.contains('\\') || !raw.is_ascii() || digits(raw) > 12 || raw.contains(ApiKey::PREFIX)
}

/// How many digits there are: counted in pieces in which they fit a byte, so that many are looked at at once.
fn digits(raw: &str) -> usize {
    let pieces = raw.as_bytes().chunks(usize::from(u8::MAX));
    let in_one = |piece: &[u8]| {
        piece.iter().fold(0_u8, |count, byte| count.wrapping_add(byte.is_ascii_digit().into()))
    };
    pieces.map(|piece| usize::from(in_one(piece))).fold(0, usize::saturating_add)
}

/// What must be kept nowhere is not taken, wherever in the arguments it is.
fn no_secrets(text: &str) -> Option<&'static str> {
    // As it would be kept: what is between two digits and is left out then hides nothing.
    let text = text::cleaned(text)?;
    if card::is_in(&text) {
        return Some(
            "card_number: a card number must not be sent here. Nothing of the request was kept; leave the number out.",
        );
    }
    ApiKey::is_in(&text).then_some(
        "api_key: an API key must not be sent here; it belongs in the x-api-key header alone. Nothing of the request \
         was kept. Leave the key out, and replace it if others may have read it.",
    )
}

/// How every tool behaves that only reads what the server itself keeps.
const READS_ONLY: ToolAnnotations = ToolAnnotations {
    title: None,
    read_only_hint: Some(true),
    destructive_hint: Some(false),
    idempotent_hint: Some(true),
    open_world_hint: Some(false),
};

/// The arguments of a tool that takes none.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NoArguments {}

/// One transfer, as a person reads it.
#[derive(Debug, Serialize, JsonSchema)]
struct Transaction {
    /// The transaction's number
    id: i64,
    /// Who paid
    from: Arc<str>,
    /// Who was paid
    to: Arc<str>,
    /// How much, in major units of the currency
    amount: Number,
    /// When, as YYYY-MM-DD
    #[schemars(with = "String", extend("format" = "date"))]
    date: Date,
}

impl From<PostedTransfer> for Transaction {
    fn from(transfer: PostedTransfer) -> Self {
        Self {
            id: transfer.id.0,
            from: transfer.from,
            to: transfer.to,
            amount: transfer.amount.to_number(),
            date: transfer.date,
        }
    }
}

/// Transactions; the text is the bare array, as the original demo's was.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Transactions {
    /// The transactions
    transactions: Vec<Transaction>,
}

impl Transactions {
    fn of(transfers: Vec<PostedTransfer>) -> Self {
        Self { transactions: transfers.into_iter().map(Transaction::from).collect() }
    }

    fn text(&self) -> serde_json::Result<Indented> {
        Indented::of(&self.transactions)
    }
}

impl From<StoreError> for ToolError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { .. } => Self::Unavailable(Box::new(error)),
            StoreError::Corrupt(_)
            | StoreError::NoSuchAccount(_)
            | StoreError::Taken(_)
            | StoreError::TransferExists(_)
            | StoreError::OutOfRange => Self::Failed(Box::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        money::{Amount, Currency},
        store::TransferId,
    };

    fn transactions() -> Transactions {
        Transactions::of(vec![PostedTransfer {
            id: TransferId(1),
            from: "bob".into(),
            to: "alice".into(),
            amount: Amount::from_minor(10_000, Currency::USD),
            date: "2024-03-15".parse().unwrap(),
        }])
    }

    #[test]
    fn the_text_is_the_bare_array_as_in_the_original_demo() {
        let text = |transactions: Transactions| {
            serde_json::from_str::<String>(transactions.text().unwrap().as_json()).unwrap()
        };
        assert_eq!(
            text(transactions()),
            "[\n  {\n    \"id\": 1,\n    \"from\": \"bob\",\n    \"to\": \"alice\",\n    \"amount\": 100,\n    \
             \"date\": \"2024-03-15\"\n  }\n]"
        );
        assert_eq!(text(Transactions::of(Vec::new())), "[]");
    }

    #[test]
    fn the_structured_form_is_an_object_with_members_in_order() {
        assert_eq!(
            serde_json::to_string(&transactions()).unwrap(),
            r#"{"transactions":[{"id":1,"from":"bob","to":"alice","amount":100,"date":"2024-03-15"}]}"#
        );
    }
}
