//! Records of the audit trail by the million, appended by the payment server's own store.

use std::path::PathBuf;

use rusqlite::Connection;
use server::{
    clock::UnixMillis,
    store::{
        AuditRecord, AuditStore as _, KeyId, Outcome, Store as _, UserId,
        sqlite::{SqliteLocation, SqliteStore},
    },
};
use sha2::{Digest as _, Sha256};
use shared::mcp::ProtocolVersion;

/// When the first of the records that are added was, in milliseconds since 1970.
const FIRST_AT: i64 = 1_700_000_000_000;

/// Adds records of Bob's, one a millisecond.
pub(super) async fn add(file: PathBuf, records: u64) -> anyhow::Result<()> {
    let (key, user): (String, i64) = Connection::open(&file)?.query_row(
        "SELECT id, user_id FROM api_keys NATURAL JOIN accounts WHERE username = 'bob' LIMIT 1",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let store = SqliteStore::open(&SqliteLocation::File(file)).await?;
    for number in 0..i64::try_from(records)? {
        let record = AuditRecord {
            at: UnixMillis::from_millis(FIRST_AT + number),
            request_id: format!("{number:032x}").into(),
            user: UserId(user),
            username: "bob".to_owned(),
            key: KeyId(key.clone()),
            session: None,
            protocol: ProtocolVersion::V2025_11_25,
            client: "bench/1".into(),
            tool: "getAccountBalance".into(),
            arguments_digest: Sha256::digest(b"{}").into(),
            rule: "balance:read".into(),
            outcome: Outcome::Ok,
            duration_us: 100,
            trace: None,
        };
        store.append_audit(record).await?;
    }
    store.close().await?;
    Ok(())
}
