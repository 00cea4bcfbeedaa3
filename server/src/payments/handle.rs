//! Handles: what the server calls a payment or a batch. Opaque, random, and checked before anything is looked up.
//!
//! A handle begins with when it was made, so that those of a day are neighbours in an index, and what is made at the same
//! time changes few of its pages. The rest, 80 bits, nobody can guess; and whoever did would not be its owner.

use data_encoding::{Encoding, Specification};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

use super::card;
use crate::{
    clock::UnixMillis,
    store::{BatchId, PaymentId, StoreError},
};

/// How many bytes of a handle say when it was made and make it unique, and how many check it.
const NUMBER: usize = 15;
const CHECK: usize = 5;

/// How many bytes of the number are the time, in steps of 16 ms since 1970; they last until the year 2527.
const TIME: usize = 5;

/// Lower-case Crockford base 32: no letter that is mistaken for another.
static BASE32: LazyLock<Option<Encoding>> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    specification.encoding().ok()
});

const PAYMENT: &str = "pay_";
const BATCH: &str = "batch_";

/// What a text is the handle of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handle {
    /// One payment.
    Payment(PaymentId),
    /// Several that belong together.
    Batch(BatchId),
}

impl Handle {
    /// Reads a handle. `None` for what the server never made: whatever is mistyped fails its check.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix(PAYMENT) {
            return is_whole(PAYMENT, rest).then(|| Self::Payment(PaymentId(text.to_owned())));
        }
        let rest = text.strip_prefix(BATCH)?;
        is_whole(BATCH, rest).then(|| Self::Batch(BatchId(text.to_owned())))
    }

    /// Reads the handle of a payment.
    #[must_use]
    pub fn payment(text: &str) -> Option<PaymentId> {
        match Self::parse(text)? {
            Self::Payment(id) => Some(id),
            Self::Batch(_) => None,
        }
    }
}

/// A new handle for a payment.
pub(super) fn payment(now: UnixMillis) -> Result<PaymentId, StoreError> {
    mint(PAYMENT, now).map(PaymentId)
}

/// A new handle for a batch.
pub(super) fn batch(now: UnixMillis) -> Result<BatchId, StoreError> {
    mint(BATCH, now).map(BatchId)
}

/// Draws again where what it drew would be taken for a card number, and refused when it comes back.
fn mint(prefix: &str, now: UnixMillis) -> Result<String, StoreError> {
    loop {
        let handle = draw(prefix, now)?;
        if !card::is_in(&handle) {
            return Ok(handle);
        }
    }
}

fn draw(prefix: &str, now: UnixMillis) -> Result<String, StoreError> {
    let no_randomness = || StoreError::Unavailable { reason: "make a handle".to_owned(), source: None };
    let mut number = [0; NUMBER];
    getrandom::fill(&mut number).map_err(|_| no_randomness())?;
    let time = (now.as_millis() >> 4).to_be_bytes();
    for (byte, time) in number.iter_mut().zip(time.iter().skip(time.len() - TIME)) {
        *byte = *time;
    }
    let mut bytes = number.to_vec();
    bytes.extend_from_slice(&check(prefix, &number));
    let encoding = BASE32.as_ref().ok_or_else(no_randomness)?;
    Ok(format!("{prefix}{}", encoding.encode(&bytes)))
}

fn is_whole(prefix: &str, rest: &str) -> bool {
    let Some(bytes) = BASE32.as_ref().and_then(|encoding| encoding.decode(rest.as_bytes()).ok()) else {
        return false;
    };
    match bytes.split_at_checked(NUMBER) {
        Some((number, checked)) => checked == check(prefix, number),
        None => false,
    }
}

fn check(prefix: &str, number: &[u8]) -> [u8; CHECK] {
    let mut hash = Sha256::new();
    hash.update(prefix);
    hash.update(number);
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_reads_back_and_a_changed_one_does_not() {
        let id = payment(UnixMillis::now()).unwrap();
        assert_eq!(Handle::payment(&id.0), Some(id.clone()));
        for at in PAYMENT.len()..id.0.len() {
            let mut changed = id.0.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(Handle::payment(&String::from_utf8(changed).unwrap()), None);
        }
        let batch = batch(UnixMillis::now()).unwrap();
        assert_eq!(Handle::parse(&batch.0), Some(Handle::Batch(batch.clone())));
        let renamed = batch.0.replace(BATCH, PAYMENT);
        assert_eq!(Handle::parse(&renamed), None);
        for text in ["", "pay_", "pay_1", "1", "batch_", &id.0.to_uppercase(), &format!("{} ", id.0)] {
            assert_eq!(Handle::parse(text), None, "{text}");
        }
    }

    #[test]
    fn no_handle_is_taken_for_a_card() {
        // A time that is written with digits alone, so that a few more make a card number.
        let digits = BASE32.as_ref().unwrap().decode(b"41111111").unwrap();
        let time = digits.iter().fold(0, |time, byte| time << 8 | i64::from(*byte)) << 4;
        for _ in 0..30_000 {
            let id = payment(UnixMillis::from_millis(time)).unwrap();
            assert!(id.0.starts_with("pay_41111111") && !card::is_in(&id.0), "{id}");
        }
    }

    #[test]
    fn handles_of_one_time_are_neighbours_and_differ() {
        let at = |millis| payment(UnixMillis::from_millis(millis)).unwrap();
        let (one, other, later) = (at(1_700_000_000_000), at(1_700_000_000_000), at(1_700_000_000_016));
        assert_ne!(one, other);
        assert_eq!(one.0.get(..12), other.0.get(..12));
        assert!(one.0 < later.0 && other.0 < later.0, "{one} {other} {later}");
        assert!(later.0 < at(UnixMillis::now().as_millis()).0);
    }
}
