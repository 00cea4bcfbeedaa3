//! `createPaymentBatch`: several payments, all of them or none, after one question.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::mcp::{elicitation::ElicitAction, tools::ToolAnnotations};

use super::{INVALID_ARGUMENT, Payment, QUESTION, Status, actor, consent, has_declined, unknown};
use crate::{
    identity::Permission,
    mcp::{Decimal, Definition, Recorded, RequestContext, Tool, ToolError},
    money::Amount,
    payments::{
        Batch, BatchItem, BatchOrder, BatchOutlook, Consent, PaymentError, Payments, Progress, Refusal,
    },
    store::PaymentStatus,
};

const FIND_OUT: &str =
    "Look with listPayments, by the same idempotencyKey if there was one, before you create the batch again.";

/// Pays several users at once.
#[derive(Debug)]
pub(in crate::tools) struct CreatePaymentBatch {
    payments: Payments,
}

/// What is to be paid.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::tools) struct Order {
    /// The payments, 100 at most
    #[schemars(length(min = 1, max = 100))]
    payments: Vec<Item>,
    /// A fresh UUID of the caller's own: repeating the call with it pays nothing again within 24 hours
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    idempotency_key: Option<String>,
}

/// One payment of a batch.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::tools) struct Item {
    /// Who is to be paid: the payee's username
    #[schemars(length(min = 1, max = 64))]
    to: String,
    /// How much, in major units of the currency, such as 25 or 12.50
    #[schemars(extend("exclusiveMinimum" = 0))]
    amount: Decimal,
    /// What it is for, for the payee to read
    #[serde(default)]
    #[schemars(length(max = 1000))]
    memo: Option<String>,
    /// Which payments of the list must come before this one, by their place, from 1
    #[serde(default)]
    #[schemars(length(max = 100), inner(range(min = 1, max = 100)))]
    after: Vec<u32>,
}

/// A batch and its payments.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::tools) struct Made {
    /// The batch's handle
    batch_id: String,
    /// Where its payments stand, together
    status: Status,
    /// The payments, in the order of the request
    payments: Vec<Payment>,
    /// True where this is what an earlier call came to, and nothing was done again
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
}

impl From<Batch> for Made {
    fn from(batch: Batch) -> Self {
        Self {
            status: Status(batch.status().as_str()),
            batch_id: batch.id.0,
            payments: batch.payments.into_iter().map(|payment| Payment::new(payment, false)).collect(),
            replayed: batch.is_replayed.then_some(true),
        }
    }
}

impl CreatePaymentBatch {
    pub(in crate::tools) const fn new(payments: Payments) -> Self {
        Self { payments }
    }

    /// What the batch would come to. Nothing is kept, unless somebody said yes to it in an earlier round and it fails.
    async fn plan(
        &self,
        context: &RequestContext,
        order: BatchOrder,
        is_accepted: bool,
    ) -> Result<BatchOutlook, ToolError> {
        let (payments, own) = (self.payments.clone(), context.clone());
        context
            .commit(|record| async move {
                let actor = actor(&own, record);
                let outlook = match payments.plan_batch(&actor, &order).await {
                    Err(PaymentError::Refused(refusal @ Refusal::BatchStep { .. })) if is_accepted => {
                        payments.fail_batch(&actor, &order, refusal).await.map_err(unknown(FIND_OUT))?
                    }
                    planned => planned?,
                };
                Ok((outlook, Recorded::No))
            })
            .await
    }

    /// Asks, where somebody must be asked, and does what was said.
    async fn ask_and_carry_out(
        &self,
        context: &RequestContext,
        order: BatchOrder,
    ) -> Result<Made, ToolError> {
        if has_declined(context) {
            return self.keep(context, order, PaymentStatus::Declined).await;
        }
        let mut told = told(context);
        let mut outlook = self.plan(context, order.clone(), told.is_some()).await?;
        let order = BatchOrder { progress: progress(context, order.items.len()), ..order };
        loop {
            let plan = match outlook {
                BatchOutlook::Kept(batch) => return Ok(batch.into()),
                BatchOutlook::Plan(plan) => plan,
            };
            // Whoever was asked is asked again only about more duplicates, of which there is an end.
            if let Some(text) = plan.question
                && told.is_none_or(|told| plan.duplicates > told)
            {
                match consent(context, &question(plan.duplicates), text).await? {
                    Consent::Accepted => told = Some(plan.duplicates),
                    Consent::Declined => return self.keep(context, order, PaymentStatus::Declined).await,
                    Consent::CannotBeAsked => {
                        return self.keep(context, order, PaymentStatus::RequiresAction).await;
                    }
                }
            }
            outlook = self.pay(context, order.clone(), plan.total, told).await?;
        }
    }

    /// Carries it out, where nobody has said no.
    async fn pay(
        &self,
        context: &RequestContext,
        order: BatchOrder,
        total: Amount,
        told: Option<u32>,
    ) -> Result<BatchOutlook, ToolError> {
        let (payments, own, trace) = (self.payments.clone(), context.clone(), context.trace());
        context
            .commit(|record| async move {
                let paid = payments.pay_batch(&actor(&own, record), &order, total, told, trace).await;
                let outlook = paid.map_err(unknown(FIND_OUT))?;
                let is_done = matches!(&outlook, BatchOutlook::Kept(batch) if !batch.is_replayed);
                Ok((outlook, if is_done { Recorded::Yes } else { Recorded::No }))
            })
            .await
    }

    /// Keeps it unpaid.
    async fn keep(
        &self,
        context: &RequestContext,
        order: BatchOrder,
        status: PaymentStatus,
    ) -> Result<Made, ToolError> {
        let (payments, own) = (self.payments.clone(), context.clone());
        context
            .commit(|record| async move {
                let kept = payments.keep_batch(&actor(&own, record), &order, status).await;
                let batch = kept.map_err(unknown(FIND_OUT))?;
                let recorded = if batch.is_replayed { Recorded::No } else { Recorded::Yes };
                Ok((batch.into(), recorded))
            })
            .await
    }
}

impl Tool for CreatePaymentBatch {
    type Arguments = Order;
    type Output = Made;

    const REFUSAL_CODE: Option<&'static str> = INVALID_ARGUMENT;

    const DEFINITION: Definition = Definition {
        name: "createPaymentBatch",
        title: Some("Pay several users"),
        description: "Pay several users at once, all or nothing, after one confirmation.",
        permission: Permission::PaymentsWrite,
        annotations: ToolAnnotations {
            title: None,
            read_only_hint: Some(false),
            destructive_hint: Some(true),
            idempotent_hint: Some(false),
            open_world_hint: Some(false),
        },
    };

    async fn call(&self, context: RequestContext, order: Order) -> Result<Made, ToolError> {
        let item = |item: Item| BatchItem {
            to: item.to,
            amount: item.amount.into_text(),
            memo: item.memo,
            after: item.after,
        };
        let order = BatchOrder {
            key: context.principal().key().clone(),
            items: order.payments.into_iter().map(item).collect(),
            idempotency_key: order.idempotency_key,
            progress: Arc::new(|_| {}),
        };
        let key = order.idempotency_key.clone();
        let call = self.ask_and_carry_out(&context, order);
        let user = context.principal().user();
        self.payments.holding(user, Self::DEFINITION.name, key.as_deref(), call).await
    }
}

/// The key of the question that tells of so many possible duplicates: a yes to it is none to one that tells of more.
fn question(duplicates: u32) -> Cow<'static, str> {
    if duplicates == 0 { QUESTION.into() } else { format!("{QUESTION}-{duplicates}").into() }
}

/// Of how many possible duplicates the person was told who said yes in an earlier round, if somebody did.
fn told(context: &RequestContext) -> Option<u32> {
    let accepted = context.elicited().filter(|(_, action)| *action == ElicitAction::Accept);
    accepted.filter_map(|(key, _)| duplicates(key)).max()
}

/// Of how many possible duplicates the question of this key tells.
fn duplicates(key: &str) -> Option<u32> {
    match key.strip_prefix(QUESTION)? {
        "" => Some(0),
        more => more.strip_prefix('-')?.parse().ok(),
    }
}

/// Tells the client how many payments are done. What is done again after a conflict is told once.
fn progress(context: &RequestContext, of: usize) -> Progress {
    let (context, told) = (context.clone(), AtomicU32::new(0));
    Arc::new(move |done| {
        if told.fetch_max(done, Ordering::Relaxed) < done {
            context.progress(done, Some(of.into()), Some("payments checked"));
        }
    })
}
