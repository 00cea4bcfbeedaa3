//! A store in memory that keeps sessions and records, and can be armed to refuse records.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    clock::UnixMillis,
    store::{
        AccountBalance, AccountHolder, AuditEntry, AuditFilter, AuditRecord, AuditStore, BatchId,
        Compensation, ErasedWork, IdempotencyClaim, KeyChange, KeyChanged, KeyDigest, KeyId, KeyStore,
        KnownSecret, LedgerStore, Month, MonthlyTransfers, NewTransfer, OpenSession, PaymentFilter,
        PaymentId, PaymentPolicy, PaymentStore, PostedTransfer, Revision, SealingKey, SealingStore,
        SessionCaps, SessionFilter, SessionHash, SessionMail, SessionStore, Store, StoreError, StoredKey,
        StoredPayment, StoredSession, UserId,
    },
};

#[derive(Default)]
pub(super) struct Double {
    pub(super) sessions: Mutex<HashMap<SessionHash, StoredSession>>,
    pub(super) records: Mutex<Vec<AuditRecord>>,
    pub(super) refuses_records: AtomicBool,
    pub(super) session_reads: AtomicU32,
    /// Other servers may leave mail, and none of it can be had.
    pub(super) keeps_mail: AtomicBool,
    /// Where there is none, the store is unavailable.
    pub(super) revision: Mutex<Option<i64>>,
    /// Where the next read of a session waits before it returns what it read.
    pub(super) gate: Mutex<Option<Arc<Notify>>>,
}

fn unavailable<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable { reason: "arranged".to_owned(), source: None })
}

#[async_trait]
impl SessionStore for Double {
    fn is_shared(&self) -> bool {
        self.keeps_mail.load(Ordering::Relaxed)
    }

    async fn mail(&self, _wanted: Vec<(SessionHash, String)>) -> Result<Vec<SessionMail>, StoreError> {
        unavailable()
    }

    async fn sessions(&self, _filter: SessionFilter) -> Result<Vec<StoredSession>, StoreError> {
        unavailable()
    }

    async fn open_session(
        &self,
        session: StoredSession,
        caps: SessionCaps,
    ) -> Result<OpenSession, StoreError> {
        let mut sessions = self.sessions.lock();
        if sessions.len() as u64 >= caps.total {
            return Ok(OpenSession::TotalCapReached);
        }
        if sessions.values().filter(|other| other.key == session.key).count() as u64 >= caps.per_key {
            return Ok(OpenSession::KeyCapReached);
        }
        sessions.insert(session.hash, session);
        Ok(OpenSession::Opened)
    }

    async fn session(&self, hash: &SessionHash) -> Result<Option<StoredSession>, StoreError> {
        self.session_reads.fetch_add(1, Ordering::Relaxed);
        let read = self.sessions.lock().get(hash).cloned();
        let gate = self.gate.lock().take();
        if let Some(gate) = gate {
            gate.notified().await;
        }
        Ok(read)
    }

    async fn touch_session(&self, hash: SessionHash, seen_at: UnixMillis) -> Result<(), StoreError> {
        if let Some(session) = self.sessions.lock().get_mut(&hash) {
            session.seen_at = session.seen_at.max(seen_at);
        }
        Ok(())
    }

    async fn record_end_of_session(
        &self,
        hash: &SessionHash,
        _record: Option<AuditRecord>,
    ) -> Result<bool, StoreError> {
        Ok(self.sessions.lock().remove(hash).is_some())
    }

    async fn end_expired_sessions(
        &self,
        idle_since: UnixMillis,
        opened_before: UnixMillis,
        _now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<SessionHash>, StoreError> {
        let mut sessions = self.sessions.lock();
        let expired =
            |session: &&StoredSession| session.seen_at < idle_since || session.created_at < opened_before;
        let ended: Vec<_> =
            sessions.values().filter(expired).map(|session| session.hash).take(limit as usize).collect();
        sessions.retain(|hash, _| !ended.contains(hash));
        Ok(ended)
    }

    async fn count_sessions(&self) -> Result<u64, StoreError> {
        Ok(self.sessions.lock().len() as u64)
    }
}

#[async_trait]
impl AuditStore for Double {
    async fn append_audit(&self, record: AuditRecord) -> Result<(), StoreError> {
        if self.refuses_records.load(Ordering::Relaxed) {
            return unavailable();
        }
        self.records.lock().push(record);
        Ok(())
    }

    async fn flush_audit(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn audit_page(
        &self,
        _filter: AuditFilter,
        _before: Option<i64>,
        _limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        unavailable()
    }

    async fn audit_after(&self, _after: Option<i64>, _limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        unavailable()
    }
}

#[async_trait]
impl KeyStore for Double {
    async fn key_by_digest(&self, _digest: &KeyDigest) -> Result<Option<Arc<StoredKey>>, StoreError> {
        unavailable()
    }

    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        unavailable()
    }

    async fn key(&self, _id: &KeyId) -> Result<Option<StoredKey>, StoreError> {
        unavailable()
    }

    async fn change_key(
        &self,
        _change: KeyChange,
        _record: Option<AuditRecord>,
    ) -> Result<KeyChanged, StoreError> {
        unavailable()
    }

    async fn touch_key(&self, _id: KeyId, _at: UnixMillis) -> Result<(), StoreError> {
        unavailable()
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        let revision = *self.revision.lock();
        revision.map_or_else(unavailable, |number| Ok(Revision { number, opened: 0 }))
    }

    async fn pepper(&self) -> Result<Option<[u8; 32]>, StoreError> {
        unavailable()
    }

    async fn note_pepper(
        &self,
        _mark: [u8; 32],
        _now: UnixMillis,
        _secrets: Vec<KnownSecret>,
    ) -> Result<bool, StoreError> {
        unavailable()
    }

    async fn put_keys(&self, _keys: Vec<StoredKey>) -> Result<(), StoreError> {
        unavailable()
    }

    async fn record_holder(
        &self,
        _holder: AccountHolder,
        _record: Option<AuditRecord>,
    ) -> Result<(), StoreError> {
        unavailable()
    }

    async fn holders(&self) -> Result<Vec<AccountHolder>, StoreError> {
        unavailable()
    }
}

#[async_trait]
impl SealingStore for Double {
    async fn sealing_keys(&self) -> Result<Vec<SealingKey>, StoreError> {
        unavailable()
    }

    async fn turn_sealing_keys(
        &self,
        _now: UnixMillis,
        _at_once: bool,
    ) -> Result<Vec<SealingKey>, StoreError> {
        unavailable()
    }

    async fn renew_sealing_keys(
        &self,
        _now: UnixMillis,
        _record: AuditRecord,
    ) -> Result<Vec<SealingKey>, StoreError> {
        unavailable()
    }

    async fn spend_seal(
        &self,
        _nonce: [u8; 24],
        _expires_at: UnixMillis,
        _now: UnixMillis,
    ) -> Result<bool, StoreError> {
        unavailable()
    }

    async fn bind_token(
        &self,
        _token: [u8; 32],
        _sender: [u8; 32],
        _expires_at: UnixMillis,
        _now: UnixMillis,
    ) -> Result<bool, StoreError> {
        unavailable()
    }
}

#[async_trait]
impl LedgerStore for Double {
    async fn post(&self, _transfer: NewTransfer) -> Result<PostedTransfer, StoreError> {
        unavailable()
    }

    async fn balance(&self, _user: UserId) -> Result<AccountBalance, StoreError> {
        unavailable()
    }

    async fn month(&self, _user: UserId, _month: Month, _limit: u32) -> Result<MonthlyTransfers, StoreError> {
        unavailable()
    }

    async fn months(&self, _user: UserId) -> Result<Vec<Month>, StoreError> {
        unavailable()
    }

    async fn peers(&self, _user: UserId) -> Result<Vec<String>, StoreError> {
        unavailable()
    }

    async fn transfers(&self, _user: UserId, _limit: u32) -> Result<Vec<PostedTransfer>, StoreError> {
        unavailable()
    }

    async fn latest_transfers(&self, _user: UserId, _limit: u32) -> Result<Vec<PostedTransfer>, StoreError> {
        unavailable()
    }
}

#[async_trait]
impl PaymentStore for Double {
    async fn run(&self, _work: Arc<dyn ErasedWork>) -> Result<(), StoreError> {
        unavailable()
    }

    async fn payment(&self, _id: &PaymentId) -> Result<Option<StoredPayment>, StoreError> {
        unavailable()
    }

    async fn payments(&self, _filter: PaymentFilter, _limit: u32) -> Result<Vec<StoredPayment>, StoreError> {
        unavailable()
    }

    async fn batch(&self, _id: &BatchId) -> Result<Vec<StoredPayment>, StoreError> {
        unavailable()
    }

    async fn overdue_payments(&self, _now: UnixMillis, _limit: u32) -> Result<Vec<PaymentId>, StoreError> {
        unavailable()
    }

    async fn stalled_payments(
        &self,
        _since: UnixMillis,
        _now: UnixMillis,
        _limit: u32,
    ) -> Result<Vec<StoredPayment>, StoreError> {
        unavailable()
    }

    async fn due_compensations(
        &self,
        _now: UnixMillis,
        _limit: u32,
    ) -> Result<Vec<Compensation>, StoreError> {
        unavailable()
    }

    async fn settle_compensation(
        &self,
        _handle: &str,
        _retry_at: Option<UnixMillis>,
    ) -> Result<(), StoreError> {
        unavailable()
    }

    async fn claim_idempotency_key(
        &self,
        _claim: &IdempotencyClaim,
        _until: UnixMillis,
        _now: UnixMillis,
    ) -> Result<bool, StoreError> {
        unavailable()
    }

    async fn release_idempotency_key(&self, _claim: &IdempotencyClaim) -> Result<(), StoreError> {
        unavailable()
    }

    async fn policy(&self, _key: &KeyId) -> Result<PaymentPolicy, StoreError> {
        unavailable()
    }
}

#[async_trait]
impl Store for Double {
    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
