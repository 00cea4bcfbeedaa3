//! A key as it is presented, and the digest that is all we keep of it.
//!
//! A live key reads `mcpay_live_<id>_<secret><checksum>`: letters and digits, the secret at least 27 characters (160
//! bits) and the checksum the CRC-32 (IEEE) of everything before it, as six digits of base 62 (`0-9A-Za-z`). The
//! checksum is no protection: it lets a mistyped or cut key be refused without asking the store, and leaked keys be
//! found by a scanner. A demo key that this program makes reads `mcpay_demo_...` and is built the same way; the two
//! published ones of the workshop are whatever an operator sets and need not carry a checksum.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{ServiceName, token::Token};
use crate::store::{KeyDigest, KeyId, KeyMode};

const LIVE_PREFIX: &str = "mcpay_live_";
const DEMO_PREFIX: &str = "mcpay_demo_";
const CHECKSUM_LENGTH: usize = 6;
const ID_LENGTH: usize = 7;
const SECRET_LENGTH: usize = 32;
const SECRET_LENGTH_MIN: usize = 27;
const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key as it was presented: a secret. It cannot be printed or serialised, and its memory is wiped when it is dropped.
pub struct ApiKey(SecretString);

/// The text cannot be a key. Which rule it broke is not said, so that the text is never described in an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is 8 to 256 visible ASCII characters and no token, and a live key ends with its checksum")]
pub struct MalformedKey;

impl ApiKey {
    /// How every key begins that this program makes.
    pub const PREFIX: &str = "mcpay_";

    /// Takes a key: 8 to 256 visible ASCII characters that are not made like a token, as which they would be read. One that
    /// claims to be a live key must be whole.
    ///
    /// # Errors
    /// [`MalformedKey`] for anything else.
    pub fn new(text: impl Into<SecretString>) -> Result<Self, MalformedKey> {
        let secret = text.into();
        let text = secret.expose_secret();
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        let whole = text.strip_prefix(LIVE_PREFIX).is_none_or(|rest| is_whole(text, rest));
        let is_key = visible && (8..=256).contains(&text.len()) && whole && !Token::is_made_like_one(text);
        if is_key { Ok(Self(secret)) } else { Err(MalformedKey) }
    }

    /// A fresh key, and the public id that is in it: 40 random bits of id, 190 of secret.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate(mode: KeyMode) -> Result<(KeyId, Self), getrandom::Error> {
        let prefix = match mode {
            KeyMode::Demo => DEMO_PREFIX,
            KeyMode::Live => LIVE_PREFIX,
        };
        let id = random_digits(ID_LENGTH)?;
        let secret = Zeroizing::new(random_digits(SECRET_LENGTH)?);
        let mut text = Zeroizing::new(format!("{prefix}{id}_{}", *secret));
        let checksum = checksum(text.as_bytes());
        text.extend(checksum.iter().copied().map(char::from));
        Ok((KeyId(id), Self(SecretString::from(text.as_str()))))
    }

    /// Whether there is a key in a text, as this program makes them or publishes them.
    #[must_use]
    pub fn is_in(text: &str) -> bool {
        [LIVE_PREFIX, DEMO_PREFIX].into_iter().flat_map(|prefix| text.split(prefix).skip(1)).any(|rest| {
            let Some((id, rest)) = rest.split_once('_') else { return false };
            let secret = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
            !id.is_empty()
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && secret >= SECRET_LENGTH_MIN
        })
    }

    /// The key itself, to be shown once to whoever asked for it and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether both are the same key, in a time that does not tell how much of them is.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.0.expose_secret().as_bytes().ct_eq(other.0.expose_secret().as_bytes()).into()
    }

    /// Its last four characters, by which its owner recognises it in a list.
    #[must_use]
    pub fn last_four(&self) -> &str {
        let text = self.0.expose_secret();
        text.len().checked_sub(4).and_then(|start| text.get(start..)).unwrap_or_default()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

/// So many random digits of base 62, each as likely as the others.
fn random_digits(count: usize) -> Result<String, getrandom::Error> {
    let mut digits = String::with_capacity(count);
    while digits.len() < count {
        let mut bytes = Zeroizing::new([0; 64]);
        getrandom::fill(&mut *bytes)?;
        // 248 is the largest multiple of 62 that fits: what is above it would favour the first digits.
        let fair = bytes.iter().filter(|byte| **byte < 248).map(|byte| usize::from(*byte) % BASE_62.len());
        let wanted = count.saturating_sub(digits.len());
        digits.extend(fair.filter_map(|index| BASE_62.get(index)).take(wanted).copied().map(char::from));
    }
    Ok(digits)
}

/// Whether `rest`, the part of `text` after the prefix, is an id and a secret whose checksum holds.
fn is_whole(text: &str, rest: &str) -> bool {
    let Some((id, tail)) = rest.split_once('_') else { return false };
    let alphanumeric = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !alphanumeric(id) || !alphanumeric(tail) || tail.len() < SECRET_LENGTH_MIN + CHECKSUM_LENGTH {
        return false;
    }
    text.split_at_checked(text.len().saturating_sub(CHECKSUM_LENGTH))
        .is_some_and(|(body, claimed)| checksum(body.as_bytes()).as_slice() == claimed.as_bytes())
}

/// CRC-32 of `body` as six digits of base 62, most significant first.
fn checksum(body: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let mut rest = crc_32(body);
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        let index = usize::try_from(rest % 62).unwrap_or_default();
        *digit = BASE_62.get(index).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits
}

/// CRC-32 as in IEEE 802.3, a bit at a time: keys are short.
fn crc_32(bytes: &[u8]) -> u32 {
    let register = bytes.iter().fold(u32::MAX, |register, byte| {
        (0..8).fold(register ^ u32::from(*byte), |register, _| {
            (register >> 1) ^ (0xEDB8_8320 & (register & 1).wrapping_neg())
        })
    });
    !register
}

/// The server's own secret that every key is digested under, so that a stolen database alone tells nothing about keys.
///
/// Keys that were stored under one pepper are unknown under another: keep it, and keep it apart from the database.
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

impl Pepper {
    /// The pepper that this secret stands for; the same secret always gives the same pepper.
    #[must_use]
    pub fn from_secret(secret: &SecretString) -> Self {
        Self::from_digest(&Zeroizing::new(Sha256::digest(secret.expose_secret()).into()))
    }

    /// A fresh random pepper, for a store that does not outlive the process.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes)?;
        Ok(Self::from_digest(&bytes))
    }

    /// HMAC-SHA256 of the key under this pepper.
    #[must_use]
    pub fn digest(&self, key: &ApiKey) -> KeyDigest {
        KeyDigest(self.0.clone().chain_update(key.0.expose_secret()).finalize().into_bytes().into())
    }

    /// HMAC-SHA256 of the name of a service under this pepper: what is kept of it in the place of a key. No key has a
    /// zero byte in it, so no key reads like one.
    #[must_use]
    pub fn digest_of_service(&self, service: &ServiceName) -> KeyDigest {
        let (kind, first, second) = match service {
            ServiceName::Token { issuer, subject } => ("token", issuer.as_str(), subject.as_str()),
            ServiceName::Certificate(name) => ("certificate", name.as_str(), ""),
        };
        let mut mac = self.0.clone();
        for part in ["\0service", kind, first, second] {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part.as_bytes());
        }
        KeyDigest(mac.finalize().into_bytes().into())
    }

    /// What this pepper is recognised by. Neither it nor any digest can be had from that.
    #[must_use]
    pub fn mark(&self) -> [u8; 32] {
        self.0.clone().chain_update("\0mark").finalize().into_bytes().into()
    }

    /// A key of its own for one purpose, out of a secret that several servers share. Neither the secret nor the pepper
    /// alone gives it.
    #[must_use]
    pub fn derive(&self, purpose: &str, secret: &[u8; 32]) -> [u8; 32] {
        self.0
            .clone()
            .chain_update(purpose)
            .chain_update([0])
            .chain_update(secret)
            .finalize()
            .into_bytes()
            .into()
    }

    /// HMAC pads a short key with zeros to its block of 64 bytes; doing so here leaves nothing that can fail.
    fn from_digest(digest: &[u8; 32]) -> Self {
        let mut block = Zeroizing::new([0; 64]);
        for (padded, byte) in block.iter_mut().zip(digest) {
            *padded = *byte;
        }
        Self(Hmac::new((&*block).into()))
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "mcpay_live_k7_0123456789abcdefghijklmnopqrstuv";

    fn live_key() -> String {
        format!("{BODY}{}", str::from_utf8(&checksum(BODY.as_bytes())).unwrap())
    }

    #[test]
    fn the_checksum_is_the_well_known_crc_in_base_62() {
        assert_eq!(crc_32(b"123456789"), 0xCBF4_3926);
        assert_eq!(&checksum(b"123456789"), b"3jZRME");
    }

    #[test]
    fn a_live_key_is_taken_only_when_its_checksum_holds() {
        let key = live_key();
        assert!(ApiKey::new(key.as_str()).is_ok());
        for index in 0..key.len() {
            let mut broken = key.clone().into_bytes();
            broken[index] = if broken[index] == b'x' { b'y' } else { b'x' };
            let broken = String::from_utf8(broken).unwrap();
            assert_eq!(
                ApiKey::new(broken.as_str()).is_ok(),
                !broken.starts_with(LIVE_PREFIX),
                "{broken} differs in one character"
            );
        }
        for cut in [&key[..key.len() - 1], "mcpay_live_", "mcpay_live_k7", "mcpay_live_k7_short"] {
            assert!(ApiKey::new(cut).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_fresh_key_is_whole_and_names_its_id() {
        for (mode, prefix) in [(KeyMode::Live, "mcpay_live_"), (KeyMode::Demo, "mcpay_demo_")] {
            let (id, key) = ApiKey::generate(mode).unwrap();
            let (_, other) = ApiKey::generate(mode).unwrap();
            assert!(!key.is_same_as(&other));
            assert!(key.expose().starts_with(&format!("{prefix}{}_", id.0)), "{id:?}");
            assert!(is_whole(key.expose(), key.expose().strip_prefix(prefix).unwrap()));
            assert!(ApiKey::new(key.expose()).unwrap().is_same_as(&key));
        }
    }

    #[test]
    fn any_other_key_is_any_visible_ascii_of_a_sensible_length() {
        for (text, taken) in [
            ("1234567", false),
            ("12345678", true),
            (shared::demo::BOB_API_KEY, true),
            ("eyJhbGciOiJFZERTQSJ9.e30.c2ln", false),
            ("eyJhbGciOiJFZERTQSJ9.e30", true),
            ("with space", false),
            ("späte-schlüssel", false),
            ("tab\tseparated", false),
        ] {
            assert_eq!(ApiKey::new(text).is_ok(), taken, "{text}");
        }
        assert!(ApiKey::new("k".repeat(256)).is_ok());
        assert!(ApiKey::new("k".repeat(257)).is_err());
    }

    #[test]
    fn a_key_is_found_in_a_text() {
        let (_, fresh) = ApiKey::generate(KeyMode::Live).unwrap();
        for text in [fresh.expose(), &format!("my key is {}!", fresh.expose()), shared::demo::BOB_API_KEY] {
            assert!(ApiKey::is_in(text), "{text}");
        }
        for text in
            ["", "mcpay_live_", "mcpay_live_id_short", "a key of mcpay_demo_ kind", "getAccountBalance"]
        {
            assert!(!ApiKey::is_in(text), "{text}");
        }
    }

    // What would let a key be printed, copied or written somewhere is not there, and that does not compile otherwise.
    static_assertions::assert_not_impl_any!(ApiKey: fmt::Display, fmt::LowerHex, Clone, Copy, AsRef<str>);
    static_assertions::assert_not_impl_any!(ApiKey: serde::Serialize, PartialEq, Into<String>);
    static_assertions::assert_not_impl_any!(Pepper: fmt::Display, serde::Serialize, PartialEq);
    static_assertions::assert_not_impl_any!(SecretString: fmt::Display, serde::Serialize, PartialEq);
    static_assertions::assert_impl_all!(SecretString: zeroize::ZeroizeOnDrop);

    #[test]
    fn neither_key_nor_pepper_can_be_printed() {
        let key = ApiKey::new("a-very-secret-key").unwrap();
        let pepper = Pepper::from_secret(&SecretString::from("a-very-secret-pepper"));
        let shown = format!("{key:?} {pepper:?} {:?}", pepper.digest(&key));
        assert_eq!(shown, "ApiKey(..) Pepper(..) KeyDigest(..)");
        assert_eq!(key.last_four(), "-key");
        assert!(key.is_same_as(&ApiKey::new("a-very-secret-key").unwrap()));
        assert!(!key.is_same_as(&ApiKey::new("a-very-secret-kez").unwrap()));
    }

    #[test]
    fn the_digest_is_hmac_sha_256_under_the_pepper() {
        // RFC 4231 hashes with the bare secret; ours is hashed first, so the check is against the definition.
        let key = ApiKey::new("12345678").unwrap();
        let pepper = Pepper::from_secret(&SecretString::from("pepper"));
        let inner_key = Sha256::digest("pepper");
        let by_definition = Hmac::<Sha256>::new_from_slice(&inner_key).unwrap().chain_update("12345678");
        assert_eq!(pepper.digest(&key).0, <[u8; 32]>::from(by_definition.finalize().into_bytes()));
        assert_ne!(pepper.digest(&key), Pepper::generate().unwrap().digest(&key));
    }
}
