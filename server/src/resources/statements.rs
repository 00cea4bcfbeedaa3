//! `payments://statements/{month}`: what happened on the caller's account in a month, for programs and for people.

use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use shared::mcp::resources::Resource as Listed;

use super::unread;
use crate::{
    identity::{Permission, Principal},
    mcp::{Part, Parts, RequestContext, ResourceDefinition, ResourceTemplate, ToolError, Typing, Variables},
    payments::{Ledger, Statement},
    store::{Month, UserId},
};

/// How many transactions a statement names, the newest ones: with more it would be larger than answers may be.
const MOST: u32 = 10_000;

const TEMPLATE: &str = "payments://statements/{month}";

/// Where the statement of a month is read.
pub(crate) fn uri_of(month: Month) -> String {
    TEMPLATE.replace("{month}", &month.to_string())
}

/// The principal's statements.
#[derive(Debug)]
pub(super) struct Statements {
    ledger: Ledger,
}

impl Statements {
    pub(super) const fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }
}

impl ResourceTemplate for Statements {
    const DEFINITION: ResourceDefinition = ResourceDefinition {
        uri: TEMPLATE,
        name: "statement",
        title: Some("Monthly statement"),
        description: "What happened on the account of the authenticated user in a month (YYYY-MM): opening balance, \
                      every transaction (where they are more than 10,000, the newest of them), what came in and went \
                      out, closing balance; as JSON and as text",
        mime_type: None,
        permission: Permission::TransactionsRead,
    };

    async fn read(&self, context: RequestContext, variables: Variables) -> Result<Option<Parts>, ToolError> {
        let written = variables.get("month").map_or("", String::as_str);
        let month = month(written)?;
        parts(&self.ledger, context.principal().user(), month).await.map(Some)
    }

    async fn members(&self, principal: &Principal) -> Result<Vec<Listed>, ToolError> {
        let months = self.ledger.months(principal.user()).await.map_err(unread)?;
        Ok(months.into_iter().map(listed).collect())
    }

    async fn complete(&self, principal: &Principal, typing: Typing) -> Result<Vec<String>, ToolError> {
        let months = self.ledger.months(principal.user()).await.map_err(unread)?;
        Ok(typing.matching(months.iter().map(Month::to_string)))
    }
}

fn listed(month: Month) -> Listed {
    Listed {
        uri: uri_of(month),
        name: format!("statement-{month}"),
        title: Some(format!("Statement of {month}")),
        description: Some(format!("What happened on the account in {month}")),
        mime_type: None,
        size: None,
        annotations: None,
        icons: None,
        meta: None,
    }
}

/// The month that this text names, if it has begun.
pub(crate) fn month(written: &str) -> Result<Month, ToolError> {
    let month: Month =
        written.parse().map_err(|error| ToolError::Refused(format!("invalid_month: {error}")))?;
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    if month > Month::of(today) {
        let text =
            format!("invalid_month: {month} has not begun; take {} or an earlier one", Month::of(today));
        return Err(ToolError::Refused(text));
    }
    Ok(month)
}

/// A statement in both of its forms.
pub(crate) async fn parts(ledger: &Ledger, user: UserId, month: Month) -> Result<Parts, ToolError> {
    let statement = ledger.statement(user, month, MOST).await.map_err(unread)?;
    Ok(vec![
        Part::text("application/json", for_programs(&statement)),
        Part::text("text/plain", for_people(&statement)),
    ])
}

fn for_programs(statement: &Statement) -> String {
    let transactions: Vec<_> = statement
        .transfers
        .iter()
        .map(|one| {
            json!({
                "id": one.id.0,
                "from": one.from,
                "to": one.to,
                "amount": one.amount.to_number(),
                "date": one.date,
            })
        })
        .collect();
    let mut told = json!({
        "month": statement.month.to_string(),
        "username": statement.username,
        "currency": statement.opening.currency().code(),
        "openingBalance": statement.opening.to_number(),
        "paidIn": statement.paid_in.to_number(),
        "paidOut": statement.paid_out.to_number(),
        "closingBalance": statement.closing.to_number(),
        "transactions": transactions,
    });
    if let Some(members) = told.as_object_mut().filter(|_| statement.is_truncated) {
        members.insert("truncated".to_owned(), json!(true));
    }
    told.to_string()
}

fn for_people(statement: &Statement) -> String {
    let currency = statement.opening.currency().code();
    let mut lines = vec![
        format!("Statement of {} for {}, in {currency}", statement.month, statement.username),
        String::new(),
        format!("{:<38}{:>12}", "Opening balance", statement.opening),
    ];
    if statement.is_truncated {
        let count = statement.transfers.len();
        lines.push(format!("Earlier transactions are left out: these are the newest {count} of the month."));
    }
    for one in &statement.transfers {
        let (with, sign) = if *one.from == *statement.username {
            (format!("to {}", one.to), "-")
        } else {
            (format!("from {}", one.from), "+")
        };
        let amount = format!("{sign}{}", one.amount);
        lines.push(format!("{}  {:<26}{amount:>12}", one.date, format!("#{} {with}", one.id)));
    }
    if statement.transfers.is_empty() {
        lines.push("No transactions in this month.".to_owned());
    }
    lines.push(format!("{:<38}{:>12}", "Closing balance", statement.closing));
    lines.push(String::new());
    lines.push(format!("Came in: {}. Went out: {}.", statement.paid_in, statement.paid_out));
    lines.join("\n")
}
