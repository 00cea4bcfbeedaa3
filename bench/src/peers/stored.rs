//! The ceiling, with what the payment server keeps and how: it reads the balance and the transactions from the payment server's
//! store, on disk, and has that store record every call. No protocol, no session, no permission, no limit beside that: it
//! shows how much of a call is the store. It is no bound, for it sends each answer by itself, and its memory is not wiped.

use std::{path::PathBuf, sync::Arc, time::Instant};

use anyhow::{Context as _, bail};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use jiff::civil::Date;
use serde::{Serialize, Serializer};
use server::{
    clock::UnixMillis,
    payments::demo::{DemoKey, DemoKeys, seed_demo},
    store::{
        AuditRecord, AuditStore, KeyDigest, KeyId, LedgerStore, Outcome, PostedTransfer, SessionHash, UserId,
        sqlite::{SqliteLocation, SqliteStore},
    },
};
use sha2::{Digest, Sha256};
use shared::{
    jsonrpc::{Incoming, RequestId},
    mcp::ProtocolVersion,
};

use super::{
    bare::{Called, balance_of, caller, json_answer, listed},
    listen,
};

/// The store, and what is the same in every record.
struct Stored {
    store: SqliteStore,
    request_id: Arc<str>,
    client: Arc<str>,
}

/// Serves from a database in a file until it is killed; prints its URL first.
pub(crate) async fn serve(database: PathBuf) -> anyhow::Result<()> {
    let store = SqliteStore::open(&SqliteLocation::File(database)).await?;
    seed_demo(&store, &keys()).await?;
    let stored =
        Stored { store, request_id: "00000000-0000-7000-8000-000000000000".into(), client: "bench/1".into() };
    let listener = listen("stored").await?;
    let router = Router::new().route("/mcp", post(answer)).with_state(Arc::new(stored));
    axum::serve(listener, router).await.context("the bare server with a store failed")
}

/// The demo wants keys; nobody is held against these.
fn keys() -> DemoKeys {
    let key = |number| DemoKey { digest: KeyDigest([number; 32]), last_four: "DEMO".to_owned() };
    DemoKeys { bob: key(1), alice: key(2), charlie: key(3), auditor: key(4) }
}

async fn answer(State(stored): State<Arc<Stored>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(name) = caller(&headers) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    match stored.answered(name, &body).await {
        Ok(json) => json_answer(json),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
    }
}

impl Stored {
    /// The answer to a user's tool call, in JSON, once its record is where the payment server's would be.
    async fn answered(&self, name: &str, body: &[u8]) -> anyhow::Result<String> {
        let (at, started) = (UnixMillis::now(), Instant::now());
        let Incoming::Request { id, params: Some(params), .. } =
            Incoming::parse(std::str::from_utf8(body)?).context("no message")?
        else {
            bail!("no call");
        };
        let called = serde_json::from_str(params.get())?;
        let user = UserId(if name == "bob" { 1 } else { 3 });
        let (tool, rule, answer) = self.tool(user, &id, &called).await?;
        let record = AuditRecord {
            at,
            request_id: Arc::clone(&self.request_id),
            user,
            username: name.to_owned(),
            key: KeyId("bench".to_owned()),
            session: Some(SessionHash([7; 32])),
            protocol: ProtocolVersion::V2025_11_25,
            client: Arc::clone(&self.client),
            tool: tool.into(),
            arguments_digest: Sha256::digest("{}").into(),
            rule: rule.into(),
            outcome: Outcome::Ok,
            duration_us: i64::try_from(started.elapsed().as_micros())?,
            trace: None,
        };
        self.store.append_audit(record).await?;
        Ok(answer)
    }

    /// Which tool it is, the permission that it would need, and what it answers.
    async fn tool(
        &self,
        user: UserId,
        id: &RequestId,
        called: &Called<'_>,
    ) -> anyhow::Result<(&'static str, &'static str, String)> {
        let (tool, rule, answer) = match &*called.name {
            "getAccountBalance" => {
                let account = self.store.balance(user).await?;
                let answer = balance_of(id, &account.username, account.balance.minor() / 100);
                ("getAccountBalance", "balance:read", answer)
            }
            "getLatestTransactions" => {
                let transfers = self.store.latest_transfers(user, called.arguments.limit()).await?;
                let transactions: Vec<_> = transfers.iter().map(Transaction::of).collect();
                ("getLatestTransactions", "transactions:read", listed(id, &transactions))
            }
            "getAllTransactions" => {
                let transfers = self.store.transfers(user, u32::MAX).await?;
                let transactions: Vec<_> = transfers.iter().map(Transaction::of).collect();
                ("getAllTransactions", "transactions:read", listed(id, &transactions))
            }
            other => bail!("no tool {other}"),
        };
        Ok((tool, rule, answer.context("the answer cannot be written")?))
    }
}

/// One transaction, as the demo shows it.
#[derive(Serialize)]
struct Transaction<'a> {
    id: i64,
    from: &'a str,
    to: &'a str,
    amount: i64,
    #[serde(serialize_with = "written")]
    date: Date,
}

impl<'a> Transaction<'a> {
    fn of(transfer: &'a PostedTransfer) -> Self {
        let PostedTransfer { id, from, to, amount, date } = transfer;
        Self { id: id.0, from, to, amount: amount.minor() / 100, date: *date }
    }
}

fn written<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use server::store::{AuditFilter, AuditStore as _};

    use super::{SqliteLocation, SqliteStore, Stored, keys, seed_demo};

    #[tokio::test]
    async fn it_answers_from_the_store_and_records_the_call() {
        let folder = tempfile::tempdir().expect("a folder");
        let location = SqliteLocation::File(folder.path().join("payments.db"));
        let store = SqliteStore::open(&location).await.expect("a store");
        seed_demo(&store, &keys()).await.expect("the demo");
        let stored = Stored { store, request_id: "one".into(), client: "bench/1".into() };
        for (tool, at, expected) in [
            ("getAccountBalance", "/result/structuredContent/balance", json!(-200)),
            ("getLatestTransactions", "/result/structuredContent/transactions/0/date", json!("2024-03-20")),
            ("getAllTransactions", "/result/structuredContent/transactions/0/date", json!("2024-03-15")),
        ] {
            let call = format!(
                r#"{{"jsonrpc":"2.0","method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}},"id":1}}"#
            );
            let answer = stored.answered("bob", call.as_bytes()).await.expect("an answer");
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            assert_eq!(answer.pointer(at), Some(&expected), "{answer}");
        }
        stored.store.flush_audit().await.expect("the records");
        let kept = stored.store.audit_page(AuditFilter::default(), None, 10).await.expect("the trail");
        assert_eq!(kept.len(), 3);
        assert!(stored.answered("bob", b"{}").await.is_err());
    }
}
