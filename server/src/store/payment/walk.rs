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
        let mut walks = vec![Walk { side: Side::Payer(user), status }];
        if self.idempotency_key.is_none() {
            let wanted = |paid: &PaymentStatus| status.is_none_or(|status| status == *paid);
            let paid = PaymentStatus::ALL.into_iter().filter(|status| status.is_paid()).filter(wanted);
            walks.extend(paid.map(|status| Walk { side: Side::Payee(user), status: Some(status) }));
        }
        walks
    }
}
