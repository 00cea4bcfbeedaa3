//! How records are kept: those that are written together are one row of `audit_packs`, with their words as a JSON array and
//! their hashes as bytes. Whoever has SQL alone reads them by the view `audit_records`.

use std::{borrow::Cow, ops::RangeInclusive};

use rusqlite::{
    Connection, Row, params,
    types::{Type, ValueRef},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    clock::UnixMillis,
    store::{AuditEntry, AuditRecord, ChainHash, KeyId, SessionHash, UserId},
};

/// The most records in a pack: who reads one reads the words of all.
pub(super) const MOST: usize = 64;

/// Digest of the arguments, hash of the session, id of the trace, and the hash of the record itself.
const HASHES: usize = 32 + 32 + 16 + 32;

/// The columns of a pack as [`Pack::of`] reads them.
pub(super) const COLUMNS: &str = "last, hashes, records";

/// A pack that is being made.
pub(super) struct Packing {
    last: i64,
    hash: ChainHash,
    hashes: Vec<u8>,
    words: Vec<u8>,
}

impl Packing {
    /// Begins after the record `last`, whose hash is `hash`, for about so many records.
    pub(super) fn after(last: i64, hash: ChainHash, records: usize) -> Self {
        let hashes = Vec::with_capacity(records.saturating_mul(HASHES));
        Self { last, hash, hashes, words: Vec::with_capacity(records.saturating_mul(192)) }
    }

    pub(super) fn add(&mut self, record: &AuditRecord) -> rusqlite::Result<()> {
        self.last = self.last.saturating_add(1);
        self.hash = record.chained(self.last, self.hash);
        self.hashes.extend_from_slice(&record.arguments_digest);
        self.hashes.extend_from_slice(&record.session.as_ref().map_or([0; 32], |session| session.0));
        self.hashes.extend_from_slice(&record.trace.unwrap_or_default());
        self.hashes.extend_from_slice(&self.hash.0);
        self.words.push(if self.words.is_empty() { b'[' } else { b',' });
        write(&mut self.words, record)
    }

    /// Appends it, with one record at least; returns the number of the newest.
    pub(super) fn insert(mut self, connection: &Connection) -> rusqlite::Result<i64> {
        self.words.push(b']');
        let words = rusqlite::types::ToSqlOutput::Borrowed(ValueRef::Text(&self.words));
        connection
            .prepare_cached("INSERT INTO audit_packs (last, hashes, records) VALUES (?1, ?2, ?3)")?
            .execute(params![self.last, self.hashes, words])
            .map(|_| self.last)
    }
}

/// What a record says in words: time, request id, user's id and name, key's id, protocol, client, tool, rule, outcome,
/// duration.
type Words<'a> =
    (i64, Text<'a>, i64, Text<'a>, Text<'a>, Text<'a>, Text<'a>, Text<'a>, Text<'a>, Text<'a>, i64);

/// A text that is copied only where it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn write(words: &mut Vec<u8>, record: &AuditRecord) -> rusqlite::Result<()> {
    words.push(b'[');
    write_json(words, &record.at.as_millis())?;
    write_text(words, &record.request_id)?;
    words.push(b',');
    write_json(words, &record.user.0)?;
    let texts: [&str; 7] = [
        &record.username,
        &record.key.0,
        record.protocol.as_str(),
        &record.client,
        &record.tool,
        &record.rule,
        record.outcome.as_str(),
    ];
    texts.into_iter().try_for_each(|text| write_text(words, text))?;
    words.push(b',');
    write_json(words, &record.duration_us)?;
    words.push(b']');
    Ok(())
}

/// The next text of an array. Nearly all have nothing to be escaped, which is told by many bytes at a time.
fn write_text(words: &mut Vec<u8>, text: &str) -> rusqlite::Result<()> {
    words.push(b',');
    let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if text.bytes().fold(false, |found, byte| found | is_special(byte)) {
        return write_json(words, text);
    }
    words.push(b'"');
    words.extend_from_slice(text.as_bytes());
    words.push(b'"');
    Ok(())
}

fn write_json<T: Serialize + ?Sized>(words: &mut Vec<u8>, value: &T) -> rusqlite::Result<()> {
    serde_json::to_writer(words, value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// A pack that was read. Its records are looked at one by one, so that one that is damaged hides none before it.
pub(super) struct Pack<'a> {
    first: i64,
    last: i64,
    words: Vec<&'a RawValue>,
    hashes: &'a [[u8; HASHES]],
}

impl<'a> Pack<'a> {
    /// A row of [`COLUMNS`].
    pub(super) fn of(row: &'a Row<'_>) -> rusqlite::Result<Self> {
        let last: i64 = row.get(0)?;
        let (hashes, rest) = row.get_ref(1)?.as_blob()?.as_chunks();
        let words: Vec<&RawValue> =
            serde_json::from_str(row.get_ref(2)?.as_str()?).map_err(|error| damaged(error.into()))?;
        let before =
            i64::try_from(words.len()).ok().and_then(|count| last.checked_sub(count.checked_sub(1)?));
        match before {
            Some(first) if rest.is_empty() && hashes.len() == words.len() && first <= last => {
                Ok(Self { first, last, words, hashes })
            }
            _ => Err(damaged("a pack does not have as many hashes as records".into())),
        }
    }

    /// The numbers of its records.
    pub(super) const fn numbers(&self) -> RangeInclusive<i64> {
        self.first..=self.last
    }

    /// What the record of this number is about.
    pub(super) fn topics(&self, seq: i64) -> rusqlite::Result<Topics<'a>> {
        let (at, _, _, username, key, _, _, tool, _, outcome, _) = self.words(seq)?;
        Ok(Topics {
            at: UnixMillis::from_millis(at),
            username: username.0,
            key: key.0,
            tool: tool.0,
            outcome: outcome.0,
        })
    }

    fn words(&self, seq: i64) -> rusqlite::Result<Words<'a>> {
        let words = self.place(seq).and_then(|place| self.words.get(place));
        let words = words.ok_or_else(|| damaged("a record is not in its pack".into()))?;
        serde_json::from_str(words.get()).map_err(|error| damaged(error.into()))
    }

    fn place(&self, seq: i64) -> Option<usize> {
        seq.checked_sub(self.first).and_then(|place| usize::try_from(place).ok())
    }

    /// The record of this number.
    pub(super) fn entry(&self, seq: i64) -> rusqlite::Result<AuditEntry> {
        let (at, request_id, user, username, key, protocol, client, tool, rule, outcome, duration_us) =
            self.words(seq)?;
        let hashes = self.place(seq).and_then(|place| self.hashes.get(place));
        let hashes = hashes.ok_or_else(|| damaged("a record is not in its pack".into()))?;
        let (arguments_digest, hashes) = take::<32>(hashes)?;
        let (session, hashes) = take::<32>(hashes)?;
        let (trace, hashes) = take::<16>(hashes)?;
        let (hash, _) = take::<32>(hashes)?;
        let record = AuditRecord {
            at: UnixMillis::from_millis(at),
            request_id: request_id.0.into(),
            user: UserId(user),
            username: username.0.into_owned(),
            key: KeyId(key.0.into_owned()),
            session: some(session).map(SessionHash),
            protocol: protocol.0.parse().map_err(|error| damaged(Box::new(error)))?,
            client: client.0.into(),
            tool: Cow::Owned(tool.0.into_owned()),
            arguments_digest,
            rule: Cow::Owned(rule.0.into_owned()),
            outcome: outcome.0.parse().map_err(|error| damaged(Box::new(error)))?,
            duration_us,
            trace: some(trace),
        };
        Ok(AuditEntry { seq, record, hash: some(hash).map(ChainHash) })
    }
}

/// What a record is about, and when it was.
pub(super) struct Topics<'a> {
    pub(super) at: UnixMillis,
    pub(super) username: Cow<'a, str>,
    pub(super) key: Cow<'a, str>,
    pub(super) tool: Cow<'a, str>,
    pub(super) outcome: Cow<'a, str>,
}

impl<'a> Topics<'a> {
    pub(super) fn of(record: &'a AuditRecord) -> Self {
        Self {
            at: record.at,
            username: (&*record.username).into(),
            key: (&*record.key.0).into(),
            tool: (&*record.tool).into(),
            outcome: record.outcome.as_str().into(),
        }
    }
}

fn take<const LENGTH: usize>(hashes: &[u8]) -> rusqlite::Result<([u8; LENGTH], &[u8])> {
    let (first, rest) = hashes.split_first_chunk().ok_or_else(|| damaged("a hash is cut off".into()))?;
    Ok((*first, rest))
}

/// None where all is zero.
fn some<const LENGTH: usize>(hash: [u8; LENGTH]) -> Option<[u8; LENGTH]> {
    (hash != [0; LENGTH]).then_some(hash)
}

pub(super) fn damaged(reason: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, reason)
}
