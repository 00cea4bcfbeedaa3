//! Whom an accepted key speaks for.

use std::sync::Arc;

use super::{Permission, PermissionDenied, PermissionSet};
use crate::{
    clock::UnixMillis,
    store::{KeyId, KeyMode, StoredKey, UserId},
};

#[cfg(test)]
use crate::store::KeyDigest;

/// Whom an accepted key speaks for, and what it may do. Only [`super::Authenticator`] makes one. Clones share it.
#[derive(Debug, Clone)]
pub struct Principal {
    key: Arc<StoredKey>,
    permissions: PermissionSet,
    proven_until: Option<UnixMillis>,
}

impl Principal {
    /// The principal of a key that was accepted, for what holds until then.
    pub(super) fn of(key: Arc<StoredKey>, proven_until: Option<UnixMillis>) -> Self {
        let permissions = PermissionSet::from_bits(key.permissions);
        // Whatever the store says.
        let permissions =
            if key.service.is_some() { permissions } else { permissions.without_what_services_do() };
        Self { key, permissions, proven_until }
    }

    /// The user's number.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.key.user
    }

    /// The user's name.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.key.username
    }

    /// The public id of the key that was presented.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        &self.key.id
    }

    /// The first of the keys that replaced each other up to the one that was presented.
    #[must_use]
    pub fn lineage(&self) -> &KeyId {
        &self.key.lineage
    }

    /// From when on the key is refused.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixMillis> {
        self.key.expires_at
    }

    /// Until when the proof holds that was presented, where that is a token or a certificate.
    #[must_use]
    pub fn proven_until(&self) -> Option<UnixMillis> {
        self.proven_until
    }

    /// The name of the set of permissions that the key has.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.key.role
    }

    /// What the key may do.
    #[must_use]
    pub fn permissions(&self) -> PermissionSet {
        self.permissions
    }

    /// Whether it is a service, which proved who it is with a token or a certificate.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.key.service.is_some()
    }

    /// What the key is for.
    #[must_use]
    pub fn mode(&self) -> KeyMode {
        self.key.mode
    }

    /// The one rule of who may do what; listing and calling both ask it.
    ///
    /// # Errors
    /// [`PermissionDenied`] when the key does not have the permission.
    pub fn authorize(&self, permission: Permission) -> Result<(), PermissionDenied> {
        if self.permissions.contains(permission) { Ok(()) } else { Err(PermissionDenied(permission)) }
    }
}

#[cfg(test)]
impl Principal {
    /// A principal for the tests of other rooms, of user 1, `bob`, with a key of this role.
    pub(crate) fn for_test(role: &str) -> Self {
        let key = StoredKey {
            id: KeyId("1".to_owned()),
            digest: KeyDigest([0; 32]),
            user: UserId(1),
            username: "bob".to_owned(),
            lineage: KeyId("1".to_owned()),
            sources: Vec::new(),
            permissions: role.parse::<super::Role>().map(super::Role::permissions).unwrap_or_default().bits(),
            role: role.to_owned(),
            name: "Bob Personal Key".to_owned(),
            mode: KeyMode::Demo,
            last_four: "abcd".to_owned(),
            created_at: UnixMillis::from_millis(0),
            expires_at: None,
            revoked_at: None,
            service: None,
            used_at: None,
        };
        Self::of(Arc::new(key), None)
    }
}
