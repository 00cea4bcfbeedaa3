//! Between which states a payment moves.

use std::str::FromStr;

/// How far a payment has come.
///
/// ```text
///                    ┌─► declined   canceled   expired ◄─┐
///                    │                                   │
///   requires_confirmation ──────────► requires_action ───┤
///        │     │                        │      │         │
///        │     └────────► processing ◄──┘      │         │
///        │                 │      └──► failed ◄┴─────────┘
///        └──► succeeded ◄──┴───────────────────┘ (approved)
///                 │
///                 ├──► partially_refunded ──► refunded
///                 └─────────────────────────────▲
/// ```
///
/// From `requires_confirmation` to `failed` goes that for which the money or the budget is not there when the yes has come.
/// The store enforces the picture: any other step is refused by the schema itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentStatus {
    /// Made, its amount reserved; nobody was asked yet.
    RequiresConfirmation,
    /// The client cannot ask; the account's owner may still approve it.
    RequiresAction,
    /// Accepted, and being assessed by the risk service.
    Processing,
    /// The money moved.
    Succeeded,
    /// The person said no.
    Declined,
    /// Taken back before anything moved.
    Canceled,
    /// Nobody confirmed it in time.
    Expired,
    /// It was accepted and could not be done; nothing moved.
    Failed,
    /// All of it was given back.
    Refunded,
    /// Some of it was given back.
    PartiallyRefunded,
}

impl PaymentStatus {
    /// Every status.
    pub const ALL: [Self; 10] = [
        Self::RequiresConfirmation,
        Self::RequiresAction,
        Self::Processing,
        Self::Succeeded,
        Self::Declined,
        Self::Canceled,
        Self::Expired,
        Self::Failed,
        Self::Refunded,
        Self::PartiallyRefunded,
    ];

    /// Its name, as callers and the database write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Declined => "declined",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Refunded => "refunded",
            Self::PartiallyRefunded => "partially_refunded",
        }
    }

    /// Whether the amount is set aside and nothing has moved.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::RequiresConfirmation | Self::RequiresAction | Self::Processing)
    }

    /// Whether the money moved.
    #[must_use]
    pub const fn is_paid(self) -> bool {
        matches!(self, Self::Succeeded | Self::Refunded | Self::PartiallyRefunded)
    }

    /// Whether it still waits for somebody's word.
    #[must_use]
    pub const fn is_undecided(self) -> bool {
        matches!(self, Self::RequiresConfirmation | Self::RequiresAction)
    }

    /// Whether the picture has an arrow from here to `next`.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::RequiresConfirmation => matches!(
                next,
                Self::RequiresAction
                    | Self::Processing
                    | Self::Succeeded
                    | Self::Declined
                    | Self::Canceled
                    | Self::Expired
                    | Self::Failed
            ),
            Self::RequiresAction => matches!(
                next,
                Self::Processing
                    | Self::Succeeded
                    | Self::Declined
                    | Self::Canceled
                    | Self::Expired
                    | Self::Failed
            ),
            Self::Processing => matches!(next, Self::Succeeded | Self::Failed),
            Self::Succeeded | Self::PartiallyRefunded => {
                matches!(next, Self::PartiallyRefunded | Self::Refunded)
            }
            Self::Declined | Self::Canceled | Self::Expired | Self::Failed | Self::Refunded => false,
        }
    }
}

/// The text names no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a status of a payment")]
pub struct NotAStatus;

impl FromStr for PaymentStatus {
    type Err = NotAStatus;

    fn from_str(text: &str) -> Result<Self, NotAStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(NotAStatus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_it_is_written() {
        for status in PaymentStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!("paid".parse::<PaymentStatus>(), Err(NotAStatus));
    }

    #[test]
    fn what_has_ended_stays_ended() {
        for status in PaymentStatus::ALL {
            let goes_on = PaymentStatus::ALL.into_iter().any(|next| status.may_become(next));
            let is_over = !status.is_open() && !matches!(status.as_str(), "succeeded" | "partially_refunded");
            assert_eq!(goes_on, !is_over, "{status:?}");
        }
    }
}
