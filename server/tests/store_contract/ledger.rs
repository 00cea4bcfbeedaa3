//! Promises of the ledger.

use std::{collections::BTreeMap, sync::Arc};

use jiff::civil::{Date, date};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use server::{
    money::{Amount, Currency},
    store::{NewTransfer, PostedTransfer, Store, StoreError, TransferId, UserId},
};

use super::engines::people;

const DAY: Date = date(2024, 3, 15);

fn usd(minor: i64) -> Amount {
    Amount::from_minor(minor, Currency::USD)
}

fn transfer(id: i64, from: i64, to: i64, minor: i64) -> NewTransfer {
    NewTransfer {
        id: Some(TransferId(id)),
        from: UserId(from),
        to: UserId(to),
        amount: usd(minor),
        date: DAY,
    }
}

async fn balance(store: &dyn Store, user: i64) -> i64 {
    store.balance(UserId(user)).await.unwrap().balance.minor()
}

fn numbers(transfers: &[PostedTransfer]) -> Vec<i64> {
    transfers.iter().map(|transfer| transfer.id.0).collect()
}

pub(crate) async fn a_transfer_moves_money_once_from_one_account_to_the_other(store: Arc<dyn Store>) {
    people(&*store, 3).await;
    let posted = store.post(transfer(7, 1, 2, 1_250)).await.unwrap();
    assert_eq!(
        posted,
        PostedTransfer {
            id: TransferId(7),
            from: "user1".into(),
            to: "user2".into(),
            amount: usd(1_250),
            date: DAY,
        }
    );
    assert_eq!(
        [balance(&*store, 1).await, balance(&*store, 2).await, balance(&*store, 3).await],
        [-1_250, 1_250, 0]
    );
    assert_eq!(store.transfers(UserId(1), u32::MAX).await.unwrap(), std::slice::from_ref(&posted));
    assert_eq!(store.transfers(UserId(2), u32::MAX).await.unwrap(), [posted]);
    assert!(store.transfers(UserId(3), u32::MAX).await.unwrap().is_empty());
    assert!(matches!(store.balance(UserId(9)).await, Err(StoreError::NoSuchAccount(_))));
}

pub(crate) async fn posting_the_same_transfer_again_moves_nothing(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    let first = store.post(transfer(1, 1, 2, 500)).await.unwrap();
    assert_eq!(store.post(transfer(1, 1, 2, 500)).await.unwrap(), first);
    assert_eq!(balance(&*store, 2).await, 500);
    assert_eq!(store.transfers(UserId(1), u32::MAX).await.unwrap().len(), 1);
}

pub(crate) async fn a_known_number_with_other_contents_is_refused(store: Arc<dyn Store>) {
    people(&*store, 3).await;
    store.post(transfer(1, 1, 2, 500)).await.unwrap();
    let another_day = NewTransfer { date: date(2025, 1, 1), ..transfer(1, 1, 2, 500) };
    for other in [transfer(1, 1, 2, 501), transfer(1, 2, 1, 500), transfer(1, 1, 3, 500), another_day] {
        let refusal = store.post(other).await.unwrap_err();
        assert!(matches!(refusal, StoreError::TransferExists(TransferId(1))), "{refusal}");
    }
    assert_eq!([balance(&*store, 1).await, balance(&*store, 3).await], [-500, 0]);
}

pub(crate) async fn what_is_no_transfer_is_refused_and_changes_nothing(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    for silly in [transfer(1, 1, 2, 0), transfer(1, 1, 2, -5), transfer(1, 1, 1, 5)] {
        assert!(matches!(store.post(silly).await, Err(StoreError::OutOfRange)));
    }
    for stranger in [transfer(1, 1, 9, 5), transfer(1, 9, 1, 5)] {
        assert!(matches!(store.post(stranger).await, Err(StoreError::NoSuchAccount(_))));
    }
    assert_eq!([balance(&*store, 1).await, balance(&*store, 2).await], [0, 0]);
    assert!(store.transfers(UserId(1), u32::MAX).await.unwrap().is_empty());
}

pub(crate) async fn a_balance_that_would_overflow_is_refused(store: Arc<dyn Store>) {
    people(&*store, 3).await;
    store.post(transfer(1, 1, 2, i64::MAX)).await.unwrap();
    assert!(matches!(store.post(transfer(2, 3, 2, 1)).await, Err(StoreError::OutOfRange)));
    assert!(matches!(store.post(transfer(3, 1, 3, 2)).await, Err(StoreError::OutOfRange)));
    assert_eq!([balance(&*store, 1).await, balance(&*store, 2).await], [-i64::MAX, i64::MAX]);
}

pub(crate) async fn history_is_in_posting_order_and_latest_by_date(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    for (id, day) in [(4, 3), (2, 9), (9, 3), (1, 5), (6, 9)] {
        let transfer = NewTransfer { date: date(2024, 3, day), ..transfer(id, 1, 2, 100) };
        store.post(transfer).await.unwrap();
    }
    assert_eq!(numbers(&store.transfers(UserId(2), u32::MAX).await.unwrap()), [4, 2, 9, 1, 6]);
    assert_eq!(numbers(&store.latest_transfers(UserId(2), 100).await.unwrap()), [6, 2, 1, 9, 4]);
    assert_eq!(numbers(&store.latest_transfers(UserId(2), 3).await.unwrap()), [6, 2, 1]);
    assert!(store.latest_transfers(UserId(2), 0).await.unwrap().is_empty());
}

pub(crate) async fn a_transfer_without_a_number_gets_the_next_one(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    store.post(transfer(40, 1, 2, 1)).await.unwrap();
    let posted = store.post(NewTransfer { id: None, ..transfer(0, 1, 2, 1) }).await.unwrap();
    assert_eq!(posted.id, TransferId(41));
}

pub(crate) async fn concurrent_transfers_all_count(store: Arc<dyn Store>) {
    people(&*store, 4).await;
    let mut posts = tokio::task::JoinSet::new();
    for number in 0..200 {
        let store = Arc::clone(&store);
        let transfer = NewTransfer { id: None, ..transfer(0, 1 + number % 2, 3 + number % 2, 10) };
        posts.spawn(async move { store.post(transfer).await.unwrap().id });
    }
    let mut ids = posts.join_all().await;
    ids.sort_unstable();
    assert_eq!(ids, (1..=200).map(TransferId).collect::<Vec<_>>());
    assert_eq!([balance(&*store, 1).await, balance(&*store, 3).await], [-1_000, 1_000]);
}

pub(crate) async fn random_transfers_agree_with_a_simple_ledger(store: Arc<dyn Store>) {
    const PEOPLE: i64 = 4;
    people(&*store, PEOPLE).await;
    let mut runner = TestRunner::deterministic();
    let one = (1..=30_i64, 1..=PEOPLE, 1..=PEOPLE, -50..=5_000_i64, 1..=28_i8);
    let mut simple = Simple::default();
    for _ in 0..300 {
        let (id, from, to, minor, day) = one.new_tree(&mut runner).unwrap().current();
        let wanted = NewTransfer { date: date(2024, 3, day), ..transfer(id, from, to, minor) };
        let outcome = store.post(wanted.clone()).await;
        assert_eq!(outcome.is_ok(), simple.post(&wanted), "{wanted:?}: {outcome:?}");
    }
    let mut sum = 0;
    for user in 1..=PEOPLE {
        let (ours, theirs) = (balance(&*store, user).await, simple.balance(user));
        assert_eq!(ours, theirs, "balance of {user}");
        assert_eq!(numbers(&store.transfers(UserId(user), u32::MAX).await.unwrap()), simple.history(user));
        sum += ours;
    }
    assert_eq!(sum, 0, "entries sum to zero");
}

/// What a ledger is, in the simplest words.
#[derive(Default)]
struct Simple {
    posted: BTreeMap<i64, NewTransfer>,
    order: Vec<i64>,
}

impl Simple {
    fn post(&mut self, wanted: &NewTransfer) -> bool {
        let id = wanted.id.unwrap().0;
        if let Some(posted) = self.posted.get(&id) {
            return posted == wanted;
        }
        if wanted.amount.minor() <= 0 || wanted.from == wanted.to {
            return false;
        }
        self.posted.insert(id, wanted.clone());
        self.order.push(id);
        true
    }

    fn balance(&self, user: i64) -> i64 {
        let side = |transfer: &NewTransfer| match UserId(user) {
            user if user == transfer.from => -transfer.amount.minor(),
            user if user == transfer.to => transfer.amount.minor(),
            _ => 0,
        };
        self.posted.values().map(side).sum()
    }

    fn history(&self, user: i64) -> Vec<i64> {
        let is_theirs = |id: &&i64| {
            let transfer = &self.posted[id];
            [transfer.from, transfer.to].contains(&UserId(user))
        };
        self.order.iter().filter(is_theirs).copied().collect()
    }
}

/// Users 1 to 3; 1 pays 2 in January, 3 pays 1 at both ends of March, 2 pays 3 in February.
async fn a_quarter(store: &dyn Store) {
    people(store, 4).await;
    let days = [
        (1, 1, 2, 100, date(2024, 1, 31)),
        (2, 3, 1, 40, date(2024, 3, 31)),
        (3, 2, 3, 7, date(2024, 2, 29)),
        (4, 3, 1, 5, date(2024, 3, 1)),
        (5, 3, 1, 6, date(2024, 3, 1)),
    ];
    for (id, from, to, minor, day) in days {
        store.post(NewTransfer { date: day, ..transfer(id, from, to, minor) }).await.unwrap();
    }
}

pub(crate) async fn a_month_opens_with_what_was_before_and_holds_its_own_transfers(store: Arc<dyn Store>) {
    a_quarter(&*store).await;
    for (month, opening, ids) in [
        ("2023-12", 0, vec![]),
        ("2024-01", 0, vec![1]),
        ("2024-02", -100, vec![]),
        ("2024-03", -100, vec![4, 5, 2]),
        ("2024-04", -49, vec![]),
        ("9999-12", -49, vec![]),
        ("0000-01", 0, vec![]),
    ] {
        let found = store.month(UserId(1), month.parse().unwrap(), 9).await.unwrap();
        assert_eq!((found.opening.minor(), numbers(&found.transfers)), (opening, ids), "{month}");
        assert_eq!((&*found.username, found.earlier), ("user1", None));
    }
    for (user, limit, ids, earlier) in [
        (1, 3, vec![4, 5, 2], None),
        (1, 2, vec![5, 2], Some((5, 0))),
        (1, 0, vec![], Some((51, 0))),
        (3, 1, vec![2], Some((0, 11))),
    ] {
        let found = store.month(UserId(user), "2024-03".parse().unwrap(), limit).await.unwrap();
        assert_eq!(numbers(&found.transfers), ids, "the newest, and no more than were asked for");
        let sums = found.earlier.map(|sums| (sums.paid_in_minor, sums.paid_out_minor));
        assert_eq!(sums, earlier, "{user} {limit}");
    }
    let stranger = store.month(UserId(9), "2024-03".parse().unwrap(), 9).await;
    assert!(matches!(stranger, Err(StoreError::NoSuchAccount(_))));
}

pub(crate) async fn months_and_peers_are_those_of_the_user_alone(store: Arc<dyn Store>) {
    a_quarter(&*store).await;
    let months = async |user| -> Vec<String> {
        store.months(UserId(user)).await.unwrap().iter().map(ToString::to_string).collect()
    };
    assert_eq!(months(1).await, ["2024-03", "2024-01"]);
    assert_eq!(months(2).await, ["2024-02", "2024-01"]);
    assert!(months(4).await.is_empty());
    assert_eq!(store.peers(UserId(1)).await.unwrap(), ["user2", "user3"]);
    assert_eq!(store.peers(UserId(3)).await.unwrap(), ["user1", "user2"]);
    assert!(store.peers(UserId(4)).await.unwrap().is_empty());
}
