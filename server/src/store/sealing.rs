//! What servers on one store seal with, what was sealed to be used once, and which token is whose.
//!
//! Sealing keys take turns: a new one is made every month, or when an operator asks for it. Servers learn of it within
//! seconds and seal with it a little later, when each of them can open its seals; the one before opens what it sealed for
//! another week, and is then forgotten.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::{SecretBox, zeroize::Zeroize};

use super::{AuditRecord, StoreError};
use crate::clock::UnixMillis;

/// After how long another key takes its turn.
const TURN: Duration = Duration::from_hours(30 * 24);

/// For how long a key opens what it sealed, after another one was made.
const OPENS_FOR: Duration = Duration::from_hours(7 * 24);

/// A secret that servers on one store share, to seal what a client carries from one of them to the other.
#[derive(Debug)]
pub struct SealingKey {
    /// Names it in what it sealed.
    pub id: u32,
    /// When it was made.
    pub made_at: UnixMillis,
    /// 32 random bytes.
    pub secret: SecretBox<[u8; 32]>,
}

impl SealingKey {
    /// A key of these bytes, which are wiped.
    #[must_use]
    pub fn new(id: u32, made_at: UnixMillis, mut bytes: [u8; 32]) -> Self {
        let secret = SecretBox::init_with_mut(|secret: &mut [u8; 32]| secret.copy_from_slice(&bytes));
        bytes.zeroize();
        Self { id, made_at, secret }
    }

    /// A fresh one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where there is no randomness.
    pub fn generate(id: u32, made_at: UnixMillis) -> Result<Self, StoreError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|_| StoreError::Unavailable {
            reason: "there is no randomness for a sealing key".to_owned(),
            source: None,
        })?;
        Ok(Self::new(id, made_at, secret))
    }
}

/// What is to become of sealing keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealingTurn {
    /// The number of a key that is to be made.
    pub make: Option<u32>,
    /// The numbers of those that open nothing any more.
    pub forget: Vec<u32>,
}

impl SealingTurn {
    /// What is due by `now` with these keys, the newest first. `at_once`: a new key whatever the time.
    #[must_use]
    pub fn due(keys: &[SealingKey], now: UnixMillis, at_once: bool) -> Self {
        let is_over = |key: &SealingKey| key.made_at.plus(TURN) <= now;
        let make = match keys.first() {
            None => Some(1),
            Some(newest) => (at_once || is_over(newest)).then(|| newest.id.saturating_add(1)),
        };
        let followed = keys.iter().zip(keys.iter().skip(1));
        let forget = followed.filter(|(next, _)| next.made_at.plus(OPENS_FOR) <= now).map(|(_, key)| key.id);
        Self { make, forget: forget.collect() }
    }
}

/// Sealing keys, seals that may be opened once, and tokens that one sender may present.
#[async_trait]
pub trait SealingStore: Send + Sync {
    /// The keys, newest first; the newest is the one to seal with. Where there is none, one is made: of several servers
    /// that start at once all get the same.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn sealing_keys(&self) -> Result<Vec<SealingKey>, StoreError>;

    /// Does what is due by `now`: makes a new key, `at_once` or when the newest had its turn, and forgets those that open
    /// nothing any more. Of several servers that do it at once one makes a key. The keys, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn turn_sealing_keys(&self, now: UnixMillis, at_once: bool) -> Result<Vec<SealingKey>, StoreError>;

    /// [`Self::turn_sealing_keys`] at once, with the record of it in the audit trail in the same commit.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn renew_sealing_keys(
        &self,
        now: UnixMillis,
        record: AuditRecord,
    ) -> Result<Vec<SealingKey>, StoreError>;

    /// Spends a seal: `true` for the first caller, `false` for every later one until `expires_at`, in whatever process.
    /// What has expired by `now` is forgotten.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn spend_seal(
        &self,
        nonce: [u8; 24],
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, StoreError>;

    /// Binds a token to whoever sends it: whether `sender` is the one who presented it first, in whatever process, of
    /// those until `expires_at`. What has expired by `now` is forgotten, where servers share a store not before it has for
    /// those of them whose clocks are behind.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn bind_token(
        &self,
        token: [u8; 32],
        sender: [u8; 32],
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3_600_000;

    fn keys(made: &[(u32, i64)]) -> Vec<SealingKey> {
        made.iter()
            .map(|(id, day)| SealingKey::new(*id, UnixMillis::from_millis(day * DAY), [0; 32]))
            .collect()
    }

    fn due(made: &[(u32, i64)], day: i64, at_once: bool) -> (Option<u32>, Vec<u32>) {
        let turn = SealingTurn::due(&keys(made), UnixMillis::from_millis(day * DAY), at_once);
        (turn.make, turn.forget)
    }

    #[test]
    fn a_key_has_a_month_and_opens_for_a_week_more() {
        assert_eq!(due(&[], 5, false), (Some(1), vec![]));
        assert_eq!(due(&[(1, 0)], 29, false), (None, vec![]));
        assert_eq!(due(&[(1, 0)], 30, false), (Some(2), vec![]));
        assert_eq!(due(&[(1, 0)], 1, true), (Some(2), vec![]));
        assert_eq!(due(&[(2, 30), (1, 0)], 36, false), (None, vec![]));
        assert_eq!(due(&[(2, 30), (1, 0)], 37, false), (None, vec![1]));
        assert_eq!(due(&[(4, 38), (3, 31), (2, 30), (1, 0)], 38, false), (None, vec![2, 1]));
    }
}
