//! Sealing what a client carries for us: it can neither read nor change it, nor use it for anything else than what it
//! was sealed for.
//!
//! A seal is XChaCha20-Poly1305 over the payload; purpose, key id and everything that the payload is bound to are
//! authenticated with it. On the wire it is base64url: version, key id, nonce, ciphertext.

use std::{sync::Arc, time::Duration};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use data_encoding::BASE64URL_NOPAD;
use parking_lot::RwLock;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::{clock::UnixMillis, identity::Pepper, store::SealingKey};

/// The only form there is yet.
const VERSION: u8 = 1;
const HEAD: usize = 1 + 4;
const NONCE: usize = 24;

/// How old a key is before it seals: by then every server on the store has it and can open what it sealed.
const SEALS_AFTER: Duration = Duration::from_secs(60);

/// A seal longer than this is not taken back, in characters.
pub(super) const SEAL_MAX: usize = 64 * 1024;

/// What a seal is for. One for one purpose is worth nothing for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Where the next page starts.
    Cursor,
    /// What a request of several rounds has come to.
    RequestState,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Cursor => "cursor",
            Self::RequestState => "request state",
        }
    }
}

/// Seals and opens. Servers that share keys and pepper open each other's seals. Clones share the keys.
#[derive(Clone)]
pub struct Sealing(Arc<RwLock<Vec<Key>>>);

/// A key that seals and opens.
#[derive(Clone)]
struct Key {
    id: u32,
    made_at: UnixMillis,
    cipher: XChaCha20Poly1305,
}

/// What was sealed.
pub(super) struct Opened {
    pub(super) payload: Vec<u8>,
    /// Never the same for two seals.
    pub(super) nonce: [u8; NONCE],
}

impl Sealing {
    /// Opens with all of `keys`, the newest first, and seals with the newest that every server knows by now.
    #[must_use]
    pub fn new(keys: &[SealingKey], pepper: &Pepper) -> Self {
        Self(Arc::new(RwLock::new(derived(keys, pepper))))
    }

    /// Goes on with these keys, the newest first.
    pub fn renew(&self, keys: &[SealingKey], pepper: &Pepper) {
        // A store that lost its last moment may give a number again, to another key.
        let known = |key: &Key| (key.id, key.made_at);
        let is_same = self.0.read().iter().map(known).eq(keys.iter().map(|key| (key.id, key.made_at)));
        if !is_same {
            *self.0.write() = derived(keys, pepper);
        }
    }

    /// Seals with a key that nobody else has and that dies with it.
    pub(super) fn of_its_own() -> Result<Self, getrandom::Error> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret)?;
        Ok(Self::new(&[SealingKey::new(1, UnixMillis::now(), *secret)], &Pepper::generate()?))
    }

    /// Seals `payload` for `purpose`, bound to `bound_to`.
    ///
    /// # Errors
    /// When the operating system has no randomness to give, or there is no key.
    pub(super) fn seal(
        &self,
        purpose: Purpose,
        bound_to: &[u8],
        payload: &[u8],
    ) -> Result<String, getrandom::Error> {
        let Key { id, cipher, .. } =
            self.sealing_at(UnixMillis::now()).ok_or(getrandom::Error::UNSUPPORTED)?;
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce)?;
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&id.to_be_bytes());
        let aad = authenticated(purpose, &sealed, bound_to);
        let ciphertext = cipher.encrypt(&XNonce::from(nonce), Payload { msg: payload, aad: &aad });
        let ciphertext = ciphertext.map_err(|_too_long| getrandom::Error::UNSUPPORTED)?;
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(BASE64URL_NOPAD.encode(&sealed))
    }

    /// The key to seal with: the newest that is old enough, else the oldest.
    fn sealing_at(&self, now: UnixMillis) -> Option<Key> {
        let keys = self.0.read();
        keys.iter().find(|key| key.made_at.plus(SEALS_AFTER) <= now).or(keys.last()).cloned()
    }

    /// What was sealed for `purpose` and bound to `bound_to`. `None` for everything else; why is not told.
    pub(super) fn open(&self, purpose: Purpose, bound_to: &[u8], seal: &str) -> Option<Opened> {
        if seal.len() > SEAL_MAX {
            return None;
        }
        let sealed = BASE64URL_NOPAD.decode(seal.as_bytes()).ok()?;
        let (head, rest) = sealed.split_first_chunk::<HEAD>()?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>()?;
        let (version, id) = head.split_first()?;
        let id = u32::from_be_bytes(id.try_into().ok()?);
        let keys = self.0.read();
        let key = keys.iter().find(|key| key.id == id && *version == VERSION)?;
        let aad = authenticated(purpose, head, bound_to);
        let payload =
            key.cipher.decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: &aad }).ok()?;
        Some(Opened { payload, nonce: *nonce })
    }
}

fn derived(keys: &[SealingKey], pepper: &Pepper) -> Vec<Key> {
    let derived = keys.iter().map(|key| {
        let own = Zeroizing::new(pepper.derive("sealing", key.secret.expose_secret()));
        let cipher = XChaCha20Poly1305::new((&*own).into());
        Key { id: key.id, made_at: key.made_at, cipher }
    });
    derived.collect()
}

fn authenticated(purpose: Purpose, head: &[u8], bound_to: &[u8]) -> Vec<u8> {
    [head, purpose.as_str().as_bytes(), &[0], bound_to].concat()
}

impl std::fmt::Debug for Sealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealing(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealing(ids: &[u32]) -> Sealing {
        let pepper = Pepper::from_secret(&"a pepper for the tests, long enough".into());
        let keys: Vec<_> =
            ids.iter().map(|id| SealingKey::new(*id, UnixMillis::from_millis(0), [7; 32])).collect();
        Sealing::new(&keys, &pepper)
    }

    fn opened(sealing: &Sealing, purpose: Purpose, bound_to: &[u8], seal: &str) -> Option<Vec<u8>> {
        sealing.open(purpose, bound_to, seal).map(|opened| opened.payload)
    }

    #[test]
    fn what_was_sealed_is_opened_for_the_same_purpose_and_binding_only() {
        let one = sealing(&[1]);
        let seal = one.seal(Purpose::Cursor, b"bob", b"page 2").unwrap();
        assert!(!seal.contains("page"));
        assert_eq!(opened(&one, Purpose::Cursor, b"bob", &seal).unwrap(), b"page 2");
        assert_eq!(opened(&one, Purpose::Cursor, b"alice", &seal), None);
        assert_eq!(opened(&one, Purpose::RequestState, b"bob", &seal), None);
        assert_ne!(one.seal(Purpose::Cursor, b"bob", b"page 2").unwrap(), seal, "a nonce is used once");
    }

    #[test]
    fn every_change_of_a_single_character_is_noticed() {
        let one = sealing(&[1]);
        let seal = one.seal(Purpose::Cursor, b"bob", b"page 2").unwrap();
        for index in 0..seal.len() {
            let mut changed = seal.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(opened(&one, Purpose::Cursor, b"bob", &changed), None, "character {index}");
        }
        for wrong in ["", "AQ", "é", &seal[..seal.len() - 1], &format!("{seal}A"), &"A".repeat(SEAL_MAX + 1)]
        {
            assert_eq!(opened(&one, Purpose::Cursor, b"bob", wrong), None);
        }
    }

    #[test]
    fn an_older_key_still_opens_and_a_strange_one_never_did() {
        let old = sealing(&[1]).seal(Purpose::Cursor, b"", b"x").unwrap();
        assert!(sealing(&[2, 1]).open(Purpose::Cursor, b"", &old).is_some());
        assert!(sealing(&[2]).open(Purpose::Cursor, b"", &old).is_none());
        let new = sealing(&[2, 1]).seal(Purpose::Cursor, b"", b"x").unwrap();
        assert!(sealing(&[1]).open(Purpose::Cursor, b"", &new).is_none(), "it was sealed with the newest");
    }

    #[test]
    fn a_new_key_seals_when_all_servers_know_it_and_opens_from_the_first() {
        let pepper = Pepper::from_secret(&"a pepper for the tests, long enough".into());
        let key = |id, made| SealingKey::new(id, UnixMillis::from_millis(made), [7; 32]);
        let at = |sealing: &Sealing, ms| sealing.sealing_at(UnixMillis::from_millis(ms)).map(|key| key.id);
        let sealing = Sealing::new(&[key(1, 1_000_000)], &pepper);
        assert_eq!(at(&sealing, 1_000_001), Some(1), "the only one seals at once");
        let before = sealing.seal(Purpose::Cursor, b"", b"x").unwrap();
        sealing.clone().renew(&[key(2, 2_000_000), key(1, 1_000_000)], &pepper);
        assert_eq!((at(&sealing, 2_059_999), at(&sealing, 2_060_000)), (Some(1), Some(2)));
        assert_eq!(opened(&sealing, Purpose::Cursor, b"", &before).unwrap(), b"x");
        sealing.renew(&[key(2, 2_000_000)], &pepper);
        assert_eq!(opened(&sealing, Purpose::Cursor, b"", &before), None, "it is forgotten");
    }

    #[test]
    fn a_key_that_was_made_again_under_the_same_number_takes_the_place_of_the_lost_one() {
        let pepper = Pepper::from_secret(&"a pepper for the tests, long enough".into());
        let key = |made, secret| SealingKey::new(1, UnixMillis::from_millis(made), [secret; 32]);
        let knew_the_lost_one = Sealing::new(&[key(1_000, 7)], &pepper);
        let lost = knew_the_lost_one.seal(Purpose::Cursor, b"", b"x").unwrap();
        let seal = Sealing::new(&[key(2_000, 8)], &pepper).seal(Purpose::Cursor, b"", b"y").unwrap();
        knew_the_lost_one.renew(&[key(2_000, 8)], &pepper);
        assert_eq!(opened(&knew_the_lost_one, Purpose::Cursor, b"", &seal).unwrap(), b"y");
        assert_eq!(opened(&knew_the_lost_one, Purpose::Cursor, b"", &lost), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_refused_without_a_panic(text in ".*") {
            proptest::prop_assert!(sealing(&[1]).open(Purpose::Cursor, b"", &text).is_none());
        }
    }
}
