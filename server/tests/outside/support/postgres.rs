//! A PostgreSQL of a test's own, which it may stop, kill and start again.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Once,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{PATIENCE, secrets};

/// A PostgreSQL; it is killed when the test is over. What is in its tables is searched for secrets then.
pub(crate) struct Postgres {
    folder: TempDir,
    port: u16,
    server: Option<Child>,
}

impl Postgres {
    /// `None` where the tests have no PostgreSQL, which is said aloud.
    #[expect(clippy::disallowed_methods, reason = "tests have settings, too")]
    pub(crate) fn start() -> Option<Self> {
        static TOLD: Once = Once::new();
        if std::env::var("TEST_DATABASE_URL").unwrap_or_default().is_empty() {
            TOLD.call_once(|| {
                let told = "\nNOT TESTED: several servers on PostgreSQL, for TEST_DATABASE_URL is not set; scripts/test \
                            sets it\n";
                std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes()).unwrap();
            });
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut postgres = Self { folder, port: free_port(), server: None };
        postgres.go_on();
        Some(postgres)
    }

    /// What the servers are told.
    pub(crate) fn url(&self) -> String {
        let password = std::fs::read_to_string(self.folder.path().join("password")).unwrap();
        format!("postgres://payments:{password}@127.0.0.1:{}/postgres", self.port)
    }

    /// What a server is told whose database is far away: each answer comes so much later.
    pub(crate) async fn far_away(&self, by: Duration) -> String {
        let (listener, database) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), self.port);
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                client.set_nodelay(true).unwrap();
                tokio::spawn(async move {
                    let server = TcpStream::connect(("127.0.0.1", database)).await.unwrap();
                    let ((mut asked, mut told), (mut answered, mut asks)) =
                        (client.into_split(), server.into_split());
                    let late = async {
                        let mut buffer = vec![0; 64 * 1024];
                        while let Ok(length @ 1..) = answered.read(&mut buffer).await {
                            tokio::time::sleep(by).await;
                            if told.write_all(&buffer[..length]).await.is_err() {
                                break;
                            }
                        }
                    };
                    // Either side may go away at any moment.
                    tokio::select! {
                        () = late => {}
                        _ = tokio::io::copy(&mut asked, &mut asks) => {}
                    }
                });
            }
        });
        self.url().replace(&format!(":{database}/"), &format!(":{port}/"))
    }

    /// Starts it again, with everything that it had.
    pub(crate) fn go_on(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let mut server = self.begin();
        let said = || std::fs::read_to_string(self.log()).unwrap();
        while !said().contains("ready to accept connections") {
            assert!(Instant::now() < deadline, "{}", said());
            // Killed, it leaves processes behind that end a moment later, and refuses to start beside them.
            if server.try_wait().unwrap().is_some() {
                server = self.begin();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.server = Some(server);
    }

    fn begin(&self) -> Child {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/postgres");
        let mut command = Command::new(script);
        command.arg(self.folder.path()).arg(self.port.to_string()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(File::create(self.log()).unwrap());
        command.spawn().unwrap()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("postgres.log")
    }

    /// Stops it without waiting for its clients.
    pub(crate) fn stop(&mut self) {
        self.end("INT");
    }

    /// Kills it in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        self.end("KILL");
    }

    fn end(&mut self, signal: &str) {
        let Some(mut server) = self.server.take() else { return };
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(server.id().to_string()).status();
        assert!(sent.unwrap().success());
        server.wait().unwrap();
    }
}

/// A connection beside the servers', to do by hand what they do not.
pub(crate) struct Connected(tokio_postgres::Client);

impl Connected {
    pub(crate) async fn to(postgres: &Postgres) -> Self {
        let (client, connection) =
            tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls).await.unwrap();
        // It ends with the client.
        tokio::spawn(connection);
        Self(client)
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.0.batch_execute(sql).await.unwrap();
    }

    /// The one number that a query comes to.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.0.query_one(sql, &[]).await.unwrap().get(0)
    }
}

/// A port that is free and that no connection is given by chance while the server is down.
pub(crate) fn free_port() -> u16 {
    loop {
        let mut random = [0; 2];
        getrandom::fill(&mut random).unwrap();
        let port = 20_000 + u16::from_le_bytes(random) % 12_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// All that is in its tables; what is bytes, as far as it is text.
async fn kept(url: &str) -> String {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    // Whoever has locked a table when the test is over would be waited for.
    client.batch_execute("SET bytea_output = escape; SET lock_timeout = '10s'").await.unwrap();
    let tables = "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables
                  WHERE schemaname <> 'pg_catalog' AND schemaname <> 'information_schema'";
    let mut kept = String::new();
    for table in client.query(tables, &[]).await.unwrap() {
        let rows = format!("SELECT t::text FROM {} t", table.get::<_, &str>(0));
        for row in client.query(&rows, &[]).await.unwrap() {
            kept.push_str(row.get(0));
            kept.push('\n');
        }
    }
    kept
}

/// The same for whoever cannot wait for it.
fn kept_at_last(url: String) -> std::thread::Result<String> {
    let read = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(kept(&url))
    };
    std::thread::spawn(read).join()
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let kept = (!std::thread::panicking()).then(|| kept_at_last(self.url()));
        let _ = Command::new("kill").arg("-INT").arg(server.id().to_string()).status();
        let _ = server.wait();
        if let Some(kept) = kept {
            secrets::search("the tables of a PostgreSQL", &kept.expect("its tables can be read"));
        }
    }
}

#[tokio::test]
async fn a_secret_in_the_tables_of_a_postgresql_is_found_when_it_ends() {
    for (column, is_secret) in [("text", true), ("bytea", true), ("text", false)] {
        let Some(postgres) = Postgres::start() else { return };
        let word = if is_secret { shared::demo::BOB_API_KEY } else { "nothing that is looked for" };
        let keep = format!("CREATE TABLE a (b {column}); INSERT INTO a VALUES ('{word}')");
        Connected::to(&postgres).await.execute(&keep).await;
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(postgres)));
        assert_eq!(ended.is_err(), is_secret, "{column}");
    }
}
