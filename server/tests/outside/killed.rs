//! A server that is killed again and again in the middle of payments, and started again on what it left: what was
//! acknowledged is there, everything is there once, and everybody goes on.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    replicas::load::{Paid, pay},
    support::{
        client::Client,
        modern::Caller,
        postgres::Postgres,
        process::{Program, run},
    },
};

/// How many pay while a server is killed.
const PAYERS: usize = 4;

/// One round of so many goes by without a kill, and shows how long a round takes at present.
const MEASURED: usize = 10;

/// A server that has an address of its own each time, and the address before it, which stays.
struct Mortal {
    // Before its folder, in which it is searched when both go.
    program: Option<Program>,
    folder: TempDir,
    settings: Vec<(&'static str, String)>,
    now: Arc<Mutex<SocketAddr>>,
    front: SocketAddr,
}

impl Mortal {
    async fn start(database: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings: Vec<(&str, String)> = [
            ("RATE_LIMIT", "off"),
            ("PAYMENTS_DEMO", "false"),
            ("KEY_PEPPER", "a pepper that outlives the server"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into();
        settings.extend(database.map(|url| ("DATABASE_URL", url)));
        let program = Program::start(folder.path(), &borrowed(&settings));
        let now = Arc::new(Mutex::new(program.address));
        let front = before(Arc::clone(&now)).await;
        Self { program: Some(program), folder, settings, now, front }
    }

    /// Killed, and started again on what it left.
    fn kill_and_start(&mut self) {
        self.program.take().unwrap().kill();
        let program = Program::start_supervised(self.folder.path(), &borrowed(&self.settings));
        *self.now.lock() = program.address;
        self.program = Some(program);
    }

    /// What an operator is told.
    fn told(&self, arguments: &[&str]) -> Value {
        let ended = run(self.folder.path(), arguments, &borrowed(&self.settings));
        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
        serde_json::from_str(&ended.stdout).unwrap_or(Value::String(ended.stdout))
    }

    /// The books, held against what was acknowledged.
    fn hold_against(&self, paid: &Paid) {
        let listed = self.told(&["payments", "list", "--limit", "1000", "--json"]);
        let listed = listed.as_array().unwrap();
        assert!(listed.iter().all(|one| one["status"] == "succeeded"), "{listed:?}");
        let mut kept: Vec<&str> = listed.iter().map(|one| one["paymentId"].as_str().unwrap()).collect();
        let mut told: Vec<&str> = paid.acknowledged.iter().map(|(id, _)| id.as_str()).collect();
        kept.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, kept, "what was acknowledged is what is there, once");
        self.told(&["audit", "verify"]);
    }
}

fn borrowed<'s>(settings: &'s [(&'static str, String)]) -> Vec<(&'static str, &'s str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// An address before a server that moves.
async fn before(now: Arc<Mutex<SocketAddr>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let behind = *now.lock();
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(behind).await {
                    // Either side may go away at any moment; that is what is tested.
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    address
}

/// How often a server is killed.
#[expect(clippy::disallowed_methods, reason = "tests have settings, too")]
fn kills() -> usize {
    std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(100)
}

async fn balance(address: SocketAddr, key: &str) -> i64 {
    let balance = Caller::new(address, key).call("getAccountBalance", json!({})).await;
    let balance = balance["structuredContent"]["balance"].as_f64().unwrap();
    #[expect(clippy::cast_possible_truncation, clippy::float_arithmetic, reason = "two decimals")]
    let cents = (balance * 100.0).round() as i64;
    cents
}

async fn nothing_is_lost_and_nothing_done_twice(database: Option<String>) {
    let mut server = Mortal::start(database).await;
    let key_of = |name: &str| {
        server.told(&["users", "create", name, "--credit-limit", "100000", "--json"]);
        let trusted = ["--role", "customer", "--automatic-below", "1000", "--json"];
        let made = server.told(&[&["keys", "create", "--user", name], &trusted[..]].concat());
        made["key"].as_str().unwrap().to_owned()
    };
    let (key, payee) = (key_of("dora"), key_of("erin"));
    let session = Client::open(server.front, &key).await;
    let paid = Arc::new(Mutex::new(Paid::default()));
    let (mut cents, mut interrupted, mut span) = (0, 0, Duration::ZERO);
    for round in 0..kills() + kills().div_ceil(MEASURED - 1) {
        let mut payers = JoinSet::new();
        for _ in 0..PAYERS {
            // Each amount is another one, or it would be asked about as a duplicate.
            cents += 1;
            let (caller, paid) = (Caller::new(server.front, &key), Arc::clone(&paid));
            payers.spawn(async move { pay(&caller, "erin", cents, &paid).await });
        }
        if round % MEASURED == 0 {
            let began = Instant::now();
            payers.join_all().await;
            span = began.elapsed();
            continue;
        }
        let mut moment = [0; 1];
        getrandom::fill(&mut moment).unwrap();
        tokio::time::sleep(span * u32::from(moment[0]) / 256).await;
        let done = paid.lock().acknowledged.len();
        server.kill_and_start();
        interrupted += usize::from(i64::try_from(done).unwrap() < cents);
        payers.join_all().await;
        assert_eq!(session.ping().await.status, 200, "the session goes on");
        if round % 25 == 1 {
            server.hold_against(&paid.lock());
        }
    }
    let paid = std::mem::take(&mut *paid.lock());
    server.hold_against(&paid);
    let interrupted_at_least = kills() / 3;
    assert!(
        interrupted >= interrupted_at_least && paid.repeated >= i64::try_from(interrupted_at_least).unwrap(),
        "{interrupted} of {} kills came while somebody was paying, and {} attempts broke off: too few",
        kills(),
        paid.repeated
    );
    let sum: i64 = paid.acknowledged.iter().map(|(_, cents)| cents).sum();
    assert_eq!(sum, (1..=cents).sum::<i64>());
    assert_eq!((balance(server.front, &key).await, balance(server.front, &payee).await), (-sum, sum));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_sqlite_that_is_killed_a_hundred_times_loses_nothing_and_does_nothing_twice() {
    nothing_is_lost_and_nothing_done_twice(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_postgresql_that_is_killed_a_hundred_times_loses_nothing_and_does_nothing_twice() {
    let Some(postgres) = Postgres::start() else { return };
    nothing_is_lost_and_nothing_done_twice(Some(postgres.url())).await;
}
