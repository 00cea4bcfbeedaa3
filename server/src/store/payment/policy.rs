//! What a key may pay, and changes of it.

/// What a key may pay. Amounts are minor units of its account's currency.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PaymentPolicy {
    /// Below this amount nobody is asked.
    pub automatic_below_minor: i64,
    /// The most that one payment may be.
    pub maximum_minor: Option<i64>,
    /// The most that may be paid within 24 hours.
    pub day_budget_minor: Option<i64>,
    /// Whom it may pay, by name; anybody where there is none.
    pub payees: Vec<String>,
}

/// What is to be another in a [`PaymentPolicy`]; `None` is left as it is, so that of two changes at once none is lost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyChange {
    /// Below this amount nobody is asked.
    pub automatic_below_minor: Option<i64>,
    /// The most that one payment may be.
    pub maximum_minor: Option<Option<i64>>,
    /// The most that may be paid within 24 hours.
    pub day_budget_minor: Option<Option<i64>>,
    /// Whom it may pay, by name; anybody where there is none.
    pub payees: Option<Vec<String>>,
}

impl PolicyChange {
    /// Makes `policy` what this says.
    pub(in crate::store) fn apply(self, policy: &mut PaymentPolicy) {
        let Self { automatic_below_minor, maximum_minor, day_budget_minor, payees } = self;
        policy.automatic_below_minor = automatic_below_minor.unwrap_or(policy.automatic_below_minor);
        policy.maximum_minor = maximum_minor.unwrap_or(policy.maximum_minor);
        policy.day_budget_minor = day_budget_minor.unwrap_or(policy.day_budget_minor);
        if let Some(payees) = payees {
            policy.payees = payees;
        }
    }
}

/// All of it.
impl From<PaymentPolicy> for PolicyChange {
    fn from(policy: PaymentPolicy) -> Self {
        Self {
            automatic_below_minor: Some(policy.automatic_below_minor),
            maximum_minor: Some(policy.maximum_minor),
            day_budget_minor: Some(policy.day_budget_minor),
            payees: Some(policy.payees),
        }
    }
}
