//! Two servers on one database, of either kind, and what is written there.

use futures_util::future::join_all;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    client::{ALICE, BOB},
    eventually,
    modern::Caller,
    postgres::{Connected, Postgres},
    process::{Ended, Program, run},
};

/// Two servers on one database.
pub(super) struct Books {
    pub(super) servers: [Program; 2],
    folder: TempDir,
    postgres: Option<Postgres>,
}

impl Books {
    /// On SQLite, and on PostgreSQL where the tests have one.
    pub(super) async fn of_each_kind() -> Vec<Self> {
        let mut books = vec![Self::on(None)];
        if let Some(postgres) = Postgres::start() {
            books.push(Self::on(Some(postgres)));
        }
        for one in &books {
            eventually("connections to the database", async || one.answers_many().await).await;
        }
        books
    }

    fn on(postgres: Option<Postgres>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = url(postgres.as_ref());
        let start = || Program::start(folder.path(), &settings(&url));
        Self { servers: [start(), start()], folder, postgres }
    }

    /// Whether many are answered at once: the first of them wait until the servers are connected.
    async fn answers_many(&self) -> bool {
        let callers: Vec<_> = (0..16).map(|turn| self.caller(BOB, turn)).collect();
        let balance = json!({ "name": "getAccountBalance", "arguments": {} });
        let answers = join_all(callers.iter().map(|caller| caller.answer("tools/call", balance.clone())));
        answers.await.iter().all(|answer| answer.status == 200)
    }

    /// What an operator does.
    pub(super) fn operate(&self, arguments: &[&str]) -> Ended {
        run(self.folder.path(), arguments, &settings(&url(self.postgres.as_ref())))
    }

    /// What an operator is told in JSON.
    pub(super) fn told(&self, arguments: &[&str]) -> Value {
        let ended = self.operate(&[arguments, &["--json"]].concat());
        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
    }

    /// A new key of Bob's with limits: its id and what is presented.
    pub(super) fn key(&self, limits: &[&str]) -> (String, String) {
        let create = ["keys", "create", "--user", "bob", "--role", "customer"];
        let made = self.told(&[&create, limits].concat());
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("id"), text("key"))
    }

    /// Somebody with a key who can be asked, at the servers in turn.
    pub(super) fn caller(&self, key: &str, turn: usize) -> Caller {
        Caller::new(self.servers[turn % 2].address, key).able(json!({ "elicitation": {} }))
    }

    /// Beside the servers, where their database is PostgreSQL.
    pub(super) async fn beside(&self) -> Option<Connected> {
        match &self.postgres {
            Some(postgres) => Some(Connected::to(postgres).await),
            None => None,
        }
    }

    /// Until it ends, no server claims a key.
    pub(super) async fn standstill(&self) -> Standstill {
        if let Some(beside) = self.beside().await {
            beside.execute("BEGIN; LOCK TABLE idempotency_claims").await;
            return Standstill::Postgres(beside);
        }
        let beside = Connection::open(self.folder.path().join("payments.db")).unwrap();
        beside.execute_batch("BEGIN IMMEDIATE").unwrap();
        Standstill::Sqlite(beside)
    }

    /// Bob's and Alice's balances.
    pub(super) async fn balances(&self) -> [f64; 2] {
        let balance = async |key| {
            let told = self.caller(key, 0).call("getAccountBalance", json!({})).await;
            told["structuredContent"]["balance"].as_f64().unwrap()
        };
        [balance(BOB).await, balance(ALICE).await]
    }

    /// How many transfers Bob has made and received.
    pub(super) async fn transfers(&self) -> usize {
        let told = self.caller(BOB, 0).call("getAllTransactions", json!({})).await;
        told["structuredContent"]["transactions"].as_array().unwrap().len()
    }

    /// How many payments stand so.
    pub(super) fn count(&self, status: &str) -> usize {
        let listed = self.told(&["payments", "list", "--status", status, "--limit", "1000"]);
        listed.as_array().unwrap().len()
    }

    /// The audit trail is whole.
    pub(super) fn verify(&self) {
        let verdict = self.operate(&["audit", "verify"]);
        assert!(verdict.status.success(), "{verdict:?}");
    }
}

/// Somebody beside the servers who keeps them from what they would write.
pub(super) enum Standstill {
    Sqlite(Connection),
    Postgres(Connected),
}

impl Standstill {
    pub(super) async fn end(self) {
        match self {
            Self::Sqlite(beside) => beside.execute_batch("COMMIT").unwrap(),
            Self::Postgres(beside) => beside.execute("COMMIT").await,
        }
    }
}

fn url(postgres: Option<&Postgres>) -> String {
    postgres.map_or_else(|| "sqlite://payments.db".to_owned(), Postgres::url)
}

fn settings(url: &str) -> [(&str, &str); 4] {
    [
        ("DATABASE_URL", url),
        // A connection takes its time before it is open, the more so in a program that was not optimized.
        ("DATABASE_CONNECTIONS", "4"),
        ("KEY_PEPPER", "a pepper that both servers share, long enough"),
        ("RATE_LIMIT", "off"),
    ]
}
