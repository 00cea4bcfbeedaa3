//! `getPayment`: one payment, as it stands.

use super::{INVALID_ARGUMENT, Named, Payment};
use crate::{
    identity::Permission,
    mcp::{Definition, RequestContext, Tool, ToolError},
    payments::Payments,
    tools::READS_ONLY,
};

/// Looks at a payment that the principal made or was paid by.
#[derive(Debug)]
pub(in crate::tools) struct GetPayment {
    payments: Payments,
}

impl GetPayment {
    pub(in crate::tools) const fn new(payments: Payments) -> Self {
        Self { payments }
    }
}

impl Tool for GetPayment {
    type Arguments = Named;
    type Output = Payment;

    const REFUSAL_CODE: Option<&'static str> = INVALID_ARGUMENT;

    const DEFINITION: Definition = Definition {
        name: "getPayment",
        title: Some("Payment"),
        description: "Get one payment by its id.",
        permission: Permission::TransactionsRead,
        annotations: READS_ONLY,
    };

    async fn call(&self, context: RequestContext, named: Named) -> Result<Payment, ToolError> {
        let user = context.principal().user();
        let found = self.payments.find(user, &named.id()?).await?;
        Ok(Payment::seen_by(user, found, false))
    }
}
