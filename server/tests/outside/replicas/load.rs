//! Clients that pay, whatever happens to the servers: they begin again under the same idempotency key until they know.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::support::{modern::Caller, wire::Ask};

/// What the clients came to.
#[derive(Debug, Default)]
pub(crate) struct Paid {
    /// The payments that somebody was told to be paid: handle and amount in cents.
    pub(crate) acknowledged: Vec<(String, i64)>,
    /// How often a client had to begin again.
    pub(crate) repeated: i64,
}

/// Clients at work.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    paid: Arc<Mutex<Paid>>,
    lanes: JoinSet<()>,
}

impl Load {
    /// Lets `lanes` clients pay through `front` with a key that pays without asking.
    pub(super) fn start(front: SocketAddr, key: &str, lanes: usize) -> Self {
        static NEXT: AtomicI64 = AtomicI64::new(0);
        let (stop, paid) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Paid::default())));
        let mut running = JoinSet::new();
        for _ in 0..lanes {
            let (stop, paid, caller) = (Arc::clone(&stop), Arc::clone(&paid), Caller::new(front, key));
            running.spawn(async move {
                while !stop.load(Ordering::Acquire) {
                    // Each amount is another one, or it would be asked about as a duplicate.
                    let cents = 1 + NEXT.fetch_add(1, Ordering::Relaxed) % 1_500;
                    pay(&caller, "alice", cents, &paid).await;
                }
            });
        }
        Self { stop, paid, lanes: running }
    }

    /// How many payments were acknowledged so far.
    pub(super) fn count(&self) -> usize {
        self.paid.lock().acknowledged.len()
    }

    /// Lets everybody finish what they are at.
    pub(super) async fn end(self) -> Paid {
        self.stop.store(true, Ordering::Release);
        self.lanes.join_all().await;
        std::mem::take(&mut *self.paid.lock())
    }
}

/// Pays until it is known to be paid.
pub(crate) async fn pay(caller: &Caller, to: &str, cents: i64, paid: &Mutex<Paid>) {
    let mut name = [0; 16];
    getrandom::fill(&mut name).unwrap();
    let name = data_encoding::HEXLOWER.encode(&name);
    // A UUID, as digits in a row may be taken for a card number.
    let name = [&name[..8], &name[8..12], &name[12..16], &name[16..20], &name[20..]].join("-");
    let amount: f64 = format!("{}.{:02}", cents / 100, cents % 100).parse().unwrap();
    let order = json!({ "to": to, "amount": amount, "idempotencyKey": name });
    let made = until_known(caller, "createPayment", &order, paid).await;
    let id = made["paymentId"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    let confirmed = until_known(caller, "confirmPayment", &json!({ "paymentId": id }), paid).await;
    assert_eq!(confirmed["status"], "succeeded", "{confirmed}");
    paid.lock().acknowledged.push((id, cents));
}

/// What a call came to; begun again for as long as nobody can tell.
async fn until_known(caller: &Caller, tool: &str, arguments: &Value, paid: &Mutex<Paid>) -> Value {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let ask = caller.ask("tools/call", json!({ "name": tool, "arguments": arguments }));
        let answer = tokio::time::timeout(Duration::from_secs(20), attempt(&ask, caller.address)).await;
        let answer = answer.ok().flatten();
        let result = answer.as_ref().map(|answer| &answer["result"]).filter(|result| result.is_object());
        if let Some(result) = result {
            if result["isError"] != true {
                return result["structuredContent"].clone();
            }
            let text = result["content"][0]["text"].as_str().unwrap();
            let is_open =
                ["unavailable", "unknown_outcome", "Unavailable"].iter().any(|word| text.contains(word));
            assert!(is_open, "{tool}: {text}");
        }
        assert!(tokio::time::Instant::now() < deadline, "{tool} was never answered: {answer:?}");
        paid.lock().repeated += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One attempt, which may break off anywhere.
async fn attempt(ask: &Ask, address: SocketAddr) -> Option<Value> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let ask = ask.clone().with("connection", "close");
    stream.write_all(&ask.bytes(address)).await.ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (_, body) = text.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}
