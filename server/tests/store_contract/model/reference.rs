//! Payments as the documentation tells of them, in memory and one after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use server::store::PaymentStatus;

use super::{CREDIT, Consent, Limit, Order, USERS};

/// What is to come of an operation: how the payment stands and whether it stood so before, or one of these codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    Stands(PaymentStatus, bool),
    Refused(BTreeSet<&'static str>),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    pub(crate) balance: i64,
    pub(crate) reserved: i64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Key {
    pub(crate) is_revoked: bool,
    pub(crate) limit: Limit,
    pub(crate) spent: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) payer: usize,
    pub(crate) payee: usize,
    pub(crate) key: usize,
    pub(crate) amount: i64,
    pub(crate) status: PaymentStatus,
    pub(crate) refunded: i64,
    /// Whether it looks like another one; `None` for those of a batch.
    pub(crate) is_duplicate: Option<bool>,
    /// What its payer named it by when it was created.
    pub(crate) name: Option<u8>,
    /// Where the payments of its batch are, if it is one of several.
    pub(crate) batch: Option<Range<usize>>,
}

/// Everything that there is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reference {
    pub(crate) accounts: [Account; USERS],
    pub(crate) keys: [Key; 2 * USERS],
    pub(crate) payments: Vec<Kept>,
    /// What a user named so with a tool: what was asked, and which payment.
    named: BTreeMap<(usize, &'static str, u8), (String, usize)>,
}

fn refused(codes: impl IntoIterator<Item = &'static str>) -> Expected {
    Expected::Refused(codes.into_iter().collect())
}

impl Reference {
    /// Whose key it is.
    pub(crate) const fn owner(key: usize) -> usize {
        key / 2
    }

    /// Which rules a key breaks that pays this, when it has paid `also` in the same breath.
    fn broken(&self, key: usize, order: &Order, also: i64) -> BTreeSet<&'static str> {
        let (rules, account) = (&self.keys[key], &self.accounts[Self::owner(key)]);
        let mut codes = BTreeSet::new();
        if order.to == Self::owner(key) {
            codes.insert("invalid_argument");
        }
        if rules.is_revoked || rules.limit.payee.is_some_and(|payee| payee != order.to) {
            codes.insert("permission_denied");
        }
        let is_over = |limit: Option<i64>, sum: i64| limit.is_some_and(|limit| sum > limit);
        if is_over(rules.limit.maximum, order.amount)
            || is_over(rules.limit.budget, rules.spent + also + order.amount)
        {
            codes.insert("limit_exceeded");
        }
        if order.amount + also > account.balance + CREDIT - account.reserved {
            codes.insert("insufficient_funds");
        }
        codes
    }

    fn keep(&mut self, key: usize, order: &Order, status: PaymentStatus, is_duplicate: Option<bool>) {
        let (payer, payee, amount) = (Self::owner(key), order.to, order.amount);
        let (refunded, name, batch) = (0, None, None);
        self.payments.push(Kept { payer, payee, key, amount, status, refunded, is_duplicate, name, batch });
    }

    pub(crate) fn create(&mut self, key: usize, order: &Order, name: Option<u8>) -> Expected {
        let payer = Self::owner(key);
        let asked = format!("{order:?}");
        if let Some((before, at)) = name.and_then(|name| self.named.get(&(payer, "create", name))) {
            return if *before == asked {
                Expected::Stands(self.payments[*at].status, true)
            } else {
                refused(["idempotency_key_reused"])
            };
        }
        let broken = self.broken(key, order, 0);
        if !broken.is_empty() {
            return Expected::Refused(broken);
        }
        let is_duplicate = self.payments.iter().any(|kept| {
            (kept.payer, kept.payee, kept.amount) == (payer, order.to, order.amount)
                && (kept.status.is_open() || kept.status.is_paid())
        });
        if let Some(name) = name {
            self.named.insert((payer, "create", name), (asked, self.payments.len()));
        }
        self.accounts[payer].reserved += order.amount;
        self.keys[key].spent += order.amount;
        self.keep(key, order, PaymentStatus::RequiresConfirmation, Some(is_duplicate));
        self.payments.last_mut().unwrap().name = name;
        Expected::Stands(PaymentStatus::RequiresConfirmation, false)
    }

    /// What was set aside is free again; the budget too, where it was not paid.
    fn end(&mut self, at: usize, status: PaymentStatus) {
        let kept = &mut self.payments[at];
        kept.status = status;
        let Kept { payer, key, amount, .. } = *kept;
        self.accounts[payer].reserved -= amount;
        if status != PaymentStatus::Succeeded {
            self.keys[key].spent -= amount;
        }
    }

    fn transfer(&mut self, from: usize, to: usize, amount: i64) {
        self.accounts[from].balance -= amount;
        self.accounts[to].balance += amount;
    }

    /// What a person said of it, who is asked unless the key's policy lets it through.
    pub(crate) fn confirm(&mut self, by: usize, at: usize, consent: Consent) -> Expected {
        let kept = self.payments[at].clone();
        if kept.payer != by {
            return refused(["not_found"]);
        }
        match kept.status {
            PaymentStatus::Expired => return refused(["expired"]),
            status if !status.is_undecided() => return Expected::Stands(status, true),
            _ => {}
        }
        if kept.batch.is_some() {
            return refused(["invalid_state"]);
        }
        let Key { is_revoked, limit, spent } = &self.keys[kept.key];
        if *is_revoked || limit.payee.is_some_and(|payee| payee != kept.payee) {
            return refused(["permission_denied"]);
        }
        if limit.maximum.is_some_and(|maximum| kept.amount > maximum) {
            return refused(["limit_exceeded"]);
        }
        let is_unasked = kept.amount < limit.automatic_below && kept.is_duplicate == Some(false);
        let is_over = limit.budget.is_some_and(|budget| *spent > budget);
        let status = match consent {
            Consent::Accept if is_over => PaymentStatus::Failed,
            _ if is_unasked && is_over => PaymentStatus::Failed,
            Consent::Accept => PaymentStatus::Succeeded,
            _ if is_unasked => PaymentStatus::Succeeded,
            Consent::Decline => PaymentStatus::Declined,
            Consent::CannotBeAsked => {
                let was = kept.status == PaymentStatus::RequiresAction;
                self.payments[at].status = PaymentStatus::RequiresAction;
                return Expected::Stands(PaymentStatus::RequiresAction, was);
            }
        };
        self.end(at, status);
        if status == PaymentStatus::Failed {
            return refused(["limit_exceeded"]);
        }
        if status == PaymentStatus::Succeeded {
            self.transfer(kept.payer, kept.payee, kept.amount);
        }
        Expected::Stands(status, false)
    }

    /// With the first key of whoever does it, as everything that is not told which. A batch is canceled as a whole.
    pub(crate) fn cancel(&mut self, by: usize, at: usize) -> Expected {
        let kept = &self.payments[at];
        match kept.status {
            _ if kept.payer != by => refused(["not_found"]),
            PaymentStatus::Expired => refused(["expired"]),
            PaymentStatus::Canceled => Expected::Stands(PaymentStatus::Canceled, true),
            status if status.is_undecided() && self.keys[2 * by].is_revoked => refused(["permission_denied"]),
            status if status.is_undecided() => {
                for one in kept.batch.clone().unwrap_or(at..at + 1) {
                    self.end(one, PaymentStatus::Canceled);
                }
                Expected::Stands(PaymentStatus::Canceled, false)
            }
            _ => refused(["invalid_state"]),
        }
    }

    pub(crate) fn refund(&mut self, by: usize, at: usize, amount: Option<i64>, name: Option<u8>) -> Expected {
        let kept = self.payments[at].clone();
        if kept.payer != by && !(kept.payee == by && kept.status.is_paid()) {
            return refused(["not_found"]);
        }
        let asked = format!("{at} {amount:?}");
        if let Some((before, _)) = name.and_then(|name| self.named.get(&(by, "refund", name))) {
            return if *before == asked {
                Expected::Stands(kept.status, true)
            } else {
                refused(["idempotency_key_reused"])
            };
        }
        if kept.payee != by {
            return refused(["permission_denied"]);
        }
        let left = kept.amount - kept.refunded;
        let amount = amount.unwrap_or(left);
        if left == 0 {
            return refused(["invalid_state"]);
        }
        if amount > left {
            return refused(["limit_exceeded"]);
        }
        if self.keys[2 * by].is_revoked {
            return refused(["permission_denied"]);
        }
        let own = &self.accounts[by];
        if amount > (own.balance + CREDIT - own.reserved).max(0) {
            return refused(["insufficient_funds"]);
        }
        if let Some(name) = name {
            self.named.insert((by, "refund", name), (asked, at));
        }
        self.transfer(kept.payee, kept.payer, amount);
        let kept = &mut self.payments[at];
        kept.refunded += amount;
        let is_all = kept.refunded == kept.amount;
        kept.status = if is_all { PaymentStatus::Refunded } else { PaymentStatus::PartiallyRefunded };
        Expected::Stands(kept.status, false)
    }

    /// What an operator does for the owner. A batch that cannot be paid waits on.
    pub(crate) fn approve(&mut self, at: usize) -> Expected {
        let kept = self.payments[at].clone();
        let Some(batch) = kept.batch else { return self.confirm_unasked(at) };
        if batch.clone().any(|at| !self.payments[at].status.is_undecided()) {
            return refused(["invalid_state"]);
        }
        let mut codes = BTreeSet::new();
        for at in batch.clone() {
            let Kept { key, payee, amount, .. } = self.payments[at];
            let Key { is_revoked, limit, spent } = &self.keys[key];
            if *is_revoked || limit.payee.is_some_and(|allowed| allowed != payee) {
                codes.insert("permission_denied");
            }
            let is_over = |limit: Option<i64>, sum: i64| limit.is_some_and(|limit| sum > limit);
            if is_over(limit.maximum, amount) || is_over(limit.budget, *spent) {
                codes.insert("limit_exceeded");
            }
        }
        if !codes.is_empty() {
            return Expected::Refused(codes);
        }
        for at in batch {
            let Kept { payer, payee, amount, .. } = self.payments[at];
            self.transfer(payer, payee, amount);
            self.end(at, PaymentStatus::Succeeded);
        }
        Expected::Stands(PaymentStatus::Succeeded, false)
    }

    /// A payment by itself that nobody needs to be asked about.
    fn confirm_unasked(&mut self, at: usize) -> Expected {
        self.confirm(self.payments[at].payer, at, Consent::Accept)
    }

    /// What somebody may see of what is asked for, the newest first.
    pub(crate) fn list(&self, by: usize, status: Option<PaymentStatus>, name: Option<u8>) -> Vec<usize> {
        let is_seen = |kept: &Kept| match name {
            Some(_) => kept.payer == by && kept.name == name,
            None => kept.payer == by || (kept.payee == by && kept.status.is_paid()),
        };
        let all = self.payments.iter().enumerate().rev();
        all.filter(|(_, kept)| is_seen(kept) && status.is_none_or(|status| kept.status == status))
            .map(|(at, _)| at)
            .collect()
    }

    /// Where the payments of a batch stand together: the first that is not paid.
    fn standing(&self, batch: Range<usize>) -> PaymentStatus {
        let unpaid = self.payments[batch].iter().map(|kept| kept.status).find(|status| !status.is_paid());
        unpaid.unwrap_or(PaymentStatus::Succeeded)
    }

    /// All of them or none.
    pub(crate) fn batch(
        &mut self,
        key: usize,
        orders: &[Order],
        consent: Consent,
        name: Option<u8>,
    ) -> Expected {
        let payer = Self::owner(key);
        let asked = format!("{orders:?}");
        if let Some((before, at)) = name.and_then(|name| self.named.get(&(payer, "batch", name))) {
            return if *before == asked {
                Expected::Stands(self.standing(self.payments[*at].batch.clone().unwrap()), true)
            } else {
                refused(["idempotency_key_reused"])
            };
        }
        let mut also = 0;
        for order in orders {
            let broken = self.broken(key, order, also);
            if !broken.is_empty() {
                return Expected::Refused(broken);
            }
            also += order.amount;
        }
        let status = match consent {
            Consent::Accept => PaymentStatus::Succeeded,
            Consent::Decline => PaymentStatus::Declined,
            Consent::CannotBeAsked => PaymentStatus::RequiresAction,
        };
        let batch = self.payments.len()..self.payments.len() + orders.len();
        if let Some(name) = name {
            self.named.insert((payer, "batch", name), (asked, batch.start));
        }
        for order in orders {
            if status != PaymentStatus::Declined {
                self.keys[key].spent += order.amount;
            }
            match status {
                PaymentStatus::Succeeded => self.transfer(payer, order.to, order.amount),
                PaymentStatus::RequiresAction => self.accounts[payer].reserved += order.amount,
                _ => {}
            }
            self.keep(key, order, status, None);
            self.payments.last_mut().unwrap().batch = Some(batch.clone());
        }
        Expected::Stands(status, false)
    }

    /// A day later: what nobody confirmed has expired.
    pub(crate) fn expire(&mut self) {
        for at in 0..self.payments.len() {
            if self.payments[at].status.is_undecided() {
                self.end(at, PaymentStatus::Expired);
            }
        }
    }
}
