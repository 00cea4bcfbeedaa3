//! A server in this process, built by the same lines as `main`'s.

use std::{net::SocketAddr, sync::Arc};

use server::{app::Application, config::Config, store::Store};
use tokio::{sync::oneshot, task::JoinHandle};

use super::secrets;

/// A running server. It stops with the test's runtime, or in order with [`App::stop`].
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<dyn Store>,
    shutdown: oneshot::Sender<()>,
    running: JoinHandle<anyhow::Result<()>>,
}

/// A server with every default, on a free port, over a database in memory.
pub(crate) async fn spawn_app() -> App {
    spawn_app_with(|_| {}).await
}

/// The same with settings of the test's choice.
pub(crate) async fn spawn_app_with(change: impl FnOnce(&mut Config)) -> App {
    let mut config = Config::ephemeral().unwrap();
    change(&mut config);
    run(Application::build(config).await.unwrap())
}

/// Runs a server that was built. Its log is searched for secrets.
pub(crate) fn run(application: Application) -> App {
    secrets::watch_the_log();
    let (address, store) = (application.address(), application.store());
    let (shutdown, asked) = oneshot::channel();
    let running = tokio::spawn(application.run(async move {
        // A sender that is gone is a test that is over.
        let _ = asked.await;
    }));
    App { address, store, shutdown, running }
}

impl App {
    /// Begins the shutdown and goes on; the task ends when it is complete.
    pub(crate) fn begin_stop(self) -> JoinHandle<anyhow::Result<()>> {
        self.shutdown.send(()).unwrap();
        self.running
    }

    /// How many sessions are open and how many tool calls are in the audit trail.
    pub(crate) async fn traces(&self) -> (u64, usize) {
        self.store.flush_audit().await.unwrap();
        let records = self.store.latest_audit(1_000).await.unwrap();
        let calls = records.iter().filter(|record| record.tool != server::audit::REFUSED).count();
        (self.store.count_sessions().await.unwrap(), calls)
    }
}
