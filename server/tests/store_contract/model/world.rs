//! The real thing: a store with payments over it, beside the reference.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use server::{
    clock::UnixMillis,
    payments::{
        Actor, Batch, BatchItem, BatchOrder, BatchOutlook, Consent as Said, PaymentError, PaymentOrder,
        Payments, RefundOrder, Refunded, Unasked,
    },
    store::{
        AccountHolder, KeyDigest, KeyId, PaymentFilter, PaymentId, PaymentPolicy, PaymentStatus,
        PolicyChange, Store, StoredKey, StoredPayment, UserId,
    },
};

use super::{
    CREDIT, Consent, Limit, Order, Step, USERS,
    reference::{Expected, Reference},
};
use crate::{audit::record, changes::KeyChanges as _, engines};

mod books;

/// What an operation came to: the payments that it is about and how each stands, how they stand together, and whether
/// that was so before; or the code of why not.
type Told = Result<Stands, String>;
type Stands = (Vec<(PaymentId, PaymentStatus)>, PaymentStatus, bool);

pub(super) struct World {
    store: Arc<dyn Store>,
    payments: Payments,
    /// The number of the first of its people.
    first: i64,
    reference: Reference,
    ids: Vec<PaymentId>,
    /// How often somebody was to be asked about a batch only when it was paid.
    asked_after_all: AtomicU32,
}

fn text(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

fn stands((payment, was_before): (StoredPayment, bool)) -> Stands {
    (vec![(payment.id().clone(), payment.status())], payment.status(), was_before)
}

fn stand_together(batch: Batch) -> Stands {
    let each = batch.payments.iter().map(|payment| (payment.id().clone(), payment.status())).collect();
    (each, batch.status(), batch.is_replayed)
}

fn code(error: PaymentError) -> String {
    match error {
        PaymentError::Refused(refusal) => refusal.code(),
        PaymentError::Store(error) => format!("the store: {error:?}"),
    }
}

impl World {
    pub(super) async fn start(store: Arc<dyn Store>, first: i64) -> Self {
        let payments = Payments::new(Arc::clone(&store), None);
        let world = Self {
            store,
            payments,
            first,
            reference: Reference::default(),
            ids: Vec::new(),
            asked_after_all: AtomicU32::new(0),
        };
        for at in 0..USERS {
            let holder = AccountHolder {
                user: world.user(at),
                username: world.name(at),
                currency: "USD".to_owned(),
                credit_limit_minor: CREDIT,
            };
            world.store.put_holder(holder).await.unwrap();
        }
        for at in 0..2 * USERS {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&world.first.to_be_bytes());
            digest[8] = u8::try_from(at).unwrap();
            let owner = Reference::owner(at);
            let key = StoredKey {
                digest: KeyDigest(digest),
                user: world.user(owner),
                username: world.name(owner),
                ..engines::key(&world.key(at).0, 1, 0)
            };
            world.store.create_key(key, PolicyChange::default()).await.unwrap();
            world.limit(at, &Limit::default()).await;
        }
        world
    }

    fn user(&self, at: usize) -> UserId {
        UserId(self.first + i64::try_from(at).unwrap())
    }

    fn name(&self, at: usize) -> String {
        format!("person{}", self.user(at).0)
    }

    fn key(&self, at: usize) -> KeyId {
        KeyId(format!("k{}x{at}", self.first))
    }

    fn actor(&self, user: usize, key: &KeyId) -> Actor {
        Actor { user: self.user(user), key: Some(key.clone()), record: record(1) }
    }

    async fn limit(&self, key: usize, limit: &Limit) {
        let policy = PaymentPolicy {
            automatic_below_minor: limit.automatic_below,
            maximum_minor: limit.maximum,
            day_budget_minor: limit.budget,
            payees: limit.payee.map(|payee| self.name(payee)).into_iter().collect(),
        };
        self.store.change_policy(&self.key(key), policy.into()).await.unwrap().unwrap();
    }

    async fn create(&self, key: usize, order: &Order, name: Option<u8>) -> Told {
        let owner = Reference::owner(key);
        let order = PaymentOrder {
            to: self.name(order.to),
            amount: text(order.amount),
            currency: None,
            memo: None,
            idempotency_key: name.map(|name| format!("create-{name}")),
        };
        let id = self.key(key);
        self.payments.create(self.actor(owner, &id), id, order).await.map(stands).map_err(code)
    }

    /// As the tool does it: unasked if that is enough, and otherwise by what was said of it.
    async fn confirm(&self, by: usize, id: &PaymentId, consent: Consent) -> Told {
        let stored = self.store.payment(id).await.unwrap().unwrap();
        let is_own = stored.payment.payer == self.user(by);
        let key = if is_own { stored.payment.key } else { self.key(2 * by) };
        let unasked = self.payments.confirm_unasked(self.actor(by, &key), id, None).await.map_err(code)?;
        if let Unasked::Decided(payment, was_before) = unasked {
            return Ok(stands((*payment, was_before)));
        }
        let said = match consent {
            Consent::Accept => Said::Accepted,
            Consent::Decline => Said::Declined,
            Consent::CannotBeAsked => Said::CannotBeAsked,
        };
        self.payments.decide(self.actor(by, &key), id, said, None).await.map(stands).map_err(code)
    }

    async fn batch(&self, key: usize, orders: &[Order], consent: Consent, name: Option<u8>) -> Told {
        let id = self.key(key);
        let actor = self.actor(Reference::owner(key), &id);
        let item = |(at, order): (usize, &Order)| BatchItem {
            to: self.name(order.to),
            amount: text(order.amount),
            memo: None,
            after: u32::try_from(at).ok().filter(|before| *before > 0).into_iter().collect(),
        };
        let items = orders.iter().enumerate().map(item).collect();
        let order = BatchOrder {
            key: id,
            items,
            idempotency_key: name.map(|name| format!("batch-{name}")),
            progress: Arc::new(|_| ()),
        };
        let plan = match self.payments.plan_batch(&actor, &order).await.map_err(code)? {
            BatchOutlook::Plan(plan) => plan,
            BatchOutlook::Kept(batch) => return Ok(stand_together(batch)),
        };
        let keep = |status| self.payments.keep_batch(&actor, &order, status);
        let done = match consent {
            Consent::Accept => {
                let mut told = plan.question.is_some().then_some(plan.duplicates);
                loop {
                    match self.payments.pay_batch(&actor, &order, plan.total, told, None).await {
                        // What others do beside it may mean that somebody must be asked after all, or about more of it.
                        Ok(BatchOutlook::Plan(changed)) => {
                            assert!(changed.question.is_some(), "{changed:?}");
                            assert!(
                                told.is_none_or(|told| changed.duplicates > told),
                                "{told:?} {changed:?}"
                            );
                            told = Some(changed.duplicates);
                            self.asked_after_all.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(BatchOutlook::Kept(batch)) => break Ok(batch),
                        Err(error) => break Err(error),
                    }
                }
            }
            Consent::Decline => keep(PaymentStatus::Declined).await,
            Consent::CannotBeAsked => keep(PaymentStatus::RequiresAction).await,
        };
        done.map(stand_together).map_err(code)
    }

    /// As an operator does it: a payment by itself, or the whole batch that it is part of.
    async fn approve(&self, id: &PaymentId) -> Told {
        let stored = self.store.payment(id).await.unwrap().unwrap().payment;
        let actor = Actor { user: stored.payer, key: None, record: record(1) };
        let Some(step) = stored.step else {
            return self.payments.decide(actor, id, Said::Accepted, None).await.map(stands).map_err(code);
        };
        let payments = self.store.batch(&step.batch).await.unwrap();
        let batch = Batch { id: step.batch, payments, is_replayed: false };
        self.payments.approve_batch(actor, batch).await.map(stand_together).map_err(code)
    }

    /// Everything that somebody may see of what is asked for, page by page: nothing twice, the newest first.
    async fn list(
        &self,
        by: usize,
        status: Option<PaymentStatus>,
        name: Option<u8>,
        limit: u32,
    ) -> Vec<PaymentId> {
        let idempotency_key = name.map(|name| format!("create-{name}"));
        let mut filter = PaymentFilter { status, idempotency_key, ..PaymentFilter::default() };
        let mut found = Vec::new();
        loop {
            let page = self.payments.list(self.user(by), filter.clone(), limit).await.unwrap();
            let Some(last) = page.last() else { return found };
            let places: Vec<_> = filter.before.into_iter().chain(page.iter().map(|one| one.seq)).collect();
            assert!(places.is_sorted_by(|newer, older| newer > older), "out of order: {places:?}");
            filter.before = Some(last.seq);
            found.extend(page.into_iter().map(|payment| payment.payment.id));
        }
    }

    /// Takes a step; `None` where it is about a payment and there is none, or about nobody's payment.
    async fn carry_out(&self, step: &Step, made: &[PaymentId]) -> Option<Told> {
        let named = |payment: &usize| made.get(payment.checked_rem(made.len())?);
        Some(match step {
            Step::Create { key, order, name } => self.create(*key, order, *name).await,
            Step::Confirm { by, payment, consent } => self.confirm(*by, named(payment)?, *consent).await,
            Step::Cancel { by, payment } => {
                let actor = self.actor(*by, &self.key(2 * by));
                self.payments.cancel(actor, named(payment)?).await.map(stands).map_err(code)
            }
            Step::Refund { by, payment, amount, name } => {
                let actor = self.actor(*by, &self.key(2 * by));
                let order = RefundOrder {
                    payment: named(payment)?.clone(),
                    amount: amount.map(text),
                    idempotency_key: name.map(|name| format!("refund-{name}")),
                };
                match self.payments.refund(actor, order, true).await.map_err(code) {
                    Ok(Refunded::Done(payment, was_before)) => Ok(stands((*payment, was_before))),
                    Ok(Refunded::Ask) => Err("asked after a yes".to_owned()),
                    Err(code) => Err(code),
                }
            }
            Step::Batch { key, orders, consent, name } => self.batch(*key, orders, *consent, *name).await,
            Step::Approve { payment } => self.approve(named(payment)?).await,
            Step::List { by, status, name, limit } => {
                self.list(*by, *status, *name, *limit).await;
                return None;
            }
            Step::Limit { key, limit } => {
                self.limit(*key, limit).await;
                return None;
            }
            Step::Revoke { key } => {
                self.store.revoke_key(&self.key(*key), UnixMillis::now()).await.unwrap();
                return None;
            }
            Step::Expire => {
                let later = UnixMillis::now().plus(Duration::from_hours(25));
                while self.payments.sweep(later).await.unwrap().expired > 0 {}
                return None;
            }
        })
    }

    /// Takes a step here and in the reference, and compares everything.
    pub(super) async fn agree(&mut self, step: &Step) -> Result<(), String> {
        let told = self.carry_out(step, &self.ids).await;
        if *self.asked_after_all.get_mut() > 0 {
            return Err("somebody had to be asked after all, and nobody did anything meanwhile".to_owned());
        }
        let named = |payment: &usize| payment.checked_rem(self.ids.len());
        let reference = &mut self.reference;
        let expected = match step {
            Step::Create { key, order, name } => Some(reference.create(*key, order, *name)),
            Step::Confirm { by, payment, consent } => {
                named(payment).map(|at| reference.confirm(*by, at, *consent))
            }
            Step::Cancel { by, payment } => named(payment).map(|at| reference.cancel(*by, at)),
            Step::Refund { by, payment, amount, name } => {
                named(payment).map(|at| reference.refund(*by, at, *amount, *name))
            }
            Step::Batch { key, orders, consent, name } => {
                Some(reference.batch(*key, orders, *consent, *name))
            }
            Step::Approve { payment } => named(payment).map(|at| reference.approve(at)),
            Step::List { by, status, name, limit } => {
                let expected: Vec<_> =
                    reference.list(*by, *status, *name).iter().map(|at| self.ids[*at].clone()).collect();
                let found = self.list(*by, *status, *name, *limit).await;
                if found != expected {
                    return Err(format!("expected {expected:?}, and found {found:?}"));
                }
                None
            }
            Step::Limit { key, limit } => {
                reference.keys[*key].limit = limit.clone();
                None
            }
            Step::Revoke { key } => {
                reference.keys[*key].is_revoked = true;
                None
            }
            Step::Expire => {
                reference.expire();
                None
            }
        };
        match (&expected, &told) {
            (None, None) => {}
            (Some(Expected::Stands(status, before)), Some(Ok((ids, found, was_before))))
                if (status, before) == (found, was_before) =>
            {
                let new = self.reference.payments.len() - self.ids.len();
                self.ids.extend(ids.iter().take(new).map(|(id, _)| id.clone()));
            }
            (Some(Expected::Refused(codes)), Some(Err(code))) if codes.contains(code.as_str()) => {}
            _ => return Err(format!("expected {expected:?}, and it was {told:?}")),
        }
        self.compare().await
    }

    /// Takes a step beside others; what it was told of payments, it was told for good.
    pub(super) async fn take(
        &self,
        step: &Step,
        made: &Mutex<Vec<PaymentId>>,
    ) -> Vec<(PaymentId, PaymentStatus)> {
        let known = made.lock().clone();
        match self.carry_out(step, &known).await {
            Some(Ok((each, ..))) => {
                made.lock().extend(each.iter().map(|(id, _)| id.clone()));
                each
            }
            Some(Err(code)) => {
                assert!(!code.starts_with("the store"), "{step:?}: {code}");
                Vec::new()
            }
            None => Vec::new(),
        }
    }
}
