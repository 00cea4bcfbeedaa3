//! A batch carried out in one transaction, for good or to see whether it could be.

use async_trait::async_trait;

use super::{Batch, BatchOrder, BatchPlan, MEMOS_MAX};
use crate::{
    clock::UnixMillis,
    money::Amount,
    payments::{
        Refusal,
        creating::{KEPT, fingerprint},
        desk::Actor,
        execution::{begin, settle},
        terms::{Terms, Wish, agree, available, note, similar_since},
    },
    store::{
        BatchId, BatchStep, Ending, IdempotencyRecord, NewPayment, PaymentId, PaymentStatus, StoreError,
        StoredPayment, Transaction, UserId, Work,
    },
};

/// The tool whose idempotency keys these are.
const TOOL: &str = "createPaymentBatch";

/// How far it goes. `told` is how many possible duplicates whoever said yes was told of; `None` where nobody did.
#[derive(Debug, Clone)]
pub(super) enum Mode {
    /// Everything is undone; the plan is left.
    Dry,
    /// The money moves, unless somebody must be asked who has not said yes.
    Pay { told: Option<u32> },
    /// Everything is set aside, unless somebody must be asked who has not said yes; the risk service is asked next.
    Process { told: Option<u32> },
    /// It is kept with this status, and why.
    Keep(PaymentStatus, Option<Refusal>),
}

impl Mode {
    /// Whether it is to be paid, now or once it is assessed.
    const fn carries_out(&self) -> bool {
        match self {
            Self::Pay { .. } | Self::Process { .. } => true,
            Self::Dry | Self::Keep(..) => false,
        }
    }

    /// Whether everything is undone and the plan is left, by what was found out so far.
    fn only_looks_at(&self, tally: &Tally) -> bool {
        match self {
            Self::Dry => true,
            Self::Pay { told } | Self::Process { told } => {
                told.map_or(tally.asks, |told| tally.duplicates > told)
            }
            Self::Keep(..) => false,
        }
    }
}

/// What it came to.
#[derive(Debug)]
pub(super) enum Paid {
    Plan(BatchPlan),
    Kept(Batch),
    Before(Batch),
}

#[derive(Clone)]
pub(super) struct Pay {
    pub(super) actor: Actor,
    pub(super) order: BatchOrder,
    /// The places of the payments, in the order in which they are carried out.
    pub(super) sequence: Vec<usize>,
    pub(super) batch: BatchId,
    pub(super) ids: Vec<PaymentId>,
    pub(super) mode: Mode,
    pub(super) now: UnixMillis,
}

/// What was found out on the way.
#[derive(Default)]
struct Tally {
    total_minor: i64,
    asks: bool,
    lines: Vec<Line>,
    duplicates: u32,
    payments: Vec<StoredPayment>,
}

/// One payment, as a person reads it who is asked.
struct Line {
    at: usize,
    named: String,
    memo: Option<String>,
}

impl Pay {
    fn record(&self) -> Option<IdempotencyRecord> {
        let key = self.order.idempotency_key.clone()?;
        let mut parts = Vec::new();
        for item in &self.order.items {
            parts.push(item.to.clone());
            parts.push(item.amount.clone());
            parts.push(item.memo.clone().unwrap_or_default());
            parts.push(format!("{:?}", item.after));
        }
        Some(IdempotencyRecord {
            user: self.actor.user,
            tool: TOOL.to_owned(),
            key,
            fingerprint: fingerprint(parts.iter().map(String::as_str)),
            handle: self.batch.0.clone(),
            expires_at: self.now.plus(KEPT),
        })
    }

    async fn before(
        &self,
        transaction: &mut dyn Transaction,
    ) -> Result<Option<Result<Paid, Refusal>>, StoreError> {
        let Some(record) = self.record() else { return Ok(None) };
        let known = transaction.idempotency_record(self.actor.user, TOOL, &record.key, self.now).await?;
        let Some(known) = known else { return Ok(None) };
        if known.fingerprint != record.fingerprint {
            return Ok(Some(Err(Refusal::KeyReused)));
        }
        let id = BatchId(known.handle);
        let payments = transaction.lock_batch(&id).await?;
        Ok(Some(Ok(Paid::Before(Batch { id, payments, is_replayed: true }))))
    }

    /// Everybody's account, so that no two batches wait for each other.
    async fn lock(&self, transaction: &mut dyn Transaction) -> Result<(), StoreError> {
        let mut users = vec![self.actor.user];
        for item in &self.order.items {
            users.extend(transaction.user_named(&item.to).await?);
        }
        users.sort_unstable();
        users.dedup();
        transaction.lock_accounts(&users).await.map(|_| ())
    }

    /// One step: agreed, kept, and paid where this is for good.
    async fn one(
        &self,
        transaction: &mut dyn Transaction,
        at: usize,
        tally: &mut Tally,
    ) -> Result<Result<(), Refusal>, StoreError> {
        let (Some(item), Some(id)) = (self.order.items.get(at), self.ids.get(at)) else { return Ok(Ok(())) };
        let wish = Wish {
            to: item.to.clone(),
            amount: item.amount.clone(),
            currency: None,
            memo: item.memo.clone(),
        };
        let (payer, key) = (self.actor.user, &self.order.key);
        let agreed = match self.mode {
            // It is kept as it was wished, whatever stands against it.
            Mode::Keep(PaymentStatus::Declined | PaymentStatus::Failed, _) => {
                note(transaction, &wish, payer, key).await?
            }
            Mode::Dry | Mode::Pay { .. } | Mode::Process { .. } | Mode::Keep(..) => {
                agree(transaction, &wish, payer, key, self.now).await?
            }
        };
        let terms = match agreed {
            Ok(terms) => terms,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let since = similar_since(self.now);
        let similar = transaction.similar_payment(self.actor.user, terms.payee, terms.amount, since).await?;
        tally.add(at, &terms, similar.is_some());
        let place = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
        let kept = transaction.insert_payment(&self.payment(place, id, &terms, similar)).await?;
        if kept.status().is_open() {
            transaction.spend(&terms.lineage, self.now, terms.amount.minor()).await?;
        }
        let kept = match self.mode {
            Mode::Pay { .. } => match settle(transaction, &kept, self.now).await? {
                Ok(paid) => paid,
                Err(refusal) => return Ok(Err(refusal)),
            },
            Mode::Process { .. } => begin(transaction, &kept, self.actor.key.as_ref(), self.now).await?,
            Mode::Dry | Mode::Keep(..) => kept,
        };
        tally.payments.push(kept);
        Ok(Ok(()))
    }

    fn payment(
        &self,
        place: u32,
        id: &PaymentId,
        terms: &Terms,
        duplicate_of: Option<PaymentId>,
    ) -> NewPayment {
        let (status, failure) = match &self.mode {
            Mode::Dry | Mode::Pay { .. } | Mode::Process { .. } => {
                (PaymentStatus::RequiresConfirmation, None)
            }
            Mode::Keep(status, failure) => (*status, failure.as_ref().map(ToString::to_string)),
        };
        NewPayment {
            id: id.clone(),
            step: Some(BatchStep { batch: self.batch.clone(), step: place }),
            payer: self.actor.user,
            payee: terms.payee,
            key: self.order.key.clone(),
            lineage: terms.lineage.clone(),
            amount: terms.amount,
            memo: terms.memo.clone(),
            status,
            created_at: self.now,
            expires_at: self.now.plus(KEPT),
            duplicate_of,
            idempotency_key: self.order.idempotency_key.clone(),
            failure,
        }
    }

    /// What a person is asked, all of it from what was agreed.
    async fn plan(
        &self,
        transaction: &mut dyn Transaction,
        mut tally: Tally,
    ) -> Result<BatchPlan, StoreError> {
        let accounts = transaction.lock_accounts(&[self.actor.user]).await?;
        let left = accounts.first().map(available);
        let currency = tally.payments.first().map(|payment| payment.payment.amount.currency());
        let Some((left, currency)) = left.zip(currency) else {
            return Err(StoreError::NoSuchAccount(self.actor.user.0.to_string()));
        };
        let total = Amount::from_minor(tally.total_minor, currency);
        let duplicates = tally.duplicates;
        if !tally.asks {
            return Ok(BatchPlan { total, question: None, duplicates });
        }
        tally.lines.sort_by_key(|line| line.at);
        let count = tally.lines.len();
        let mut text = format!("Pay {} in {count} payments, all or none of them?", total.with_code());
        for (number, line) in tally.lines.iter().enumerate() {
            text.push_str(&format!("\n{}", line.named));
            if let Some(memo) = line.memo.as_ref().filter(|_| number < MEMOS_MAX) {
                text.push_str(&format!(" ({memo})"));
            }
        }
        if duplicates > 0 {
            text.push_str(&format!(
                "\nPossible duplicates: {duplicates} of them repeat a payee and an amount of the last ten minutes."
            ));
        }
        text.push_str(&format!("\nAfter this {} can still be spent.", left.with_code()));
        Ok(BatchPlan { total, question: Some(text), duplicates })
    }
}

impl Tally {
    fn add(&mut self, at: usize, terms: &Terms, is_similar: bool) {
        self.total_minor = self.total_minor.saturating_add(terms.amount.minor());
        self.asks |= terms.amount.minor() >= terms.policy.automatic_below_minor || is_similar;
        self.duplicates = self.duplicates.saturating_add(u32::from(is_similar));
        let named = format!("{}. {} to {}", at.saturating_add(1), terms.amount.with_code(), terms.to);
        self.lines.push(Line { at, named, memo: terms.memo.clone() });
    }
}

#[async_trait]
impl Work for Pay {
    type Output = Result<Paid, Refusal>;

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<Self::Output>, StoreError> {
        if let Some(before) = self.before(transaction).await? {
            return Ok(Ending::Undo(before));
        }
        self.lock(transaction).await?;
        let mut tally = Tally::default();
        let of = u32::try_from(self.sequence.len()).unwrap_or(u32::MAX);
        for (done, at) in self.sequence.iter().enumerate() {
            if let Err(refusal) = self.one(transaction, *at, &mut tally).await? {
                let place = u32::try_from(*at).unwrap_or(u32::MAX).saturating_add(1);
                let what = self.order.items.get(*at).map_or_else(String::new, |item| {
                    let name: String =
                        item.to.chars().filter(|char| char.is_ascii_alphanumeric()).take(32).collect();
                    format!("to {name}")
                });
                return Ok(Ending::Undo(Err(refusal.in_step(place, of, what))));
            }
            if self.mode.carries_out() && !self.mode.only_looks_at(&tally) {
                (self.order.progress)(u32::try_from(done).unwrap_or(u32::MAX).saturating_add(1));
            }
        }
        if self.mode.only_looks_at(&tally) {
            let plan = self.plan(transaction, tally).await?;
            return Ok(Ending::Undo(Ok(Paid::Plan(plan))));
        }
        if let Some(record) = self.record() {
            transaction.put_idempotency_record(&record, self.now).await?;
        }
        if !matches!(self.mode, Mode::Process { .. } | Mode::Keep(PaymentStatus::Failed, _)) {
            transaction.append_audit(&self.actor.record).await?;
        }
        let mut payments = tally.payments;
        payments.sort_by_key(|payment| payment.payment.step.as_ref().map(|step| step.step));
        Ok(Ending::Keep(Ok(Paid::Kept(Batch { id: self.batch.clone(), payments, is_replayed: false }))))
    }
}

/// Everybody who is paid, in few words, for whoever assesses the sum.
pub(super) fn payees(payments: &[StoredPayment]) -> String {
    let mut users: Vec<UserId> = payments.iter().map(|payment| payment.payment.payee).collect();
    users.sort_unstable();
    users.dedup();
    match (users.as_slice(), payments.first()) {
        ([_], Some(only)) => only.to.clone(),
        _ => format!("{} payees", users.len()),
    }
}
