//! Keys by what their secrets hash to, for each request: mostly known, and seen to be what they were by all that come at a time
//! together.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    PostgresStore,
    connections::{in_time, let_go},
    failure::{Failure, closed, refused},
    keys::{BY_DIGEST, read_key},
    rows::{cell, corrupt, in_turn, value},
};
use crate::store::{KeyDigest, Revision, StoreError, StoredKey, known_keys::Knowledge};

/// Whoever waited for longer than this for somebody else's look, which failed, does not look as well.
const ASKED_AGAIN_WITHIN: Duration = Duration::from_secs(1);

/// Of keys and of which sessions are open.
const REVISION: &str = "SELECT number FROM revision";
/// Of keys.
const KEY_REVISION: &str = "SELECT keys FROM revision";

impl PostgresStore {
    /// The key of this digest; as it was a moment ago, where it is known.
    pub(super) async fn look_up(&self, digest: &KeyDigest) -> Result<Option<Arc<StoredKey>>, StoreError> {
        if self.pool.is_closed() {
            return Err(closed());
        }
        let came = Instant::now();
        match self.known_keys.find(digest, came) {
            Knowledge::Believed(key) => return Ok(Some(key)),
            Knowledge::Doubted => {
                if let Some(key) = self.doubted(digest, came).await? {
                    return Ok(Some(key));
                }
            }
            Knowledge::Nothing => {}
        }
        let (look, opened) = (self.known_keys.look(), self.opened.count());
        let (number, found) = read!(self, "read a key", |client| {
            let [revision, found] =
                in_turn(client, [(KEY_REVISION, &[]), (BY_DIGEST, &[&digest.0.as_slice()])]).await?;
            let revision = revision.first().ok_or_else(|| corrupt("there is no revision"))?;
            Ok((cell(revision, 0)?, found.first().map(read_key).transpose()?.map(Arc::new)))
        })?;
        let look = self.known_keys.confirm(look, Revision { number, opened });
        if let Some(key) = &found {
            self.known_keys.remember(look, key);
        }
        Ok(found)
    }

    /// By what other servers tell that they changed keys or ended sessions.
    pub(super) async fn read_revision(&self) -> Result<Revision, StoreError> {
        self.revision_by(REVISION).await
    }

    async fn revision_by(&self, sql: &'static str) -> Result<Revision, StoreError> {
        // Before it is asked: what is asked on a way that is opened meanwhile is taken for older than it is, and not for newer.
        let opened = self.opened.count();
        let number = read!(self, "read the revision", |client| value(client, sql, &[]).await)?;
        Ok(Revision { number, opened })
    }

    /// The key of this digest, if it was known when a request came at `came`, and is not another one by now. Of several
    /// who ask for one at a time one looks, and the others take its word; also that there is no answer, where they waited
    /// long for it.
    async fn doubted(&self, digest: &KeyDigest, came: Instant) -> Result<Option<Arc<StoredKey>>, StoreError> {
        let last_failed = self.looking.lock().await;
        match self.known_keys.find(digest, came) {
            Knowledge::Believed(key) => return Ok(Some(key)),
            // Somebody else has seen that it may be another one.
            Knowledge::Nothing => return Ok(None),
            Knowledge::Doubted => {}
        }
        if last_failed.is_some_and(|at| at.saturating_duration_since(came) > ASKED_AGAIN_WITHIN) {
            return Err(refused("see whether a key is what it was"));
        }
        // Also where whoever looks goes away before it is answered.
        let failing = scopeguard::guard(last_failed, |mut last_failed| *last_failed = Some(Instant::now()));
        let look = self.known_keys.look();
        let revision = self.revision_by(KEY_REVISION).await?;
        let look = self.known_keys.confirm(look, revision);
        drop(scopeguard::ScopeGuard::into_inner(failing));
        Ok(self.known_keys.find(digest, look.at()).believed())
    }
}
