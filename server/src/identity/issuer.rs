//! Whose tokens are believed: one issuer, its public keys, and the one algorithm that they are for.
//!
//! The keys are a JSON Web Key Set (RFC 7517), in a file or behind a URL. They are kept, looked at again when they are
//! old or when a token names a key that is not among them, and so can be rotated while the server runs. A source that
//! cannot be read for a while does no harm; after an hour its keys are no longer believed. A URL is asked beside the
//! requests, so that one that is slow keeps nobody waiting whose key is known.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use parking_lot::RwLock;
use reqwest::{Client, Url, redirect::Policy};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    task::JoinHandle,
    time::Instant,
};

/// For how long keys are taken as they were read: a file is cheap to read.
const FRESH_FILE: Duration = Duration::from_secs(1);
const FRESH_URL: Duration = Duration::from_secs(300);

/// How long keys are believed whose source cannot be read any more.
const BELIEVED: Duration = Duration::from_secs(3_600);

/// How long a URL is left alone after it was asked, whatever it answered and whatever tokens name.
const ASKED_EVERY: Duration = Duration::from_secs(5);

/// How long a URL may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Largest key set, in bytes.
const SIZE_MAX: usize = 256 * 1024;

/// Whose tokens are believed, and for whom they must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSettings {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// `alg`.
    pub algorithm: TokenAlgorithm,
    /// Where the issuer's public keys are.
    pub keys: KeySource,
}

/// What tokens are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl TokenAlgorithm {
    pub(super) const fn algorithm(self) -> Algorithm {
        match self {
            Self::EdDsa => Algorithm::EdDSA,
            Self::Es256 => Algorithm::ES256,
        }
    }

    /// Whether a key is for this algorithm, and for signatures.
    fn takes(self, key: &Jwk) -> bool {
        let is_for_signatures = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let names_no_other = match (key.common.key_algorithm, self) {
            (None, _) => true,
            (Some(named), Self::EdDsa) => named == KeyAlgorithm::EdDSA,
            (Some(named), Self::Es256) => named == KeyAlgorithm::ES256,
        };
        let is_its_kind = match (&key.algorithm, self) {
            (AlgorithmParameters::OctetKeyPair(pair), Self::EdDsa) => pair.curve == EllipticCurve::Ed25519,
            (AlgorithmParameters::EllipticCurve(curve), Self::Es256) => curve.curve == EllipticCurve::P256,
            _ => false,
        };
        is_for_signatures && names_no_other && is_its_kind
    }
}

/// Where public keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In a file.
    File(PathBuf),
    /// Behind a URL.
    Url(Url),
}

/// The text is neither a path nor a URL that can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a path, or an https URL (http on a loopback address only)")]
pub struct NotASource;

impl FromStr for KeySource {
    type Err = NotASource;

    fn from_str(text: &str) -> Result<Self, NotASource> {
        if !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        let url: Url = text.parse().map_err(|_| NotASource)?;
        let is_trusted = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
        if is_trusted { Ok(Self::Url(url)) } else { Err(NotASource) }
    }
}

impl KeySource {
    /// What asks for the keys. Where they are on this machine nobody else may answer: no proxy is asked, nor who `localhost`
    /// is.
    fn client(&self) -> reqwest::Result<Client> {
        let builder = Client::builder().redirect(Policy::none()).timeout(ANSWER_WITHIN);
        match self {
            Self::Url(url) if is_loopback(url) => {
                let local =
                    [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
                builder.no_proxy().resolve_to_addrs("localhost", &local).build()
            }
            Self::Url(_) | Self::File(_) => builder.build(),
        }
    }
}

/// Whether this is on this machine.
fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
    })
}

/// Why an issuer's keys cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("the file with the issuer's keys cannot be read")]
    File(#[source] std::io::Error),
    /// The URL does not answer.
    #[error("the URL with the issuer's keys does not answer")]
    Url(#[source] reqwest::Error),
    /// There is no key in what was read.
    #[error("there is no JSON Web Key Set with a key for {0:?} in it")]
    NoKeys(TokenAlgorithm),
    /// What was read is larger than a key set may be.
    #[error("the key set is larger than {SIZE_MAX} bytes")]
    TooLarge,
    /// The program has no TLS to ask with.
    #[error("the URL with the issuer's keys cannot be asked")]
    Client(#[source] reqwest::Error),
}

/// An issuer and its keys, as they are known.
pub struct Issuer {
    pub(super) settings: IssuerSettings,
    client: Client,
    known: RwLock<Known>,
    /// When the source was last done with, however it went; whoever holds it asks.
    asked: Arc<Mutex<Option<Instant>>>,
}

#[derive(Default)]
struct Known {
    keys: Arc<[(String, DecodingKey)]>,
    read: Option<Instant>,
}

impl Issuer {
    /// An issuer, whose keys are read at once. It is shared with those who ask for its keys later.
    ///
    /// # Errors
    /// [`KeysError`] when a file holds no keys. A URL that does not answer is asked again later.
    pub async fn open(settings: IssuerSettings) -> Result<Arc<Self>, KeysError> {
        super::signatures::install();
        // Another one that is there does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = settings.keys.client().map_err(KeysError::Client)?;
        let issuer = Arc::new(Self { settings, client, known: RwLock::default(), asked: Arc::default() });
        match issuer.ask(&mut *issuer.asked.lock().await).await {
            Err(error @ (KeysError::Url(_) | KeysError::Client(_))) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the issuer's keys are not there yet");
            }
            asked => asked?,
        }
        Ok(issuer)
    }

    /// The key of this id, as fresh as it must be. A file is read for it where that is due, and a URL is waited for only
    /// where nothing else is left.
    pub(super) async fn key(self: &Arc<Self>, id: &str) -> Option<DecodingKey> {
        let find = |age| self.known.read().find(id, age);
        match self.settings.keys {
            KeySource::File(_) => {
                let fresh = find(FRESH_FILE);
                if fresh.is_some() {
                    return fresh;
                }
                self.ask_again(&mut *self.asked.lock().await).await;
            }
            KeySource::Url(_) => {
                let fresh = find(FRESH_URL);
                if fresh.is_some() {
                    return fresh;
                }
                let believed = find(BELIEVED);
                if believed.is_some() {
                    if let Ok(asked) = Arc::clone(&self.asked).try_lock_owned() {
                        self.ask_beside(asked);
                    }
                    return believed;
                }
                let asking = self.ask_beside(Arc::clone(&self.asked).lock_owned().await);
                // One that ended otherwise than it should has told nothing new.
                let _ = asking.await;
            }
        }
        find(BELIEVED)
    }

    /// Reads the keys again. Where that fails, what was known stays.
    pub async fn reload(&self) {
        match self.ask(&mut *self.asked.lock().await).await {
            Ok(()) => tracing::info!("the issuer's keys were read again"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the issuer's keys were not read again; the old ones stay");
            }
        }
    }

    /// Asks in a task of its own: a request that is given up meanwhile must not take along what others need too.
    fn ask_beside(self: &Arc<Self>, mut asked: OwnedMutexGuard<Option<Instant>>) -> JoinHandle<()> {
        let issuer = Arc::clone(self);
        tokio::spawn(async move { issuer.ask_again(&mut asked).await })
    }

    /// Reads the keys again, unless that was done just now.
    async fn ask_again(&self, asked: &mut Option<Instant>) {
        let pause = match self.settings.keys {
            KeySource::File(_) => FRESH_FILE,
            KeySource::Url(_) => ASKED_EVERY,
        };
        if asked.is_none_or(|asked| asked.elapsed() >= pause)
            && let Err(error) = self.ask(asked).await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "the issuer's keys were not read again");
        }
    }

    /// Reads the keys again. The pause begins when that is over: one that began before would be over by the time that a
    /// silent URL is given up, and whoever waits would ask it next.
    async fn ask(&self, asked: &mut Option<Instant>) -> Result<(), KeysError> {
        let bytes = match &self.settings.keys {
            KeySource::File(path) => std::fs::read(path).map_err(KeysError::File),
            KeySource::Url(url) => self.fetch(url.clone()).await,
        };
        let now = Instant::now();
        *asked = Some(now);
        let keys = read(&bytes?, self.settings.algorithm)?;
        *self.known.write() = Known { keys, read: Some(now) };
        Ok(())
    }

    async fn fetch(&self, url: Url) -> Result<Vec<u8>, KeysError> {
        let sent = self.client.get(url).send().await;
        let mut response = sent.and_then(reqwest::Response::error_for_status).map_err(KeysError::Url)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(KeysError::Url)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > SIZE_MAX {
                return Err(KeysError::TooLarge);
            }
        }
        Ok(bytes)
    }
}

impl Known {
    /// The key of this id, where the keys were read within this time.
    fn find(&self, id: &str, age: Duration) -> Option<DecodingKey> {
        self.read.filter(|read| read.elapsed() < age)?;
        self.keys.iter().find(|(name, _)| name == id).map(|(_, key)| key.clone())
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The keys of a set that are for this algorithm and have an id. Others are passed over: a set may hold any.
fn read(bytes: &[u8], algorithm: TokenAlgorithm) -> Result<Arc<[(String, DecodingKey)]>, KeysError> {
    let none = || KeysError::NoKeys(algorithm);
    let set: JwkSet = serde_json::from_slice(bytes).map_err(|_| none())?;
    let usable = set.keys.iter().filter(|key| algorithm.takes(key));
    let keys: Arc<[_]> = usable
        .filter_map(|key| Some((key.common.key_id.clone()?, DecodingKey::from_jwk(key).ok()?)))
        .collect();
    if keys.is_empty() { Err(none()) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_a_file_or_a_url_that_nobody_can_change_on_the_way() {
        for text in ["keys.json", "/etc/keys.json", "https://issuer.example/keys", "http://127.0.0.1:80/k"] {
            assert!(text.parse::<KeySource>().is_ok(), "{text}");
        }
        for host in ["LOCALHOST", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(format!("http://{host}:80/k").parse::<KeySource>().is_ok(), "{host}");
        }
        for text in ["http://issuer.example/keys", "ftp://127.0.0.1/", "https://", "file:///etc/keys.json"] {
            assert!(text.parse::<KeySource>().is_err(), "{text}");
        }
        for host in ["localhost.example", "127.0.0.1.example", "192.0.2.1", "[::2]"] {
            assert!(format!("http://{host}/k").parse::<KeySource>().is_err(), "{host}");
        }
    }

    #[test]
    fn of_a_set_only_the_keys_for_the_algorithm_are_taken() {
        let ed =
            r#"{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let hmac = r#"{"kty":"oct","kid":"hmac","k":"c2VjcmV0","alg":"HS256"}"#;
        let nameless = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let secret = r#"{"kty":"OKP","crv":"Ed25519","kid":"e","use":"enc","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let set = format!(r#"{{"keys":[{hmac},{nameless},{secret},{ed}]}}"#);
        let names = |algorithm| {
            let keys = read(set.as_bytes(), algorithm).ok()?;
            Some(keys.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>())
        };
        assert_eq!(names(TokenAlgorithm::EdDsa), Some(vec!["ed".to_owned()]));
        assert_eq!(names(TokenAlgorithm::Es256), None);
        assert!(read(b"[]", TokenAlgorithm::EdDsa).is_err() && read(b"{", TokenAlgorithm::EdDsa).is_err());
    }
}
