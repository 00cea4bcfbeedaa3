//! What a key may do: permissions, sets of them, and the roles that name a set.

use std::fmt;

/// One thing that a key may be allowed to do. What is not allowed is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
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
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 6] = [
        Self::BalanceRead,
        Self::TransactionsRead,
        Self::PaymentsWrite,
        Self::PaymentsRefund,
        Self::AuditRead,
        Self::OpsRead,
    ];

    /// Its name, as people, errors and the audit trail write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BalanceRead => "balance:read",
            Self::TransactionsRead => "transactions:read",
            Self::PaymentsWrite => "payments:write",
            Self::PaymentsRefund => "payments:refund",
            Self::AuditRead => "audit:read",
            Self::OpsRead => "ops:read",
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

    /// The set as one number, to be kept.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// The permissions of a role: the name of a set. A role that nobody defined may do nothing.
#[must_use]
pub fn role_permissions(role: &str) -> PermissionSet {
    use Permission::{AuditRead, BalanceRead, OpsRead, PaymentsRefund, PaymentsWrite, TransactionsRead};
    match role {
        "customer" => PermissionSet::of(&[BalanceRead, TransactionsRead, PaymentsWrite, PaymentsRefund]),
        "read-only" => PermissionSet::of(&[BalanceRead, TransactionsRead]),
        "auditor" => PermissionSet::of(&[AuditRead]),
        "operator" => PermissionSet::of(&[OpsRead]),
        _ => PermissionSet::default(),
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
    fn a_role_that_nobody_defined_may_do_nothing() {
        for role in ["", "admin", "Customer", "customer "] {
            assert_eq!(role_permissions(role).bits(), 0, "{role}");
        }
        assert!(role_permissions("read-only").contains(Permission::BalanceRead));
        assert!(!role_permissions("read-only").contains(Permission::PaymentsWrite));
    }
}
