//! The walks that a list of payments is made of: each goes along one index, newest first, and takes no step in vain.

use super::{PaymentFilter, PaymentStatus};
use crate::store::UserId;

/// Along which payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Side {
    /// Everybody's.
    All,
    /// Those that this user made.
    Payer(UserId),
    /// Those that this user was paid by.
    Payee(UserId),
}

/// One walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Walk {
    /// Along which payments.
    pub(in crate::store) side: Side,
    /// Only those with this status.
    pub(in crate::store) status: Option<PaymentStatus>,
}

impl PaymentFilter {
    /// The walks that together find what is wanted: what somebody made, and what somebody was paid, one walk a status. An
    /// idempotency key is the payer's own name for a payment, so that the payee finds nothing by it.
    pub(in crate::store) fn walks(&self) -> Vec<Walk> {
        let status = self.status;
        let Some(user) = self.visible_to else { return vec![Walk { side: Side::All, status }] };
        if self.idempotency_key.is_some() {
            return vec![Walk { side: Side::Payer(user), status }];
        }
        let wanted = PaymentStatus::ALL.into_iter().filter(|one| status.is_none_or(|status| status == *one));
        let made = wanted.clone().map(|status| (Side::Payer(user), status));
        let paid = wanted.filter(|status| status.is_paid()).map(|status| (Side::Payee(user), status));
        made.chain(paid).map(|(side, status)| Walk { side, status: Some(status) }).collect()
    }
}
