//! `listAuditRecords`: who called what, for auditors.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::READS_ONLY;
use crate::{
    audit::Told,
    clock::UnixMillis,
    identity::Permission,
    mcp::{Definition, RequestContext, Tool, ToolError},
    store::{AuditFilter, Outcome, Store},
};

/// Reads the audit trail.
pub(super) struct ListAuditRecords {
    store: Arc<dyn Store>,
}

/// Which records.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Wanted {
    /// How many records to return
    #[serde(default = "page")]
    #[schemars(range(min = 1, max = 100))]
    limit: u32,
    /// Where the next page starts: `nextCursor` of the page before
    #[serde(default)]
    cursor: Option<String>,
    /// Only those of this user
    #[serde(default)]
    user: Option<String>,
    /// Only calls of this tool
    #[serde(default)]
    tool: Option<String>,
    /// Only those that ended so, such as `ok`, `denied`, `tool_error` or `timed_out`
    #[serde(default)]
    outcome: Option<String>,
    /// Only those from then on, as an RFC 3339 time such as 2026-11-24T00:00:00Z
    #[serde(default)]
    since: Option<String>,
}

const fn page() -> u32 {
    20
}

/// A page of the audit trail, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    /// The records
    records: Vec<Told>,
    /// Where the next page starts; absent on the last one
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl ListAuditRecords {
    pub(super) const fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

impl Tool for ListAuditRecords {
    type Arguments = Wanted;
    type Output = Page;

    const DEFINITION: Definition = Definition {
        name: "listAuditRecords",
        title: Some("Audit records"),
        description: "List who called which tool, when, and how it ended; the newest first",
        permission: Permission::AuditRead,
        annotations: READS_ONLY,
    };

    async fn call(&self, _context: RequestContext, wanted: Wanted) -> Result<Page, ToolError> {
        let refused = |text: &str| ToolError::Refused(text.to_owned());
        let before = wanted.cursor.as_deref().map(str::parse::<i64>).transpose();
        let before = before
            .map_err(|_| refused("`cursor` must be the nextCursor of a page; leave it out to begin"))?;
        let outcome = wanted.outcome.as_deref().map(str::parse::<Outcome>).transpose();
        let since = wanted.since.as_deref().map(str::parse::<UnixMillis>).transpose();
        let filter = AuditFilter {
            username: wanted.user,
            key: None,
            tool: wanted.tool,
            outcome: outcome.map_err(|error| ToolError::Refused(format!("`outcome` {error}")))?,
            since: since
                .map_err(|_| refused("`since` must be an RFC 3339 time, such as 2026-11-24T00:00:00Z"))?,
        };
        let entries = self.store.audit_page(filter, before, wanted.limit.saturating_add(1)).await?;
        let shown = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
        let more = entries.len() > shown;
        let records: Vec<Told> = entries.iter().take(shown).map(Told::from).collect();
        let next_cursor = records.last().filter(|_| more).map(|record| record.number().to_string());
        Ok(Page { records, next_cursor })
    }
}
