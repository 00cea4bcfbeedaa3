//! The engine to scale out: PostgreSQL, under any number of servers.
//!
//! Every call takes a connection from a small pool, and everything that a call decides on it locks first, in an order
//! that all keep to; what others do at once is found by the database and begun again. No server keeps anything that
//! another would need: any of them may answer, and any may die.

/// Reads on a connection of its own.
macro_rules! read {
    ($store:expr, $doing:literal, |$client:ident| $work:expr) => {{
        let guarded = $crate::store::postgres::connections::guarded($store.free().await?);
        let $client = &*guarded;
        let done: Result<_, Failure> = in_time(async { $work }).await;
        let_go(scopeguard::ScopeGuard::into_inner(guarded), done.as_ref().err());
        done.map_err(|failure| failure.told($doing))
    }};
}

/// Does something in one transaction, again where others were in the way, and commits it if it succeeded.
macro_rules! transact {
    ($store:expr, $doing:literal, |$transaction:ident| $work:expr) => {{
        let mut attempts = Attempts::default();
        loop {
            let mut client = $crate::store::postgres::connections::guarded($store.free().await?);
            let done: Result<_, Failure> = in_time(async {
                let $transaction = client.transaction().await?;
                let work: Result<_, Failure> = async { $work }.await;
                let output = work?;
                $transaction.commit().await?;
                Ok(output)
            })
            .await;
            let_go(scopeguard::ScopeGuard::into_inner(client), done.as_ref().err());
            match done {
                Err(failure) if attempts.go_on_after(&failure).await => {}
                done => break done.map_err(|failure| failure.told($doing)),
            }
        }
    }};
}

mod attempts;
mod audit;
mod behind;
mod claims;
mod connections;
mod failure;
mod keys;
mod ledger;
mod location;
mod look_up;
mod migrations;
mod payments;
mod peppers;
mod rows;
mod sealing;
mod sent;
mod sessions;
mod settings;
mod spending;
mod transaction;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use deadpool_postgres::{Object, Pool};
use tokio::sync::{Mutex, Semaphore};

use self::{
    behind::Behind,
    connections::{Opened, free, in_time, let_go},
    failure::Failure,
    rows::execute,
};
pub use self::{
    location::{NotAPostgresUrl, PostgresUrl},
    settings::PostgresSettings,
};
use super::{Migration, Store, StoreError, known_keys::KnownKeys};
use crate::clock::UnixMillis;

/// For how long another server's change of a key may go unseen here. To look again is a way there and back, which whoever comes
/// meanwhile shares.
const KEYS_BELIEVED: Duration = Duration::from_millis(20);

/// The store in a PostgreSQL database that other servers may use at the same time.
#[derive(Debug)]
pub struct PostgresStore {
    pool: Pool,
    opened: Opened,
    /// For work on money.
    money: Arc<Semaphore>,
    behind: Behind,
    known_keys: KnownKeys,
    /// Held by whoever sees whether they are still what they were; when somebody last could not.
    looking: Mutex<Option<Instant>>,
}

impl PostgresStore {
    /// Connects and brings the schema up to date. Of several that do so at once, one does it and the others wait.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be reached, [`StoreError::Corrupt`] when its schema is of a newer
    /// program or of another one; then nothing in it was changed.
    pub async fn open(url: &PostgresUrl, settings: &PostgresSettings) -> Result<Self, StoreError> {
        let opened = Opened::default();
        let pool = connections::pool(url, settings, &opened)?;
        migrate(&pool).await?;
        let behind = Behind::start(&pool);
        let money = Arc::new(connections::places(settings.connections));
        let known_keys = KnownKeys::new(KEYS_BELIEVED);
        Ok(Self { pool, opened, money, behind, known_keys, looking: Mutex::new(None) })
    }

    /// Brings the schema up to date, and says what that meant.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn migrate(url: &PostgresUrl, settings: &PostgresSettings) -> Result<Migration, StoreError> {
        let pool = connections::pool(url, settings, &Opened::default())?;
        let migration = migrate(&pool).await;
        pool.close();
        migration
    }

    async fn free(&self) -> Result<Object, StoreError> {
        free(&self.pool).await
    }
}

async fn migrate(pool: &Pool) -> Result<Migration, StoreError> {
    let mut client = free(pool).await?;
    migrations::migrate(&mut client).await.map_err(|failure| failure.told("migrate the database"))
}

#[async_trait]
impl Store for PostgresStore {
    async fn check(&self) -> Result<(), StoreError> {
        let at = UnixMillis::now().as_millis();
        read!(self, "write to the database", |client| {
            execute(client, "UPDATE checks SET at = $1", &[&at]).await.map(|_| ())
        })
    }

    async fn close(&self) -> Result<(), StoreError> {
        let written = self.behind.close().await;
        self.pool.close();
        written
    }
}
