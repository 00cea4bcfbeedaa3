//! Several servers on one PostgreSQL: any of them answers anything, and any of them may die.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{
    postgres::Postgres,
    process::{Ended, Program, run},
};

mod far_away;
pub(crate) mod load;
mod mail;
mod migrating;
mod sealing;
mod storms;
mod working_together;

/// Servers on one database, and a proxy that gives each new connection to the next of them.
struct Replicas {
    postgres: Postgres,
    servers: Vec<Program>,
    front: SocketAddr,
    folder: TempDir,
}

impl Replicas {
    async fn start() -> Option<Self> {
        let postgres = Postgres::start()?;
        let folder = tempfile::tempdir().unwrap();
        let url = postgres.url();
        // All at once, on an empty database.
        let starting: Vec<_> = (0..3)
            .map(|_| {
                let (path, url) = (folder.path().to_owned(), url.clone());
                tokio::task::spawn_blocking(move || Program::start(&path, &settings(&url)))
            })
            .collect();
        let mut servers = Vec::new();
        for server in starting {
            servers.push(server.await.unwrap());
        }
        let front = round_robin(servers.iter().map(|server| server.address).collect()).await;
        Some(Self { postgres, servers, front, folder })
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.address).collect()
    }

    /// What an operator does.
    fn operate(&self, arguments: &[&str]) -> Ended {
        run(self.folder.path(), arguments, &settings(&self.postgres.url()))
    }

    /// What an operator is told in JSON.
    fn told(&self, arguments: &[&str]) -> Value {
        let ended = self.operate(&[arguments, &["--json"]].concat());
        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
    }
}

fn settings(url: &str) -> [(&str, &str); 3] {
    [("DATABASE_URL", url), ("KEY_PEPPER", "a pepper that all of the servers share"), ("RATE_LIMIT", "off")]
}

/// A proxy before `servers`; one that does not answer is passed over.
async fn round_robin(servers: Vec<SocketAddr>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let next = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let (servers, next) = (servers.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                for _ in &servers {
                    let turn = next.fetch_add(1, Ordering::Relaxed) % servers.len();
                    if let Ok(mut server) = TcpStream::connect(servers[turn]).await {
                        // Either side may go away at any moment; that is what is tested.
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                        return;
                    }
                }
            });
        }
    });
    address
}
