//! All sessions: opened, found by their owner, ended and swept.
//!
//! The store is the truth, so that a session outlives the process and can be used through any other process on the same
//! store. What this process has seen is kept beside it: that is where streams wait for the end, and what makes the
//! common case one look into a map. It is believed for a second, then the store is asked again.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use shared::mcp::ProtocolVersion;
use tokio::time::Instant;

use super::{
    reply::Refusal,
    session::{Activity, Look, Session, SessionId, hash},
};
use crate::{
    clock::UnixMillis,
    identity::Principal,
    store::{ClientAbilities, OpenSession, SessionCaps, SessionHash, Store, StoreError, StoredSession},
};

/// For how long the store is not asked again whether a session exists.
const BELIEVED: Duration = Duration::from_secs(1);

/// How many expired sessions are ended in one step.
const SWEEP_STEP: u32 = 1_000;

/// A presented id longer than this is nobody's.
const PRESENTED_MAX: usize = 256;

/// How long sessions live and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSettings {
    /// How long one may go unused.
    pub idle: Duration,
    /// How long one may live.
    pub max: Duration,
    /// How many one key may have.
    pub per_key: u64,
    /// How many there may be in all.
    pub total: u64,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30 * 60),
            max: Duration::from_secs(24 * 60 * 60),
            per_key: 1_000,
            total: 100_000,
        }
    }
}

/// All sessions.
pub(super) struct Sessions {
    store: Arc<dyn Store>,
    settings: SessionSettings,
    known: DashMap<SessionHash, Arc<Session>>,
    /// How often the store said that something was ended: what was seen before that is not believed.
    revised: AtomicU64,
}

impl Sessions {
    pub(super) fn new(store: Arc<dyn Store>, settings: SessionSettings) -> Self {
        Self { store, settings, known: DashMap::new(), revised: AtomicU64::new(0) }
    }

    /// Opens a session of `principal`.
    pub(super) async fn open(
        &self,
        principal: &Principal,
        protocol: ProtocolVersion,
        client: String,
        abilities: ClientAbilities,
    ) -> Result<SessionId, Refusal> {
        let id = SessionId::generate().map_err(Refusal::NoRandomness)?;
        let now = UnixMillis::now();
        let session = StoredSession {
            hash: hash(id.expose().as_bytes()),
            user: principal.user(),
            key: principal.key().clone(),
            lineage: principal.lineage().clone(),
            permissions: principal.permissions().bits(),
            protocol,
            client,
            abilities,
            created_at: now,
            seen_at: now,
        };
        let caps = SessionCaps { per_key: self.settings.per_key, total: self.settings.total };
        let known = Arc::new(Session::new(session.clone(), self.look()));
        match self.store.open_session(session, caps).await.map_err(Refusal::Unavailable)? {
            OpenSession::Opened => {
                tracing::debug!(session.hash = known.hash().short(), %protocol, "session opened");
                self.known.insert(known.hash(), known);
                Ok(id)
            }
            OpenSession::KeyCapReached => Err(Refusal::TooManySessions("of this key")),
            OpenSession::TotalCapReached => Err(Refusal::TooManySessions("on this server")),
        }
    }

    /// The session that `presented` names, if it is `principal`'s; counts as a use of it.
    pub(super) async fn find(&self, presented: &[u8], principal: &Principal) -> Result<Activity, Refusal> {
        let now = UnixMillis::now();
        let session = self.owned(presented, principal, now).await?;
        let activity = Activity::begin(Arc::clone(&session));
        // What was ended meanwhile was not yet in use here when those in use were looked up.
        if session.look().revised != self.revised.load(Ordering::SeqCst) {
            self.look_up(session.hash()).await?.ok_or(Refusal::SessionNotFound)?;
        }
        self.touch(&session, now, self.grain()).await;
        Ok(activity)
    }

    /// Ends a session, and its streams. When it returns, nobody finds the session any more. Refuses one that had ended
    /// already.
    pub(super) async fn end(&self, session: &Session) -> Result<(), Refusal> {
        let was_there = self.store.end_session(&session.hash()).await.map_err(Refusal::Unavailable)?;
        self.forget(&session.hash());
        session.end();
        if was_there { Ok(()) } else { Err(Refusal::SessionNotFound) }
    }

    /// Ends every session that has expired, and its streams. Keeps those that are in use from counting as idle.
    pub(super) async fn sweep(&self) {
        let now = UnixMillis::now();
        for session in &self.known {
            if let Some(streams) = session.streams_if_any() {
                streams.sweep();
            }
        }
        for session in self.in_use() {
            // Sooner than by a request, so that what the store knows is no older than a grain when the next sweep comes.
            self.touch(&session, now, self.grain() / 2).await;
        }
        // Where a grain is shorter than the time between two sweeps it is older, also of those that are in use no more.
        for (session, seen_at) in self.untold() {
            self.touch(&session, seen_at, self.grain()).await;
        }
        let SessionSettings { idle, max, .. } = self.settings;
        // The store's times may lag by a grain: what it holds to be idle for longer than that is idle. One that expired
        // just now may still have been found a moment ago, so it stays known for as long.
        let (idle_for, old) = (idle.saturating_add(self.grain()), max.saturating_add(self.grain()));
        let has_expired = |session: &Session| session.has_expired(now, idle_for, self.grain(), old);
        self.known.retain(|_, session| session.is_in_use() || !has_expired(session));
        let (idle_since, opened_before) = (earlier(now, idle_for), earlier(now, max));
        loop {
            let step = self.store.end_expired_sessions(idle_since, opened_before, now, SWEEP_STEP).await;
            let ended = match step {
                Ok(ended) => ended,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "expired sessions stay for now");
                    return;
                }
            };
            for hash in &ended {
                self.forget(hash);
            }
            if u32::try_from(ended.len()).unwrap_or(u32::MAX) < SWEEP_STEP {
                return;
            }
        }
    }

    /// Sessions were ended, or keys changed, by some process: nothing that is known of sessions is believed any more, and
    /// those in use are looked up at once.
    pub(super) async fn revise(&self) -> Result<(), StoreError> {
        // Whoever begins to use one from here on sees this, or else is seen below.
        self.revised.fetch_add(1, Ordering::SeqCst);
        let in_use: Vec<_> = self.in_use().iter().map(|session| session.hash()).collect();
        if in_use.is_empty() {
            return Ok(());
        }
        let open: HashSet<_> = self.store.still_open(&in_use).await?.into_iter().collect();
        in_use.iter().filter(|hash| !open.contains(hash)).for_each(|hash| self.forget(hash));
        Ok(())
    }

    /// Those that are used here at this moment.
    pub(super) fn in_use(&self) -> Vec<Arc<Session>> {
        let in_use = self.known.iter().filter(|session| session.is_in_use());
        in_use.map(|session| Arc::clone(session.value())).collect()
    }

    /// Those of whose last use the store does not know well enough, and when that was.
    fn untold(&self) -> Vec<(Arc<Session>, UnixMillis)> {
        let grain = self.grain();
        let untold = |session: &Arc<Session>| session.untold(grain).map(|at| (Arc::clone(session), at));
        self.known.iter().filter_map(|session| untold(session.value())).collect()
    }

    async fn owned(
        &self,
        presented: &[u8],
        principal: &Principal,
        now: UnixMillis,
    ) -> Result<Arc<Session>, Refusal> {
        if presented.len() > PRESENTED_MAX {
            return Err(Refusal::SessionNotFound);
        }
        let session = self.look_up(hash(presented)).await?.ok_or(Refusal::SessionNotFound)?;
        let SessionSettings { idle, max, .. } = self.settings;
        let expired = session.has_expired(now, idle, self.grain(), max);
        if expired || !session.belongs_to(principal) { Err(Refusal::SessionNotFound) } else { Ok(session) }
    }

    /// The session of this hash, whoever asks.
    pub(super) async fn look_up(&self, hash: SessionHash) -> Result<Option<Arc<Session>>, Refusal> {
        let look = self.look();
        let known = self.known.get(&hash).map(|session| Arc::clone(session.value()));
        if let Some(session) = &known {
            let last = session.look();
            if last.revised == look.revised && look.at.saturating_duration_since(last.at) < BELIEVED {
                return Ok(known);
            }
        }
        let Some(stored) = self.stored(&hash).await? else { return Ok(None) };
        if let Some(session) = known {
            session.confirm(&stored, look);
            return Ok(Some(session));
        }
        let entry = self.known.entry(hash).or_insert_with(|| Arc::new(Session::new(stored, look)));
        let session = Arc::clone(entry.value());
        drop(entry);
        // It may have been ended between that look into the store and its becoming known. Whoever ends it from here on
        // finds it among the known ones.
        Ok(self.stored(&hash).await?.map(|_| session))
    }

    /// A look into the store that begins now.
    fn look(&self) -> Look {
        Look { revised: self.revised.load(Ordering::SeqCst), at: Instant::now() }
    }

    /// What the store has. A session that it no longer has is over here too.
    async fn stored(&self, hash: &SessionHash) -> Result<Option<StoredSession>, Refusal> {
        let stored = self.store.session(hash).await.map_err(Refusal::Unavailable)?;
        if stored.is_none() {
            self.forget(hash);
        }
        Ok(stored)
    }

    /// Ends what is known here of a session that the store no longer has.
    fn forget(&self, hash: &SessionHash) {
        if let Some((_, session)) = self.known.remove(hash) {
            session.end();
        }
    }

    async fn touch(&self, session: &Session, now: UnixMillis, grain: Duration) {
        if session.touch(now, grain)
            && let Err(error) = self.store.touch_session(session.hash(), now).await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "a session's use was not noted");
        }
    }

    /// How finely the store knows when a session was last used.
    fn grain(&self) -> Duration {
        Duration::from_secs(60).min(self.settings.idle / 10)
    }
}

fn earlier(now: UnixMillis, span: Duration) -> UnixMillis {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    UnixMillis::from_millis(now.as_millis().saturating_sub(span))
}
