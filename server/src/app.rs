//! The whole server: wired together from a [`Config`], served, and drained.
//!
//! `main` and the tests from outside build the same [`Application`] and differ in the settings alone.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use axum::Router;
use secrecy::SecretString;
use shared::demo;
use tokio::{
    net::TcpListener,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    audit::AuditTrail,
    clock::UnixMillis,
    config::{Config, ConfigError, Exposed, SessionConfig},
    http::{
        self, Access, HttpState, Routes,
        health::Health,
        serve::{ServeLimits, Serving, serve},
        tls::Tls,
    },
    identity::{Authenticator, Issuer, Pepper},
    limits::Limits,
    mcp::{Engine, EngineBuilder, Sealing, ServerIdentity, SessionSettings},
    metrics::Metrics,
    payments::{Ledger, Payments, RiskGate},
    prompts, resources,
    store::{DatabaseUrl, KeyMode, Store, sqlite::SqliteLocation},
    tools,
};

mod beginning;
mod pepper_file;
mod risk_service;
mod sweeps;

use sweeps::Seals;

pub use pepper_file::PepperFileError;

/// Largest body of a request, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// How long after the stop the shutdown waits at most: for calls and what runs beside them, which is a second beyond
/// [`ServeLimits::drain`]; then for refusals to be recorded; then for the store to write what is queued.
const CALLS_END: Duration = Duration::from_secs(7);
const REFUSALS_ARE_RECORDED: Duration = Duration::from_millis(8_125);
const STORE_IS_CLOSED: Duration = Duration::from_millis(9_250);
const _: () = assert!(
    CALLS_END.as_millis() < REFUSALS_ARE_RECORDED.as_millis()
        && REFUSALS_ARE_RECORDED.as_millis() < STORE_IS_CLOSED.as_millis()
        && STORE_IS_CLOSED.as_secs() < 10,
    "one ends after the other, and all of it takes less than ten seconds"
);

/// A server that is ready to run: it listens, and its store is open.
pub struct Application {
    listener: TcpListener,
    address: SocketAddr,
    routes: Routes,
    engine: Arc<Engine>,
    store: Arc<dyn Store>,
    payments: Payments,
    seals: Seals,
    health: Health,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    demo_users: &'static [&'static str],
    reloading: Reloading,
}

/// What tools work with.
#[derive(Clone)]
pub struct Rooms {
    /// What everything is kept in.
    pub store: Arc<dyn Store>,
    /// How money moves.
    pub payments: Payments,
}

impl std::fmt::Debug for Rooms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rooms").finish_non_exhaustive()
    }
}

/// What can be read again while the server runs: certificates, and the keys of an issuer.
#[derive(Debug, Clone)]
pub struct Reloading {
    tls: Option<Tls>,
    issuer: Option<Arc<Issuer>>,
}

impl Reloading {
    /// Reads everything again. What cannot be read stays as it was.
    pub async fn reload(&self) {
        match self.tls.as_ref().map(Tls::reload) {
            Some(Ok(())) => tracing::info!("the certificates were read again"),
            Some(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the certificates were not read again; the old ones stay");
            }
            None => {}
        }
        if let Some(issuer) = &self.issuer {
            issuer.reload().await;
        }
    }
}

impl Application {
    /// The payment server: opens the store, listens, seeds the demo where it is wanted, and wires the rooms together.
    ///
    /// # Errors
    /// A [`ConfigError`] when the store holds demo keys and other machines are let in, or is a real deployment's and the
    /// demo is wanted; otherwise whatever kept the server from listening or the store from opening.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        let identity = ServerIdentity {
            name: demo::SERVER_NAME.to_owned(),
            version: demo::SERVER_VERSION.to_owned(),
            instructions: Some(demo::SERVER_INSTRUCTIONS.to_owned()),
        };
        let limits = told_limits(&config);
        Self::offering(config, identity, |builder, rooms| {
            let ledger = Ledger::new(Arc::clone(&rooms.store));
            let (payments, store) = (rooms.payments.clone(), Arc::clone(&rooms.store));
            let builder = tools::register(builder, ledger.clone(), payments, store, limits);
            prompts::register(resources::register(builder, ledger.clone()), ledger)
        })
        .await
    }

    /// The same server around another engine: who it says it is, and what `register` adds to it.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub async fn offering(
        config: Config,
        identity: ServerIdentity,
        register: impl FnOnce(EngineBuilder, &Rooms) -> EngineBuilder,
    ) -> anyhow::Result<Self> {
        if config.exposed == Some(Exposed::Proxy) && config.trusted_proxies.is_empty() {
            tracing::warn!(
                "TRUSTED_PROXIES is not set: every request is taken to come from the proxy, also for keys with networks of \
                 their own"
            );
        }
        let store = config.database.open().await.context("cannot open the database")?;
        Self::over(config, store, identity, register).await
    }

    /// The same over a store that is open already.
    async fn over(
        config: Config,
        store: Arc<dyn Store>,
        identity: ServerIdentity,
        register: impl FnOnce(EngineBuilder, &Rooms) -> EngineBuilder,
    ) -> anyhow::Result<Self> {
        let now = UnixMillis::now();
        if let Some(exposed) = config.exposed
            && store.keys().await?.iter().any(|key| key.mode == KeyMode::Demo && key.ended(now).is_none())
        {
            return Err(ConfigError::PublicDemoKeysStored { exposed }.into());
        }
        let risk = RiskGate::open(config.risk.as_ref())?;
        let tls = config.tls.map(Tls::load).transpose()?;
        let issuer = match config.issuer {
            Some(settings) => Some(Issuer::open(settings).await?),
            None => None,
        };
        // Before anything is written: a second server on the same port must not change the first one's keys.
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("cannot listen on {} (PORT=0 picks a free port)", config.listen))?;
        let address = listener.local_addr().context("the listener has no address")?;
        let (set, demo) = (config.pepper.as_ref(), config.demo.as_ref());
        let (pepper, demo_users) = beginning::begin(store.as_ref(), set, &config.database, demo, now).await?;

        let stop = CancellationToken::new();
        let metrics = Arc::new(Metrics::new());
        let health = Health::new(Arc::clone(&store));
        let sealing = Sealing::new(&store.sealing_keys().await?, &pepper);
        let limits = Limits::new(config.limits);
        let seals = Seals { sealing: sealing.clone(), pepper: pepper.clone() };
        let builder = Engine::builder(identity).sessions(settings(&config.sessions)).sealing(sealing);
        let builder = builder.limits(limits.clone());
        let payments = Payments::new(Arc::clone(&store), risk);
        let builder = register(builder, &Rooms { store: Arc::clone(&store), payments: payments.clone() });
        let audit = Arc::new(AuditTrail::new(Arc::clone(&store), Arc::clone(&metrics)));
        let engine = builder.build(Arc::clone(&store), audit, stop.clone());
        let engine = Arc::new(engine.context("what the server offers is wrong")?);
        let demo_keys = config.exposed.is_none();
        let authenticator =
            Authenticator::new(Arc::clone(&store), pepper, issuer.clone()).demo_keys(demo_keys);
        let access = Access { authenticator, guard: config.guard, limits, proxies: config.trusted_proxies };
        let state =
            HttpState::new(Arc::clone(&engine), access, health.clone(), Arc::clone(&metrics), BODY_LIMIT);
        let routes = Routes::new(state);
        let reloading = Reloading { tls, issuer };
        Ok(Self {
            listener,
            address,
            routes,
            engine,
            store,
            payments,
            seals,
            health,
            metrics,
            stop,
            demo_users,
            reloading,
        })
    }

    /// The same server with `layer` around its routes.
    #[must_use]
    pub fn wrapped(mut self, layer: impl FnOnce(Router) -> Router) -> Self {
        self.routes = self.routes.wrapped(layer);
        self
    }

    /// Where it listens; the real port where port 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of its MCP endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.reloading.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.address, http::MCP_PATH)
    }

    /// The demo users that it knows; none in a real deployment.
    #[must_use]
    pub const fn demo_users(&self) -> &'static [&'static str] {
        self.demo_users
    }

    /// What can be read again while it runs.
    #[must_use]
    pub fn reloading(&self) -> Reloading {
        self.reloading.clone()
    }

    /// What it keeps its data in.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Serves until `shutdown`, then drains: it accepts no connection, says that it is not ready, ends open streams,
    /// finishes the calls under way, writes what is queued, and returns. That takes less than ten seconds, whatever
    /// the peers do.
    ///
    /// # Errors
    /// When the accept loop died, or the store could not write its queue.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
        let refusals = self.engine.refusals().clone();
        let serving = Serving { limits: ServeLimits::default(), tls: self.reloading.tls, refusals };
        let mut serving = tokio::spawn(serve(self.listener, self.routes, serving, self.stop.clone()));
        let sweeping = tokio::spawn(sweeps::sessions(
            Arc::clone(&self.engine),
            Arc::clone(&self.store),
            Arc::clone(&self.metrics),
            self.stop.clone(),
        ));
        let settling = tokio::spawn(sweeps::payments(self.payments, self.stop.clone()));
        let turning = tokio::spawn(sweeps::seals(self.seals, Arc::clone(&self.store), self.stop.clone()));
        let watching = {
            let engine = Arc::clone(&self.engine);
            tokio::spawn(async move { engine.watch().await })
        };
        let keeping_step = {
            let engine = Arc::clone(&self.engine);
            tokio::spawn(async move { engine.keep_step().await })
        };
        let noting = tokio::spawn({
            let (refusals, stop) = (self.engine.refusals().clone(), self.stop.clone());
            async move { refusals.keep(stop).await }
        });
        let died = tokio::select! {
            () = shutdown => None,
            died = &mut serving => Some(died),
        };
        tracing::info!("stopping");
        let stopped = Instant::now();
        self.health.drain();
        self.stop.cancel();
        let served = match died {
            Some(died) => died,
            None => serving.await,
        };
        let beside = async { tokio::try_join!(sweeping, settling, turning, watching, keeping_step, noting) };
        match timeout_at(stopped + CALLS_END, beside).await {
            Ok(ended) => drop(ended.context("what runs beside the calls failed")?),
            Err(_) => tracing::warn!("the database was still asked when the server stopped"),
        }
        if timeout_at(stopped + CALLS_END, self.engine.drained()).await.is_err() {
            tracing::warn!("calls were still running when the server stopped");
        }
        if timeout_at(stopped + REFUSALS_ARE_RECORDED, self.engine.refusals().record()).await.is_err() {
            tracing::error!("refusals were still to be recorded when the server stopped");
        }
        timeout_at(stopped + STORE_IS_CLOSED, self.store.close())
            .await
            .context("the database took too long to close")?
            .context("the database did not close")?;
        served.context("the accept loop failed")?;
        tracing::info!("stopped");
        Ok(())
    }
}

impl std::fmt::Debug for Application {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Application").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The pepper that was set, or the one beside the database; `None` where none was made yet.
pub(crate) fn pepper(set: Option<&SecretString>, database: &DatabaseUrl) -> anyhow::Result<Option<Pepper>> {
    match (set, database) {
        (Some(secret), _) => Ok(Some(Pepper::from_secret(secret))),
        (None, DatabaseUrl::Sqlite(SqliteLocation::File(path))) => {
            Ok(pepper_file::pepper_beside(path)?.as_ref().map(Pepper::from_secret))
        }
        (None, DatabaseUrl::Sqlite(SqliteLocation::Memory)) => Ok(None),
        (None, DatabaseUrl::Postgres(..)) => Err(ConfigError::PepperMissing.into()),
    }
}

/// A fresh one, beside the database from now on; a database in memory gets one that dies with it.
pub(crate) fn fresh_pepper(database: &DatabaseUrl) -> anyhow::Result<Pepper> {
    match database {
        DatabaseUrl::Sqlite(SqliteLocation::File(path)) => {
            Ok(Pepper::from_secret(&pepper_file::make_beside(path)?))
        }
        DatabaseUrl::Sqlite(SqliteLocation::Memory) => {
            Pepper::generate().context("no randomness for a key pepper")
        }
        DatabaseUrl::Postgres(..) => Err(ConfigError::PepperMissing.into()),
    }
}

/// What is limited, as callers are told.
fn told_limits(config: &Config) -> tools::Limits {
    tools::Limits {
        calls_per_minute: config.limits.map(|limits| limits.calls.get()),
        concurrent_calls: config.limits.map(|limits| limits.calls_at_once.get()),
        sessions_per_key: config.sessions.per_key,
        session_idle_seconds: config.sessions.idle.as_secs(),
    }
}

fn settings(sessions: &SessionConfig) -> SessionSettings {
    SessionSettings {
        idle: sessions.idle,
        max: sessions.max,
        per_key: sessions.per_key,
        total: sessions.total,
    }
}
