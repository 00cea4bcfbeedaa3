//! The connections: a few, kept open, each set up so that nothing waits for ever.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject as _};
use scopeguard::ScopeGuard;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, SemaphorePermit},
};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    PostgresSettings, PostgresUrl,
    failure::{Failure, refused, unreachable},
};
use crate::store::StoreError;

/// How long somebody waits for a connection that others use.
const FREE_WITHIN: Duration = Duration::from_secs(3);

/// The longest that one piece of work may take, whatever the database does.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// What every connection begins with. A statement, a wait for a lock and a transaction whose server has died all end; a
/// commit that was acknowledged is on the disk, and a statement sees what was committed before it, whatever the database's own
/// settings are. Where the database can, it looks whether there is still somebody who waits.
const SET_UP: &str = "
    SET default_transaction_isolation = 'read committed';
    SET statement_timeout = '10s';
    SET lock_timeout = '8s';
    SET idle_in_transaction_session_timeout = '10s';
    SELECT set_config (name, '1s', false) FROM pg_settings WHERE name = 'client_connection_check_interval';
    SELECT set_config ('synchronous_commit', 'on', false) WHERE current_setting ('synchronous_commit') = 'off';
";

/// How many connections were opened.
#[derive(Debug, Clone, Default)]
pub(super) struct Opened(Arc<AtomicU64>);

impl Opened {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn another(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// Connections to `url`, which are counted as they are opened. None is opened before it is needed.
///
/// # Errors
/// [`StoreError::Unavailable`] when the roots of the database's certificate cannot be read.
pub(super) fn pool(
    url: &PostgresUrl,
    settings: &PostgresSettings,
    opened: &Opened,
) -> Result<Pool, StoreError> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = if url.config().get_ssl_mode() == SslMode::Disable {
        Manager::from_config(url.config().clone(), tokio_postgres::NoTls, recycling)
    } else {
        let tls = MakeRustlsConnect::new(trusting(settings.roots.as_deref())?);
        Manager::from_config(url.config().clone(), tls, recycling)
    };
    let opened = opened.clone();
    let set_up = Hook::async_fn(move |client, _| {
        opened.another();
        Box::pin(async move {
            let done = tokio::time::timeout(FREE_WITHIN, client.batch_execute(SET_UP)).await;
            done.map_err(|_| HookError::message("a connection was not set up in time"))?
                .map_err(HookError::Backend)
        })
    });
    let built = Pool::builder(manager)
        .max_size(settings.connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(FREE_WITHIN))
        .create_timeout(Some(FREE_WITHIN))
        .recycle_timeout(Some(FREE_WITHIN))
        .post_create(set_up)
        .build();
    built.map_err(|error| StoreError::Unavailable {
        reason: "set up the connections".to_owned(),
        source: Some(Box::new(error)),
    })
}

/// Whom the database's certificate has to come from: the roots in a file, or those of this machine.
fn trusting(roots: Option<&Path>) -> Result<ClientConfig, StoreError> {
    let unreadable = |path: &Path| refused(&format!("read certificates of roots from {}", path.display()));
    let trusted = match roots {
        Some(path) => roots_in(path).ok_or_else(|| unreadable(path))?,
        None => {
            let mut trusted = RootCertStore::empty();
            trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            trusted
        }
    };
    if trusted.is_empty() {
        return Err(refused("there is no root to check the database's certificate by: set DATABASE_CA"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| StoreError::Unavailable {
        reason: "set up TLS".to_owned(),
        source: Some(Box::new(error)),
    })?;
    Ok(builder.with_root_certificates(trusted).with_no_client_auth())
}

/// The roots in a file in PEM; `None` where it cannot be read, or where there is something else in it or nothing.
pub(super) fn roots_in(path: &Path) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).ok()? {
        roots.add(certificate.ok()?).ok()?;
    }
    (!roots.is_empty()).then_some(roots)
}

/// A connection that is free, or becomes so soon.
pub(super) async fn free(pool: &Pool) -> Result<Object, StoreError> {
    pool.get().await.map_err(unreachable)
}

/// A place among those who work on money. They wait for each other's accounts, each on a connection: without a bound, those
/// who pay from one account or to one would have all of them, and nobody else would get in.
pub(super) async fn place(places: &Semaphore) -> Result<SemaphorePermit<'_>, StoreError> {
    let found = tokio::time::timeout(FREE_WITHIN, places.acquire()).await;
    found.ok().and_then(Result::ok).ok_or_else(|| refused("too many wait for work on money"))
}

/// How many may work on money at once on so many connections: three of four.
pub(super) fn places(connections: usize) -> Semaphore {
    Semaphore::new(connections.saturating_sub(connections / 4).max(1))
}

/// What `work` came to, unless it takes too long.
pub(super) async fn in_time<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(ANSWERED_WITHIN, work).await.unwrap_or(Err(Failure::Late))
}

/// How long a connection has to become idle whose caller went away.
const IDLE_WITHIN: Duration = Duration::from_millis(250);

/// Sees to a connection that is dropped while something is done on it: others have it again once that is over, and where that
/// takes long it is closed, so that nobody waits behind it.
pub(super) fn guarded(client: Object) -> ScopeGuard<Object, impl FnOnce(Object)> {
    scopeguard::guard(client, |client| match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(async move {
            // Answered after whatever was asked before it.
            let idle = tokio::time::timeout(IDLE_WITHIN, client.simple_query("")).await;
            if !matches!(idle, Ok(Ok(_))) {
                drop(Object::take(client));
            }
        })),
        Err(_) => drop(Object::take(client)),
    })
}

/// Lets go of a connection after it failed: one that may still be busy, or that leads to a database which takes no writes any
/// more, is not used again.
pub(super) fn let_go(client: Object, failure: Option<&Failure>) {
    if failure.is_some_and(Failure::is_of_its_connection) {
        drop(Object::take(client));
    }
}
