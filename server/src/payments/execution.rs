//! The steps that payments take inside a transaction, one by one or as a batch.

use jiff::tz::TimeZone;

use super::{
    Refusal,
    terms::{Intent, available},
};
use crate::{
    clock::UnixMillis,
    money::Amount,
    store::{
        AccountState, Compensation, KeyId, NewTransfer, PaymentChange, PaymentPolicy, PaymentStatus,
        StoreError, StoredPayment, Transaction,
    },
};

/// What a payment is paid with. Nobody else changes any of it until the transaction ends.
pub(super) struct Held {
    accounts: Vec<AccountState>,
    lineage: KeyId,
    /// What its key may pay.
    pub(super) policy: PaymentPolicy,
}

/// Holds the accounts and the key of an open payment, if the key may pay it apart from its budget.
pub(super) async fn hold(
    transaction: &mut dyn Transaction,
    payment: &StoredPayment,
    now: UnixMillis,
) -> Result<Result<Held, Refusal>, StoreError> {
    let terms = &payment.payment;
    let (accounts, found) = transaction.hold(&[terms.payer, terms.payee], &terms.key).await?;
    // Much may have been said about the key since the payment was prepared.
    let fitting = Intent::of(payment).fitting(found, now);
    Ok(fitting.map(|(key, policy)| Held { accounts, lineage: key.lineage, policy }))
}

/// Moves the money of an open payment, or says why it cannot be moved; then nothing is changed.
pub(super) async fn settle(
    transaction: &mut dyn Transaction,
    payment: &StoredPayment,
    now: UnixMillis,
) -> Result<Result<StoredPayment, Refusal>, StoreError> {
    match hold(transaction, payment, now).await? {
        Ok(held) => pay(transaction, payment, &held, now).await,
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// The same with what is held already.
pub(super) async fn pay(
    transaction: &mut dyn Transaction,
    payment: &StoredPayment,
    held: &Held,
    now: UnixMillis,
) -> Result<Result<StoredPayment, Refusal>, StoreError> {
    let (terms, accounts) = (&payment.payment, &held.accounts);
    let affordable = Intent::of(payment).affordable(transaction, &held.lineage, &held.policy, now).await?;
    if let Err(refusal) = affordable {
        return Ok(Err(refusal));
    }
    // Its own amount is among what is set aside, so what is left must be no debt beyond the credit.
    let bears = accounts.iter().find(|account| account.user == terms.payer).is_some_and(|account| {
        let own = Amount::from_minor(terms.amount.minor(), terms.amount.currency());
        let mut without = account.clone();
        without.reserved_minor = without.reserved_minor.saturating_sub(own.minor());
        available(&without).minor() >= own.minor()
    });
    if !bears {
        let account = accounts.iter().find(|account| account.user == terms.payer);
        let available = account.map_or_else(String::new, |account| available(account).with_code());
        return Ok(Err(Refusal::InsufficientFunds { available, needed: terms.amount.with_code() }));
    }
    let transfer = NewTransfer {
        id: None,
        from: terms.payer,
        to: terms.payee,
        amount: terms.amount,
        date: date_of(now),
    };
    let change = change(payment, PaymentStatus::Succeeded, now, None);
    let posted = transaction.pay(&transfer, change.clone()).await?;
    // A budget is of what is paid within a day, however long ago it was prepared.
    if terms.created_at.minute() != now.minute() {
        transaction.spend(&terms.lineage, terms.created_at, terms.amount.minor().saturating_neg()).await?;
        transaction.spend(&terms.lineage, now, terms.amount.minor()).await?;
    }
    Ok(Ok(changed(payment, PaymentChange { transfer: Some(posted.id), ..change })))
}

/// Moves a payment on to `status`, and gives its budget back where it is not paid.
pub(super) async fn step(
    transaction: &mut dyn Transaction,
    payment: &StoredPayment,
    status: PaymentStatus,
    now: UnixMillis,
    failure: Option<&Refusal>,
) -> Result<StoredPayment, StoreError> {
    let change = change(payment, status, now, failure);
    transaction.change_payment(&change).await?;
    if payment.status().is_open() && !status.is_open() && !status.is_paid() {
        let terms = &payment.payment;
        transaction.spend(&terms.lineage, terms.created_at, terms.amount.minor().saturating_neg()).await?;
    }
    Ok(changed(payment, change))
}

/// Moves a payment on to being processed, and keeps with which key it was confirmed: whoever finishes it holds it against that
/// key as well.
pub(super) async fn begin(
    transaction: &mut dyn Transaction,
    payment: &StoredPayment,
    key: Option<&KeyId>,
    now: UnixMillis,
) -> Result<StoredPayment, StoreError> {
    let begun = change(payment, PaymentStatus::Processing, now, None);
    let begun = PaymentChange { confirmed_by: key.cloned(), ..begun };
    transaction.change_payment(&begun).await?;
    Ok(changed(payment, begun))
}

/// What moves a payment on to `status`, without a transfer.
fn change(
    payment: &StoredPayment,
    status: PaymentStatus,
    at: UnixMillis,
    failure: Option<&Refusal>,
) -> PaymentChange {
    PaymentChange {
        id: payment.id().clone(),
        status,
        at,
        refunded_minor: payment.refunded_minor,
        transfer: None,
        failure: failure.map(ToString::to_string),
        confirmed_by: None,
    }
}

/// The payment after the change.
fn changed(payment: &StoredPayment, change: PaymentChange) -> StoredPayment {
    let mut moved = payment.clone();
    moved.payment.status = change.status;
    moved.payment.failure = change.failure.or(moved.payment.failure);
    moved.changed_at = change.at;
    moved.transfer = change.transfer.or(moved.transfer);
    moved.confirmed_by = change.confirmed_by.or(moved.confirmed_by);
    moved
}

/// Keeps that whatever the risk service reserved for this is to be given back.
pub(super) async fn compensate(
    transaction: &mut dyn Transaction,
    handle: &str,
    (from, to): (&str, &str),
    amount: Amount,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let (handle, from, to) = (handle.to_owned(), from.to_owned(), to.to_owned());
    let compensation = Compensation { handle, from, to, amount, attempts: 0, due_at: now };
    transaction.compensate(&compensation).await
}

/// The business date, in UTC.
pub(super) fn date_of(now: UnixMillis) -> jiff::civil::Date {
    let timestamp = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or_default();
    timestamp.to_zoned(TimeZone::UTC).date()
}
