//! `cancelPayment`: takes a payment back before anything moved.

use shared::mcp::tools::ToolAnnotations;

use super::{INVALID_ARGUMENT, Named, Payment, actor, unknown};
use crate::{
    identity::Permission,
    mcp::{Definition, Recorded, RequestContext, Tool, ToolError},
    payments::Payments,
};

const FIND_OUT: &str = "Look with getPayment; canceling the same payment again is safe.";

/// Cancels a payment of the principal's.
#[derive(Debug)]
pub(in crate::tools) struct CancelPayment {
    payments: Payments,
}

impl CancelPayment {
    pub(in crate::tools) const fn new(payments: Payments) -> Self {
        Self { payments }
    }
}

impl Tool for CancelPayment {
    type Arguments = Named;
    type Output = Payment;

    const REFUSAL_CODE: Option<&'static str> = INVALID_ARGUMENT;

    const DEFINITION: Definition = Definition {
        name: "cancelPayment",
        title: Some("Cancel a payment"),
        description: "Cancel a payment that has not been executed, or the batch that it is part of.",
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
        let (payments, own) = (self.payments.clone(), context.clone());
        context
            .commit(|record| async move {
                let canceled = payments.cancel(actor(&own, record), &id).await;
                let (payment, was_before) = canceled.map_err(unknown(FIND_OUT))?;
                let recorded = if was_before { Recorded::No } else { Recorded::Yes };
                Ok((Payment::new(payment, was_before), recorded))
            })
            .await
    }
}
