//! What must be true of the books, whatever happened in whatever order.

use std::collections::BTreeMap;

use server::{
    clock::UnixMillis,
    store::{Ending, PaymentFilter, PaymentId, PaymentStatus, StoredPayment},
};

use super::World;
use crate::{
    model::{CREDIT, USERS, is_reachable},
    payments::work,
};

impl World {
    /// Balances, what is set aside, budgets and payments are those of the reference.
    pub(super) async fn compare(&self) -> Result<(), String> {
        for (at, expected) in self.reference.accounts.iter().enumerate() {
            let found = self.account(at).await;
            if found != (expected.balance, expected.reserved) {
                return Err(format!("account {at}: expected {expected:?}, found {found:?}"));
            }
        }
        for (at, expected) in self.reference.keys.iter().enumerate() {
            let found = self.spent(at).await;
            if found != expected.spent {
                return Err(format!("spent by key {at}: expected {}, found {found}", expected.spent));
            }
        }
        for (id, expected) in self.ids.iter().zip(&self.reference.payments) {
            let found = self.store.payment(id).await.unwrap().unwrap();
            let is_duplicate = found.payment.duplicate_of.is_some();
            let same = (found.status(), found.refunded_minor) == (expected.status, expected.refunded)
                && expected.is_duplicate.is_none_or(|expected| expected == is_duplicate);
            if !same {
                return Err(format!("expected {expected:?}, found {found:?}"));
            }
        }
        Ok(())
    }

    /// Balance, and what is set aside.
    pub(super) async fn account(&self, at: usize) -> (i64, i64) {
        let user = self.user(at);
        let accounts = work(&*self.store, move |transaction| {
            Box::pin(async move { transaction.lock_accounts(&[user]).await.map(Ending::Undo) })
        });
        let account = accounts.await.unwrap().remove(0);
        (account.balance.minor(), account.reserved_minor)
    }

    pub(super) async fn spent(&self, key: usize) -> i64 {
        let (line, day) = (self.key(key), 24 * 3_600_000);
        let since = UnixMillis::from_millis(UnixMillis::now().as_millis() - day);
        let spent = work(&*self.store, move |transaction| {
            let line = line.clone();
            Box::pin(async move { transaction.spent(&line, since).await.map(Ending::Undo) })
        });
        spent.await.unwrap()
    }

    /// Holds what was acknowledged against what is kept, and what is kept against itself.
    pub(in crate::model) async fn books_hold(
        &self,
        acknowledged: &[(PaymentId, PaymentStatus)],
    ) -> Result<(), String> {
        let mut kept: BTreeMap<PaymentId, StoredPayment> = BTreeMap::new();
        for at in 0..USERS {
            let filter = PaymentFilter { visible_to: Some(self.user(at)), ..PaymentFilter::default() };
            let visible = self.store.payments(filter, 1_000).await.unwrap();
            kept.extend(visible.into_iter().map(|payment| (payment.id().clone(), payment)));
        }
        for (id, told) in acknowledged {
            let found = kept.get(id).map(StoredPayment::status);
            if !found.is_some_and(|found| is_reachable(*told, found)) {
                return Err(format!("{id} was {told:?} when it was acknowledged, and is {found:?}"));
            }
        }
        let mut sum = 0;
        for at in 0..USERS {
            let user = self.user(at);
            let (mut balance, mut reserved) = (0, 0);
            for payment in kept.values() {
                let terms = &payment.payment;
                let amount = terms.amount.minor();
                let moved = if payment.status().is_paid() { amount - payment.refunded_minor } else { 0 };
                balance += if terms.payee == user { moved } else { 0 };
                if terms.payer == user {
                    balance -= moved;
                    reserved += if payment.status().is_open() { amount } else { 0 };
                }
            }
            let found = self.account(at).await;
            if found != (balance, reserved) || balance - reserved < -CREDIT {
                return Err(format!("account {at}: {found:?}, and payments say {:?}", (balance, reserved)));
            }
            sum += balance;
        }
        for at in 0..2 * USERS {
            let counts = |payment: &&StoredPayment| {
                payment.payment.lineage == self.key(at)
                    && (payment.status().is_open() || payment.status().is_paid())
            };
            let expected: i64 =
                kept.values().filter(counts).map(|payment| payment.payment.amount.minor()).sum();
            let found = self.spent(at).await;
            if found != expected {
                return Err(format!("key {at} has spent {found}, and payments say {expected}"));
            }
        }
        if sum == 0 { Ok(()) } else { Err(format!("the sum of all accounts is {sum}")) }
    }
}
