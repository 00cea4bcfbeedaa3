//! `getLatestTransactions`: the newest few of the caller's transactions.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{READS_ONLY, Transactions};
use crate::{
    identity::Permission,
    mcp::{Definition, Indented, RequestContext, Tool, ToolError},
    payments::Ledger,
};

/// How many transactions are returned when nobody says.
const DEFAULT_LIMIT: u32 = 3;

/// Lists the newest transactions of the principal, newest first.
#[derive(Debug)]
pub(super) struct GetLatestTransactions {
    ledger: Ledger,
}

/// What it takes.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Arguments {
    #[schemars(description = "Number of latest transactions to return", range(min = 1, max = 100))]
    #[serde(default = "default_limit")]
    limit: u32,
}

const fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

impl GetLatestTransactions {
    pub(super) const fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }
}

impl Tool for GetLatestTransactions {
    type Arguments = Arguments;
    type Output = Transactions;

    const DEFINITION: Definition = Definition {
        name: "getLatestTransactions",
        title: Some("Latest transactions"),
        description: "Get the latest transactions for the authenticated user",
        permission: Permission::TransactionsRead,
        annotations: READS_ONLY,
    };

    async fn call(&self, context: RequestContext, arguments: Arguments) -> Result<Transactions, ToolError> {
        let principal = context.principal();
        let latest = self.ledger.latest(principal.user(), arguments.limit).await?;
        if latest.is_empty() {
            let text = format!("No transactions found for user {}", principal.username());
            return Err(ToolError::Refused(text));
        }
        Ok(Transactions::of(latest))
    }

    fn text(output: &Transactions) -> serde_json::Result<Indented> {
        output.text()
    }
}
