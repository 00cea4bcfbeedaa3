//! `refundPayment`: gives back what the principal was paid, whole or in part.

use schemars::JsonSchema;
use serde::Deserialize;
use shared::mcp::tools::ToolAnnotations;

use super::{INVALID_ARGUMENT, Payment, QUESTION, actor, consent, handle, has_declined, unknown};
use crate::{
    identity::Permission,
    mcp::{Decimal, Definition, Recorded, RequestContext, Tool, ToolError},
    payments::{Consent, Payments, RefundOutlook},
};

const FIND_OUT: &str = "Look at refundedAmount with getPayment before you refund again.";

/// Refunds a payment that the principal received.
#[derive(Debug)]
pub(in crate::tools) struct RefundPayment {
    payments: Payments,
}

/// What is to be given back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::tools) struct Order {
    /// The payment's id, pay_…, as listPayments returned it
    #[schemars(length(min = 1, max = 100))]
    payment_id: String,
    /// How much, in major units of the currency; all that is left of it when it is left out
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0))]
    amount: Option<Decimal>,
    /// A fresh UUID of the caller's own: repeating the call with it refunds nothing again within 24 hours
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    idempotency_key: Option<String>,
}

impl RefundPayment {
    pub(in crate::tools) const fn new(payments: Payments) -> Self {
        Self { payments }
    }

    /// Asks, where somebody must be asked, and does what was said.
    async fn ask_and_refund(&self, context: &RequestContext, order: Order) -> Result<Payment, ToolError> {
        let id = handle(&order.payment_id)?;
        let amount = order.amount.map(Decimal::into_text);
        let principal = context.principal();
        let user = principal.user();
        let outlook = self
            .payments
            .refund_outlook(user, principal.key(), &id, amount.as_deref(), order.idempotency_key.as_deref())
            .await?;
        let consent = match outlook {
            RefundOutlook::Before(payment) => return Ok(Payment::seen_by(user, *payment, true)),
            RefundOutlook::Automatic if has_declined(context) => Consent::Declined,
            RefundOutlook::Automatic => Consent::Accepted,
            RefundOutlook::Ask(text) => consent(context, QUESTION, text).await?,
        };
        match consent {
            Consent::Accepted => {}
            Consent::Declined => {
                let text = "declined: the user declined the refund. Nothing was given back; do not ask again unless the \
                            user wants it.";
                return Err(ToolError::Refused(text.to_owned()));
            }
            Consent::CannotBeAsked => {
                let text = "requires_action: a refund needs the word of a person, and this client cannot ask. Nothing was \
                            given back. Use a client that can ask, or have an operator run `server payments refund`.";
                return Err(ToolError::Refused(text.to_owned()));
            }
        }
        let (payments, own) = (self.payments.clone(), context.clone());
        context
            .commit(|record| async move {
                let refunded = payments.refund(actor(&own, record), &id, amount, order.idempotency_key).await;
                let (payment, is_replayed) = refunded.map_err(unknown(FIND_OUT))?;
                let recorded = if is_replayed { Recorded::No } else { Recorded::Yes };
                Ok((Payment::seen_by(user, payment, is_replayed), recorded))
            })
            .await
    }
}

impl Tool for RefundPayment {
    type Arguments = Order;
    type Output = Payment;

    const REFUSAL_CODE: Option<&'static str> = INVALID_ARGUMENT;

    const DEFINITION: Definition = Definition {
        name: "refundPayment",
        title: Some("Refund a payment"),
        description: "Give back all or part of a payment that the authenticated user received.",
        permission: Permission::PaymentsRefund,
        annotations: ToolAnnotations {
            title: None,
            read_only_hint: Some(false),
            destructive_hint: Some(true),
            idempotent_hint: Some(false),
            open_world_hint: Some(false),
        },
    };

    async fn call(&self, context: RequestContext, order: Order) -> Result<Payment, ToolError> {
        let key = order.idempotency_key.clone();
        let call = self.ask_and_refund(&context, order);
        let user = context.principal().user();
        self.payments.holding(user, Self::DEFINITION.name, key.as_deref(), call).await
    }
}
