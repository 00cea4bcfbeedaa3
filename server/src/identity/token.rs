//! A service's proof of who it is, in a signed token (RFC 7519, as in RFC 9068).
//!
//! Everything that decides is pinned by the server and not by the token: issuer, audience, algorithm, and which keys. A
//! token must say who it is for, when it begins and ends, and have an id; it lives no longer than an hour. Whoever
//! presents an id first is its only sender from then on: the same token from another address, or with another client
//! certificate, is a stolen one. A token that names a certificate (RFC 8705, `cnf`) is good with that certificate alone,
//! and a certificate whose time is over makes no sender.

use std::{fmt, sync::Arc, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Validation, decode, decode_header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{InvalidKey, Sender, ServiceName, certificate, issuer::Issuer};
use crate::clock::UnixMillis;

/// How far the clocks of issuer and server may be apart.
const LEEWAY: Duration = Duration::from_secs(10);

/// How long a token may live from now on.
const LIFE_MAX: Duration = Duration::from_secs(3_600);

/// Longest token, in bytes.
const LENGTH_MAX: usize = 8 * 1024;

/// A token as it was presented: a secret, as long as it lives.
pub(super) struct Token(SecretString);

impl Token {
    /// Takes what is made like a token: three parts with dots between them, of which the first begins like a JSON
    /// object. No key looks like that.
    pub(super) fn recognise(text: &str) -> Option<Self> {
        Self::is_made_like_one(text).then(|| Self(text.into()))
    }

    pub(super) fn is_made_like_one(text: &str) -> bool {
        text.starts_with("eyJ") && text.split('.').count() == 3
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What a token that holds proves.
#[derive(Debug)]
pub(super) struct Proven {
    issuer: String,
    subject: String,
    /// Names the token: a hash over issuer and `jti`.
    pub(super) id: [u8; 32],
    /// Names who sent it.
    pub(super) sender: [u8; 32],
    /// Until when both belong together.
    pub(super) until: UnixMillis,
    /// Until when it proves anything: as long, unless the sender's certificate ends before.
    pub(super) holds_until: UnixMillis,
}

impl Proven {
    /// Whose it is.
    pub(super) fn service(&self) -> ServiceName {
        ServiceName::Token { issuer: self.issuer.clone(), subject: self.subject.clone() }
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    jti: String,
    exp: u64,
    #[serde(default)]
    cnf: Option<Confirmation>,
}

/// To what a token is bound.
#[derive(Deserialize)]
struct Confirmation {
    #[serde(rename = "x5t#S256")]
    certificate: String,
}

/// Holds a token against its issuer.
///
/// # Errors
/// [`InvalidKey`] with the first rule that it breaks.
pub(super) async fn verify(
    token: &Token,
    issuer: &Arc<Issuer>,
    sender: Sender<'_>,
) -> Result<Proven, InvalidKey> {
    let text = token.0.expose_secret();
    if text.len() > LENGTH_MAX {
        return Err("token: too long".into());
    }
    let header = decode_header(text).map_err(|_| unreadable(text))?;
    let algorithm = issuer.settings.algorithm.algorithm();
    if header.alg != algorithm || header.crit.is_some() {
        return Err("token: algorithm".into());
    }
    let key = header.kid.as_deref().ok_or("token: no key id")?;
    let key = issuer.key(key).await.ok_or("token: unknown key id")?;
    let decoded = decode::<Claims>(text, &key, &rules(issuer)).map_err(|error| reason(error.kind()))?;
    let Claims { iss, sub, jti, exp, cnf } = decoded.claims;
    let now = UnixMillis::now();
    let certificate = sender.certificate.map(|der| certificate::in_time(der, now)).transpose()?;
    let until = i64::try_from(exp).ok().and_then(|exp| exp.checked_mul(1_000)).map(UnixMillis::from_millis);
    let until = until.filter(|until| *until <= now.plus(LIFE_MAX + LEEWAY)).ok_or("token: lives too long")?;
    if jti.is_empty() || sub.is_empty() {
        return Err("token: no id".into());
    }
    let thumbprint = sender.certificate.map(Sha256::digest);
    let presented = thumbprint.as_ref().map(|thumbprint| BASE64URL_NOPAD.encode(thumbprint));
    if cnf.is_some_and(|cnf| presented.as_deref() != Some(cnf.certificate.as_str())) {
        return Err("token: another's certificate".into());
    }
    let sent_by = match thumbprint {
        Some(thumbprint) => thumbprint.into(),
        None => Sha256::digest(sender.address.to_string()).into(),
    };
    let until = until.plus(LEEWAY);
    let ends = certificate.as_ref().map(certificate::until);
    let id = Sha256::new().chain_update(iss.len().to_be_bytes()).chain_update(&iss).chain_update(&jti);
    Ok(Proven {
        issuer: iss,
        subject: sub,
        id: id.finalize().into(),
        sender: sent_by,
        until,
        holds_until: ends.map_or(until, |ends| ends.min(until)),
    })
}

/// Why a header cannot be read: most often because it names an algorithm that is none.
fn unreadable(text: &str) -> &'static str {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
    }
    let header = text.split('.').next().and_then(|part| BASE64URL_NOPAD.decode(part.as_bytes()).ok());
    match header.and_then(|header| serde_json::from_slice::<Header>(&header).ok()) {
        Some(header) if header.alg.eq_ignore_ascii_case("none") => "token: unsigned",
        Some(_) => "token: algorithm",
        None => "token: malformed",
    }
}

fn rules(issuer: &Issuer) -> Validation {
    let mut rules = Validation::new(issuer.settings.algorithm.algorithm());
    rules.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    rules.set_issuer(&[&issuer.settings.issuer]);
    rules.set_audience(&[&issuer.settings.audience]);
    rules.leeway = LEEWAY.as_secs();
    rules.validate_nbf = true;
    rules
}

fn reason(error: &jsonwebtoken::errors::ErrorKind) -> &'static str {
    use jsonwebtoken::errors::ErrorKind;
    match error {
        ErrorKind::InvalidSignature => "token: signature",
        ErrorKind::ExpiredSignature => "token: expired",
        ErrorKind::ImmatureSignature => "token: not yet",
        ErrorKind::InvalidAudience => "token: audience",
        ErrorKind::InvalidIssuer => "token: issuer",
        ErrorKind::MissingRequiredClaim(_) => "token: a claim is missing",
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => "token: algorithm",
        _ => "token: malformed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_told_from_a_key() {
        assert!(Token::recognise("eyJhbGciOiJFZERTQSJ9.e30.c2ln").is_some());
        for text in ["mcpay_demo_bob_x", "eyJhbGciOiJFZERTQSJ9", "eyJ.a", "eyJ.a.b.c", "a.b.c", ""] {
            assert!(Token::recognise(text).is_none(), "{text}");
        }
    }
}
