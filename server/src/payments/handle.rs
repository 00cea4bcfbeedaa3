//! Handles: what the server calls a payment or a batch. Opaque, random, and checked before anything is looked up.

use data_encoding::{Encoding, Specification};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

use crate::store::{BatchId, PaymentId, StoreError};

/// How many random bytes a handle has, and how many check it.
const RANDOM: usize = 15;
const CHECK: usize = 5;

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
pub(super) fn payment() -> Result<PaymentId, StoreError> {
    mint(PAYMENT).map(PaymentId)
}

/// A new handle for a batch.
pub(super) fn batch() -> Result<BatchId, StoreError> {
    mint(BATCH).map(BatchId)
}

fn mint(prefix: &str) -> Result<String, StoreError> {
    let no_randomness = || StoreError::Unavailable { reason: "make a handle".to_owned(), source: None };
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random).map_err(|_| no_randomness())?;
    let mut bytes = random.to_vec();
    bytes.extend_from_slice(&check(prefix, &random));
    let encoding = BASE32.as_ref().ok_or_else(no_randomness)?;
    Ok(format!("{prefix}{}", encoding.encode(&bytes)))
}

fn is_whole(prefix: &str, rest: &str) -> bool {
    let Some(bytes) = BASE32.as_ref().and_then(|encoding| encoding.decode(rest.as_bytes()).ok()) else {
        return false;
    };
    match bytes.split_at_checked(RANDOM) {
        Some((random, checked)) => checked == check(prefix, random),
        None => false,
    }
}

fn check(prefix: &str, random: &[u8]) -> [u8; CHECK] {
    let mut hash = Sha256::new();
    hash.update(prefix);
    hash.update(random);
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_reads_back_and_a_changed_one_does_not() {
        let id = payment().unwrap();
        assert_eq!(Handle::payment(&id.0), Some(id.clone()));
        for at in PAYMENT.len()..id.0.len() {
            let mut changed = id.0.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(Handle::payment(&String::from_utf8(changed).unwrap()), None);
        }
        let batch = batch().unwrap();
        assert_eq!(Handle::parse(&batch.0), Some(Handle::Batch(batch.clone())));
        let renamed = batch.0.replace(BATCH, PAYMENT);
        assert_eq!(Handle::parse(&renamed), None);
        for text in ["", "pay_", "pay_1", "1", "batch_", &id.0.to_uppercase(), &format!("{} ", id.0)] {
            assert_eq!(Handle::parse(text), None, "{text}");
        }
    }
}
