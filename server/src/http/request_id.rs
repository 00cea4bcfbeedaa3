//! The server's name for one HTTP request: on the answer, in the log and in the audit.
//!
//! It has to be unlike every other and is no secret, so it comes from a counter under a hash that is keyed at random
//! for the process: no system call a request. What a client sends in `x-request-id` is not used: it could be made to
//! look like somebody else's.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

static KEYS: LazyLock<(RandomState, RandomState)> = LazyLock::new(Default::default);
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A fresh id: 32 hexadecimal digits.
pub(super) fn fresh() -> Arc<str> {
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let (high, low) = &*KEYS;
    let bytes = (u128::from(high.hash_one(count)) << 64) | u128::from(low.hash_one(count));
    let mut digits = [0; 32];
    data_encoding::HEXLOWER.encode_mut(&bytes.to_be_bytes(), &mut digits);
    str::from_utf8(&digits).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_all_different_and_of_one_form() {
        let ids: std::collections::HashSet<_> = (0..1_000).map(|_| fresh()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }
}
