//! What must be true of the books, whatever happened in whatever order.

use std::collections::BTreeMap;

use server::store::{PaymentFilter, PaymentId, PaymentStatus, StoredPayment};

use super::World;
use crate::model::{CREDIT, USERS, is_reachable};

impl World {
    /// Holds what was acknowledged against what is kept, and what is kept against itself.
    pub(in crate::model) async fn books_hold(
        &self,
        acknowledged: &BTreeMap<PaymentId, PaymentStatus>,
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
