//! From a request's headers to a [`Principal`], or a refusal.

use std::{net::IpAddr, sync::Arc, time::Duration};

use dashmap::DashMap;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;
use shared::headers;

use super::{
    ApiKey, Issuer, Pepper, Principal, ServiceName, certificate,
    token::{self, Proven, Token},
};
use crate::{
    clock::UnixMillis,
    store::{KeyEnd, KeyMode, Store, StoreError, StoredKey},
};

const API_KEY: HeaderName = HeaderName::from_static(headers::API_KEY);

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
    Invalid(InvalidKey),
    /// It cannot be told which key is meant. Send one key, once.
    #[error("Ambiguous credentials: {0}")]
    Ambiguous(&'static str),
    /// The store could not say. Try again later.
    #[error("The API key cannot be checked at the moment; try again shortly")]
    Unavailable(#[source] StoreError),
}

/// A key that is not accepted.
#[derive(Debug)]
pub struct InvalidKey {
    /// Why, in a word or two.
    pub reason: &'static str,
    /// The key, where it is one of ours.
    pub known: Option<Arc<StoredKey>>,
}

impl InvalidKey {
    /// Whether it came with the connection, and its sender does better on another one.
    #[must_use]
    pub fn is_of_the_connection(&self) -> bool {
        self.reason == certificate::EXPIRED
    }
}

impl From<&'static str> for InvalidKey {
    fn from(reason: &'static str) -> Self {
        Self { reason, known: None }
    }
}

/// From where a request comes.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// From which address.
    pub address: IpAddr,
    /// The client's certificate in DER, where the connection has one; TLS has held it against its authority when the
    /// connection began.
    pub certificate: Option<&'a [u8]>,
}

/// What a request carries to say who sends it.
pub(super) enum Credential<'a> {
    Key(ApiKey),
    Token(Token),
    Certificate(&'a [u8]),
}

/// Who may present a token, and until when.
type Bound = ([u8; 32], UnixMillis);

/// How many tokens are remembered whose senders were looked up.
const BOUND_MAX: usize = 10_000;

/// The only maker of a [`Principal`].
#[derive(Clone)]
pub struct Authenticator {
    store: Arc<dyn Store>,
    pepper: Pepper,
    issuer: Option<Arc<Issuer>>,
    /// Tokens and their senders, as the store has them.
    bound: Arc<DashMap<[u8; 32], Bound>>,
    takes_demo_keys: bool,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authenticator")
    }
}

impl Authenticator {
    /// An authenticator over the keys in `store`, which were digested under `pepper`, and over the tokens of `issuer`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, pepper: Pepper, issuer: Option<Arc<Issuer>>) -> Self {
        Self { store, pepper, issuer, bound: Arc::default(), takes_demo_keys: true }
    }

    /// Whether demo keys are accepted: where other machines are let in they are not.
    #[must_use]
    pub const fn demo_keys(mut self, accepted: bool) -> Self {
        self.takes_demo_keys = accepted;
        self
    }

    /// Whom the key in `x-api-key` or `Authorization: Bearer` speaks for, or the token there, or where there is neither
    /// the certificate of the connection. Looks for the key in the store exactly once, and not at all where no lookup
    /// could succeed.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        sender: Sender<'_>,
    ) -> Result<Principal, AuthError> {
        let (mut proven, mut proven_until) = (None, None);
        let digest = match presented(headers, sender)? {
            Credential::Key(key) => self.pepper.digest(&key),
            Credential::Token(token) => {
                let issuer = self.issuer.as_ref().ok_or_else(|| invalid("token: no issuer is trusted"))?;
                let proof = token::verify(&token, issuer, sender).await.map_err(AuthError::Invalid)?;
                let proof = proven.insert(proof);
                proven_until = Some(proof.holds_until);
                self.pepper.digest_of_service(&proof.service())
            }
            Credential::Certificate(der) => {
                let (name, until) = certificate::name(der, UnixMillis::now()).map_err(invalid)?;
                proven_until = Some(until);
                self.pepper.digest_of_service(&ServiceName::Certificate(name))
            }
        };
        let found = self.store.key_by_digest(&digest).await;
        let stored = found.map_err(AuthError::Unavailable)?.ok_or_else(|| invalid("unknown"))?;
        let now = UnixMillis::now();
        let is_a_demo = !self.takes_demo_keys && stored.mode == KeyMode::Demo;
        if let Some(reason) = is_a_demo.then_some("of a demo").or_else(|| refusal(&stored, now, sender)) {
            return Err(AuthError::Invalid(InvalidKey { reason, known: Some(stored) }));
        }
        if let Some(proven) = proven
            && let Some(reason) = self.why_not_now(&proven, now).await?
        {
            return Err(AuthError::Invalid(InvalidKey { reason, known: Some(stored) }));
        }
        self.note_use(&stored, now).await;
        Ok(Principal::of(stored, proven_until))
    }

    /// Why a token that holds is refused now, if it is. By whom it was presented first is forgotten when its time is over,
    /// to the millisecond, and what holds a moment longer would be anybody's.
    async fn why_not_now(&self, proven: &Proven, now: UnixMillis) -> Result<Option<&'static str>, AuthError> {
        if proven.until <= now {
            return Ok(Some("token: expired"));
        }
        let is_its_sender = self.is_from_its_sender(proven, now).await?;
        Ok((!is_its_sender).then_some("token: another sender's"))
    }

    /// Whether a token is presented by whoever presented it first.
    async fn is_from_its_sender(&self, proven: &Proven, now: UnixMillis) -> Result<bool, AuthError> {
        if let Some(bound) = self.bound.get(&proven.id) {
            return Ok(bound.value().0 == proven.sender);
        }
        let bound = self.store.bind_token(proven.id, proven.sender, proven.until, now).await;
        let is_its_sender = bound.map_err(AuthError::Unavailable)?;
        if is_its_sender {
            if self.bound.len() >= BOUND_MAX {
                self.bound.retain(|_, (_, until)| *until > now);
            }
            if self.bound.len() < BOUND_MAX {
                self.bound.insert(proven.id, (proven.sender, proven.until));
            }
        }
        Ok(is_its_sender)
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

fn invalid(reason: &'static str) -> AuthError {
    AuthError::Invalid(reason.into())
}

/// Why a key of ours is refused, if it is: a revoked one from that moment on, an expired one from its time on, and any
/// where it is used from a network that is not its own.
fn refusal(key: &StoredKey, now: UnixMillis, sender: Sender<'_>) -> Option<&'static str> {
    match key.ended(now) {
        Some(KeyEnd::Revoked) => Some("revoked"),
        Some(KeyEnd::Expired) => Some("expired"),
        None if is_at_home(&key.sources, sender.address) => None,
        None => Some("used from another network"),
    }
}

/// Whether an address is in one of the networks, or there are none. What is no network has no address in it.
fn is_at_home(networks: &[String], address: IpAddr) -> bool {
    let address = address.to_canonical();
    let holds = |network: &String| network.parse::<IpNet>().is_ok_and(|network| network.contains(&address));
    networks.is_empty() || networks.iter().any(holds)
}

/// The one credential that the request carries. What it says of itself goes before what its connection says.
pub(super) fn presented<'a>(headers: &HeaderMap, sender: Sender<'a>) -> Result<Credential<'a>, AuthError> {
    let own = single(headers, &API_KEY, "repeated x-api-key header")?
        .map(|value| value.as_bytes().trim_ascii())
        .filter(|key| !key.is_empty());
    let bearer =
        single(headers, &header::AUTHORIZATION, "repeated Authorization header")?.and_then(bearer_key);
    let bytes = match (own, bearer) {
        (Some(own), Some(bearer)) if own != bearer => {
            return Err(AuthError::Ambiguous("x-api-key and Authorization carry different keys; send one"));
        }
        (Some(key), _) | (None, Some(key)) => key,
        (None, None) => return sender.certificate.map(Credential::Certificate).ok_or(AuthError::Missing),
    };
    let text = str::from_utf8(bytes).map_err(|_| invalid("malformed"))?;
    match Token::recognise(text) {
        Some(token) => Ok(Credential::Token(token)),
        None => ApiKey::new(text).map(Credential::Key).map_err(|_| invalid("malformed")),
    }
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
        let sender = Sender { address: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), certificate: None };
        match presented(&map, sender) {
            Ok(Credential::Token(_)) => "token",
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
            (&[("authorization", "Bearer eyJhbGciOiJub25lIn0.e30.")], "token"),
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
            service: None,
        };
        for (expires, revoked, accepted) in [
            (None, None, true),
            (Some(at(101)), None, true),
            (None, Some(at(101)), false),
            (Some(at(100)), None, false),
            (None, Some(at(100)), false),
        ] {
            let sender = Sender { address: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), certificate: None };
            assert_eq!(refusal(&key(expires, revoked), at(100), sender).is_none(), accepted);
        }
    }

    #[test]
    fn every_refused_key_reads_the_same() {
        assert_eq!(invalid("revoked").to_string(), invalid("unknown").to_string());
    }

    #[test]
    fn a_key_with_networks_is_at_home_in_them_alone() {
        let networks = ["10.0.0.0/8".to_owned(), "2001:db8::/32".to_owned(), "nonsense".to_owned()];
        for (address, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.1.2.3", false),
            ("2001:db8::1", true),
            ("::1", false),
        ] {
            assert_eq!(is_at_home(&networks, address.parse().unwrap()), expected, "{address}");
            assert!(is_at_home(&[], address.parse().unwrap()));
        }
    }
}
