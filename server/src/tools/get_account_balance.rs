//! `getAccountBalance`: what is on the caller's account.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Number;

use super::{NoArguments, READS_ONLY};
use crate::{
    identity::Permission,
    mcp::{Definition, RequestContext, Tool, ToolError},
    payments::Ledger,
};

/// Tells the principal's balance.
#[derive(Debug)]
pub(super) struct GetAccountBalance {
    ledger: Ledger,
}

/// A balance, as a person reads it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Balance {
    /// Whose account it is
    username: Arc<str>,
    /// What is on it, in major units of the currency; below zero is owed
    balance: Number,
}

impl GetAccountBalance {
    pub(super) const fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }
}

impl Tool for GetAccountBalance {
    type Arguments = NoArguments;
    type Output = Balance;

    const DEFINITION: Definition = Definition {
        name: "getAccountBalance",
        title: Some("Account balance"),
        description: "Get the current account balance for the authenticated user",
        permission: Permission::BalanceRead,
        annotations: READS_ONLY,
    };

    async fn call(&self, context: RequestContext, _none: NoArguments) -> Result<Balance, ToolError> {
        let account = self.ledger.balance(context.principal().user()).await?;
        Ok(Balance { username: account.username, balance: account.balance.to_number() })
    }
}
