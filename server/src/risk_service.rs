//! The risk service: another MCP server on the same engine, with one tool for services.
//!
//! A payment server asks it before much money moves. It approves what is within the [`Rules`], reserves the amount as
//! the payer's exposure for a day, and gives it back when it is told that the payment was not made.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::UnixMillis,
    mcp::{EngineBuilder, ServerIdentity},
    money::{Amount, Currency},
    store::{ExposureBounds, ExposureStore},
};

mod assess_payment;

/// What the service calls itself.
pub const NAME: &str = "risk-service";

/// For how long exposure counts that is not given back.
const WINDOW: Duration = Duration::from_hours(24);

/// What is too much, in major units of whatever currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The most that one payment may be.
    pub payment_limit: u32,
    /// The most that a payer may have at risk within a day.
    pub exposure_limit: u32,
}

impl Rules {
    /// The same in minor units, for a payment that is asked about now. What cannot be counted is no bound.
    fn bounds(self, currency: Currency, now: UnixMillis) -> ExposureBounds {
        let minor = |major| Amount::from_major(i64::from(major), currency).map_or(i64::MAX, Amount::minor);
        let window = i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX);
        ExposureBounds {
            payment_minor: minor(self.payment_limit),
            payer_minor: minor(self.exposure_limit),
            since: UnixMillis::from_millis(now.as_millis().saturating_sub(window)),
        }
    }
}

/// Who the service says it is.
#[must_use]
pub fn identity() -> ServerIdentity {
    ServerIdentity {
        name: NAME.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instructions: Some("Payment servers ask this server whether a payment may be made.".to_owned()),
    }
}

/// Adds the one tool.
#[must_use]
pub fn register(builder: EngineBuilder, exposures: Arc<dyn ExposureStore>, rules: Rules) -> EngineBuilder {
    builder.tool(assess_payment::AssessPayment::new(exposures, rules))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_in_minor_units_and_look_back_a_day() {
        let rules = Rules { payment_limit: 2_500, exposure_limit: u32::MAX };
        let bounds = rules.bounds(Currency::USD, UnixMillis::from_millis(100_000_000));
        assert_eq!((bounds.payment_minor, bounds.payer_minor), (250_000, 429_496_729_500));
        assert_eq!(bounds.since.as_millis(), 100_000_000 - 86_400_000);
    }
}
