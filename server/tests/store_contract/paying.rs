//! Promises of steps that do several things at once: they do what those do one after the other, or nothing.

use std::sync::Arc;

use jiff::civil::date;
use server::{
    clock::UnixMillis,
    payments::{Actor, PaymentError, Payments, RefundOrder, RefundOutlook, Refunded},
    store::{
        AccountState, Ending, Held, KeyId, NewPayment, NewTransfer, PaymentChange, PaymentId, PaymentStatus,
        PolicyChange, Store, StoreError, StoredPayment, TransferId, UserId,
    },
};

use super::{
    audit::record,
    changes::KeyChanges as _,
    engines::{in_memory, key, people},
    payments::{account, at, keep, payment, step, work},
};

/// Pays an open payment, with the accounts locked or not; under another's name where `handle` is one.
async fn pay(
    store: &dyn Store,
    kept: &StoredPayment,
    handle: &'static str,
    is_locked: bool,
) -> Result<TransferId, StoreError> {
    let terms = kept.payment.clone();
    work(store, move |transaction| {
        let (from, to, amount) = (terms.payer, terms.payee, terms.amount);
        Box::pin(async move {
            if is_locked {
                transaction.lock_accounts(&[from, to]).await?;
            }
            let transfer = NewTransfer { id: None, from, to, amount, date: date(2026, 11, 28) };
            let change = PaymentChange {
                id: PaymentId(handle.to_owned()),
                status: PaymentStatus::Succeeded,
                at: at(2_000),
                refunded_minor: 0,
                transfer: None,
                failure: None,
                confirmed_by: None,
            };
            let posted = transaction.pay(&transfer, change).await?;
            assert_eq!((&*posted.from, &*posted.to, posted.amount), ("user1", "user2", amount));
            Ok(Ending::Keep(posted.id))
        })
    })
    .await
}

pub(crate) async fn money_moves_with_its_payment_or_not_at_all(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    let balance = async || store.balance(UserId(2)).await.unwrap().balance.minor();
    for (number, is_locked) in [(1, true), (2, false)] {
        let handle = if is_locked { "pay_1" } else { "pay_2" };
        let kept = keep(&*store, payment(handle, 1, 2, 10)).await.unwrap();
        let nobodys = pay(&*store, &kept, "pay_9", is_locked).await;
        assert!(matches!(nobodys, Err(StoreError::Corrupt(_))), "{nobodys:?}");
        assert_eq!(balance().await, 10 * (number - 1), "nothing was posted");
        let transfer = pay(&*store, &kept, handle, is_locked).await.unwrap();
        let paid = store.payment(kept.id()).await.unwrap().unwrap();
        assert_eq!((paid.status(), paid.transfer), (PaymentStatus::Succeeded, Some(transfer)));
        assert_eq!(paid.changed_at, at(2_000));
        assert_eq!(balance().await, 10 * number);
        let twice = pay(&*store, &kept, handle, is_locked).await;
        assert!(twice.is_err(), "what is paid is not paid again: {twice:?}");
        assert_eq!(balance().await, 10 * number);
    }
}

pub(crate) async fn the_key_that_confirmed_a_payment_is_kept_with_it(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    let kept = keep(&*store, payment("pay_1", 1, 2, 10)).await.unwrap();
    assert_eq!(kept.confirmed_by, None);
    let other = KeyId("b".to_owned());
    for (status, confirmed_by) in
        [(PaymentStatus::Processing, Some(other.clone())), (PaymentStatus::Failed, None)]
    {
        let moved = work(&*store, move |transaction| {
            let (id, confirmed_by) = (PaymentId("pay_1".to_owned()), confirmed_by.clone());
            Box::pin(async move {
                let (at, failure) = (at(2_000), None);
                let change = PaymentChange {
                    id,
                    status,
                    at,
                    refunded_minor: 0,
                    transfer: None,
                    failure,
                    confirmed_by,
                };
                transaction.change_payment(&change).await.map(Ending::Keep)
            })
        });
        moved.await.unwrap();
        let found = store.payment(kept.id()).await.unwrap().unwrap();
        assert_eq!((found.status(), found.confirmed_by.as_ref()), (status, Some(&other)));
        assert_eq!((&*found.from, &*found.to), ("user1", "user2"));
    }
}

async fn keep_beside_similar(
    store: &dyn Store,
    new: NewPayment,
    since: i64,
) -> Result<StoredPayment, StoreError> {
    work(store, move |transaction| {
        let new = new.clone();
        Box::pin(async move { transaction.insert_beside_similar(new, at(since)).await.map(Ending::Keep) })
    })
    .await
}

pub(crate) async fn a_new_payment_knows_the_newest_that_it_repeats(store: Arc<dyn Store>) {
    people(&*store, 3).await;
    let mut number = 0;
    let mut next = async |payee, minor, created, since| {
        number += 1;
        let new =
            NewPayment { created_at: at(created), ..payment(&format!("pay_{number}"), 1, payee, minor) };
        let kept = keep_beside_similar(&*store, new, since).await.unwrap();
        assert_eq!(Some(&kept), store.payment(kept.id()).await.unwrap().as_ref());
        kept.payment.duplicate_of.map(|id| id.0)
    };
    assert_eq!(next(2, 10, 2_000, 0).await, None, "it is no duplicate of itself");
    assert_eq!(next(2, 10, 3_000, 0).await.as_deref(), Some("pay_1"));
    assert_eq!(next(2, 10, 3_000, 3_000).await.as_deref(), Some("pay_2"));
    assert_eq!(next(2, 10, 4_000, 3_001).await, None);
    assert_eq!(next(2, 11, 4_000, 0).await, None, "another amount");
    assert_eq!(next(3, 10, 4_000, 0).await, None, "another payee");
    let last = store.payment(&PaymentId("pay_6".to_owned())).await.unwrap().unwrap();
    step(&*store, &last, PaymentStatus::Declined).await.unwrap();
    assert_eq!(next(3, 10, 5_000, 0).await, None, "what was declined is not repeated");
    let taken = keep_beside_similar(&*store, payment("pay_1", 1, 2, 10), 0).await;
    assert!(matches!(taken, Err(StoreError::Taken(_))), "{taken:?}");
}

async fn hold(
    store: &dyn Store,
    payer: i64,
    name: &'static str,
) -> Result<(Option<UserId>, Held), StoreError> {
    work(store, move |transaction| {
        Box::pin(async move {
            let id = KeyId("a".to_owned());
            transaction.hold_with_named(UserId(payer), name, &id).await.map(Ending::Undo)
        })
    })
    .await
}

pub(crate) async fn whoever_is_named_is_held_with_the_payer_and_the_key(store: Arc<dyn Store>) {
    people(&*store, 3).await;
    store.create_key(key("a", 1, 1), PolicyChange::default()).await.unwrap();
    let users = |accounts: &[AccountState]| accounts.iter().map(|one| one.user.0).collect::<Vec<_>>();
    for (payer, name, named, held) in [
        (1, "user2", Some(2), vec![1, 2]),
        (3, "user2", Some(2), vec![2, 3]),
        (1, "user1", Some(1), vec![1]),
        (1, "nobody", None, vec![1]),
        (1, "", None, vec![1]),
        (1, "user2\0", None, vec![1]),
    ] {
        let (found, (accounts, key)) = hold(&*store, payer, name).await.unwrap();
        assert_eq!((found, users(&accounts)), (named.map(UserId), held), "{name:?}");
        assert_eq!(key.map(|(key, _)| key.id.0).as_deref(), Some("a"));
    }
    let nobody = hold(&*store, 9, "user2").await;
    assert!(matches!(nobody, Err(StoreError::NoSuchAccount(_))), "{nobody:?}");
}

fn whole(id: &PaymentId) -> RefundOrder {
    RefundOrder { payment: id.clone(), amount: None, idempotency_key: None }
}

/// What was looked at before may have changed: it counts what the key's policy says when the money moves.
pub(crate) async fn a_refund_that_somebody_must_be_asked_about_by_then_gives_nothing_back(
    store: Arc<dyn Store>,
) {
    people(&*store, 2).await;
    store.create_key(key("b", 2, 2), PolicyChange::default()).await.unwrap();
    let id = KeyId("b".to_owned());
    let asks_from = async |minor| {
        let change = PolicyChange { automatic_below_minor: Some(minor), ..PolicyChange::default() };
        store.change_policy(&id, change).await.unwrap().unwrap();
    };
    let payments = Payments::new(Arc::clone(&store), None);
    let alice = Actor { user: UserId(2), key: Some(id.clone()), record: record(1) };
    let paid = keep(&*store, payment("pay_1", 1, 2, 10)).await.unwrap();
    pay(&*store, &paid, "pay_1", false).await.unwrap();
    let balance = async || store.balance(UserId(2)).await.unwrap().balance.minor();
    asks_from(11).await;
    let outlook = payments.refund_outlook(alice.user, &id, &whole(paid.id())).await.unwrap();
    assert!(matches!(outlook, RefundOutlook::Automatic), "{outlook:?}");
    asks_from(10).await;
    let unasked = payments.refund(alice.clone(), whole(paid.id()), false).await.unwrap();
    assert!(matches!(unasked, Refunded::Ask), "{unasked:?}");
    assert_eq!(balance().await, 10, "nothing is given back");
    // Less than that nobody is asked about, the rest makes it as much again, and a yes is enough for that.
    let part = RefundOrder { amount: Some("0.09".to_owned()), ..whole(paid.id()) };
    for (order, is_accepted, left) in [(part, false, 1), (whole(paid.id()), true, 0)] {
        if is_accepted {
            let unasked = payments.refund(alice.clone(), order.clone(), false).await.unwrap();
            assert!(matches!(unasked, Refunded::Ask), "{unasked:?}");
        }
        let refunded = payments.refund(alice.clone(), order, is_accepted).await.unwrap();
        assert!(matches!(refunded, Refunded::Done(_, false)), "{refunded:?}");
        assert_eq!(balance().await, left);
    }
}

/// Every request is let in by its key first; this is what it does when the key ends while it is handled.
pub(crate) async fn a_key_that_has_ended_cancels_nothing_and_gives_nothing_back(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    for (id, user, seed) in [("a", 1, 1), ("b", 2, 2)] {
        store.create_key(key(id, user, seed), PolicyChange::default()).await.unwrap();
    }
    let payments = Payments::new(Arc::clone(&store), None);
    let actor =
        |id: &str, user| Actor { user: UserId(user), key: Some(KeyId(id.to_owned())), record: record(1) };
    let paid = keep(&*store, payment("pay_1", 1, 2, 10)).await.unwrap();
    pay(&*store, &paid, "pay_1", false).await.unwrap();
    let waiting = keep(&*store, payment("pay_2", 1, 2, 10)).await.unwrap();
    for id in ["a", "b"] {
        store.revoke_key(&KeyId(id.to_owned()), at(3_000)).await.unwrap();
    }
    let canceled = payments.cancel(actor("a", 1), waiting.id()).await.unwrap_err();
    let refunded = payments.refund(actor("b", 2), whole(paid.id()), true).await.unwrap_err();
    for refusal in [canceled, refunded] {
        let PaymentError::Refused(refusal) = refusal else { panic!("{refusal:?}") };
        assert_eq!(refusal.code(), "permission_denied");
    }
    let status = async |id| store.payment(id).await.unwrap().unwrap().status();
    assert_eq!(status(waiting.id()).await, PaymentStatus::RequiresConfirmation);
    assert_eq!(status(paid.id()).await, PaymentStatus::Succeeded);
    // An operator has no key.
    let operator = Actor { key: None, ..actor("a", 1) };
    assert_eq!(payments.cancel(operator, waiting.id()).await.unwrap().0.status(), PaymentStatus::Canceled);
}

pub(crate) async fn all_that_is_overdue_ends_however_much_it_is_and_frees_what_it_held(
    store: Arc<dyn Store>,
) {
    people(&*store, 3).await;
    for portion in 0..10 {
        work(&*store, move |transaction| {
            Box::pin(async move {
                for number in 0..100 {
                    let id = format!("pay_{portion}_{number}");
                    let one = NewPayment { expires_at: at(5_000), ..payment(&id, 1, 2, 10) };
                    transaction.insert_payment(&one).await?;
                }
                Ok(Ending::Keep(()))
            })
        })
        .await
        .unwrap();
    }
    for (id, expires, minor) in [("pay_behind", 5_001, 70), ("pay_later", 6_001, 7)] {
        let one = NewPayment { expires_at: at(expires), ..payment(id, 3, 2, minor) };
        keep(&*store, one).await.unwrap();
    }
    let reserved = async |user| account(&*store, user).await.reserved_minor;
    assert_eq!([reserved(1).await, reserved(3).await], [10_000, 77]);
    let payments = Payments::new(Arc::clone(&store), None);
    let (mut expired, mut has_more) = (0, true);
    while has_more {
        let swept = payments.sweep(at(6_000)).await.unwrap();
        (expired, has_more) = (expired + swept.expired, swept.has_more);
    }
    assert_eq!(expired, 1_001);
    let behind = store.payment(&PaymentId("pay_behind".to_owned())).await.unwrap().unwrap();
    assert_eq!(behind.status(), PaymentStatus::Expired);
    assert_eq!([reserved(1).await, reserved(3).await], [0, 7]);
}

/// What a server left behind fails where nobody can assess it; it is over then, and the next are looked at.
#[tokio::test]
async fn where_all_that_was_left_behind_fails_there_is_more() {
    let store = in_memory().await.store;
    people(&*store, 2).await;
    for number in 0..150 {
        let kept = keep(&*store, payment(&format!("pay_{number}"), 1, 2, 10)).await.unwrap();
        step(&*store, &kept, PaymentStatus::Processing).await.unwrap();
    }
    let payments = Payments::new(Arc::clone(&store), None);
    let first = payments.sweep(UnixMillis::now()).await.unwrap();
    let second = payments.sweep(UnixMillis::now()).await.unwrap();
    assert!((first.has_more, second.has_more) == (true, false), "{first:?} {second:?}");
    for number in 0..150 {
        let found = store.payment(&PaymentId(format!("pay_{number}"))).await.unwrap().unwrap();
        assert_eq!(found.status(), PaymentStatus::Failed);
    }
}
