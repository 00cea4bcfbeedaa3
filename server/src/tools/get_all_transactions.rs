//! `getAllTransactions`: everything that moved money from or to the caller's account.

use super::{NoArguments, READS_ONLY, Transactions};
use crate::{
    identity::Permission,
    mcp::{Definition, Indented, RequestContext, Tool, ToolError},
    payments::Ledger,
};

/// More transactions than this are not listed: the result would be larger than results may be.
const MOST: u32 = 20_000;

/// Lists all transactions of the principal, in the order in which they were posted.
#[derive(Debug)]
pub(super) struct GetAllTransactions {
    ledger: Ledger,
}

impl GetAllTransactions {
    pub(super) const fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }
}

impl Tool for GetAllTransactions {
    type Arguments = NoArguments;
    type Output = Transactions;

    const DEFINITION: Definition = Definition {
        name: "getAllTransactions",
        title: Some("All transactions"),
        description: "Get a list of all transactions for the authenticated user",
        permission: Permission::TransactionsRead,
        annotations: READS_ONLY,
    };

    async fn call(&self, context: RequestContext, _none: NoArguments) -> Result<Transactions, ToolError> {
        let history = self.ledger.history(context.principal().user(), MOST).await?;
        let text = format!(
            "there are more than {MOST} transactions, too many for one answer. Use getLatestTransactions, or read the \
             statement of a month (payments://statements/{{month}})."
        );
        history.map(Transactions::of).ok_or(ToolError::Refused(text))
    }

    fn text(output: &Transactions) -> serde_json::Result<Indented> {
        output.text()
    }
}
