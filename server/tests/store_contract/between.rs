//! What stands between a store and its database, and can be slow, silent or gone.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::engines::Schema;

/// How it is at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Every answer comes so much later.
    Late(Duration),
    /// Nothing is answered any more.
    Silent,
    /// Every connection is gone, and a new one is never set up.
    Unfinished,
}

/// The way to the database of a schema.
pub(crate) struct Between {
    address: SocketAddr,
    database: String,
    way: watch::Sender<Way>,
    asked: Arc<AtomicUsize>,
}

impl Between {
    pub(crate) async fn before(schema: &Schema) -> Self {
        let url = schema.url();
        let (_, rest) = url.split_once('@').unwrap();
        let database = rest.split_once('/').unwrap().0.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, asked) = (watch::Sender::new(Way::Late(Duration::ZERO)), Arc::new(AtomicUsize::new(0)));
        let (changes, counted, to) = (way.subscribe(), Arc::clone(&asked), database.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&to).await.unwrap();
                tokio::spawn(carry(client, server, changes.clone(), Arc::clone(&counted)));
            }
        });
        Self { address, database, way, asked }
    }

    /// The URL of the schema, this way.
    pub(crate) fn url(&self, schema: &Schema) -> String {
        schema.url().replacen(&self.database, &self.address.to_string(), 1)
    }

    pub(crate) fn becomes(&self, way: Way) {
        self.asked.store(0, Ordering::SeqCst);
        self.way.send_replace(way);
    }

    /// How often something was asked since it became what it is.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// One connection.
async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    mut way: watch::Receiver<Way>,
    counted: Arc<AtomicUsize>,
) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let is_new = *way.borrow() == Way::Unfinished;
    loop {
        let at_present = *way.borrow_and_update();
        if at_present == Way::Unfinished && !is_new {
            return Ok(());
        }
        tokio::select! {
            changed = way.changed() => if changed.is_err() { return Ok(()) },
            read = client.read(&mut asked) => {
                let said = &asked[..read?];
                let sets_up = said.windows(9).any(|word| word == b"isolation");
                if said.is_empty() {
                    return Ok(());
                }
                counted.fetch_add(1, Ordering::SeqCst);
                if at_present != Way::Silent && !(at_present == Way::Unfinished && sets_up) {
                    server.write_all(said).await?;
                }
            }
            read = server.read(&mut answered) => {
                let said = &answered[..read?];
                if said.is_empty() {
                    return Ok(());
                }
                if let Way::Late(by) = at_present {
                    tokio::time::sleep(by).await;
                }
                client.write_all(said).await?;
            }
        }
    }
}
