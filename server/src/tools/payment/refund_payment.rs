//! `refundPayment`: gives back what the principal was paid, whole or in part.

use schemars::JsonSchema;
use serde::Deserialize;
use shared::mcp::tools::ToolAnnotations;

use super::{INVALID_ARGUMENT, Payment, QUESTION, actor, consent, handle, has_declined, unknown};
use crate::{
    identity::Permission,
    mcp::{Decimal, Definition, Recorded, RequestContext, Tool, ToolError},
    payments::{Consent, Payments, RefundOrder, RefundOutlook, Refunded},
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
        let order = RefundOrder {
            payment: handle(&order.payment_id)?,
            amount: order.amount.map(Decimal::into_text),
            idempotency_key: order.idempotency_key,
        };
        let principal = context.principal();
        let user = principal.user();
        loop {
            let outlook = self.payments.refund_outlook(user, principal.key(), &order).await?;
            let is_accepted = match outlook {
                RefundOutlook::Before(payment) => return Ok(Payment::seen_by(user, *payment, true)),
                RefundOutlook::Automatic if has_declined(context) => return Err(declined()),
                RefundOutlook::Automatic => false,
                RefundOutlook::Ask(text) => {
                    accepted(consent(context, QUESTION, text).await?)?;
                    true
                }
            };
            // Whoever accepted it is not asked again, so this ends.
            match self.refund(context, order.clone(), is_accepted).await? {
                Refunded::Done(payment, is_replayed) => {
                    return Ok(Payment::seen_by(user, *payment, is_replayed));
                }
                Refunded::Ask => {}
            }
        }
    }

    /// Gives it back, unless somebody must be asked who has not said yes.
    async fn refund(
        &self,
        context: &RequestContext,
        order: RefundOrder,
        is_accepted: bool,
    ) -> Result<Refunded, ToolError> {
        let (payments, own) = (self.payments.clone(), context.clone());
        context
            .commit(|record| async move {
                let refunded = payments.refund(actor(&own, record), order, is_accepted).await;
                let refunded = refunded.map_err(unknown(FIND_OUT))?;
                let recorded = match &refunded {
                    Refunded::Done(_, false) => Recorded::Yes,
                    Refunded::Done(_, true) | Refunded::Ask => Recorded::No,
                };
                Ok((refunded, recorded))
            })
            .await
    }
}

/// Goes on where the person has said yes.
fn accepted(consent: Consent) -> Result<(), ToolError> {
    match consent {
        Consent::Accepted => Ok(()),
        Consent::Declined => Err(declined()),
        Consent::CannotBeAsked => {
            let text = "requires_action: a refund needs the word of a person, and this client cannot ask. Nothing was \
                        given back. Use a client that can ask, or have an operator run `server payments refund`.";
            Err(ToolError::Refused(text.to_owned()))
        }
    }
}

fn declined() -> ToolError {
    let text = "declined: the user declined the refund. Nothing was given back; do not ask again unless the user wants \
                it.";
    ToolError::Refused(text.to_owned())
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
