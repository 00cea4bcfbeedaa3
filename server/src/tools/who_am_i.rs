//! `whoAmI`: who the caller is, and what it may do.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Number;

use super::{NoArguments, READS_ONLY};
use crate::{
    identity::{Permission, Principal},
    mcp::{Definition, RequestContext, Tool, ToolError},
    money::Amount,
    payments::{Ledger, Payments},
    store::StoreError,
};

/// What is limited, for every caller the same.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// How many tool calls a key may make in a minute; absent where they are not limited
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_minute: Option<u32>,
    /// How many tool calls of a key may run at once; absent where they are not limited
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_calls: Option<u32>,
    /// How many sessions a key may have open
    pub sessions_per_key: u64,
    /// After how many seconds without a request a session ends
    pub session_idle_seconds: u64,
}

/// What the key may pay, in major units of the account's currency.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PaymentLimits {
    /// The currency's ISO 4217 code
    currency: &'static str,
    /// Below this amount a payment is executed without asking the user
    automatic_below: Number,
    /// The most that one payment may be; absent without such a limit
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<Number>,
    /// The most that may be paid within 24 hours; absent without such a limit
    #[serde(skip_serializing_if = "Option::is_none")]
    day_budget: Option<Number>,
    /// Whom the key may pay; absent where it may pay anybody
    #[serde(skip_serializing_if = "Vec::is_empty")]
    payees: Vec<String>,
}

/// Tells who is calling.
#[derive(Debug)]
pub(super) struct WhoAmI {
    limits: Limits,
    ledger: Ledger,
    payments: Payments,
}

/// The caller, as the server knows it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity {
    /// Whom the key speaks for
    username: String,
    /// `user` for the holder of a key, `service` for whoever proved who it is with a token or a certificate
    kind: &'static str,
    /// The key's public id
    key: String,
    /// The name of what the key may do: customer, read-only, auditor, operator, risk-client or custom
    role: String,
    /// What the key may do
    permissions: Vec<&'static str>,
    /// From when on the key is refused, as an RFC 3339 time; absent for a key without an end
    #[serde(skip_serializing_if = "Option::is_none")]
    key_expires_at: Option<String>,
    /// What is limited
    limits: Limits,
    /// What the key may pay; absent where it may not pay at all
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_limits: Option<PaymentLimits>,
    /// The session, by the beginning of its hash, as the audit trail names it; absent without one
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// The revision of MCP that is spoken
    protocol_version: &'static str,
}

impl WhoAmI {
    pub(super) const fn new(limits: Limits, ledger: Ledger, payments: Payments) -> Self {
        Self { limits, ledger, payments }
    }

    /// What the principal may pay, if it may.
    async fn payment_limits(&self, principal: &Principal) -> Result<Option<PaymentLimits>, StoreError> {
        if principal.authorize(Permission::PaymentsWrite).is_err() {
            return Ok(None);
        }
        let currency = self.ledger.balance(principal.user()).await?.balance.currency();
        let policy = self.payments.policy(principal.key()).await?;
        let number = |minor| Amount::from_minor(minor, currency).to_number();
        Ok(Some(PaymentLimits {
            currency: currency.code(),
            automatic_below: number(policy.automatic_below_minor),
            maximum: policy.maximum_minor.map(number),
            day_budget: policy.day_budget_minor.map(number),
            payees: policy.payees,
        }))
    }

    async fn identity(&self, context: &RequestContext) -> Result<Identity, StoreError> {
        let principal = context.principal();
        Ok(Identity {
            payment_limits: self.payment_limits(principal).await?,
            username: principal.username().to_owned(),
            kind: if principal.is_service() { "service" } else { "user" },
            key: principal.key().0.clone(),
            role: principal.role().to_owned(),
            permissions: principal.permissions().iter().map(Permission::as_str).collect(),
            key_expires_at: principal.expires_at().map(|at| at.to_string()),
            limits: self.limits,
            session: context.session().map(|hash| hash.short()),
            protocol_version: context.protocol_version().as_str(),
        })
    }
}

impl Tool for WhoAmI {
    type Arguments = NoArguments;
    type Output = Identity;

    const DEFINITION: Definition = Definition {
        name: "whoAmI",
        title: Some("Who am I"),
        description: "Tell which user and key is calling, what the key may do, and what is limited",
        permission: Permission::IdentityRead,
        annotations: READS_ONLY,
    };

    async fn call(&self, context: RequestContext, _none: NoArguments) -> Result<Identity, ToolError> {
        Ok(self.identity(&context).await?)
    }
}
