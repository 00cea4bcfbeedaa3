//! What is recorded of requests that came to no tool: who was turned away, by which rule, and how often.
//!
//! Anybody can be turned away a million times, and must not fill the disk with it. So the first refusal of a sender by a
//! rule is recorded at once, and those that follow are counted and recorded together, every few seconds, with their
//! number. A sender is told from others by the network that limits go by; and as whoever has many of those must not fill
//! the disk either, only so many are told apart at a time. Nothing is left out of the count.

use std::{collections::HashMap, fmt, net::IpAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use ipnet::IpNet;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use shared::mcp::ProtocolVersion;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::UnixMillis,
    identity::Principal,
    limits::network,
    store::{AuditRecord, KeyId, Outcome, SessionHash, Store, StoredKey, UserId},
};

/// What stands where a tool's name would be.
pub const REFUSED: &str = "(refused)";

/// How long refusals of one sender by one rule are counted before their number is recorded.
const COUNTED_FOR: Duration = Duration::from_secs(5);

/// How many networks, senders and rules are told apart at a time, so how many first refusals are recorded while one is
/// counted. What goes beyond is counted for each sender and rule, from wherever it comes.
const TOLD_APART: usize = 100;

/// How many tallies there are at most. What goes beyond is counted for each rule.
const TALLIES_MAX: usize = 10_000;

/// Who was turned away.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sender {
    user: UserId,
    username: String,
    key: KeyId,
}

impl Sender {
    /// Nobody whom we know.
    #[must_use]
    pub fn unknown() -> Self {
        Self { user: UserId(0), username: String::new(), key: KeyId(String::new()) }
    }

    /// Somebody whose key was accepted.
    #[must_use]
    pub fn known(principal: &Principal) -> Self {
        Self {
            user: principal.user(),
            username: principal.username().to_owned(),
            key: principal.key().clone(),
        }
    }

    /// Somebody whose key is one of ours, and was not accepted.
    #[must_use]
    pub fn with_key(key: &StoredKey) -> Self {
        Self { user: key.user, username: key.username.clone(), key: key.id.clone() }
    }
}

/// One request that was turned away.
#[derive(Debug, Clone)]
pub struct RefusedRequest<'a> {
    /// Who sent it.
    pub sender: Sender,
    /// From where.
    pub from: IpAddr,
    /// Which rule it met.
    pub rule: &'a str,
    /// [`Outcome::Denied`], or [`Outcome::Limited`] where too much was asked.
    pub outcome: Outcome,
    /// Its request id.
    pub request_id: &'a str,
    /// The session that it named, where it named one.
    pub session: Option<SessionHash>,
}

/// Counts refusals, and records them. Clones share the counts.
#[derive(Clone)]
pub struct Refusals(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    tallies: Mutex<HashMap<Whose, Tally>>,
    news: Notify,
}

/// What is counted together.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Whose {
    sender: Sender,
    /// `None` is any.
    network: Option<IpNet>,
    rule: String,
}

/// Refusals of one sender by one rule that are not recorded yet.
#[derive(Clone)]
struct Tally {
    since: Instant,
    at: UnixMillis,
    request_id: String,
    session: Option<SessionHash>,
    outcome: Outcome,
    from: IpAddr,
    has_several_addresses: bool,
    unrecorded: u64,
    is_first: bool,
}

impl Refusals {
    /// Records into this store, as long as [`Self::keep`] runs.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(Arc::new(Shared { store, tallies: Mutex::default(), news: Notify::new() }))
    }

    /// Notes a refusal; it is recorded soon, and [`Self::record`] records it for certain.
    pub fn note(&self, refused: RefusedRequest<'_>) {
        let from = refused.from.to_canonical();
        let mut whose =
            Whose { sender: refused.sender, network: Some(network(from)), rule: refused.rule.to_owned() };
        let mut tallies = self.0.tallies.lock();
        if tallies.len() >= TOLD_APART && !tallies.contains_key(&whose) {
            whose.network = None;
        }
        if tallies.len() >= TALLIES_MAX && !tallies.contains_key(&whose) {
            whose.sender = Sender::unknown();
        }
        let tally = tallies.entry(whose).or_insert_with(|| Tally {
            since: Instant::now(),
            at: UnixMillis::now(),
            request_id: String::new(),
            session: None,
            outcome: refused.outcome,
            from,
            has_several_addresses: false,
            unrecorded: 0,
            is_first: true,
        });
        if tally.unrecorded == 0 {
            tally.at = UnixMillis::now();
            tally.request_id = refused.request_id.to_owned();
            tally.session = refused.session;
            tally.outcome = refused.outcome;
            tally.from = from;
            tally.has_several_addresses = false;
        }
        tally.has_several_addresses |= tally.from != from;
        tally.unrecorded = tally.unrecorded.saturating_add(1);
        if tally.is_first {
            self.0.news.notify_one();
        }
    }

    /// Records what is noted, until `stop`. What is noted later is for [`Self::record`].
    pub async fn keep(&self, stop: CancellationToken) {
        let moment = || async {
            tokio::select! {
                () = self.0.news.notified() => {}
                () = sleep(COUNTED_FOR) => {}
            }
        };
        while stop.run_until_cancelled(moment()).await.is_some() {
            let due = self.due(|tally| tally.is_first || tally.since.elapsed() >= COUNTED_FOR);
            self.write(due).await;
        }
    }

    /// Records everything that was noted up to now.
    pub async fn record(&self) {
        let due = self.due(|_| true);
        self.write(due).await;
    }

    /// The tallies that are due, which are empty from then on; those that stayed empty for a while are forgotten.
    fn due(&self, is_due: impl Fn(&Tally) -> bool) -> Vec<(Whose, Tally)> {
        let mut due = Vec::new();
        self.0.tallies.lock().retain(|whose, tally| {
            if !is_due(tally) {
                return true;
            }
            if tally.unrecorded == 0 {
                return false;
            }
            due.push((whose.clone(), tally.clone()));
            tally.unrecorded = 0;
            tally.is_first = false;
            tally.since = Instant::now();
            true
        });
        due
    }

    /// Records what is due, one line of the log for each. What the store does not take is counted on, for the next time.
    async fn write(&self, due: Vec<(Whose, Tally)>) {
        // Beside each other: a store that is silent is waited for once.
        let writing = due.iter().map(|(whose, tally)| self.0.store.append_audit(record(whose, tally)));
        let written = join_all(writing).await;
        for ((whose, tally), written) in due.into_iter().zip(written) {
            let requests = tally.unrecorded;
            if let Err(error) = written {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, requests, "refusals could not be recorded for now");
                self.take_back(whose, tally);
            } else {
                let (rule, request_id) = (&*whose.rule, &*tally.request_id);
                tracing::info!(request.id = request_id, rule, requests, from = %from(&whose, &tally), "refused");
            }
        }
    }

    fn take_back(&self, whose: Whose, unwritten: Tally) {
        let mut tallies = self.0.tallies.lock();
        let tally = tallies.entry(whose).or_insert_with(|| Tally { unrecorded: 0, ..unwritten.clone() });
        let (later, later_from) = (tally.unrecorded, tally.from);
        let since = tally.since;
        *tally = Tally { since, is_first: false, ..unwritten };
        if later > 0 {
            tally.has_several_addresses |= tally.from != later_from;
            tally.unrecorded = tally.unrecorded.saturating_add(later);
        }
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refusals")
    }
}

/// From where the refused requests came, as precisely as one can say of all of them.
fn from(whose: &Whose, tally: &Tally) -> String {
    match whose.network {
        _ if !tally.has_several_addresses => tally.from.to_string(),
        Some(network) => network.to_string(),
        None => "several addresses".to_owned(),
    }
}

fn record(whose: &Whose, tally: &Tally) -> AuditRecord {
    let Whose { sender, rule, .. } = whose;
    let number = match tally.unrecorded {
        1 => String::new(),
        number => format!(", {number} requests"),
    };
    AuditRecord {
        at: tally.at,
        request_id: tally.request_id.as_str().into(),
        user: sender.user,
        username: sender.username.clone(),
        key: sender.key.clone(),
        session: tally.session,
        protocol: ProtocolVersion::LATEST,
        client: format!("{}{number}", from(whose, tally)).into(),
        tool: REFUSED.into(),
        arguments_digest: Sha256::digest("").into(),
        rule: rule.clone().into(),
        outcome: tally.outcome,
        duration_us: 0,
        trace: None,
    }
}
