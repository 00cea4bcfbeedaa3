//! What a server of the demo knows: whose a key is, and seven transactions.

use serde::Serialize;
use shared::demo::{ALICE_API_KEY, BOB_API_KEY};

/// Whom a key belongs to.
pub(super) fn holder(key: &[u8]) -> Option<&'static str> {
    [(BOB_API_KEY, "bob"), (ALICE_API_KEY, "alice")]
        .into_iter()
        .find_map(|(known, name)| (known.as_bytes() == key).then_some(name))
}

/// One transaction.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Transaction {
    id: u32,
    from: &'static str,
    to: &'static str,
    amount: i64,
    date: &'static str,
}

/// All of a user's transactions, in no order.
pub(super) fn all(name: &str) -> Vec<Transaction> {
    TRANSACTIONS.into_iter().filter(|one| one.from == name || one.to == name).collect()
}

/// So many of them, the latest first.
pub(super) fn latest(name: &str, many: u32) -> Vec<Transaction> {
    let mut all = all(name);
    all.sort_by_key(|one| std::cmp::Reverse(one.date));
    all.truncate(usize::try_from(many).unwrap_or(usize::MAX));
    all
}

/// How many `getLatestTransactions` lists where nobody says.
pub(super) const LATEST: u32 = 3;

/// What a user has.
pub(super) fn balance(name: &str) -> i64 {
    all(name).into_iter().map(|one| if one.to == name { one.amount } else { -one.amount }).sum()
}

const TRANSACTIONS: [Transaction; 7] = [
    of(1, "bob", "alice", 100, "2024-03-15"),
    of(3, "bob", "charlie", 75, "2024-03-17"),
    of(5, "bob", "alice", 200, "2024-03-19"),
    of(2, "alice", "charlie", 50, "2024-03-16"),
    of(6, "alice", "bob", 150, "2024-03-20"),
    of(4, "charlie", "bob", 25, "2024-03-18"),
    of(7, "charlie", "alice", 80, "2024-03-21"),
];

const fn of(id: u32, from: &'static str, to: &'static str, amount: i64, date: &'static str) -> Transaction {
    Transaction { id, from, to, amount, date }
}
