//! MCP sessions, as they are kept.

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use shared::mcp::ProtocolVersion;

use super::{AuditRecord, KeyId, StoreError, UserId};
use crate::clock::UnixMillis;

/// SHA-256 of a session id: the id itself is a secret of its owner and is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionHash(pub [u8; 32]);

impl SessionHash {
    /// Its first four bytes, by which logs, the audit trail and people name a session.
    #[must_use]
    pub fn short(&self) -> String {
        HEXLOWER.encode(self.0.first_chunk::<4>().map_or(&[], |head| head.as_slice()))
    }
}

/// What a session's client can be asked, as bits whose meaning is the engine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAbilities(pub u32);

/// A session as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// What its id hashes to.
    pub hash: SessionHash,
    /// Who opened it.
    pub user: UserId,
    /// With which key.
    pub key: KeyId,
    /// Which keys may use it: those that replaced each other.
    pub lineage: KeyId,
    /// Which permissions that key had then (see `identity`).
    pub permissions: u64,
    /// The revision that was negotiated.
    pub protocol: ProtocolVersion,
    /// `clientInfo` in short: name and version, for the audit.
    pub client: String,
    /// What the client can be asked.
    pub abilities: ClientAbilities,
    /// When it was opened.
    pub created_at: UnixMillis,
    /// When it was last used, to within the grain that touches are written with.
    pub seen_at: UnixMillis,
}

/// Which sessions are wanted; all of them where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Those of this user.
    pub user: Option<UserId>,
    /// Those that this key opened.
    pub key: Option<KeyId>,
}

/// How many sessions there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionCaps {
    /// Of one key.
    pub per_key: u64,
    /// In all.
    pub total: u64,
}

/// How an attempt to open a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenSession {
    /// It is open.
    Opened,
    /// The key has as many as it may have. Nothing was changed.
    KeyCapReached,
    /// There are as many as there may be. Nothing was changed.
    TotalCapReached,
}

/// What a client sent in a session to one server and another server waits for: the answer to a question, or that a call
/// is not wanted any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionMail {
    /// In which session.
    pub session: SessionHash,
    /// About what; whoever waits knows it.
    pub topic: String,
    /// What was sent.
    pub body: String,
}

/// Sessions.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Whether other servers may use the same sessions at the same time, so that mail between them makes sense.
    fn is_shared(&self) -> bool {
        false
    }

    /// Leaves mail for whichever server waits for it, until `expires_at`, which is so long after `now` whatever the time
    /// is elsewhere; of two about one thing the first counts for as long as it is kept. A session may have 256 of one kind
    /// waiting, as much as a key may wait for at once, the kind being the first of several words in what it is about: the
    /// newest pushes the oldest out. Where nothing is shared, all of it is dropped.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn leave_mail(
        &self,
        _mail: SessionMail,
        _expires_at: UnixMillis,
        _now: UnixMillis,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    /// The mail about these things that is still kept. It stays until it is removed, so that none is lost on its way.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn mail(&self, _wanted: Vec<(SessionHash, String)>) -> Result<Vec<SessionMail>, StoreError> {
        Ok(Vec::new())
    }

    /// Removes the mail about these things, which has arrived: nobody gets it again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]. Then some of it may come again.
    async fn remove_mail(&self, _arrived: Vec<(SessionHash, String)>) -> Result<(), StoreError> {
        Ok(())
    }

    /// Clears away at most `limit` pieces of mail that are kept no longer; says how many there were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn forget_mail(&self, _limit: u32) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// The open sessions that the filter lets through, the most recently used first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn sessions(&self, filter: SessionFilter) -> Result<Vec<StoredSession>, StoreError>;

    /// Opens a session unless a cap is reached. Counting and opening are one step: concurrent calls never pass a cap.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn open_session(
        &self,
        session: StoredSession,
        caps: SessionCaps,
    ) -> Result<OpenSession, StoreError>;

    /// The session with this hash. `None` when it never was or has ended. Whether it has expired is the caller's
    /// judgement.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn session(&self, hash: &SessionHash) -> Result<Option<StoredSession>, StoreError>;

    /// Those of these sessions that have not ended, in any order. Where to ask is a way, it is one way for all of them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn still_open(&self, sessions: &[SessionHash]) -> Result<Vec<SessionHash>, StoreError> {
        let mut open = Vec::new();
        for hash in sessions {
            open.extend(self.session(hash).await?.map(|session| session.hash));
        }
        Ok(open)
    }

    /// Notes that sessions were used. Times only move forward; sessions that have ended stay ended. Written behind: it
    /// returns when the note is queued.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn touch_session(&self, hash: SessionHash, seen_at: UnixMillis) -> Result<(), StoreError>;

    /// Ends a session; says whether it was there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn end_session(&self, hash: &SessionHash) -> Result<bool, StoreError> {
        self.record_end_of_session(hash, None).await
    }

    /// [`Self::end_session`], with the record of it, where there is one, in the audit trail in the same commit. That of a
    /// session that was not there is dropped.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]. Then the session goes on, unless the answer to the commit was lost.
    async fn record_end_of_session(
        &self,
        hash: &SessionHash,
        record: Option<AuditRecord>,
    ) -> Result<bool, StoreError>;

    /// Ends at most `limit` of the sessions last used before `idle_since` or opened before `opened_before`; returns
    /// their hashes. Where servers share a store, both are so long ago as they are for whom it is `now`, and one whose
    /// clock is ahead of the store's goes by that.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn end_expired_sessions(
        &self,
        idle_since: UnixMillis,
        opened_before: UnixMillis,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<SessionHash>, StoreError>;

    /// How many sessions there are.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn count_sessions(&self) -> Result<u64, StoreError>;
}
