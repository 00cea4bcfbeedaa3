//! Whether the audit trail is as it was written.

use std::str::FromStr;

use data_encoding::HEXLOWER;

use crate::store::{AuditEntry, AuditStore, ChainHash, StoreError};

/// How many records are looked at in one step.
const STEP: u32 = 1_000;

/// What is said of a record that differs from the one that has its place, or that has no place.
const NOT_WRITTEN: &str = "it is not what was written";

/// The newest record's number and hash, to be kept elsewhere: what was cut off a trail shows by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The record's number.
    pub seq: i64,
    /// Its hash.
    pub hash: ChainHash,
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.seq, HEXLOWER.encode(&self.hash.0))
    }
}

/// The text is no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a head is a record's number, a colon and its hash, as `server audit verify` prints it")]
pub struct NotAHead;

impl FromStr for Head {
    type Err = NotAHead;

    fn from_str(text: &str) -> Result<Self, NotAHead> {
        let (seq, hash) = text.split_once(':').ok_or(NotAHead)?;
        let bytes = HEXLOWER.decode(hash.as_bytes()).map_err(|_| NotAHead)?;
        let hash = ChainHash(bytes.try_into().map_err(|_| NotAHead)?);
        Ok(Self { seq: seq.parse().map_err(|_| NotAHead)?, hash })
    }
}

/// What a look through the whole trail found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is whole.
    Whole {
        /// How many records are chained.
        chained: u64,
        /// How many were written before there was a chain.
        before: u64,
        /// The newest.
        head: Option<Head>,
    },
    /// It was changed.
    Broken {
        /// The number of the first record that is not as it was written, or that is not there.
        seq: i64,
        /// In what way.
        reason: &'static str,
    },
}

/// Looks through the whole trail, oldest first. With `known`, a head from an earlier look, also whether it still has
/// that record. The head that it tells survives the loss of power: kept elsewhere, one that was lost would look cut off.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn verify(store: &dyn AuditStore, known: Option<Head>) -> Result<Verdict, StoreError> {
    let mut look = Look { chained: 0, before: 0, last: None, known };
    let (mut after, mut step) = (None, STEP);
    loop {
        let entries = match store.audit_after(after, step).await {
            // Which of them, shows when they are looked at one by one.
            Err(StoreError::Corrupt(_)) if step > 1 => {
                step = 1;
                continue;
            }
            Err(StoreError::Corrupt(_)) => {
                let seq = after.map_or(1, |after: i64| after.saturating_add(1));
                return Ok(Verdict::Broken { seq, reason: "it cannot be read" });
            }
            entries => entries?,
        };
        for entry in &entries {
            if let Err((seq, reason)) = look.at(entry) {
                return Ok(Verdict::Broken { seq, reason });
            }
            after = Some(entry.seq);
        }
        if u32::try_from(entries.len()).unwrap_or(u32::MAX) < step {
            break;
        }
    }
    if let Some(known) = look.known {
        return Ok(Verdict::Broken { seq: known.seq, reason: "it was there before and is gone" });
    }
    store.flush_audit().await?;
    Ok(Verdict::Whole { chained: look.chained, before: look.before, head: look.last })
}

struct Look {
    chained: u64,
    before: u64,
    last: Option<Head>,
    known: Option<Head>,
}

impl Look {
    fn at(&mut self, entry: &AuditEntry) -> Result<(), (i64, &'static str)> {
        let Some(hash) = entry.hash else {
            if self.last.is_some() {
                return Err((entry.seq, "it has no hash"));
            }
            if entry.seq < 1 {
                return Err((entry.seq, NOT_WRITTEN));
            }
            self.before = self.before.saturating_add(1);
            return Ok(());
        };
        let (next, before) = match self.last {
            Some(last) => (last.seq.saturating_add(1), last.hash),
            None => (i64::try_from(self.before).unwrap_or(i64::MAX).saturating_add(1), ChainHash::FIRST),
        };
        if entry.seq > next {
            return Err((next, "it is missing"));
        }
        if entry.seq < next || entry.record.chained(entry.seq, before) != hash {
            return Err((entry.seq, NOT_WRITTEN));
        }
        let head = Head { seq: entry.seq, hash };
        if self.known.is_some_and(|known| known.seq == entry.seq) {
            if self.known != Some(head) {
                return Err((entry.seq, "it is not the one that was there before"));
            }
            self.known = None;
        }
        self.last = Some(head);
        self.chained = self.chained.saturating_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::store::{AuditFilter, AuditRecord};

    /// A trail without records, on a disk that fails.
    struct Failing;

    fn worn_out() -> StoreError {
        StoreError::Unavailable { reason: "worn out".to_owned(), source: None }
    }

    #[async_trait]
    impl AuditStore for Failing {
        async fn append_audit(&self, _: AuditRecord) -> Result<(), StoreError> {
            Err(worn_out())
        }

        async fn flush_audit(&self) -> Result<(), StoreError> {
            Err(worn_out())
        }

        async fn audit_page(
            &self,
            _: AuditFilter,
            _: Option<i64>,
            _: u32,
        ) -> Result<Vec<AuditEntry>, StoreError> {
            Ok(Vec::new())
        }

        async fn audit_after(&self, _: Option<i64>, _: u32) -> Result<Vec<AuditEntry>, StoreError> {
            Ok(Vec::new())
        }
    }

    #[tokio::test]
    async fn a_trail_that_the_disk_does_not_confirm_is_not_told_to_be_whole() {
        let told = verify(&Failing, None).await;
        assert!(matches!(told, Err(StoreError::Unavailable { .. })), "{told:?}");
    }
}
