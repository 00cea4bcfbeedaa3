//! What a database that takes no writes comes to: a standby, or a primary that is one no longer.

use server::store::{
    Store as _, StoreError,
    postgres::{PostgresSettings, PostgresStore},
};

use super::{
    engines::{Schema, people},
    payments::{keep, payment},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_writes_is_not_connected_to_until_it_does() {
    let Some(schema) = Schema::create().await else { return };
    let name = schema.name();
    schema.execute(&format!("CREATE DATABASE {name}")).await;
    schema.execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    let url = schema.url_of(name).parse().unwrap();
    let refusal = PostgresStore::open(&url, &PostgresSettings::default()).await.unwrap_err();
    assert!(
        matches!(&refusal, StoreError::Unavailable { reason, .. } if reason.contains("connect")),
        "{refusal:?}"
    );
    schema.execute(&format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await;
    let store = PostgresStore::open(&url, &PostgresSettings::default()).await.unwrap();
    store.check().await.unwrap();
    store.close().await.unwrap();
    schema.execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
    schema.drop().await;
}

/// A proxy, or a primary that is made a standby, may leave connections open that take no writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_takes_no_writes_any_more_makes_place_for_another() {
    let Some(schema) = Schema::create().await else { return };
    let settings = PostgresSettings { connections: 1, ..PostgresSettings::default() };
    let store = PostgresStore::open(&schema.url().parse().unwrap(), &settings).await.unwrap();
    store.check().await.unwrap();
    people(&store, 2).await;
    schema
        .execute(
            "CREATE TABLE standing AS SELECT pid FROM pg_stat_activity;
             CREATE FUNCTION only_reads () RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF pg_backend_pid () IN (SELECT pid FROM standing) THEN
                     RAISE 'cannot execute UPDATE in a read-only transaction' USING ERRCODE = '25006';
                 END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER only_reads BEFORE UPDATE ON checks FOR EACH ROW EXECUTE FUNCTION only_reads ();
             CREATE TRIGGER only_reads BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION only_reads ();",
        )
        .await;
    let refusal = store.check().await.unwrap_err();
    assert!(matches!(refusal, StoreError::Unavailable { .. }), "{refusal:?}");
    store.check().await.unwrap();
    schema.execute("INSERT INTO standing SELECT pid FROM pg_stat_activity").await;
    let refusal = keep(&store, payment("pay_1", 1, 2, 10)).await.unwrap_err();
    assert!(matches!(refusal, StoreError::Unavailable { .. }), "{refusal:?}");
    keep(&store, payment("pay_1", 1, 2, 10)).await.unwrap();
    store.close().await.unwrap();
    schema.drop().await;
}
