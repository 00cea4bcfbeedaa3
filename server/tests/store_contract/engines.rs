//! The engines under test, each with an empty database of its own.

use std::{
    io::Write as _,
    sync::{
        Arc, Once,
        atomic::{AtomicU64, Ordering},
    },
};

use server::store::{
    AccountHolder, DatabaseUrl, KeyDigest, KeyId, KeyMode, Store, StoredKey, UserId,
    sqlite::{SqliteLocation, SqliteStore},
};
use tempfile::TempDir;

/// An empty store.
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    /// Keeps the database's folder for as long as the store.
    _folder: Option<TempDir>,
    schema: Option<Schema>,
}

impl Engine {
    /// Closes the store and lets go of its database.
    pub(crate) async fn end(self) {
        self.store.close().await.unwrap();
        if let Some(schema) = self.schema {
            schema.drop().await;
        }
    }
}

pub(crate) async fn in_a_file() -> Engine {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&SqliteLocation::File(folder.path().join("a.db"))).await.unwrap();
    Engine { store: Arc::new(store), _folder: Some(folder), schema: None }
}

pub(crate) async fn in_memory() -> Engine {
    let store = SqliteStore::open(&SqliteLocation::Memory).await.unwrap();
    Engine { store: Arc::new(store), _folder: None, schema: None }
}

/// `None` where there is no PostgreSQL to test with, which is said aloud.
pub(crate) async fn in_postgres() -> Option<Engine> {
    let schema = Schema::create().await?;
    let store = schema.database().open().await.unwrap();
    Some(Engine { store, _folder: None, schema: Some(schema) })
}

/// A schema of its own in the database that `TEST_DATABASE_URL` names.
pub(crate) struct Schema {
    url: String,
    name: String,
}

impl Schema {
    #[expect(clippy::disallowed_methods, reason = "tests have settings, too")]
    pub(crate) async fn create() -> Option<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        static TOLD: Once = Once::new();
        let Some(url) = std::env::var("TEST_DATABASE_URL").ok().filter(|url| !url.is_empty()) else {
            TOLD.call_once(|| {
                let told =
                    "\nNOT TESTED: PostgreSQL, for TEST_DATABASE_URL is not set; scripts/test sets it\n";
                std::io::stderr().write_all(told.as_bytes()).unwrap();
            });
            return None;
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let schema = Self { url, name: format!("test_{}_{number}", std::process::id()) };
        schema.execute(&format!("CREATE SCHEMA {}", schema.name)).await;
        Some(schema)
    }

    /// The URL by which a store finds this schema.
    pub(crate) fn url(&self) -> String {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{separator}options=-c%20search_path%3D{}", self.url, self.name)
    }

    /// The URL of another database beside the one that it is in.
    pub(crate) fn url_of(&self, database: &str) -> String {
        let (beside, parameters) = self.url.split_once('?').unwrap_or((&self.url, ""));
        format!("{}/{database}?{parameters}", beside.rsplit_once('/').unwrap().0)
    }

    /// The name of it, which no other has.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn database(&self) -> DatabaseUrl {
        self.url().parse().unwrap()
    }

    /// Does something in it by hand; what the engine refuses is returned in its words.
    pub(crate) async fn attempt(&self, sql: &str) -> Result<(), String> {
        let url = self.url();
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let done = client.batch_execute(sql).await;
        drop(client);
        connection.await.unwrap().unwrap();
        done.map_err(|error| error.as_db_error().unwrap().message().to_owned())
    }

    /// Does something in a transaction that lasts until the client is dropped; then the task ends.
    pub(crate) async fn hold(&self, sql: &str) -> (tokio::task::JoinHandle<()>, tokio_postgres::Client) {
        let (client, connection) = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(async move { connection.await.unwrap() });
        client.batch_execute(&format!("BEGIN; {sql}")).await.unwrap();
        (connection, client)
    }

    /// The one text that a query comes to.
    pub(crate) async fn ask(&self, sql: &str) -> String {
        let (client, connection) = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let answer = client.query_one(sql, &[]).await.unwrap().get(0);
        drop(client);
        connection.await.unwrap().unwrap();
        answer
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.attempt(sql).await.unwrap();
    }

    pub(crate) async fn drop(self) {
        self.execute(&format!("SET client_min_messages = warning; DROP SCHEMA {} CASCADE", self.name)).await;
    }
}

/// Creates users 1 to `count`, named `user1` and so on, with an account in US dollars each.
pub(crate) async fn people(store: &dyn Store, count: i64) {
    for number in 1..=count {
        let holder = AccountHolder {
            user: UserId(number),
            username: format!("user{number}"),
            currency: "USD".to_owned(),
            credit_limit_minor: 100_000,
        };
        store.put_holder(holder).await.unwrap();
    }
}

/// A key of `user`, with a digest that is made of `seed`.
pub(crate) fn key(id: &str, user: i64, seed: u8) -> StoredKey {
    StoredKey {
        id: KeyId(id.to_owned()),
        digest: KeyDigest([seed; 32]),
        user: UserId(user),
        username: format!("user{user}"),
        lineage: KeyId(id.to_owned()),
        sources: Vec::new(),
        permissions: 79,
        role: "customer".to_owned(),
        name: format!("Key {id}"),
        mode: KeyMode::Demo,
        last_four: "abcd".to_owned(),
        created_at: server::clock::UnixMillis::from_millis(1_000),
        expires_at: None,
        revoked_at: None,
        used_at: None,
        service: None,
    }
}
