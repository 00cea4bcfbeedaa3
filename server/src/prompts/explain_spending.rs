//! `explain-spending`: a month's statement, and the question what it means.

use shared::mcp::{
    annotations::Role,
    content::{ContentBlock, EmbeddedResource},
    prompts::{GetPromptResult, PromptMessage},
};

use crate::{
    identity::{Permission, Principal},
    mcp::{ArgumentDefinition, Prompt, PromptArguments, PromptDefinition, RequestContext, ToolError, Typing},
    payments::Ledger,
    resources::statements,
    store::Month,
};

/// Asks a model to explain what was spent in a month.
#[derive(Debug)]
pub(super) struct ExplainSpending {
    ledger: Ledger,
}

impl ExplainSpending {
    pub(super) const fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }
}

impl Prompt for ExplainSpending {
    const DEFINITION: PromptDefinition = PromptDefinition {
        name: "explain-spending",
        title: Some("Explain my spending"),
        description: "Explain what I spent and received in a month",
        arguments: &[ArgumentDefinition {
            name: "month",
            title: Some("Month"),
            description: "The month, as YYYY-MM",
            required: true,
        }],
        permission: Permission::TransactionsRead,
    };

    async fn messages(
        &self,
        context: RequestContext,
        arguments: PromptArguments,
    ) -> Result<GetPromptResult, ToolError> {
        let month = statements::month(arguments.get("month").map_or("", |month| month.trim()))?;
        let parts = statements::parts(&self.ledger, context.principal().user(), month).await?;
        let uri = statements::uri_of(month);
        let statement = parts.into_iter().take(1).map(|part| {
            let resource = part.of(&uri);
            ContentBlock::Resource(EmbeddedResource { resource, annotations: None, meta: None })
        });
        let question = ContentBlock::text(format!(
            "This is the statement of my account for {month}. Explain in a few sentences what I spent and received: \
             the largest amounts, with whom, and how the balance changed. Use the figures of the statement only."
        ));
        let said = |content| PromptMessage { role: Role::User, content };
        let messages = statement.chain([question]).map(said).collect();
        let description = Some(format!("What was spent and received in {month}"));
        Ok(GetPromptResult { description, messages, meta: None })
    }

    async fn complete(&self, principal: &Principal, typing: Typing) -> Result<Vec<String>, ToolError> {
        let months = self.ledger.months(principal.user()).await?;
        Ok(typing.matching(months.iter().map(Month::to_string)))
    }
}
