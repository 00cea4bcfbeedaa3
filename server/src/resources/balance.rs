//! `payments://balance`: what is on the caller's account; can be subscribed to.

use serde_json::json;

use super::unread;
use crate::{
    identity::{Permission, Principal},
    mcp::{Part, Parts, RequestContext, Resource, ResourceDefinition, ToolError},
    payments::Ledger,
};

/// What is on the principal's account.
#[derive(Debug)]
pub(super) struct Balance {
    ledger: Ledger,
}

impl Balance {
    pub(super) const fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }
}

impl Resource for Balance {
    const DEFINITION: ResourceDefinition = ResourceDefinition {
        uri: "payments://balance",
        name: "balance",
        title: Some("Account balance"),
        description: "What is on the account of the authenticated user; subscribe to be told when it changes",
        mime_type: Some("application/json"),
        permission: Permission::BalanceRead,
    };
    const WATCHED: bool = true;

    async fn read(&self, context: RequestContext) -> Result<Parts, ToolError> {
        let account = self.ledger.balance(context.principal().user()).await.map_err(unread)?;
        let balance = json!({
            "username": account.username,
            "balance": account.balance.to_number(),
            "currency": account.balance.currency().code(),
        });
        Ok(vec![Part::text("application/json", balance.to_string())])
    }

    async fn fingerprint(&self, principal: &Principal) -> Result<String, ToolError> {
        let account = self.ledger.balance(principal.user()).await.map_err(unread)?;
        Ok(account.balance.to_string())
    }
}
