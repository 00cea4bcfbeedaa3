//! Servers whose clocks are apart, on one PostgreSQL: what one of them holds to be over is not over for the others.

use server::{
    clock::UnixMillis,
    store::{SealingStore as _, Store as _},
};

use super::{engines::Schema, payments::at, postgres_itself::open};

/// Whoever stole a token finds no server that has forgotten whose it is while another still takes it.
#[tokio::test]
async fn whose_a_token_is_outlives_it_by_more_than_clocks_are_apart() {
    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    let Some(schema) = Schema::create().await else { return };
    let store = open(&schema).await;
    let (token, owner, thief) = ([1; 32], [2; 32], [3; 32]);
    let ends = UnixMillis::now().as_millis() + MINUTE;
    let binds = async |token, sender, now| store.bind_token(token, sender, at(ends), at(now)).await.unwrap();
    assert!(binds(token, owner, ends - MINUTE).await);
    assert!(binds([4; 32], thief, ends + 2 * MINUTE).await, "another token, where the clock is ahead");
    assert!(!binds(token, thief, ends - MINUTE).await);
    assert!(binds(token, owner, ends - MINUTE).await);
    assert!(binds([5; 32], thief, ends + HOUR).await);
    assert!(binds(token, thief, ends - MINUTE).await, "it is forgotten in the end");
    store.close().await.unwrap();
    schema.drop().await;
}
