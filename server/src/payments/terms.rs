//! Whether a payment may be made at all: its payee, its amount, its key's policy, and what the account can bear.

use std::time::Duration;

use super::Refusal;
use crate::{
    clock::UnixMillis,
    identity::{Permission, PermissionSet},
    money::Amount,
    store::{AccountState, KeyId, PaymentPolicy, StoreError, StoredKey, StoredPayment, Transaction, UserId},
    text,
};

/// Longest memo, in characters.
const MEMO_MAX: usize = 140;

/// Over how long a budget is counted.
const BUDGET_SPAN: Duration = Duration::from_hours(24);

/// How recent a payment must be to be taken for the same one.
const SIMILAR_WITHIN: Duration = Duration::from_mins(10);

/// What one payment is to be, as it was asked for.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    /// The payee's name.
    pub(super) to: String,
    /// The amount, as it was written.
    pub(super) amount: String,
    pub(super) currency: Option<String>,
    pub(super) memo: Option<String>,
}

/// What one payment will be.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) payee: UserId,
    pub(super) to: String,
    pub(super) amount: Amount,
    pub(super) memo: Option<String>,
    pub(super) lineage: KeyId,
    pub(super) policy: PaymentPolicy,
}

impl Wish {
    /// What does not depend on what is kept.
    fn read(&self, account: &AccountState) -> Result<(Amount, Option<String>), Refusal> {
        let currency = account.balance.currency();
        if self.currency.as_ref().is_some_and(|wanted| wanted != currency.code()) {
            return Err(Refusal::InvalidCurrency(currency.code()));
        }
        let amount = Amount::read(&self.amount, currency)
            .map_err(|error| Refusal::InvalidAmount(format!("{error}. Correct `amount` and call again.")))?;
        let memo = self.memo.as_deref().and_then(text::cleaned);
        if memo.as_ref().is_some_and(|memo| memo.chars().count() > MEMO_MAX) {
            let text = format!("`memo` must be at most {} characters. Shorten it.", MEMO_MAX);
            return Err(Refusal::InvalidArgument(text));
        }
        Ok((amount, memo))
    }
}

/// What a wish comes to, whatever stands against it.
struct Sight {
    payee: UserId,
    amount: Amount,
    memo: Option<String>,
    account: AccountState,
    found: Option<(StoredKey, PaymentPolicy)>,
}

/// Looks at a wish in the light of what is kept. Locks the payer's account.
async fn look(
    transaction: &mut dyn Transaction,
    wish: &Wish,
    payer: UserId,
    key: &KeyId,
) -> Result<Result<Sight, Refusal>, StoreError> {
    let (payee, (accounts, found)) = transaction.hold_with_named(payer, &wish.to, key).await?;
    let account = accounts.into_iter().find(|one| one.user == payer);
    let account = account.ok_or_else(|| StoreError::NoSuchAccount(payer.0.to_string()))?;
    let (amount, memo) = match wish.read(&account) {
        Ok(read) => read,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let Some(payee) = payee else {
        let text = "there is no user of that name to pay. Ask the user for the payee's exact username.";
        return Ok(Err(Refusal::NotFound(text.to_owned())));
    };
    if payee == payer {
        let text = "`to` is the payer; nobody pays themselves. Name another user.";
        return Ok(Err(Refusal::InvalidArgument(text.to_owned())));
    }
    Ok(Ok(Sight { payee, amount, memo, account, found }))
}

/// What may be paid, if a wish may be: its key allows it, and the account bears it. Locks the payer's account.
pub(super) async fn agree(
    transaction: &mut dyn Transaction,
    wish: &Wish,
    payer: UserId,
    key: &KeyId,
    now: UnixMillis,
) -> Result<Result<Terms, Refusal>, StoreError> {
    let Sight { payee, amount, memo, account, found } = match look(transaction, wish, payer, key).await? {
        Ok(sight) => sight,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let intent = Intent { to: &wish.to, amount, counted_at: None };
    let (lineage, policy) = match intent.allowed(transaction, found, now).await? {
        Ok(allowed) => allowed,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let to = wish.to.clone();
    Ok(bearable(&account, amount).map(|()| Terms { payee, to, amount, memo, lineage, policy }))
}

/// What a wish that will not be paid is kept as: whatever its key may pay now, and whatever is left on the account.
pub(super) async fn note(
    transaction: &mut dyn Transaction,
    wish: &Wish,
    payer: UserId,
    key: &KeyId,
) -> Result<Result<Terms, Refusal>, StoreError> {
    let sight = look(transaction, wish, payer, key).await?;
    let to = wish.to.clone();
    Ok(sight.and_then(|Sight { payee, amount, memo, found, .. }| {
        let (StoredKey { lineage, .. }, policy) = found.ok_or_else(ended_key)?;
        Ok(Terms { payee, to, amount, memo, lineage, policy })
    }))
}

/// Since when a payment may have been made to be taken for the same one.
pub(super) fn similar_since(now: UnixMillis) -> UnixMillis {
    before(now, SIMILAR_WITHIN)
}

/// What a key would pay, held against what it may pay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Intent<'a> {
    /// Whom, by name.
    pub(super) to: &'a str,
    /// How much.
    pub(super) amount: Amount,
    /// When the amount was added to what the key has spent, if it was.
    pub(super) counted_at: Option<UnixMillis>,
}

impl<'a> Intent<'a> {
    /// What a prepared payment would pay; its own key has counted it.
    pub(super) fn of(payment: &'a StoredPayment) -> Self {
        Self { to: &payment.to, amount: payment.payment.amount, counted_at: Some(payment.payment.created_at) }
    }

    /// Whether a key that was found may pay this; then its line and its policy. Its payer's account has to be locked, where
    /// what it has spent is to stay as it is.
    pub(super) async fn allowed(
        self,
        transaction: &mut dyn Transaction,
        found: Option<(StoredKey, PaymentPolicy)>,
        now: UnixMillis,
    ) -> Result<Result<(KeyId, PaymentPolicy), Refusal>, StoreError> {
        let (stored, policy) = match self.fitting(found, now) {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let affordable = self.affordable(transaction, &stored.lineage, &policy, now).await?;
        Ok(affordable.map(|()| (stored.lineage, policy)))
    }

    /// Whether it is within the budget that the line of its key has left.
    pub(super) async fn affordable(
        self,
        transaction: &mut dyn Transaction,
        lineage: &KeyId,
        policy: &PaymentPolicy,
        now: UnixMillis,
    ) -> Result<Result<(), Refusal>, StoreError> {
        if let Some(budget) = policy.day_budget_minor {
            let since = before(now, BUDGET_SPAN);
            let spent = transaction.spent(lineage, since).await?;
            let is_counted = self.counted_at.is_some_and(|at| at.minute() >= since.minute());
            let own = if is_counted { self.amount.minor() } else { 0 };
            let left = budget.saturating_sub(spent.saturating_sub(own)).max(0);
            if self.amount.minor() > left {
                return Ok(Err(Refusal::BudgetExceeded(format!(
                    "this key may spend {} in 24 hours, and {} of it is left. Pay less, or wait.",
                    Amount::from_minor(budget, self.amount.currency()).with_code(),
                    Amount::from_minor(left, self.amount.currency()).with_code()
                ))));
            }
        }
        Ok(Ok(()))
    }

    /// Everything of that but the budget; then the key and its policy.
    pub(super) fn fitting(
        self,
        found: Option<(StoredKey, PaymentPolicy)>,
        now: UnixMillis,
    ) -> Result<(StoredKey, PaymentPolicy), Refusal> {
        let found = found.filter(|(key, _)| key.ended(now).is_none());
        let (key, policy) = found.ok_or_else(ended_key)?;
        if !PermissionSet::from_bits(key.permissions).contains(Permission::PaymentsWrite) {
            let text = "the key may not pay any more. Use another key, or ask whoever issued it.";
            return Err(Refusal::PermissionDenied(text.to_owned()));
        }
        within(&policy, self.to, self.amount)?;
        Ok((key, policy))
    }
}

fn before(now: UnixMillis, span: Duration) -> UnixMillis {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    UnixMillis::from_millis(now.as_millis().saturating_sub(span))
}

/// What the key's policy allows.
fn within(policy: &PaymentPolicy, payee: &str, amount: Amount) -> Result<(), Refusal> {
    if !policy.payees.is_empty() && !policy.payees.iter().any(|allowed| allowed == payee) {
        let text = format!(
            "this key may pay {} only. Pay one of them, or ask whoever issued the key.",
            policy.payees.join(", ")
        );
        return Err(Refusal::PermissionDenied(text));
    }
    match policy.maximum_minor {
        Some(maximum) if amount.minor() > maximum => Err(Refusal::LimitExceeded(format!(
            "one payment of this key may be {} at most. Pay less, or ask whoever issued the key.",
            Amount::from_minor(maximum, amount.currency()).with_code()
        ))),
        _ => Ok(()),
    }
}

/// Whether the account bears it, beside all that is set aside already.
pub(super) fn bearable(account: &AccountState, amount: Amount) -> Result<(), Refusal> {
    let available = available(account);
    if amount.minor() <= available.minor() {
        return Ok(());
    }
    Err(Refusal::InsufficientFunds { available: available.with_code(), needed: amount.with_code() })
}

/// What can be spent: what is on the account and its credit, without what is set aside; not below zero.
pub(super) fn available(account: &AccountState) -> Amount {
    let minor = account
        .balance
        .minor()
        .saturating_add(account.credit_limit_minor)
        .saturating_sub(account.reserved_minor);
    Amount::from_minor(minor.max(0), account.balance.currency())
}

fn ended_key() -> Refusal {
    let text = "the key of this payment has ended. Create the payment again, with another key.";
    Refusal::PermissionDenied(text.to_owned())
}
