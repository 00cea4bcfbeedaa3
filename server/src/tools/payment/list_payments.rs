//! `listPayments`: the principal's payments, page by page.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{INVALID_ARGUMENT, Payment};
use crate::{
    identity::Permission,
    mcp::{Definition, RequestContext, Tool, ToolError},
    payments::Payments,
    store::{PaymentFilter, PaymentStatus},
    tools::READS_ONLY,
};

/// Lists payments that the principal made or was paid by.
#[derive(Debug)]
pub(in crate::tools) struct ListPayments {
    payments: Payments,
}

/// Which payments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::tools) struct Wanted {
    /// Only those that have come so far, such as `requires_confirmation` or `succeeded`
    #[serde(default)]
    #[schemars(length(min = 1, max = 32))]
    status: Option<String>,
    /// Only those that were created under this idempotencyKey
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    idempotency_key: Option<String>,
    /// Where the next page starts: `nextCursor` of the page before
    #[serde(default)]
    #[schemars(length(min = 1, max = 1000))]
    cursor: Option<String>,
    /// How many payments to return
    #[serde(default = "page")]
    #[schemars(range(min = 1, max = 100))]
    limit: u32,
}

const fn page() -> u32 {
    20
}

/// A page of payments, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::tools) struct Page {
    /// The payments
    payments: Vec<Payment>,
    /// Where the next page starts; absent on the last one
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl ListPayments {
    pub(in crate::tools) const fn new(payments: Payments) -> Self {
        Self { payments }
    }
}

impl Tool for ListPayments {
    type Arguments = Wanted;
    type Output = Page;

    const REFUSAL_CODE: Option<&'static str> = INVALID_ARGUMENT;

    const DEFINITION: Definition = Definition {
        name: "listPayments",
        title: Some("Payments"),
        description: "List the authenticated user's payments, newest first.",
        permission: Permission::TransactionsRead,
        annotations: READS_ONLY,
    };

    async fn call(&self, context: RequestContext, wanted: Wanted) -> Result<Page, ToolError> {
        let list = Self::DEFINITION.name;
        let status = wanted.status.as_deref().map(str::parse::<PaymentStatus>).transpose();
        let status = status.map_err(|_| {
            let known = PaymentStatus::ALL.map(PaymentStatus::as_str).join(", ");
            ToolError::Refused(format!(
                "invalid_argument: `status` must be one of {known}. Correct it or leave it out."
            ))
        })?;
        let before = wanted.cursor.as_deref().map(|cursor| context.place(list, cursor)).transpose()?;
        let filter =
            PaymentFilter { visible_to: None, status, idempotency_key: wanted.idempotency_key, before };
        let shown = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
        let user = context.principal().user();
        let found = self.payments.list(user, filter, wanted.limit.saturating_add(1)).await?;
        let last =
            found.get(shown.saturating_sub(1)).filter(|_| found.len() > shown).map(|payment| payment.seq);
        let next_cursor = last.map(|seq| context.cursor(list, seq)).transpose()?;
        let payments = found.into_iter().take(shown).map(|payment| Payment::seen_by(user, payment, false));
        let payments = payments.collect();
        Ok(Page { payments, next_cursor })
    }
}
