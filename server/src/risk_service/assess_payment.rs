//! `assessPayment`: whether a payment may be made, and giving back what was reserved for one.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::mcp::tools::ToolAnnotations;

use super::Rules;
use crate::{
    clock::UnixMillis,
    identity::Permission,
    mcp::{Definition, RequestContext, Tool, ToolError},
    money::{Amount, Currency},
    store::{Exposure, ExposureDecision, ExposureStore},
};

/// Assesses payments.
#[derive(Debug)]
pub(super) struct AssessPayment {
    exposures: Arc<dyn ExposureStore>,
    rules: Rules,
}

/// What is asked about.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Question {
    /// The payment's handle at the server that asks; asking again with it is asking once
    #[schemars(length(min = 1, max = 80), regex(pattern = "^[0-9A-Za-z_-]+$"))]
    payment: String,
    /// Who would pay
    #[schemars(length(min = 1, max = 100))]
    from: String,
    /// Who would be paid
    #[schemars(length(min = 1, max = 100))]
    to: String,
    /// How much, in major units of the currency, as an exact decimal such as 12.50
    #[schemars(length(min = 1, max = 20))]
    amount: String,
    /// The currency, by its ISO 4217 code
    #[schemars(length(min = 3, max = 3))]
    currency: String,
    /// The payment is not made: give back what was reserved for it
    #[serde(default)]
    release: bool,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Assessed {
    /// The handle that was asked about
    payment: String,
    /// Whether the payment may be made, or that nothing is reserved for it any more
    decision: Word,
    /// Why it must not be made
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Word {
    Approved,
    Refused,
    Released,
}

impl AssessPayment {
    pub(super) fn new(exposures: Arc<dyn ExposureStore>, rules: Rules) -> Self {
        Self { exposures, rules }
    }

    async fn decide(&self, exposure: Exposure) -> Result<(Word, Option<String>), ToolError> {
        let Rules { payment_limit, exposure_limit } = self.rules;
        let code = exposure.amount.currency().code();
        let bounds = self.rules.bounds(exposure.amount.currency(), exposure.at);
        let reason = match self.exposures.decide(exposure, bounds).await? {
            ExposureDecision::Approved => return Ok((Word::Approved, None)),
            ExposureDecision::OverPaymentBound => {
                format!("one payment may be {payment_limit} {code} at most")
            }
            ExposureDecision::OverPayerBound => {
                format!(
                    "with this the payer would have more than {exposure_limit} {code} at risk within a day"
                )
            }
            ExposureDecision::Released => "the payment was given up before".to_owned(),
            ExposureDecision::Other => {
                return Err(ToolError::Refused(
                    "conflict: another payment was assessed under this handle. Ask with the amount and the names of \
                     that one, or under a handle of its own."
                        .to_owned(),
                ));
            }
        };
        Ok((Word::Refused, Some(reason)))
    }
}

impl Tool for AssessPayment {
    type Arguments = Question;
    type Output = Assessed;

    const DEFINITION: Definition = Definition {
        name: "assessPayment",
        title: Some("Assess a payment"),
        description: "Say whether a payment may be made, and reserve its amount as the payer's exposure for a day; with \
                      `release`, give that back. The same handle gets the same answer, and nothing is reserved twice",
        permission: Permission::PaymentsAssess,
        annotations: ToolAnnotations {
            title: None,
            read_only_hint: Some(false),
            destructive_hint: Some(false),
            idempotent_hint: Some(true),
            open_world_hint: Some(false),
        },
    };

    async fn call(&self, context: RequestContext, question: Question) -> Result<Assessed, ToolError> {
        let Question { payment, from, to, amount, currency, release } = question;
        let currency = Currency::from_code(&currency).ok_or_else(|| {
            ToolError::Refused(
                "currency: this currency is not known here. Use one that accounts are in.".to_owned(),
            )
        })?;
        let amount = Amount::read(&amount, currency)
            .map_err(|error| ToolError::Refused(format!("amount: {error}. Correct it and ask again.")))?;
        let exposure = Exposure {
            client: context.principal().user(),
            payment: payment.clone(),
            payer: from,
            payee: to,
            amount,
            at: UnixMillis::now(),
        };
        let (decision, reason) = if release {
            self.exposures.release(exposure).await?;
            (Word::Released, None)
        } else {
            self.decide(exposure).await?
        };
        Ok(Assessed { payment, decision, reason })
    }
}
