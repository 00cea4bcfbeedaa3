//! Balances and newest transfers that were read a moment ago, so that whoever asks again is answered from memory.
//!
//! All of it follows from the transfers, which are numbered, appended and never changed: it holds as long as the newest of
//! them is the same. This process forgets it before it commits anything that may be money, and remembers nothing until that is
//! done. Another process's transfer is found by its number, which is read again as soon as nobody has looked at it for
//! some milliseconds. What is remembered was confirmed by the disk. Where money moves, nothing of this is believed:
//! a transaction reads for itself.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::RwLock;

use crate::store::{AccountBalance, PostedTransfer, UserId};

/// How many balances are known at most, and how many lists.
const KNOWN_MAX: usize = 10_000;

/// How long a list may be that is remembered, in transfers.
const LIST_MAX: usize = 10;

/// For how long another process's transfer may go unseen here.
const BELIEVED: Duration = Duration::from_millis(5);

/// What is known of money.
#[derive(Debug, Default)]
pub(super) struct KnownMoney(RwLock<Known>);

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Known {
    balances: HashMap<UserId, AccountBalance>,
    /// By user and by how many were asked for.
    latest: HashMap<(UserId, u32), Vec<PostedTransfer>>,
    /// The newest transfer that it follows from.
    newest: Option<i64>,
    /// When that was last read.
    read_at: Option<Instant>,
    /// How often everything was forgotten.
    forgotten: u64,
    /// This process may be committing money.
    is_changing: bool,
}

/// Somebody looks at the database: what is read from now on is as new as this.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    at: Instant,
    /// How often everything had been forgotten by then.
    forgotten: u64,
}

impl KnownMoney {
    /// What `find` finds, if it may be believed at `at`.
    pub(super) fn find<T>(&self, at: Instant, find: impl FnOnce(&Known) -> Option<T>) -> Option<T> {
        let known = self.0.read();
        let is_fresh = known.read_at.is_some_and(|read_at| at.saturating_duration_since(read_at) < BELIEVED);
        if is_fresh && !known.is_changing { find(&known) } else { None }
    }

    /// Begins to look; the newest transfer's number is to be read first, so that what is read after it is at least as new.
    pub(super) fn look(&self) -> Look {
        let forgotten = self.0.read().forgotten;
        Look { at: Instant::now(), forgotten }
    }

    /// Takes note of the newest transfer that a look found. What is known of another one is forgotten; what was found before
    /// somebody else forgot everything says nothing.
    pub(super) fn confirm(&self, mut look: Look, newest: i64) -> Look {
        let mut known = self.0.write();
        if known.forgotten != look.forgotten || known.is_changing {
            return look;
        }
        if known.newest != Some(newest) {
            known.forget();
            known.newest = Some(newest);
        }
        known.read_at = known.read_at.max(Some(look.at));
        look.forgotten = known.forgotten;
        look
    }

    /// Remembers, by `keep`, what was read after the newest transfer of a look was confirmed.
    pub(super) fn remember(&self, look: Look, keep: impl FnOnce(&mut Known)) {
        let mut known = self.0.write();
        if known.forgotten == look.forgotten && !known.is_changing {
            keep(&mut known);
        }
    }

    /// Forgets everything, and remembers nothing until it is dropped: hold it while this process commits what may be money.
    pub(super) fn changing(&self) -> Changing<'_> {
        let mut known = self.0.write();
        known.forget();
        known.is_changing = true;
        Changing(self)
    }
}

impl Known {
    /// The user's balance.
    pub(super) fn balance(&self, user: UserId) -> Option<AccountBalance> {
        self.balances.get(&user).cloned()
    }

    /// Remembers the user's balance.
    pub(super) fn keep_balance(&mut self, user: UserId, balance: AccountBalance) {
        make_room(&mut self.balances);
        self.balances.insert(user, balance);
    }

    /// The user's newest transfers, `limit` of them.
    pub(super) fn latest(&self, user: UserId, limit: u32) -> Option<Vec<PostedTransfer>> {
        self.latest.get(&(user, limit)).cloned()
    }

    /// Remembers the user's newest transfers, if they are few.
    pub(super) fn keep_latest(&mut self, user: UserId, limit: u32, latest: Vec<PostedTransfer>) {
        if latest.len() <= LIST_MAX {
            make_room(&mut self.latest);
            self.latest.insert((user, limit), latest);
        }
    }

    fn forget(&mut self) {
        self.balances.clear();
        self.latest.clear();
        self.newest = None;
        self.read_at = None;
        self.forgotten = self.forgotten.wrapping_add(1);
    }
}

fn make_room<K, V>(known: &mut HashMap<K, V>) {
    if known.len() >= KNOWN_MAX {
        known.clear();
    }
}

/// This process commits what may be money.
pub(super) struct Changing<'a>(&'a KnownMoney);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        let mut known = self.0.0.write();
        known.forget();
        known.is_changing = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::money::{Amount, Currency};

    const BOB: UserId = UserId(1);

    fn balance(minor: i64) -> AccountBalance {
        AccountBalance { username: Arc::from("bob"), balance: Amount::from_minor(minor, Currency::USD) }
    }

    fn found(known: &KnownMoney) -> Option<AccountBalance> {
        known.find(Instant::now(), |known| known.balance(BOB))
    }

    /// Reads a balance when the newest transfer is `newest`.
    fn read(known: &KnownMoney, newest: i64, minor: i64) {
        let look = known.confirm(known.look(), newest);
        known.remember(look, |known| known.keep_balance(BOB, balance(minor)));
    }

    #[test]
    fn what_was_read_is_believed_for_a_moment_and_then_until_there_is_another_transfer() {
        let known = KnownMoney::default();
        assert_eq!(found(&known), None);
        read(&known, 7, 100);
        let later = Instant::now() + BELIEVED;
        assert_eq!(known.find(later, |known| known.balance(BOB)), None, "it is doubted");
        let look = Look { at: later, ..known.look() };
        known.confirm(look, 7);
        assert_eq!(known.find(later, |known| known.balance(BOB)), Some(balance(100)), "it is the same");
        known.confirm(look, 8);
        assert_eq!(known.find(later, |known| known.balance(BOB)), None, "it is another one");
    }

    #[test]
    fn nothing_is_known_while_this_process_commits_and_nothing_older_after_it() {
        let known = KnownMoney::default();
        read(&known, 7, 100);
        let before = known.confirm(known.look(), 7);
        let changing = known.changing();
        assert_eq!(found(&known), None);
        read(&known, 8, 200);
        assert_eq!(found(&known), None, "it may not be committed");
        let meanwhile = known.confirm(known.look(), 8);
        drop(changing);
        for look in [before, meanwhile] {
            known.remember(look, |known| known.keep_balance(BOB, balance(100)));
            known.confirm(look, 7);
            assert_eq!(found(&known), None, "it was read before the commit");
        }
        read(&known, 8, 200);
        assert_eq!(found(&known), Some(balance(200)));
    }

    #[test]
    fn what_is_known_is_bounded() {
        let known = KnownMoney::default();
        let look = known.confirm(known.look(), 7);
        let users = i64::try_from(KNOWN_MAX).unwrap() + 1;
        for user in (0..users).map(UserId) {
            known.remember(look, |known| known.keep_balance(user, balance(1)));
        }
        assert_eq!(known.0.read().balances.len(), 1);
        let transfer = PostedTransfer {
            id: crate::store::TransferId(1),
            from: Arc::from("bob"),
            to: Arc::from("alice"),
            amount: Amount::from_minor(1, Currency::USD),
            date: jiff::civil::date(2024, 3, 15),
        };
        known.remember(look, |known| known.keep_latest(BOB, 50, vec![transfer; LIST_MAX + 1]));
        assert_eq!(known.find(Instant::now(), |known| known.latest(BOB, 50)), None);
    }
}
