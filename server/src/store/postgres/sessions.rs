//! Sessions. Whoever opens or ends some first takes the row with their number: so a cap is never passed, and nobody waits
//! in a circle.

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    attempts::Attempts,
    audit,
    connections::{in_time, let_go},
    failure::Failure,
    rows::{Parameters, bytes, cell, execute, number, row, rows, storable, time, value, word},
};
use crate::{
    clock::UnixMillis,
    store::{
        AuditRecord, ClientAbilities, KeyId, OpenSession, SessionCaps, SessionFilter, SessionHash,
        SessionMail, SessionStore, StoreError, StoredSession, UserId,
    },
};

macro_rules! select_sessions {
    ($rest:literal) => {
        concat!(
            "SELECT hash, user_id, key_id, permissions, protocol, client, created_at, seen_at, abilities, lineage
             FROM sessions ",
            $rest
        )
    };
}

/// How much mail of one kind may wait in one session.
const MAIL_MAX: i64 = 256;

/// The transaction ends before the disk has confirmed it, and with it what others wait for.
const DO_NOT_WAIT: &str = "SET LOCAL synchronous_commit = off";

/// Ends when the disk has confirmed what was committed before. Everybody who waits shares the wait; the record that is written
/// for it means nothing.
const WAIT: &str = "SELECT pg_logical_emit_message (true, 'session ended', '')";

#[async_trait]
impl SessionStore for PostgresStore {
    fn is_shared(&self) -> bool {
        true
    }

    async fn leave_mail(
        &self,
        mail: SessionMail,
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        transact!(self, "leave mail in a session", |transaction| {
            // How long it is kept is told by the database's clock, which is one for all servers.
            let leave = "INSERT INTO session_mail AS m (session, topic, body, expires_at)
                         VALUES ($1, $2, $3, (extract (epoch FROM statement_timestamp ()) * 1000)::bigint + $4)
                         ON CONFLICT (session, topic) DO UPDATE
                         SET body = EXCLUDED.body, expires_at = EXCLUDED.expires_at
                         WHERE m.expires_at <= (extract (epoch FROM statement_timestamp ()) * 1000)::bigint";
            let session = mail.session.0.as_slice();
            let kept = expires_at.as_millis().saturating_sub(now.as_millis());
            let parameters: Parameters<'_> = &[&session, &mail.topic, &mail.body, &kept];
            execute(&transaction, leave, parameters).await?;
            let make_room = "DELETE FROM session_mail WHERE (session, topic) IN (
                                 SELECT session, topic FROM session_mail
                                 WHERE session = $1 AND topic <> $2
                                   AND substring (topic from '^[^ ]* ')
                                       IS NOT DISTINCT FROM substring ($2 from '^[^ ]* ')
                                 ORDER BY expires_at DESC, topic OFFSET $3 FOR UPDATE SKIP LOCKED)";
            let others_max = MAIL_MAX.saturating_sub(1);
            execute(&transaction, make_room, &[&session, &mail.topic, &others_max]).await.map(|_| ())
        })
    }

    async fn mail(&self, wanted: Vec<(SessionHash, String)>) -> Result<Vec<SessionMail>, StoreError> {
        read!(self, "read mail in sessions", |client| {
            let kept = "SELECT m.session, m.topic, m.body FROM session_mail m
                        JOIN unnest ($1::bytea[], $2::text[]) AS w (session, topic)
                          ON m.session = w.session AND m.topic = w.topic
                        WHERE m.expires_at > (extract (epoch FROM statement_timestamp ()) * 1000)::bigint";
            let (sessions, topics) = columns(&wanted);
            rows(client, kept, &[&sessions, &topics]).await?.iter().map(read_mail).collect()
        })
    }

    async fn remove_mail(&self, arrived: Vec<(SessionHash, String)>) -> Result<(), StoreError> {
        read!(self, "remove mail in sessions", |client| {
            let remove =
                "DELETE FROM session_mail m USING unnest ($1::bytea[], $2::text[]) AS w (session, topic)
                 WHERE m.session = w.session AND m.topic = w.topic";
            let (sessions, topics) = columns(&arrived);
            execute(client, remove, &[&sessions, &topics]).await.map(|_| ())
        })
    }

    async fn forget_mail(&self, limit: u32) -> Result<u64, StoreError> {
        let forget = "DELETE FROM session_mail WHERE (session, topic) IN (
                          SELECT session, topic FROM session_mail
                          WHERE expires_at <= (extract (epoch FROM statement_timestamp ()) * 1000)::bigint
                          LIMIT $1 FOR UPDATE SKIP LOCKED)";
        read!(self, "forget mail in sessions", |client| {
            execute(client, forget, &[&i64::from(limit)]).await
        })
    }

    async fn sessions(&self, filter: SessionFilter) -> Result<Vec<StoredSession>, StoreError> {
        let (user, key) = (filter.user.map(|user| user.0), filter.key.map(|key| key.0));
        read!(self, "list sessions", |client| {
            let wanted = select_sessions!(
                "WHERE ($1::bigint IS NULL OR user_id = $1) AND ($2::text IS NULL OR key_id = $2)
                 ORDER BY seen_at DESC"
            );
            rows(client, wanted, &[&user, &key]).await?.iter().map(read_session).collect()
        })
    }

    async fn open_session(
        &self,
        session: StoredSession,
        caps: SessionCaps,
    ) -> Result<OpenSession, StoreError> {
        transact!(self, "open a session", |transaction| open(&transaction, &session, caps).await)
    }

    async fn session(&self, hash: &SessionHash) -> Result<Option<StoredSession>, StoreError> {
        read!(self, "read a session", |client| {
            let found = row(client, select_sessions!("WHERE hash = $1"), &[&hash.0.as_slice()]).await?;
            found.as_ref().map(read_session).transpose()
        })
    }

    async fn still_open(&self, sessions: &[SessionHash]) -> Result<Vec<SessionHash>, StoreError> {
        let hashes: Vec<_> = sessions.iter().map(|hash| hash.0.as_slice()).collect();
        read!(self, "look for sessions", |client| {
            let open = rows(client, "SELECT hash FROM sessions WHERE hash = ANY ($1)", &[&hashes]).await?;
            open.iter().map(|row| bytes(row, 0).map(SessionHash)).collect()
        })
    }

    async fn touch_session(&self, hash: SessionHash, seen_at: UnixMillis) -> Result<(), StoreError> {
        self.behind.touch_session(hash, seen_at)
    }

    async fn record_end_of_session(
        &self,
        hash: &SessionHash,
        record: Option<AuditRecord>,
    ) -> Result<bool, StoreError> {
        let is_ended = transact!(self, "end a session", |transaction| {
            // Nobody else waits for the disk because of this one's turn; it does so by itself, below. An operator's comes alone,
            // and its commit says all.
            if record.is_none() {
                transaction.batch_execute(DO_NOT_WAIT).await?;
            }
            lock_all(&transaction).await?;
            let end = "DELETE FROM sessions WHERE hash = $1";
            let is_ended = execute(&transaction, end, &[&hash.0.as_slice()]).await? > 0;
            match &record {
                Some(record) if is_ended => audit::arrive(&transaction, &[record]).await.map(|()| true),
                _ => Ok(is_ended),
            }
        })?;
        if is_ended && record.is_none() {
            read!(self, "keep that a session was ended", |client| execute(client, WAIT, &[]).await)?;
        }
        Ok(is_ended)
    }

    async fn end_expired_sessions(
        &self,
        idle_since: UnixMillis,
        opened_before: UnixMillis,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<SessionHash>, StoreError> {
        let ahead = "SELECT GREATEST (0, $1 - (extract (epoch FROM statement_timestamp ()) * 1000)::bigint)";
        // Every server looks every few seconds, and mostly there is nothing to be found: that takes no lock.
        let some = "SELECT EXISTS (SELECT 1 FROM sessions WHERE seen_at < $1)
                        OR EXISTS (SELECT 1 FROM sessions WHERE created_at < $2)";
        let found: Option<(i64, i64)> = read!(self, "look for expired sessions", |client| {
            let ahead: i64 = value(client, ahead, &[&now.as_millis()]).await?;
            let [idle_since, opened_before] =
                [idle_since, opened_before].map(|moment| moment.as_millis().saturating_sub(ahead));
            let has_some: bool = value(client, some, &[&idle_since, &opened_before]).await?;
            Ok(has_some.then_some((idle_since, opened_before)))
        })?;
        let Some((idle_since, opened_before)) = found else { return Ok(Vec::new()) };
        // Those that were used just now are known to have been.
        self.behind.flush_notes().await?;
        transact!(self, "end expired sessions", |transaction| {
            lock_all(&transaction).await?;
            let end = "DELETE FROM sessions WHERE hash IN (
                           SELECT hash FROM (
                               (SELECT hash FROM sessions WHERE seen_at < $1 LIMIT $3)
                               UNION
                               (SELECT hash FROM sessions WHERE created_at < $2 LIMIT $3)
                           ) AS expired LIMIT $3)
                       RETURNING hash";
            let ended = rows(&transaction, end, &[&idle_since, &opened_before, &i64::from(limit)]).await?;
            ended.iter().map(|row| bytes(row, 0).map(SessionHash)).collect()
        })
    }

    async fn count_sessions(&self) -> Result<u64, StoreError> {
        read!(self, "count the sessions", |client| {
            let open: i64 = value(client, "SELECT open FROM session_total", &[]).await?;
            Ok(open.cast_unsigned())
        })
    }
}

/// Keeps others from opening or ending sessions until the transaction ends; returns how many are open.
pub(super) async fn lock_all(transaction: &Transaction<'_>) -> Result<u64, Failure> {
    let open: i64 = value(transaction, "SELECT open FROM session_total FOR NO KEY UPDATE", &[]).await?;
    Ok(open.cast_unsigned())
}

async fn open(
    transaction: &Transaction<'_>,
    session: &StoredSession,
    caps: SessionCaps,
) -> Result<OpenSession, Failure> {
    // A session that is lost with the database's last moments is opened again; nobody waits for the disk.
    transaction.batch_execute(DO_NOT_WAIT).await?;
    let total = lock_all(transaction).await?;
    let of_key = "SELECT COALESCE ((SELECT open FROM session_counts WHERE key_id = $1), 0)";
    let of_key: i64 = value(transaction, of_key, &[&session.key.0]).await?;
    if of_key.cast_unsigned() >= caps.per_key {
        return Ok(OpenSession::KeyCapReached);
    }
    if total >= caps.total {
        return Ok(OpenSession::TotalCapReached);
    }
    let insert = "INSERT INTO sessions
                      (hash, user_id, key_id, permissions, protocol, client, created_at, seen_at, abilities, lineage)
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let parameters: Parameters<'_> = &[
        &session.hash.0.as_slice(),
        &session.user.0,
        &session.key.0,
        &session.permissions.cast_signed(),
        &session.protocol.as_str(),
        &storable(&session.client),
        &session.created_at.as_millis(),
        &session.seen_at.as_millis(),
        &i64::from(session.abilities.0),
        &session.lineage.0,
    ];
    execute(transaction, insert, parameters).await?;
    Ok(OpenSession::Opened)
}

/// Each of two columns of what mail is about.
fn columns(topics: &[(SessionHash, String)]) -> (Vec<&[u8]>, Vec<&String>) {
    topics.iter().map(|(session, topic)| (session.0.as_slice(), topic)).unzip()
}

fn read_mail(row: &Row) -> Result<SessionMail, Failure> {
    Ok(SessionMail { session: SessionHash(bytes(row, 0)?), topic: cell(row, 1)?, body: cell(row, 2)? })
}

fn read_session(row: &Row) -> Result<StoredSession, Failure> {
    Ok(StoredSession {
        hash: SessionHash(bytes(row, 0)?),
        user: UserId(cell(row, 1)?),
        key: KeyId(cell(row, 2)?),
        lineage: KeyId(cell(row, 9)?),
        permissions: cell::<i64>(row, 3)?.cast_unsigned(),
        protocol: word(row, 4)?,
        client: cell(row, 5)?,
        abilities: ClientAbilities(number(row, 8)?),
        created_at: time(row, 6)?,
        seen_at: time(row, 7)?,
    })
}
