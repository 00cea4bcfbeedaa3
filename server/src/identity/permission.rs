//! What a key may do: permissions, sets of them, and the roles that name a set.

use std::{fmt, str::FromStr};

/// One thing that a key may be allowed to do. What is not allowed is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See who one is and what one may do. Every key may.
    IdentityRead,
    /// See what is on one's own account.
    BalanceRead,
    /// See one's own transactions and payments.
    TransactionsRead,
    /// Pay.
    PaymentsWrite,
    /// Give back what one was paid.
    PaymentsRefund,
    /// See the audit trail.
    AuditRead,
    /// See how the server is doing.
    OpsRead,
    /// Have payments assessed by the risk service. For services only: a key that somebody holds never has it.
    PaymentsAssess,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 8] = [
        Self::IdentityRead,
        Self::BalanceRead,
        Self::TransactionsRead,
        Self::PaymentsWrite,
        Self::PaymentsRefund,
        Self::AuditRead,
        Self::OpsRead,
        Self::PaymentsAssess,
    ];

    /// Its name, as people, errors and the audit trail write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdentityRead => "identity:read",
            Self::BalanceRead => "balance:read",
            Self::TransactionsRead => "transactions:read",
            Self::PaymentsWrite => "payments:write",
            Self::PaymentsRefund => "payments:refund",
            Self::AuditRead => "audit:read",
            Self::OpsRead => "ops:read",
            Self::PaymentsAssess => "payments:assess",
        }
    }

    /// Its bit in a set. Sets are kept with sessions, so a bit never changes its meaning.
    const fn bit(self) -> u64 {
        match self {
            Self::BalanceRead => 1,
            Self::TransactionsRead => 1 << 1,
            Self::PaymentsWrite => 1 << 2,
            Self::PaymentsRefund => 1 << 3,
            Self::AuditRead => 1 << 4,
            Self::OpsRead => 1 << 5,
            Self::IdentityRead => 1 << 6,
            Self::PaymentsAssess => 1 << 7,
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of permissions. The empty set allows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PermissionSet(u64);

impl PermissionSet {
    /// The set of these.
    #[must_use]
    pub const fn of(permissions: &[Permission]) -> Self {
        let (mut bits, mut rest) = (0, permissions);
        while let [permission, others @ ..] = rest {
            bits |= permission.bit();
            rest = others;
        }
        Self(bits)
    }

    /// Whether it allows this.
    #[must_use]
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Whether it allows everything that `other` allows.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The set that was kept as this number. Bits that mean nothing here allow nothing.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits & Self::of(&Permission::ALL).0)
    }

    /// What is in it.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.contains(*permission))
    }

    /// The set without what only a service may do.
    #[must_use]
    pub const fn without_what_services_do(self) -> Self {
        Self(self.0 & !Permission::PaymentsAssess.bit())
    }

    /// The set as one number, to be kept.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// The name of a set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Somebody with an account.
    Customer,
    /// Somebody with an account who only looks.
    ReadOnly,
    /// Whoever looks at who did what, and at nothing else.
    Auditor,
    /// Whoever keeps the server running.
    Operator,
    /// A service that has payments assessed.
    RiskClient,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] =
        [Self::Customer, Self::ReadOnly, Self::Auditor, Self::Operator, Self::RiskClient];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::ReadOnly => "read-only",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::RiskClient => "risk-client",
        }
    }

    /// What it allows.
    #[must_use]
    pub const fn permissions(self) -> PermissionSet {
        use Permission::{
            AuditRead, BalanceRead, IdentityRead, OpsRead, PaymentsAssess, PaymentsRefund, PaymentsWrite,
            TransactionsRead,
        };
        match self {
            Self::Customer => PermissionSet::of(&[
                IdentityRead,
                BalanceRead,
                TransactionsRead,
                PaymentsWrite,
                PaymentsRefund,
            ]),
            Self::ReadOnly => PermissionSet::of(&[IdentityRead, BalanceRead, TransactionsRead]),
            Self::Auditor => PermissionSet::of(&[IdentityRead, AuditRead]),
            Self::Operator => PermissionSet::of(&[IdentityRead, OpsRead]),
            Self::RiskClient => PermissionSet::of(&[IdentityRead, PaymentsAssess]),
        }
    }

    /// The role that allows exactly this, or `custom`.
    #[must_use]
    pub fn name_of(permissions: PermissionSet) -> &'static str {
        let exactly = |role: &Self| role.permissions() == permissions;
        Self::ALL.into_iter().find(exactly).map_or("custom", Self::as_str)
    }
}

/// There is no such role, or no such permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownName {
    /// No such role.
    #[error("not a role; there are customer, read-only, auditor, operator and risk-client")]
    Role,
    /// No such permission.
    #[error(
        "not a permission; there are identity:read, balance:read, transactions:read, payments:write, \
         payments:refund, audit:read, ops:read and, for services, payments:assess"
    )]
    Permission,
}

impl FromStr for Role {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownName::Role)
    }
}

impl FromStr for Permission {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or(UnknownName::Permission)
    }
}

/// The key may not do what was asked. Its owner needs another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this needs the permission {0}")]
pub struct PermissionDenied(pub Permission);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_contains_exactly_what_it_was_made_of() {
        for bits in 0_usize..1 << Permission::ALL.len() {
            let members: Vec<_> = Permission::ALL
                .into_iter()
                .enumerate()
                .filter(|(index, _)| bits & (1 << index) != 0)
                .map(|(_, permission)| permission)
                .collect();
            let set = PermissionSet::of(&members);
            for permission in Permission::ALL {
                assert_eq!(set.contains(permission), members.contains(&permission));
            }
        }
    }

    #[test]
    fn names_are_read_as_they_are_written_and_nothing_else_is_a_name() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(Role::name_of(role.permissions()), role.as_str());
        }
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(permission));
        }
        for name in ["", "admin", "Customer", "customer "] {
            assert_eq!(name.parse::<Role>(), Err(UnknownName::Role), "{name}");
            assert_eq!(name.parse::<Permission>(), Err(UnknownName::Permission), "{name}");
        }
        assert_eq!(Role::name_of(PermissionSet::default()), "custom");
    }

    #[test]
    fn bits_that_mean_nothing_allow_nothing() {
        assert_eq!(PermissionSet::from_bits(u64::MAX), PermissionSet::of(&Permission::ALL));
        assert_eq!(PermissionSet::from_bits(1 << 40).iter().count(), 0);
    }

    #[test]
    fn the_bits_of_roles_are_those_that_the_migration_wrote() {
        assert_eq!(Role::ALL.map(|role| role.permissions().bits()), [79, 67, 80, 96, 192]);
    }
}
