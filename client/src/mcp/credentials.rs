//! How a service says who it is, where it has no key: with a signed token, with a certificate, or with both.
//!
//! A token is read from a file or from what a command prints, kept as long as it is good, and read again before it
//! expires and when the server no longer takes it. So whatever renews it needs to know nothing of this program.

use std::{
    borrow::Cow,
    collections::VecDeque,
    fmt,
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use data_encoding::BASE64URL_NOPAD;
use reqwest::{Certificate, Identity, header::HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use super::McpError;

/// How long before its end a token is replaced.
const BEFORE_ITS_END: Duration = Duration::from_secs(30);

/// How long a token is kept that does not say when it ends.
const KEPT: Duration = Duration::from_secs(60);

/// How long a command may take to print a token.
#[cfg(unix)]
const PRINTED_WITHIN: Duration = Duration::from_secs(10);

/// How many tokens are known again where a server repeats them: one that was replaced may still be in an answer.
const REMEMBERED: usize = 8;

/// What stands for a token.
const HIDDEN: &str = "[token hidden]";

/// Longest token, in bytes.
const LENGTH_MAX: usize = 16 * 1024;

/// What a connection shows of itself beside, or instead of, a key.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Where its token comes from.
    pub token: Option<Arc<TokenSource>>,
    /// Its certificate.
    pub certificate: Option<ClientCertificate>,
    /// The roots that the server's certificate must lead to, instead of those of the machine.
    pub roots: Option<Roots>,
}

/// A certificate with its private key.
#[derive(Clone)]
pub struct ClientCertificate(pub(super) Identity);

/// Certificates of authorities.
#[derive(Clone)]
pub struct Roots(pub(super) Vec<Certificate>);

/// The text holds no certificate, or no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotPem(&'static str);

impl ClientCertificate {
    /// A certificate, and those that lead to its root, and its private key, in PEM.
    ///
    /// # Errors
    /// [`NotPem`].
    pub fn from_pem(certificate: &[u8], key: &SecretString) -> Result<Self, NotPem> {
        let mut both = certificate.to_vec();
        both.push(b'\n');
        both.extend_from_slice(key.expose_secret().as_bytes());
        let identity = Identity::from_pem(&both);
        identity.map(Self).map_err(|_| NotPem("must hold a certificate and its private key, in PEM"))
    }
}

impl Roots {
    /// Certificates of authorities, in PEM.
    ///
    /// # Errors
    /// [`NotPem`].
    pub fn from_pem(certificates: &[u8]) -> Result<Self, NotPem> {
        match Certificate::from_pem_bundle(certificates) {
            Ok(roots) if !roots.is_empty() => Ok(Self(roots)),
            _ => Err(NotPem("must hold certificates of authorities, in PEM")),
        }
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(..)")
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.0.len())
    }
}

/// Where tokens come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenOrigin {
    /// What is in a file.
    File(PathBuf),
    /// What a command of the shell prints.
    Command(String),
}

/// A source of tokens, and the one that is good now.
pub struct TokenSource {
    origin: TokenOrigin,
    current: Arc<Mutex<Option<Current>>>,
    /// Beside `current`, which is locked while a token is read.
    sent: Sent,
}

/// The latest tokens.
#[derive(Clone, Default)]
struct Sent(Arc<std::sync::Mutex<VecDeque<SecretString>>>);

struct Current {
    token: HeaderValue,
    until: Instant,
}

/// Why there is no token. What was found instead is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the token cannot be read: {0}")]
pub(super) struct NoToken(String);

impl From<NoToken> for McpError {
    fn from(error: NoToken) -> Self {
        Self::NoCredentials(error.to_string())
    }
}

impl TokenSource {
    /// A source; nothing is read yet.
    #[must_use]
    pub fn new(origin: TokenOrigin) -> Self {
        Self { origin, current: Arc::default(), sent: Sent::default() }
    }

    /// Reads a token where none is at hand: whoever wants to know before anything is sent learns whether there is one.
    ///
    /// # Errors
    /// [`McpError::NoCredentials`].
    pub async fn make_ready(&self) -> Result<(), McpError> {
        self.bearer(None).await?;
        Ok(())
    }

    /// The value of `Authorization`, as fresh as it must be. `refused` is the value that the server did not take. A caller
    /// that no longer waits leaves the token that is being read to the next one.
    pub(super) async fn bearer(&self, refused: Option<&HeaderValue>) -> Result<HeaderValue, NoToken> {
        let mut current = Arc::clone(&self.current).lock_owned().await;
        if let Some(known) = current.as_ref()
            && known.until > Instant::now()
            && refused != Some(&known.token)
        {
            return Ok(known.token.clone());
        }
        let (origin, sent) = (self.origin.clone(), self.sent.clone());
        let reading = tokio::spawn(async move {
            let text = SecretString::from(origin.read().await?.trim());
            let fresh = Current::of(&text)?;
            let token = fresh.token.clone();
            sent.remember(text);
            *current = Some(fresh);
            Ok::<_, NoToken>(token)
        });
        reading.await.unwrap_or_else(|_| Err(NoToken("reading it was broken off".to_owned())))
    }

    /// `text` without the token, wherever it repeats it, nor one that was replaced lately.
    pub(super) fn hide<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        let sent = self.sent.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().map(ExposeSecret::expose_secret).fold(text, |text, token| {
            if text.contains(token) { Cow::Owned(text.replace(token, HIDDEN)) } else { text }
        })
    }
}

impl TokenOrigin {
    async fn read(&self) -> Result<String, NoToken> {
        match self {
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|error| NoToken(format!("{}: {error}", path.display())))
            }
            Self::Command(command) => printed(command).await,
        }
    }
}

impl Sent {
    fn remember(&self, token: SecretString) {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.retain(|known| known.expose_secret() != token.expose_secret());
        sent.push_front(token);
        sent.truncate(REMEMBERED);
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Current {
    fn of(text: &SecretString) -> Result<Self, NoToken> {
        let token = text.expose_secret();
        if token.is_empty() || token.len() > LENGTH_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(NoToken("there is something else in its place".to_owned()));
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| NoToken("it cannot be sent in a header".to_owned()))?;
        value.set_sensitive(true);
        let left = expires_in(token).map_or(KEPT, |left| left.saturating_sub(BEFORE_ITS_END));
        Ok(Self { until: Instant::now() + left, token: value })
    }
}

/// What a command prints, which must come in time.
#[cfg(unix)]
async fn printed(command: &str) -> Result<String, NoToken> {
    use std::process::Stdio;
    let mut shell = tokio::process::Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = tokio::time::timeout(PRINTED_WITHIN, shell.output()).await;
    let output = output.map_err(|_| NoToken("the command takes too long".to_owned()))?;
    let output = output.map_err(|error| NoToken(format!("the command does not start: {error}")))?;
    if !output.status.success() {
        return Err(NoToken(format!("the command failed ({})", output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| NoToken("the command printed no text".to_owned()))
}

/// There is no shell that could be counted on.
#[cfg(not(unix))]
async fn printed(_command: &str) -> Result<String, NoToken> {
    Err(NoToken("commands are run on Unix only; use a file".to_owned()))
}

/// How long a token that says so is good for. Whether it is good at all is for the server to say.
fn expires_in(token: &str) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Claims {
        exp: u64,
    }
    let payload = BASE64URL_NOPAD.decode(token.split('.').nth(1)?.as_bytes()).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(Duration::from_secs(claims.exp.min(u64::from(u32::MAX))).saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("eyJhbGciOiJFZERTQSJ9.{}.c2lnbmF0dXJl", BASE64URL_NOPAD.encode(claims.as_bytes()))
    }

    #[tokio::test]
    async fn a_token_is_kept_while_it_is_good_and_read_again_when_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let write = |claims: &str| std::fs::write(&path, token(claims) + "\n").unwrap();
        write(r#"{"exp":4000000000,"n":1}"#);
        let source = TokenSource::new(TokenOrigin::File(path.clone()));
        let first = source.bearer(None).await.unwrap();
        write(r#"{"exp":4000000000,"n":2}"#);
        assert_eq!(source.bearer(None).await.unwrap(), first);
        let second = source.bearer(Some(&first)).await.unwrap();
        assert_ne!(second, first);
        assert!(second.is_sensitive() && !format!("{source:?} {second:?}").contains("eyJ"));
        // Both are hidden, also while another one is read.
        let renewing = source.current.lock().await;
        for number in [1, 2] {
            let echoed = format!("no: {}!", token(&format!(r#"{{"exp":4000000000,"n":{number}}}"#)));
            assert_eq!(source.hide(echoed.into()), "no: [token hidden]!");
        }
        drop(renewing);
        // One that is about to end is not kept.
        write(r#"{"exp":1000000000}"#);
        source.bearer(Some(&second)).await.unwrap();
        write(r#"{"exp":4000000000,"n":3}"#);
        let third = source.bearer(None).await.unwrap();
        std::fs::write(&path, "two words").unwrap();
        let error = source.bearer(Some(&third)).await.unwrap_err().to_string();
        assert!(error.contains("something else") && !error.contains("words"), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_command_prints_the_token_or_says_why_not() {
        let of = |command: &str| TokenSource::new(TokenOrigin::Command(command.to_owned()));
        assert_eq!(of("printf abc.def.ghi").bearer(None).await.unwrap(), "Bearer abc.def.ghi");
        let error = of("echo secret; exit 3").bearer(None).await.unwrap_err().to_string();
        assert!(error.contains("failed") && !error.contains("secret"), "{error}");
    }
}
