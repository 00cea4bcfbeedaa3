//! Balances and newest transfers that a store knows: what this process posts is in them at once, another process's transfer
//! soon.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::civil::date;
use server::{
    money::{Amount, Currency},
    store::{
        LedgerStore, NewTransfer, Store, UserId,
        sqlite::{SqliteLocation, SqliteStore},
    },
};
use tokio::task::JoinSet;

use super::engines::people;

/// The longest that a transfer may go unseen in another process.
const UNSEEN: Duration = Duration::from_millis(100);

async fn in_file(path: &Path) -> SqliteStore {
    SqliteStore::open(&SqliteLocation::File(path.to_owned())).await.unwrap()
}

async fn post(store: &dyn Store) -> i64 {
    let transfer = NewTransfer {
        id: None,
        from: UserId(1),
        to: UserId(2),
        amount: Amount::from_minor(1, Currency::USD),
        date: date(2024, 3, 15),
    };
    store.post(transfer).await.unwrap().id.0
}

/// What the payee has, and the number of the payee's newest transfer.
async fn seen(store: &dyn LedgerStore) -> (i64, i64) {
    let latest = store.latest_transfers(UserId(2), 3).await.unwrap();
    let balance = store.balance(UserId(2)).await.unwrap().balance.minor();
    (balance, latest.first().map_or(0, |transfer| transfer.id.0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_seen_at_once_here_and_soon_in_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.db");
    let (here, there) = (in_file(&path).await, in_file(&path).await);
    people(&here, 2).await;
    for number in 1..=20 {
        for store in [&here, &there] {
            assert_eq!(seen(store).await, (number - 1, number - 1));
        }
        assert_eq!(post(&here).await, number);
        let posted = Instant::now();
        assert_eq!(seen(&here).await, (number, number), "here");
        loop {
            let asked = posted.elapsed();
            if seen(&there).await == (number, number) {
                break;
            }
            assert!(asked < UNSEEN, "there, after {asked:?}");
            tokio::task::yield_now().await;
        }
    }
    here.close().await.unwrap();
    here.balance(UserId(2)).await.unwrap_err();
    here.latest_transfers(UserId(2), 3).await.unwrap_err();
    there.close().await.unwrap();
}

/// Many read while many pay: nobody is told less than what was there before they asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_asks_after_a_payment_is_told_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(in_file(&folder.path().join("payments.db")).await);
    people(&*store, 2).await;
    let mut everybody = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        everybody.spawn(async move {
            for _ in 0..50 {
                let (before, _) = seen(&*store).await;
                let number = post(&*store).await;
                let (balance, latest) = seen(&*store).await;
                assert!(balance > before, "{balance} after {before} and a payment");
                assert!(latest >= number, "{latest} after {number}");
            }
        });
    }
    everybody.join_all().await;
    assert_eq!(seen(&*store).await, (400, 400));
    store.close().await.unwrap();
}
