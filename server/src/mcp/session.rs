//! One session: its id, its owner, and when it was last used.

use std::{
    fmt,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use data_encoding::BASE64URL_NOPAD;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use shared::{jsonrpc::RequestId, mcp::ProtocolVersion};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::streams::Streams;
use crate::{
    clock::UnixMillis,
    identity::{PermissionSet, Principal},
    store::{ClientAbilities, KeyId, SessionHash, StoredSession, UserId},
};

/// A session's id: a secret of its owner, 192 random bits in 32 visible ASCII characters. Only its hash is kept.
#[derive(Clone)]
pub struct SessionId(String);

impl SessionId {
    /// What names a session that was presented so, where its id must not be shown.
    #[must_use]
    pub fn hash_of(presented: &[u8]) -> SessionHash {
        hash(presented)
    }

    /// A fresh one.
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes)?;
        Ok(Self(BASE64URL_NOPAD.encode(&bytes)))
    }

    /// The id, for its owner's answer and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// What an id, as it was presented, hashes to.
pub(super) fn hash(presented: &[u8]) -> SessionHash {
    SessionHash(Sha256::digest(presented).into())
}

/// A look into the store, as of which a session is known to exist. It tells no time of day, which may be set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Look {
    /// How often it had been told before that something was ended.
    pub(super) revised: u64,
    /// When it began.
    pub(super) at: Instant,
}

/// A session as this process knows it.
pub(super) struct Session {
    hash: SessionHash,
    user: UserId,
    lineage: KeyId,
    permissions: u64,
    protocol: ProtocolVersion,
    client: Arc<str>,
    abilities: ClientAbilities,
    created_at: UnixMillis,
    seen_at: AtomicI64,
    /// The newest `seen_at` that was given to the store.
    written_at: AtomicI64,
    /// The last one at which the session existed.
    look: Mutex<Look>,
    /// Requests that are being answered and streams that are open.
    in_use: AtomicU32,
    /// Made when somebody first waits for the end, or when it comes: an idle session needs none.
    ended: OnceLock<CancellationToken>,
    /// The requests that are being answered, by which they can be cancelled.
    calls: Mutex<Vec<(RequestId, CancellationToken)>>,
    /// Made when the first one is opened.
    streams: OnceLock<Box<Streams>>,
}

impl Session {
    /// A session that the store holds as of `look`.
    pub(super) fn new(stored: StoredSession, look: Look) -> Self {
        Self {
            hash: stored.hash,
            user: stored.user,
            lineage: stored.lineage,
            permissions: stored.permissions,
            protocol: stored.protocol,
            client: stored.client.into(),
            abilities: stored.abilities,
            created_at: stored.created_at,
            seen_at: AtomicI64::new(stored.seen_at.as_millis()),
            written_at: AtomicI64::new(stored.seen_at.as_millis()),
            look: Mutex::new(look),
            in_use: AtomicU32::new(0),
            ended: OnceLock::new(),
            calls: Mutex::new(Vec::new()),
            streams: OnceLock::new(),
        }
    }

    pub(super) const fn hash(&self) -> SessionHash {
        self.hash
    }

    /// The first key of the line that may use it.
    pub(super) const fn lineage(&self) -> &KeyId {
        &self.lineage
    }

    pub(super) const fn protocol(&self) -> ProtocolVersion {
        self.protocol
    }

    pub(super) fn client(&self) -> Arc<str> {
        Arc::clone(&self.client)
    }

    /// What its client can be asked.
    pub(super) const fn abilities(&self) -> ClientAbilities {
        self.abilities
    }

    /// Its streams.
    pub(super) fn streams(&self) -> &Streams {
        self.streams.get_or_init(|| Box::new(Streams::new(PermissionSet::from_bits(self.permissions))))
    }

    /// Its streams, if it ever had one.
    pub(super) fn streams_if_any(&self) -> Option<&Streams> {
        self.streams.get().map(|streams| &**streams)
    }

    /// A request is being answered from now on.
    pub(super) fn begin_call(&self, id: RequestId, cancelled: CancellationToken) {
        self.calls.lock().push((id, cancelled));
    }

    /// The request is not wanted any more. `false` when it is not being answered here.
    pub(super) fn cancel_call(&self, id: &RequestId) -> bool {
        let calls = self.calls.lock();
        let running = calls.iter().find(|(running, _)| running == id);
        if let Some((_, cancelled)) = running {
            cancelled.cancel();
        }
        running.is_some()
    }

    /// The requests that are being answered here.
    pub(super) fn running(&self) -> Vec<RequestId> {
        self.calls.lock().iter().map(|(id, _)| id.clone()).collect()
    }

    /// The request has been answered.
    pub(super) fn end_call(&self, id: &RequestId) {
        let mut calls = self.calls.lock();
        if let Some(place) = calls.iter().position(|(running, _)| running == id) {
            calls.swap_remove(place);
        }
        if calls.is_empty() {
            // An idle session keeps no memory for calls.
            *calls = Vec::new();
        }
    }

    /// Whether it is this principal's: the same user, the same key or one that replaced it, and the key at least as
    /// strong as the one that opened it.
    pub(super) fn belongs_to(&self, principal: &Principal) -> bool {
        self.user == principal.user()
            && self.lineage == *principal.lineage()
            && principal.permissions().covers(PermissionSet::from_bits(self.permissions))
    }

    /// Whether it has been idle or open for too long. In use it is not idle. Another process may have used it for up to a
    /// `grain` after the last use that the store knows of, so that it is idle only a grain after that.
    pub(super) fn has_expired(
        &self,
        now: UnixMillis,
        idle: Duration,
        grain: Duration,
        max: Duration,
    ) -> bool {
        let unused = self.in_use.load(Ordering::Acquire) == 0;
        let since = |moment: &AtomicI64| now.since(UnixMillis::from_millis(moment.load(Ordering::Acquire)));
        let is_idle = since(&self.seen_at) >= idle && since(&self.written_at) >= idle.saturating_add(grain);
        now.since(self.created_at) >= max || (unused && is_idle)
    }

    /// The last look into the store at which it existed.
    pub(super) fn look(&self) -> Look {
        *self.look.lock()
    }

    /// The store said again that it exists, and when it knows it to have been used.
    pub(super) fn confirm(&self, stored: &StoredSession, look: Look) {
        let mut last = self.look.lock();
        *last = look.max(*last);
        drop(last);
        self.seen_at.fetch_max(stored.seen_at.as_millis(), Ordering::AcqRel);
        self.written_at.fetch_max(stored.seen_at.as_millis(), Ordering::AcqRel);
    }

    /// Notes that it is used. `true` when the store should be told, which is at most once every `grain`.
    pub(super) fn touch(&self, now: UnixMillis, grain: Duration) -> bool {
        self.seen_at.fetch_max(now.as_millis(), Ordering::AcqRel);
        let written = self.written_at.load(Ordering::Acquire);
        now.since(UnixMillis::from_millis(written)) >= grain
            && self
                .written_at
                .compare_exchange(written, now.as_millis(), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }

    /// Its last use here, where that is so long after the last one that the store was told of.
    pub(super) fn untold(&self, grain: Duration) -> Option<UnixMillis> {
        let moment = |moment: &AtomicI64| UnixMillis::from_millis(moment.load(Ordering::Acquire));
        let (seen_at, written_at) = (moment(&self.seen_at), moment(&self.written_at));
        (seen_at.since(written_at) >= grain).then_some(seen_at)
    }

    /// Whether a request or a stream uses it at this moment.
    pub(super) fn is_in_use(&self) -> bool {
        self.in_use.load(Ordering::SeqCst) > 0
    }

    /// Ends it for everybody who waits for that.
    pub(super) fn end(&self) {
        self.ended.get_or_init(CancellationToken::new).cancel();
    }

    /// Cancelled when it ends.
    pub(super) fn ended(&self) -> CancellationToken {
        self.ended.get_or_init(CancellationToken::new).clone()
    }
}

/// A use of a session: while it lives the session is not idle, and the idle time starts when it is dropped.
pub(super) struct Activity(Arc<Session>);

impl Activity {
    pub(super) fn begin(session: Arc<Session>) -> Self {
        session.in_use.fetch_add(1, Ordering::SeqCst);
        Self(session)
    }

    pub(super) fn session(&self) -> &Session {
        &self.0
    }

    /// The session, for whoever may outlive it.
    pub(super) fn weak(&self) -> Weak<Session> {
        Arc::downgrade(&self.0)
    }

    /// Another use of the same session.
    pub(super) fn again(&self) -> Self {
        Self::begin(Arc::clone(&self.0))
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        self.0.seen_at.fetch_max(UnixMillis::now().as_millis(), Ordering::AcqRel);
        self.0.in_use.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_millis(100);
    const GRAIN: Duration = Duration::from_millis(10);
    const MAX: Duration = Duration::from_millis(1_000);

    fn at(millis: i64) -> UnixMillis {
        UnixMillis::from_millis(millis)
    }

    fn session() -> Arc<Session> {
        let stored = StoredSession {
            hash: hash(b"an id"),
            user: UserId(1),
            key: KeyId("1".to_owned()),
            lineage: KeyId("1".to_owned()),
            permissions: Principal::for_test("customer").permissions().bits(),
            protocol: ProtocolVersion::V2025_11_25,
            client: "test/1".to_owned(),
            abilities: ClientAbilities(0),
            created_at: at(0),
            seen_at: at(0),
        };
        Arc::new(Session::new(stored, Look { revised: 0, at: Instant::now() }))
    }

    #[test]
    fn ids_are_random_visible_and_never_printed() {
        let (one, other) = (SessionId::generate().unwrap(), SessionId::generate().unwrap());
        assert_ne!(one.expose(), other.expose());
        assert!(one.expose().len() >= 22 && one.expose().bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(format!("{one:?}"), "SessionId(..)");
    }

    #[test]
    fn a_session_expires_when_idle_and_when_old_but_not_while_in_use() {
        let session = session();
        let has_expired = |now| session.has_expired(at(now), IDLE, GRAIN, MAX);
        assert!(!has_expired(109), "another process may have used it at 9, which was not written");
        assert!(has_expired(110));
        assert!(!session.touch(at(9), GRAIN), "so it is here");
        assert!(!has_expired(109) && has_expired(110));
        assert!(session.touch(at(60), GRAIN));
        assert!(!has_expired(169) && has_expired(170));
        let activity = Activity::begin(Arc::clone(&session));
        assert!(!has_expired(999), "in use it is not idle");
        assert!(has_expired(1_000), "in use it is no less old");
        drop(activity);
        assert!(!session.is_in_use());
    }

    #[test]
    fn the_store_is_told_once_a_grain() {
        let session = session();
        let told: Vec<_> = (1..=30).filter(|now| session.touch(at(*now), GRAIN)).collect();
        assert_eq!(told, [10, 20, 30]);
    }

    #[test]
    fn a_session_is_its_owners_with_the_same_strength_only() {
        let session = session();
        assert!(session.belongs_to(&Principal::for_test("customer")));
        assert!(!session.belongs_to(&Principal::for_test("read-only")), "a weaker key");
        assert!(!session.belongs_to(&Principal::for_test("auditor")), "a key that may do other things");
    }

    #[test]
    fn waiting_after_the_end_is_over_at_once() {
        let session = session();
        session.end();
        assert!(session.ended().is_cancelled());
    }

    #[test]
    fn an_idle_session_is_small() {
        // Beside it: the key's id, the client's name and a place in the map, some 200 bytes.
        assert!(size_of::<Session>() <= 256, "{}", size_of::<Session>());
    }
}
