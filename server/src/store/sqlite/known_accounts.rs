//! Accounts as they were read once, so that what reads transfers need not look for the same few names in every row.
//!
//! What was read of an account holds for good: the schema sees to it that an account keeps its owner and its currency, and
//! that none is removed. That is so of accounts that are committed, so whoever writes knows those of their own transaction
//! alone.

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;
use rusqlite::{Connection, OptionalExtension as _};

use super::ledger::currency;
use crate::{money::Currency, store::UserId};

/// How many accounts are known at most.
const KNOWN_MAX: usize = 10_000;

/// What stays as it is of an account.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) username: Arc<str>,
    pub(super) currency: Currency,
}

/// The accounts that are known.
#[derive(Debug, Default)]
pub(super) struct KnownAccounts(RwLock<HashMap<UserId, Arc<Account>>>);

impl KnownAccounts {
    /// The user's account, if there is one.
    pub(super) fn find(
        &self,
        connection: &Connection,
        user: UserId,
    ) -> rusqlite::Result<Option<Arc<Account>>> {
        if let Some(account) = self.0.read().get(&user) {
            return Ok(Some(Arc::clone(account)));
        }
        let Some(account) = read(connection, user)?.map(Arc::new) else { return Ok(None) };
        let mut known = self.0.write();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(user, Arc::clone(&account));
        Ok(Some(account))
    }
}

fn read(connection: &Connection, user: UserId) -> rusqlite::Result<Option<Account>> {
    connection
        .prepare_cached("SELECT username, currency FROM accounts WHERE user_id = ?1")?
        .query_row([user.0], |row| Ok(Account { username: row.get(0)?, currency: currency(row, 1)? }))
        .optional()
}
