//! From a request's headers to a [`Principal`], or a refusal.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use shared::headers;

use super::{ApiKey, Pepper, Principal};
use crate::{
    clock::UnixMillis,
    store::{KeyEnd, Store, StoreError, StoredKey},
};

/// How finely it is known when a key was last used.
const USE_GRAIN: Duration = Duration::from_secs(60);

/// Why a request is nobody's.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No key was sent. Send one.
    #[error("API key required in x-api-key header")]
    Missing,
    /// A key was sent that is not accepted: malformed, unknown, expired or revoked. Which of them is for the log alone:
    /// an answer that told them apart would say which guesses were close.
    #[error("Invalid API key")]
    Invalid(&'static str),
    /// It cannot be told which key is meant. Send one key, once.
    #[error("Ambiguous credentials: {0}")]
    Ambiguous(&'static str),
    /// The store could not say. Try again later.
    #[error("The API key cannot be checked at the moment; try again shortly")]
    Unavailable(#[source] StoreError),
}

/// The only maker of a [`Principal`].
#[derive(Clone)]
pub struct Authenticator {
    store: Arc<dyn Store>,
    pepper: Pepper,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authenticator")
    }
}

impl Authenticator {
    /// An authenticator over the keys in `store`, which were digested under `pepper`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, pepper: Pepper) -> Self {
        Self { store, pepper }
    }

    /// Whom the key in `x-api-key` or `Authorization: Bearer` speaks for. Looks into the store exactly once, and not at
    /// all where no lookup could succeed.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Principal, AuthError> {
        let key = presented_key(headers)?;
        let found = self.store.key_by_digest(&self.pepper.digest(&key)).await;
        let stored = found.map_err(AuthError::Unavailable)?.ok_or(AuthError::Invalid("unknown"))?;
        let now = UnixMillis::now();
        refuse_ended(&stored, now)?;
        self.note_use(&stored, now).await;
        Ok(Principal::of(stored))
    }

    /// Notes that the key is used, once a minute. That it could not be noted is no reason to refuse it.
    async fn note_use(&self, key: &StoredKey, now: UnixMillis) {
        if key.used_at.is_none_or(|used_at| now.since(used_at) >= USE_GRAIN)
            && let Err(error) = self.store.touch_key(key.id.clone(), now).await
        {
            tracing::debug!(error = &error as &dyn std::error::Error, "a key's use was not noted");
        }
    }
}

/// A revoked key is refused from that moment on, an expired one from its time on.
fn refuse_ended(key: &StoredKey, now: UnixMillis) -> Result<(), AuthError> {
    match key.ended(now) {
        Some(KeyEnd::Revoked) => Err(AuthError::Invalid("revoked")),
        Some(KeyEnd::Expired) => Err(AuthError::Invalid("expired")),
        None => Ok(()),
    }
}

/// The one key that the request carries.
fn presented_key(headers: &HeaderMap) -> Result<ApiKey, AuthError> {
    let own = single(headers, &HeaderName::from_static(headers::API_KEY), "repeated x-api-key header")?
        .map(|value| value.as_bytes().trim_ascii())
        .filter(|key| !key.is_empty());
    let bearer =
        single(headers, &header::AUTHORIZATION, "repeated Authorization header")?.and_then(bearer_key);
    let bytes = match (own, bearer) {
        (Some(own), Some(bearer)) if own != bearer => {
            return Err(AuthError::Ambiguous("x-api-key and Authorization carry different keys; send one"));
        }
        (Some(key), _) | (None, Some(key)) => key,
        (None, None) => return Err(AuthError::Missing),
    };
    let malformed = || AuthError::Invalid("malformed");
    ApiKey::new(str::from_utf8(bytes).map_err(|_| malformed())?).map_err(|_| malformed())
}

fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    refusal: &'static str,
) -> Result<Option<&'a HeaderValue>, AuthError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(AuthError::Ambiguous(refusal)),
    }
}

/// The key of `Bearer KEY`. Another scheme carries no key of ours and counts as none.
fn bearer_key(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, rest) = value.as_bytes().trim_ascii().split_at_checked("Bearer".len())?;
    let separated = rest.first().is_none_or(u8::is_ascii_whitespace);
    let key = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer") && separated && !key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{KeyDigest, KeyId, KeyMode, UserId};

    const KEY: &str = "a-demo-key-of-bob";

    fn outcome(headers: &[(&'static str, &str)]) -> &'static str {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        match presented_key(&map) {
            Ok(_) => "key",
            Err(AuthError::Missing) => "missing",
            Err(AuthError::Invalid(_)) => "invalid",
            Err(AuthError::Ambiguous(_)) => "ambiguous",
            Err(AuthError::Unavailable(_)) => "unavailable",
        }
    }

    #[test]
    fn a_key_is_found_in_either_header_and_must_be_one() {
        let bearer = format!("Bearer {KEY}");
        let shouted = format!("bEARER   {KEY} ");
        for (headers, expected) in [
            (&[][..], "missing"),
            (&[("x-api-key", "")], "missing"),
            (&[("x-api-key", "   ")], "missing"),
            (&[("authorization", "Bearer ")], "missing"),
            (&[("authorization", "Bearer")], "missing"),
            (&[("authorization", "Basic YTpi")], "missing"),
            (&[("x-api-key", KEY)], "key"),
            (&[("authorization", &bearer)], "key"),
            (&[("authorization", &shouted)], "key"),
            (&[("authorization", &bearer), ("x-api-key", KEY)], "key"),
            (&[("authorization", &bearer), ("x-api-key", "")], "key"),
            (&[("authorization", "Basic YTpi"), ("x-api-key", KEY)], "key"),
            (&[("authorization", "Bearer another-key"), ("x-api-key", KEY)], "ambiguous"),
            (&[("x-api-key", KEY), ("x-api-key", KEY)], "ambiguous"),
            (&[("authorization", &bearer), ("authorization", &bearer)], "ambiguous"),
            (&[("x-api-key", "short")], "invalid"),
            (&[("x-api-key", "schlüssel-mit-umlaut")], "invalid"),
            (&[("x-api-key", "two words in it")], "invalid"),
            (&[("authorization", "Bearerkey-without-space")], "missing"),
        ] {
            assert_eq!(outcome(headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_key_is_refused_from_the_moment_it_ends() {
        let at = UnixMillis::from_millis;
        let key = |expires_at, revoked_at| StoredKey {
            id: KeyId("1".to_owned()),
            digest: KeyDigest([0; 32]),
            user: UserId(1),
            username: "bob".to_owned(),
            lineage: KeyId("1".to_owned()),
            sources: Vec::new(),
            permissions: 0,
            role: "custom".to_owned(),
            name: "Bob Personal Key".to_owned(),
            mode: KeyMode::Live,
            last_four: "abcd".to_owned(),
            created_at: at(0),
            expires_at,
            revoked_at,
            used_at: None,
        };
        for (expires, revoked, accepted) in [
            (None, None, true),
            (Some(at(101)), Some(at(101)), true),
            (Some(at(100)), None, false),
            (None, Some(at(100)), false),
        ] {
            assert_eq!(refuse_ended(&key(expires, revoked), at(100)).is_ok(), accepted);
        }
    }

    #[test]
    fn every_refused_key_reads_the_same() {
        assert_eq!(AuthError::Invalid("revoked").to_string(), AuthError::Invalid("unknown").to_string());
    }
}
