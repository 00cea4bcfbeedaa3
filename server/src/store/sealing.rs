//! What servers on one store seal with, what was sealed to be used once, and which token is whose.

use async_trait::async_trait;
use secrecy::{SecretBox, zeroize::Zeroize};

use super::StoreError;
use crate::clock::UnixMillis;

/// A secret that servers on one store share, to seal what a client carries from one of them to the other.
#[derive(Debug)]
pub struct SealingKey {
    /// Names it in what it sealed.
    pub id: u32,
    /// 32 random bytes.
    pub secret: SecretBox<[u8; 32]>,
}

impl SealingKey {
    /// A key of these bytes, which are wiped.
    #[must_use]
    pub fn new(id: u32, mut bytes: [u8; 32]) -> Self {
        let secret = SecretBox::init_with_mut(|secret: &mut [u8; 32]| secret.copy_from_slice(&bytes));
        bytes.zeroize();
        Self { id, secret }
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
    /// those until `expires_at`. What has expired by `now` is forgotten.
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
