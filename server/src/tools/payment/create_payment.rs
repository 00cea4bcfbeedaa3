//! `createPayment`: prepares a payment; nothing moves.

use schemars::JsonSchema;
use serde::Deserialize;
use shared::mcp::tools::ToolAnnotations;

use super::{INVALID_ARGUMENT, Payment, actor, unknown};
use crate::{
    identity::Permission,
    mcp::{Decimal, Definition, Recorded, RequestContext, Tool, ToolError},
    payments::{PaymentOrder, Payments},
};

const FIND_OUT: &str =
    "Look with listPayments, by the same idempotencyKey if there was one, before you create it again.";

/// Prepares a payment of the principal's.
#[derive(Debug)]
pub(in crate::tools) struct CreatePayment {
    payments: Payments,
}

/// What is to be paid.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::tools) struct Order {
    /// Who is to be paid: the payee's username
    #[schemars(length(min = 1, max = 64))]
    to: String,
    /// How much, in major units of the currency, such as 25 or 12.50
    #[schemars(extend("exclusiveMinimum" = 0))]
    amount: Decimal,
    /// The ISO 4217 code of the account's currency; may be left out
    #[serde(default)]
    #[schemars(length(min = 3, max = 3))]
    currency: Option<String>,
    /// What it is for, for the payee to read
    #[serde(default)]
    #[schemars(length(max = 1000))]
    memo: Option<String>,
    /// A fresh UUID of the caller's own: repeating the call with it creates nothing again within 24 hours
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    idempotency_key: Option<String>,
}

impl CreatePayment {
    pub(in crate::tools) const fn new(payments: Payments) -> Self {
        Self { payments }
    }
}

impl Tool for CreatePayment {
    type Arguments = Order;
    type Output = Payment;

    const REFUSAL_CODE: Option<&'static str> = INVALID_ARGUMENT;

    const DEFINITION: Definition = Definition {
        name: "createPayment",
        title: Some("Prepare a payment"),
        description: "Prepare a payment from the authenticated user to another user. Returns a payment to confirm with \
                      confirmPayment; it expires after 24 hours unless confirmed.",
        permission: Permission::PaymentsWrite,
        annotations: ToolAnnotations {
            title: None,
            read_only_hint: Some(false),
            destructive_hint: Some(false),
            idempotent_hint: Some(false),
            open_world_hint: Some(false),
        },
    };

    async fn call(&self, context: RequestContext, order: Order) -> Result<Payment, ToolError> {
        let (payments, key) = (self.payments.clone(), context.principal().key().clone());
        let order = PaymentOrder {
            to: order.to,
            amount: order.amount.into_text(),
            currency: order.currency,
            memo: order.memo,
            idempotency_key: order.idempotency_key,
        };
        let own = context.clone();
        context
            .commit(|record| async move {
                let made = payments.create(actor(&own, record), key, order).await;
                let (payment, is_replayed) = made.map_err(unknown(FIND_OUT))?;
                let recorded = if is_replayed { Recorded::No } else { Recorded::Yes };
                Ok((Payment::new(payment, is_replayed), recorded))
            })
            .await
    }
}
