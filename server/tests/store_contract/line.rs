//! The keys of one line, on PostgreSQL: what they may pay is one thing, also while one of them is replaced.

use std::{sync::Arc, time::Duration};

use server::store::{KeyId, KeyStore as _, PaymentPolicy, PaymentStore as _, Store as _};

use super::{
    changes::KeyChanges as _,
    engines::{Schema, key, people},
    postgres_itself::open,
};

/// As `rotate_key` does it, up to its commit.
const ROTATION: &str = "
    SELECT pg_advisory_xact_lock (hashtextextended (current_schema ()::text || '/keys', 0));
    INSERT INTO api_keys (id, digest, user_id, role, name, mode, last_four, created_at, permissions, lineage, sources)
    SELECT 'b', sha256 ('b'), user_id, role, name, mode, last_four, created_at, permissions, lineage, sources
    FROM api_keys WHERE id = 'a'";

/// Otherwise a key that comes of the rotation would be held by nobody, and pay what the operator was told it may not.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_line_may_pay_is_not_changed_beside_a_rotation() {
    let Some(schema) = Schema::create().await else { return };
    let store = Arc::new(open(&schema).await);
    people(&*store, 1).await;
    store.put_key(key("a", 1, 1)).await.unwrap();
    let (rotating, client) = schema.hold(ROTATION).await;
    let policy = PaymentPolicy { maximum_minor: Some(5), ..PaymentPolicy::default() };
    let (own, change) = (Arc::clone(&store), policy.clone().into());
    let mut changing = tokio::spawn(async move { own.change_policy(&KeyId("a".to_owned()), change).await });
    let waited = tokio::time::timeout(Duration::from_millis(300), &mut changing).await;
    assert!(waited.is_err(), "it waits for the new key: {waited:?}");
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(changing.await.unwrap().unwrap(), Some(()));
    assert_eq!(store.policy(&KeyId("b".to_owned())).await.unwrap(), policy);
    drop(client);
    rotating.await.unwrap();
    store.close().await.unwrap();
    schema.drop().await;
}
