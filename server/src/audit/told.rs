//! An audit record as people and programs read it: in the tool for auditors, on the command line, in an export.

use data_encoding::HEXLOWER;
use schemars::JsonSchema;
use serde::Serialize;

use crate::store::AuditEntry;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// The record's number
    number: i64,
    /// When the call arrived, as an RFC 3339 time
    at: String,
    /// Who called
    user: String,
    /// With which key, by its public id
    key: String,
    /// What was called
    tool: String,
    /// How it ended
    outcome: &'static str,
    /// Which permission decided; empty where there was no such tool
    rule: String,
    /// How long it took, in microseconds
    duration_us: i64,
    /// The HTTP request's id
    request_id: String,
    /// The trace that the call was part of
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    /// The session, by the beginning of its hash
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// The revision of MCP that was spoken
    protocol_version: &'static str,
    /// The client, as it called itself
    client: String,
    /// SHA-256 of the arguments
    arguments_sha256: String,
    /// The hash of this record and of all before it
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

impl Told {
    /// The record's number.
    #[must_use]
    pub const fn number(&self) -> i64 {
        self.number
    }

    /// The cells of a table: number, time, user, key, tool, outcome, rule, milliseconds, client.
    #[must_use]
    pub fn cells(&self) -> [String; 9] {
        let milliseconds = format!("{}.{:03}", self.duration_us / 1_000, self.duration_us % 1_000);
        let texts =
            [&self.at, &self.user, &self.key, &self.tool, self.outcome, &self.rule].map(str::to_owned);
        let [at, user, key, tool, outcome, rule] = texts;
        [self.number.to_string(), at, user, key, tool, outcome, rule, milliseconds, self.client.clone()]
    }
}

impl From<&AuditEntry> for Told {
    fn from(entry: &AuditEntry) -> Self {
        let record = &entry.record;
        Self {
            number: entry.seq,
            at: record.at.to_string(),
            user: record.username.clone(),
            key: record.key.0.clone(),
            tool: record.tool.clone().into_owned(),
            outcome: record.outcome.as_str(),
            rule: record.rule.clone().into_owned(),
            duration_us: record.duration_us,
            request_id: record.request_id.to_string(),
            trace_id: record.trace.as_ref().map(|trace| HEXLOWER.encode(trace)),
            session: record.session.as_ref().map(crate::store::SessionHash::short),
            protocol_version: record.protocol.as_str(),
            client: record.client.to_string(),
            arguments_sha256: HEXLOWER.encode(&record.arguments_digest),
            hash: entry.hash.map(|hash| HEXLOWER.encode(&hash.0)),
        }
    }
}
