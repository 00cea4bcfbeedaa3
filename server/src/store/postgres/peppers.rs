//! The pepper that digests are made with. Whoever notes it holds the lock of the keys.

use deadpool_postgres::{GenericClient, Transaction};

use super::{
    failure::Failure,
    keys::hold,
    rows::{Parameters, bytes, execute, row},
    sessions,
};
use crate::{
    clock::UnixMillis,
    store::{DEMO_KEY_IDS, KeyDigest, KeyId, KnownSecret},
};

pub(super) async fn noted(client: &impl GenericClient) -> Result<Option<[u8; 32]>, Failure> {
    let found = row(client, "SELECT mark FROM peppers", &[]).await?;
    found.map(|row| bytes(&row, 0)).transpose()
}

pub(super) async fn note(
    transaction: &Transaction<'_>,
    mark: &[u8; 32],
    now: UnixMillis,
    secrets: &[KnownSecret],
) -> Result<bool, Failure> {
    let before = noted(transaction).await?;
    if before.as_ref() != Some(mark) {
        if !write(transaction, mark, now).await? {
            return Ok(false);
        }
        // Where none was noted, it may be the same: whoever knows no secret cannot tell.
        if before.is_some() || !secrets.is_empty() {
            lose(transaction).await?;
        }
    }
    for secret in secrets {
        find(transaction, secret).await?;
    }
    Ok(true)
}

/// Whether it was, for no good key is in the way.
async fn write(transaction: &Transaction<'_>, mark: &[u8; 32], now: UnixMillis) -> Result<bool, Failure> {
    let write = "INSERT INTO peppers (one, mark) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET mark = $1
                 WHERE NOT EXISTS (SELECT 1 FROM api_keys WHERE revoked_at IS NULL
                                   AND COALESCE (expires_at > $2, TRUE)
                                   AND NOT (mode = 'demo' AND id = ANY ($3)))";
    let parameters: Parameters<'_> = &[&mark.as_slice(), &now.as_millis(), &DEMO_KEY_IDS.as_slice()];
    Ok(execute(transaction, write, parameters).await? > 0)
}

/// Takes their digests away from the keys of the demo.
async fn lose(transaction: &Transaction<'_>) -> Result<(), Failure> {
    for id in DEMO_KEY_IDS {
        hold(transaction, &KeyId(id.to_owned())).await?;
    }
    sessions::lock_all(transaction).await?;
    for id in DEMO_KEY_IDS {
        let lose = "UPDATE api_keys SET digest = $2 WHERE id = $1 AND mode = 'demo'";
        if execute(transaction, lose, &[&id, &KeyDigest::lost(id).0.as_slice()]).await? > 0 {
            execute(transaction, "DELETE FROM sessions WHERE key_id = $1", &[&id]).await?;
        }
    }
    Ok(())
}

/// Gives a key that has lost its digest the one of its secret.
async fn find(transaction: &Transaction<'_>, secret: &KnownSecret) -> Result<(), Failure> {
    let KnownSecret { id, digest, last_four } = secret;
    let find = "UPDATE api_keys SET digest = $2 WHERE id = $1 AND last_four = $3 AND digest = $4
                AND NOT EXISTS (SELECT 1 FROM api_keys WHERE digest = $2)";
    let lost = KeyDigest::lost(&id.0);
    let parameters: Parameters<'_> = &[&id.0, &digest.0.as_slice(), &last_four, &lost.0.as_slice()];
    execute(transaction, find, parameters).await?;
    Ok(())
}
