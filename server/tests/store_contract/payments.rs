//! Promises of payments as they move, and of work on money.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use server::{
    clock::UnixMillis,
    money::{Amount, Currency},
    store::{
        AccountState, Ending, KeyId, NewPayment, NewTransfer, PaymentChange, PaymentFilter, PaymentId,
        PaymentStatus, Store, StoreError, StoredPayment, Transaction, TransferId, UserId, Work, transact,
    },
};

use super::{audit::record, engines::people};

pub(crate) type Done<T> = Result<Ending<T>, StoreError>;

struct Closure<F>(F);

#[async_trait::async_trait]
impl<T, F> Work for Closure<F>
where
    T: Send + 'static,
    F: for<'a> Fn(&'a mut dyn Transaction) -> BoxFuture<'a, Done<T>> + Send + Sync + 'static,
{
    type Output = T;

    async fn run(&self, transaction: &mut dyn Transaction) -> Done<T> {
        (self.0)(transaction).await
    }
}

/// Runs a closure in one transaction.
pub(crate) async fn work<T: Send + 'static>(
    store: &dyn Store,
    work: impl for<'a> Fn(&'a mut dyn Transaction) -> BoxFuture<'a, Done<T>> + Send + Sync + 'static,
) -> Result<T, StoreError> {
    transact(store, Closure(work)).await
}

pub(crate) fn at(ms: i64) -> UnixMillis {
    UnixMillis::from_millis(ms)
}

fn usd(minor: i64) -> Amount {
    Amount::from_minor(minor, Currency::USD)
}

pub(crate) fn payment(id: &str, payer: i64, payee: i64, minor: i64) -> NewPayment {
    NewPayment {
        id: PaymentId(id.to_owned()),
        step: None,
        payer: UserId(payer),
        payee: UserId(payee),
        key: KeyId("a".to_owned()),
        lineage: KeyId("a".to_owned()),
        amount: usd(minor),
        memo: Some("for \0 \u{1f600}".to_owned()),
        status: PaymentStatus::RequiresConfirmation,
        created_at: at(1_000),
        expires_at: at(9_000),
        duplicate_of: None,
        idempotency_key: None,
        failure: None,
    }
}

/// Keeps a payment.
pub(crate) async fn keep(store: &dyn Store, payment: NewPayment) -> Result<StoredPayment, StoreError> {
    work(store, move |transaction| {
        let payment = payment.clone();
        Box::pin(async move { transaction.insert_payment(&payment).await.map(Ending::Keep) })
    })
    .await
}

/// Moves a payment on; pays it where that is what it means.
pub(crate) async fn step(
    store: &dyn Store,
    kept: &StoredPayment,
    status: PaymentStatus,
) -> Result<(), StoreError> {
    let kept = kept.clone();
    work(store, move |transaction| {
        let kept = kept.clone();
        Box::pin(async move {
            let terms = kept.payment;
            let mut change = PaymentChange {
                id: terms.id.clone(),
                status,
                at: at(2_000),
                refunded_minor: 0,
                transfer: None,
                failure: None,
                confirmed_by: None,
            };
            match status {
                PaymentStatus::Succeeded => {
                    let date = jiff::civil::date(2026, 11, 28);
                    let (from, to, amount) = (terms.payer, terms.payee, terms.amount);
                    let transfer = NewTransfer { id: None, from, to, amount, date };
                    change.transfer = Some(transaction.post(&transfer).await?.id);
                }
                PaymentStatus::PartiallyRefunded => change.refunded_minor = 1,
                PaymentStatus::Refunded => change.refunded_minor = terms.amount.minor(),
                _ => {}
            }
            transaction.change_payment(&change).await.map(Ending::Keep)
        })
    })
    .await
}

pub(crate) async fn account(store: &dyn Store, user: i64) -> AccountState {
    let accounts = work(store, move |transaction| {
        Box::pin(async move { transaction.lock_accounts(&[UserId(user)]).await.map(Ending::Keep) })
    });
    accounts.await.unwrap().remove(0)
}

async fn found(store: &dyn Store, id: &str) -> StoredPayment {
    store.payment(&PaymentId(id.to_owned())).await.unwrap().unwrap()
}

pub(crate) async fn an_open_payment_sets_its_amount_aside_until_it_ends(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    let kept = keep(&*store, payment("pay_1", 1, 2, 300)).await.unwrap();
    assert_eq!((kept.from.as_str(), kept.to.as_str(), kept.transfer), ("user1", "user2", None));
    assert_eq!(kept, found(&*store, "pay_1").await);
    keep(&*store, payment("pay_2", 1, 2, 50)).await.unwrap();
    let mut failed = payment("pay_3", 1, 2, 7);
    failed.status = PaymentStatus::Failed;
    keep(&*store, failed).await.unwrap();
    let before = account(&*store, 1).await;
    assert_eq!((before.reserved_minor, before.balance.minor(), before.credit_limit_minor), (350, 0, 100_000));

    step(&*store, &kept, PaymentStatus::Processing).await.unwrap();
    assert_eq!(account(&*store, 1).await.reserved_minor, 350, "it is still open");
    step(&*store, &kept, PaymentStatus::Succeeded).await.unwrap();
    let after = account(&*store, 1).await;
    assert_eq!((after.reserved_minor, after.balance.minor()), (50, -300));
    step(&*store, &found(&*store, "pay_2").await, PaymentStatus::Canceled).await.unwrap();
    assert_eq!(account(&*store, 1).await.reserved_minor, 0);
    let again = keep(&*store, payment("pay_1", 1, 2, 5)).await;
    assert!(matches!(again, Err(StoreError::Taken(_))), "{again:?}");
}

/// A way to each status; none where a payment begins so.
fn way(status: PaymentStatus) -> Vec<PaymentStatus> {
    use PaymentStatus as S;
    match status {
        S::RequiresConfirmation => vec![],
        S::Refunded => vec![S::Succeeded, S::Refunded],
        S::PartiallyRefunded => vec![S::Succeeded, S::PartiallyRefunded],
        other => vec![other],
    }
}

pub(crate) async fn a_payment_moves_as_it_is_drawn_and_in_no_other_way(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    for from in PaymentStatus::ALL {
        for to in PaymentStatus::ALL {
            let id = format!("pay_{}_{}", from.as_str(), to.as_str());
            let kept = keep(&*store, payment(&id, 1, 2, 10)).await.unwrap();
            for stop in way(from) {
                step(&*store, &kept, stop).await.unwrap();
            }
            let before = found(&*store, &id).await;
            assert_eq!(before.status(), from);
            let moved = step(&*store, &before, to).await;
            let after = found(&*store, &id).await;
            if from.may_become(to) {
                moved.unwrap_or_else(|error| panic!("{from:?} to {to:?}: {error}"));
                assert_eq!(after.status(), to);
            } else {
                assert!(matches!(moved, Err(StoreError::Corrupt(_))), "{from:?} to {to:?}: {moved:?}");
                assert_eq!(after, before, "{from:?} to {to:?}");
            }
        }
    }
    for status in PaymentStatus::ALL.into_iter().filter(|status| status.is_paid()) {
        let born = keep(&*store, NewPayment { status, ..payment("pay_x", 1, 2, 10) }).await;
        assert!(matches!(born, Err(StoreError::Corrupt(_))), "{status:?}: {born:?}");
    }
    let total: i64 = account(&*store, 1).await.balance.minor() + account(&*store, 2).await.balance.minor();
    assert_eq!(total, 0);
}

/// Work that does a little of everything and then ends in some way.
async fn everything(
    store: &dyn Store,
    id: &'static str,
    end: impl Fn() -> Done<&'static str> + Send + Sync + 'static,
) -> Result<&'static str, StoreError> {
    let end = Arc::new(end);
    work(store, move |transaction| {
        let end = Arc::clone(&end);
        Box::pin(async move {
            let kept = transaction.insert_payment(&payment(id, 1, 2, 10)).await?;
            transaction.spend(&kept.payment.lineage, at(1_000), 10).await?;
            let date = jiff::civil::date(2026, 11, 28);
            let transfer = NewTransfer { id: None, from: UserId(1), to: UserId(2), amount: usd(10), date };
            transaction.post(&transfer).await?;
            transaction.append_audit(&record(5)).await?;
            end()
        })
    })
    .await
}

async fn spent(store: &dyn Store) -> i64 {
    let spent = work(store, |transaction| {
        Box::pin(async move { transaction.spent(&KeyId("a".to_owned()), at(0)).await.map(Ending::Undo) })
    });
    spent.await.unwrap()
}

pub(crate) async fn work_happens_wholly_with_its_audit_record_or_not_at_all(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    let traces = async || {
        store.flush_audit().await.unwrap();
        let records = store.latest_audit(10).await.unwrap().len();
        let balance = store.balance(UserId(1)).await.unwrap().balance.minor();
        let payments = store.payments(PaymentFilter::default(), 10).await.unwrap().len();
        (records, balance, payments, spent(&*store).await)
    };
    assert_eq!(everything(&*store, "pay_1", || Ok(Ending::Undo("no"))).await.unwrap(), "no");
    assert_eq!(traces().await, (0, 0, 0, 0));
    let error = everything(&*store, "pay_1", || Err(StoreError::OutOfRange)).await.unwrap_err();
    assert!(matches!(error, StoreError::OutOfRange), "{error}");
    assert_eq!(traces().await, (0, 0, 0, 0));
    assert_eq!(everything(&*store, "pay_1", || Ok(Ending::Keep("yes"))).await.unwrap(), "yes");
    assert_eq!(traces().await, (1, -10, 1, 10));
    let verdict = server::audit::chain::verify(&*store, None).await.unwrap();
    assert!(matches!(verdict, server::audit::chain::Verdict::Whole { chained: 1, .. }), "{verdict:?}");
}

/// A work that swallows what the store refused has not thereby done it.
pub(crate) async fn what_failed_within_is_not_kept_by_calling_it_done(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    let kept = keep(&*store, payment("pay_1", 1, 2, 10)).await.unwrap();
    step(&*store, &kept, PaymentStatus::Declined).await.unwrap();
    let done = work(&*store, |transaction| {
        Box::pin(async move {
            let change = PaymentChange {
                id: PaymentId("pay_1".to_owned()),
                status: PaymentStatus::Processing,
                at: at(3_000),
                refunded_minor: 0,
                transfer: None,
                failure: None,
                confirmed_by: None,
            };
            let refused = transaction.change_payment(&change).await;
            Ok(Ending::Keep(refused.is_err()))
        })
    });
    assert!(done.await.unwrap_or(true), "the step was refused");
    assert_eq!(found(&*store, "pay_1").await.status(), PaymentStatus::Declined);
}

pub(crate) async fn of_fifty_who_confirm_at_once_one_pays(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    keep(&*store, payment("pay_1", 1, 2, 10)).await.unwrap();
    let mut confirming = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = Arc::clone(&store);
        confirming.spawn(async move {
            let confirm = work(&*store, |transaction| {
                Box::pin(async move {
                    let id = PaymentId("pay_1".to_owned());
                    let kept = transaction.lock_payment(&id).await?.unwrap();
                    if !kept.status().is_open() {
                        return Ok(Ending::Undo(false));
                    }
                    let users = [kept.payment.payee, kept.payment.payer];
                    transaction.lock_accounts(&users).await?;
                    let date = jiff::civil::date(2026, 11, 28);
                    let (from, to) = (kept.payment.payer, kept.payment.payee);
                    let transfer = NewTransfer { id: None, from, to, amount: usd(10), date };
                    let status = PaymentStatus::Succeeded;
                    let change = PaymentChange {
                        id,
                        status,
                        at: at(2_000),
                        refunded_minor: 0,
                        transfer: None,
                        failure: None,
                        confirmed_by: None,
                    };
                    transaction.pay(&transfer, change).await?;
                    Ok(Ending::Keep(true))
                })
            });
            confirm.await.unwrap()
        });
    }
    let paid = confirming.join_all().await.into_iter().filter(|paid| *paid).count();
    assert_eq!((paid, account(&*store, 2).await.balance.minor()), (1, 10));
    assert_eq!(found(&*store, "pay_1").await.transfer, Some(TransferId(1)));
}

pub(crate) async fn work_on_the_same_accounts_waits_its_turn_and_never_in_a_circle(store: Arc<dyn Store>) {
    people(&*store, 3).await;
    let mut paying = tokio::task::JoinSet::new();
    for number in 0..90_i64 {
        let store = Arc::clone(&store);
        let (from, to) = (1 + number % 3, 1 + (number + 1 + number % 2) % 3);
        paying.spawn(async move {
            let pay = work(&*store, move |transaction| {
                Box::pin(async move {
                    let before = transaction.lock_accounts(&[UserId(from), UserId(to)]).await?;
                    let balance = |accounts: &[AccountState], user| {
                        accounts.iter().find(|one| one.user == UserId(user)).unwrap().balance.minor()
                    };
                    let date = jiff::civil::date(2026, 11, 28);
                    let (payer, payee) = (UserId(from), UserId(to));
                    let transfer = NewTransfer { id: None, from: payer, to: payee, amount: usd(10), date };
                    transaction.post(&transfer).await?;
                    let after = transaction.lock_accounts(&[UserId(to), UserId(from)]).await?;
                    assert_eq!(balance(&after, from), balance(&before, from) - 10);
                    assert_eq!(balance(&after, to), balance(&before, to) + 10);
                    Ok(Ending::Keep(()))
                })
            });
            pay.await.unwrap();
        });
    }
    paying.join_all().await;
    let mut sum = 0;
    for user in 1..=3 {
        let transfers = store.transfers(UserId(user), u32::MAX).await.unwrap();
        let name = format!("user{user}");
        let own: i64 = transfers.iter().map(|one| if *one.from == *name { -10 } else { 10 }).sum();
        assert_eq!(store.balance(UserId(user)).await.unwrap().balance.minor(), own);
        sum += own;
    }
    assert_eq!(sum, 0);
    let strangers = work(&*store, |transaction| {
        Box::pin(async move { transaction.lock_accounts(&[UserId(1), UserId(9)]).await.map(Ending::Undo) })
    });
    assert!(matches!(strangers.await, Err(StoreError::NoSuchAccount(_))));
}
