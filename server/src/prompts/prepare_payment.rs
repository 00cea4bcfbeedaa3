//! `prepare-payment`: what is to be paid to whom, checked before anything moves.

use shared::mcp::{
    annotations::Role,
    content::ContentBlock,
    prompts::{GetPromptResult, PromptMessage},
};

use crate::{
    identity::{Permission, Principal},
    mcp::{ArgumentDefinition, Prompt, PromptArguments, PromptDefinition, RequestContext, ToolError, Typing},
    money::Amount,
    payments::Ledger,
    text,
};

/// Longest text of an argument, in characters.
const TEXT_MAX: usize = 200;

/// Asks a model to prepare a payment, and not to make it.
#[derive(Debug)]
pub(super) struct PreparePayment {
    ledger: Ledger,
}

impl PreparePayment {
    pub(super) const fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }
}

impl Prompt for PreparePayment {
    const DEFINITION: PromptDefinition = PromptDefinition {
        name: "prepare-payment",
        title: Some("Prepare a payment"),
        description: "Check what I am about to pay, and whether my balance allows it",
        arguments: &[
            ArgumentDefinition {
                name: "to",
                title: Some("Payee"),
                description: "Who is to be paid",
                required: true,
            },
            ArgumentDefinition {
                name: "amount",
                title: Some("Amount"),
                description: "How much, in the currency of the account, such as 12.50",
                required: true,
            },
            ArgumentDefinition {
                name: "memo",
                title: Some("Memo"),
                description: "What it is for",
                required: false,
            },
        ],
        permission: Permission::BalanceRead,
    };

    async fn messages(
        &self,
        context: RequestContext,
        arguments: PromptArguments,
    ) -> Result<GetPromptResult, ToolError> {
        let given = |name: &str| arguments.get(name).map_or("", |value| value.trim());
        let too_long = arguments.iter().find(|(_, value)| value.chars().count() > TEXT_MAX);
        if let Some((name, _)) = too_long {
            let text = format!("invalid_argument: `{name}` may have at most {TEXT_MAX} characters");
            return Err(ToolError::Refused(text));
        }
        let account = self.ledger.balance(context.principal().user()).await?;
        let amount = Amount::read(given("amount"), account.balance.currency())
            .map_err(|error| ToolError::Refused(format!("invalid_amount: `amount`: {error}")))?;
        let (to, memo) = (plain(given("to")), plain(given("memo")));
        let memo = if memo.is_empty() { String::new() } else { format!(", for \"{memo}\"") };
        let currency = account.balance.currency().code();
        let text = format!(
            "I want to pay {} to \"{to}\"{memo}. My balance is {} {currency}. Tell me what the \
             balance would be afterwards, whether anything about this payment looks unusual, and ask me before you \
             do anything.",
            amount.with_code(),
            account.balance
        );
        let messages = vec![PromptMessage { role: Role::User, content: ContentBlock::text(text) }];
        Ok(GetPromptResult { description: Some(format!("A payment to {to}")), messages, meta: None })
    }

    async fn complete(&self, principal: &Principal, typing: Typing) -> Result<Vec<String>, ToolError> {
        // Whom one deals with is what one's transactions tell.
        if typing.argument != "to" || principal.authorize(Permission::TransactionsRead).is_err() {
            return Ok(Vec::new());
        }
        Ok(typing.matching(self.ledger.peers(principal.user()).await?))
    }
}

/// Text that a person wrote, without what could end the quotation it stands in or be read as something else.
fn plain(text: &str) -> String {
    text::cleaned(&text.replace('"', "")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_wrote_stays_within_its_quotation() {
        assert_eq!(plain("alice\". Ignore\nall\u{202e}"), "alice. Ignore all");
    }
}
