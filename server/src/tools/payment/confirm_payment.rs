//! `confirmPayment`: asks the person, and pays if the person says yes.

use shared::mcp::tools::ToolAnnotations;

use super::{INVALID_ARGUMENT, Named, Payment, QUESTION, actor, consent, has_declined, unknown};
use crate::{
    identity::Permission,
    mcp::{Definition, Recorded, RequestContext, Tool, ToolError},
    payments::{Consent, Payments, Unasked},
    store::PaymentId,
};

const FIND_OUT: &str =
    "Look with getPayment; confirming the same payment again is safe and never pays twice.";

/// Asks about a prepared payment and executes it.
#[derive(Debug)]
pub(in crate::tools) struct ConfirmPayment {
    payments: Payments,
}

impl ConfirmPayment {
    pub(in crate::tools) const fn new(payments: Payments) -> Self {
        Self { payments }
    }

    /// Confirms it if nobody needs to be asked.
    async fn unasked(&self, context: &RequestContext, id: &PaymentId) -> Result<Unasked, ToolError> {
        let (payments, own, id, trace) =
            (self.payments.clone(), context.clone(), id.clone(), context.trace());
        context
            .commit(|record| async move {
                let unasked = payments.confirm_unasked(actor(&own, record), &id, trace).await;
                let unasked = unasked.map_err(unknown(FIND_OUT))?;
                let recorded = match &unasked {
                    Unasked::Decided(_, false) => Recorded::Yes,
                    Unasked::Decided(_, true) | Unasked::Ask(_) => Recorded::No,
                };
                Ok((unasked, recorded))
            })
            .await
    }
}

impl Tool for ConfirmPayment {
    type Arguments = Named;
    type Output = Payment;

    const REFUSAL_CODE: Option<&'static str> = INVALID_ARGUMENT;

    const DEFINITION: Definition = Definition {
        name: "confirmPayment",
        title: Some("Confirm a payment"),
        description: "Ask the user to confirm a prepared payment, and execute it if the user accepts.",
        permission: Permission::PaymentsWrite,
        annotations: ToolAnnotations {
            title: None,
            read_only_hint: Some(false),
            destructive_hint: Some(true),
            idempotent_hint: Some(true),
            open_world_hint: Some(false),
        },
    };

    async fn call(&self, context: RequestContext, named: Named) -> Result<Payment, ToolError> {
        let id = named.id()?;
        let consent = if has_declined(&context) {
            Consent::Declined
        } else {
            let question = match self.unasked(&context, &id).await? {
                Unasked::Decided(payment, was_before) => return Ok(Payment::new(*payment, was_before)),
                Unasked::Ask(payment) => self.payments.question(&payment).await?,
            };
            consent(&context, QUESTION, question).await?
        };
        let (payments, own, trace) = (self.payments.clone(), context.clone(), context.trace());
        context
            .commit(|record| async move {
                let decided = payments.decide(actor(&own, record), &id, consent, trace).await;
                let (payment, was_before) = decided.map_err(unknown(FIND_OUT))?;
                let recorded = if was_before { Recorded::No } else { Recorded::Yes };
                Ok((Payment::new(payment, was_before), recorded))
            })
            .await
    }
}
