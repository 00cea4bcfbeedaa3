//! Reading the ledger on behalf of an account's owner.

use std::{fmt, sync::Arc};

use super::statement::Statement;
use crate::store::{AccountBalance, Month, PostedTransfer, Store, StoreError, UserId};

/// The ledger as an account's owner may read it: whoever asks names a user, and sees that user's account alone.
#[derive(Clone)]
pub struct Ledger {
    store: Arc<dyn Store>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger")
    }
}

impl Ledger {
    /// The ledger that `store` keeps.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// What is on the user's account.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], [`StoreError::Unavailable`].
    pub async fn balance(&self, user: UserId) -> Result<AccountBalance, StoreError> {
        self.store.balance(user).await
    }

    /// Every transfer from or to the user, in the order in which they were posted; `None` where there are more than
    /// `most`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn history(&self, user: UserId, most: u32) -> Result<Option<Vec<PostedTransfer>>, StoreError> {
        let found = self.store.transfers(user, most.saturating_add(1)).await?;
        let is_whole = u32::try_from(found.len()).is_ok_and(|count| count <= most);
        Ok(is_whole.then_some(found))
    }

    /// The user's statement of a month, with the newest `most` of its transfers.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], [`StoreError::OutOfRange`], [`StoreError::Unavailable`].
    pub async fn statement(&self, user: UserId, month: Month, most: u32) -> Result<Statement, StoreError> {
        Statement::of(month, self.store.month(user, month, most).await?)
    }

    /// The months in which the user paid or was paid, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn months(&self, user: UserId) -> Result<Vec<Month>, StoreError> {
        self.store.months(user).await
    }

    /// The names of everybody whom the user paid or was paid by, in order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn peers(&self, user: UserId) -> Result<Vec<String>, StoreError> {
        self.store.peers(user).await
    }

    /// The user's `limit` newest transfers, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn latest(&self, user: UserId, limit: u32) -> Result<Vec<PostedTransfer>, StoreError> {
        self.store.latest_transfers(user, limit).await
    }
}
