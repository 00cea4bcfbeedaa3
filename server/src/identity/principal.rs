//! Whom an accepted key speaks for.

use std::sync::Arc;

use super::{Permission, PermissionDenied, PermissionSet};
use crate::{
    clock::UnixMillis,
    store::{KeyId, KeyMode, StoredKey, UserId},
};

/// Whom an accepted key speaks for, and what it may do. Only [`super::Authenticator`] makes one. Clones share it.
#[derive(Debug, Clone)]
pub struct Principal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    user: UserId,
    username: String,
    key: KeyId,
    lineage: KeyId,
    role: String,
    permissions: PermissionSet,
    mode: KeyMode,
    expires_at: Option<UnixMillis>,
    is_service: bool,
}

impl Principal {
    /// The principal of a key that was accepted.
    pub(super) fn of(key: StoredKey) -> Self {
        let is_service = key.service.is_some();
        let permissions = PermissionSet::from_bits(key.permissions);
        Self(Arc::new(Inner {
            user: key.user,
            username: key.username,
            key: key.id,
            // Whatever the store says.
            permissions: if is_service { permissions } else { permissions.without_what_services_do() },
            lineage: key.lineage,
            expires_at: key.expires_at,
            role: key.role,
            mode: key.mode,
            is_service,
        }))
    }

    /// The user's number.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.0.user
    }

    /// The user's name.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.0.username
    }

    /// The public id of the key that was presented.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        &self.0.key
    }

    /// The first of the keys that replaced each other up to the one that was presented.
    #[must_use]
    pub fn lineage(&self) -> &KeyId {
        &self.0.lineage
    }

    /// From when on the key is refused.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixMillis> {
        self.0.expires_at
    }

    /// The name of the set of permissions that the key has.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.0.role
    }

    /// What the key may do.
    #[must_use]
    pub fn permissions(&self) -> PermissionSet {
        self.0.permissions
    }

    /// Whether it is a service, which proved who it is with a token or a certificate.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.0.is_service
    }

    /// What the key is for.
    #[must_use]
    pub fn mode(&self) -> KeyMode {
        self.0.mode
    }

    /// The one rule of who may do what; listing and calling both ask it.
    ///
    /// # Errors
    /// [`PermissionDenied`] when the key does not have the permission.
    pub fn authorize(&self, permission: Permission) -> Result<(), PermissionDenied> {
        if self.0.permissions.contains(permission) { Ok(()) } else { Err(PermissionDenied(permission)) }
    }
}

#[cfg(test)]
impl Principal {
    /// A principal for the tests of other rooms, of user 1, `bob`, with a key of this role.
    pub(crate) fn for_test(role: &str) -> Self {
        Self(Arc::new(Inner {
            user: UserId(1),
            username: "bob".to_owned(),
            key: KeyId("1".to_owned()),
            lineage: KeyId("1".to_owned()),
            role: role.to_owned(),
            permissions: role.parse::<super::Role>().map(super::Role::permissions).unwrap_or_default(),
            mode: KeyMode::Demo,
            expires_at: None,
            is_service: false,
        }))
    }
}
