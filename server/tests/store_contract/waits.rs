//! How often work on money waits for PostgreSQL: each time is a way there and back, with its accounts locked for most of
//! them.

use std::{net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use server::{
    payments::{Actor, PaymentOrder, Payments, Unasked},
    store::{
        KeyId, KeyStore as _, PaymentPolicy, PaymentStatus, Store, UserId,
        postgres::{PostgresSettings, PostgresStore},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    audit::record,
    changes::KeyChanges as _,
    engines::{Schema, key, people},
};

/// How often each transaction of work on money waited, in the order in which they were committed.
type Waits = Arc<Mutex<Vec<usize>>>;

/// Hands on what is said between a server and PostgreSQL, and counts.
struct Wiretap {
    address: SocketAddr,
    waits: Waits,
}

impl Wiretap {
    async fn before(database: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, waits) = (listener.local_addr().unwrap(), Waits::default());
        let counted = Arc::clone(&waits);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&database).await.unwrap();
                tokio::spawn(between(client, server, Arc::clone(&counted)));
            }
        });
        Self { address, waits }
    }
}

/// One connection. Whatever is sent after an answer came was waited with. What is neither begun like work on money nor part
/// of it, such as records that move on to their chain, is not counted.
async fn between(mut client: TcpStream, mut server: TcpStream, waits: Waits) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let (mut is_about_money, mut is_answered, mut waited) = (false, false, 0);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let said = &asked[..read?];
                if said.is_empty() {
                    return Ok(());
                }
                if has(said, b"force_generic_plan") {
                    (is_about_money, is_answered, waited) = (true, false, 0);
                }
                waited += usize::from(std::mem::take(&mut is_answered));
                if has(said, b"COMMIT") && std::mem::take(&mut is_about_money) {
                    // For the commit as well.
                    waits.lock().push(waited + 1);
                }
                server.write_all(said).await?;
            }
            read = server.read(&mut answered) => {
                let said = &answered[..read?];
                if said.is_empty() {
                    return Ok(());
                }
                is_answered = true;
                client.write_all(said).await?;
            }
        }
    }
}

fn has(said: &[u8], word: &[u8]) -> bool {
    said.windows(word.len()).any(|found| found == word)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_waits_for_the_database_seven_times() {
    let Some(schema) = Schema::create().await else { return };
    let url = schema.url();
    let (_, rest) = url.split_once('@').unwrap();
    let (database, _) = rest.split_once('/').unwrap();
    let tap = Wiretap::before(database.to_owned()).await;
    let tapped = url.replacen(database, &tap.address.to_string(), 1);
    // One connection, so that every statement is prepared by the second time.
    let settings = PostgresSettings { connections: 1, ..PostgresSettings::default() };
    let store = PostgresStore::open(&tapped.parse().unwrap(), &settings).await.unwrap();
    people(&store, 2).await;
    store.put_key(key("a", 1, 1)).await.unwrap();
    let id = KeyId("a".to_owned());
    let unasked = PaymentPolicy { automatic_below_minor: 1_000, ..PaymentPolicy::default() };
    store.change_policy(&id, unasked.into()).await.unwrap().unwrap();
    let store = Arc::new(store);
    let payments = Payments::new(Arc::<PostgresStore>::clone(&store) as Arc<dyn Store>, None);
    for amount in ["1.00", "2.00"] {
        tap.waits.lock().clear();
        let actor = || Actor { user: UserId(1), key: Some(id.clone()), record: record(1) };
        let order = PaymentOrder {
            to: "user2".to_owned(),
            amount: amount.to_owned(),
            currency: None,
            memo: None,
            idempotency_key: None,
        };
        let (created, _) = payments.create(actor(), id.clone(), order).await.unwrap();
        let confirmed = payments.confirm_unasked(actor(), created.id(), None).await.unwrap();
        let Unasked::Decided(paid, _) = confirmed else { panic!("nobody is to be asked") };
        assert_eq!(paid.status(), PaymentStatus::Succeeded);
    }
    // To hold everything, to keep the payment, and the commit; to hold the payment, to hold the rest, to pay, and the commit.
    assert_eq!(*tap.waits.lock(), [3, 4]);
    store.close().await.unwrap();
    schema.drop().await;
}
