//! The keys of an issuer: in a file or behind a URL, and others tomorrow.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::json;

use super::{Trust, claims, status};
use crate::support::{eventually, kit::Signer};

/// How many seconds pass at least until a URL is asked again for a key that is not known.
const ASKED_EVERY: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_issuers_keys_are_rotated_without_a_restart() {
    let (old, new) = (Signer::ed25519("old"), Signer::ed25519("new"));
    let trust = Trust::new(&old);
    let program = trust.start();
    assert_eq!(
        (status(&program, &old.token(&claims())).await, status(&program, &new.token(&claims())).await),
        (200, 401)
    );
    trust.publish(&[&new]);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(
        (status(&program, &old.token(&claims())).await, status(&program, &new.token(&claims())).await),
        (401, 200)
    );
    // What is no key set does not take the known keys away.
    trust.write("keys.json", "{");
    program.signal("HUP");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(status(&program, &new.token(&claims())).await, 200);
}

/// A key set behind a URL.
struct Source {
    url: &'static str,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicU32>,
}

impl Source {
    async fn start(signers: &[&Signer]) -> Self {
        use axum::{Router, http::StatusCode, routing::get};
        let (answer, asked) = (Arc::new(Mutex::new((200, String::new()))), Arc::new(AtomicU32::new(0)));
        let route = {
            let (answer, asked) = (Arc::clone(&answer), Arc::clone(&asked));
            get(move || {
                asked.fetch_add(1, Ordering::SeqCst);
                let (status, body) = answer.lock().clone();
                async move { (StatusCode::from_u16(status).unwrap(), body) }
            })
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap()).leak();
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys", route)).await });
        let source = Self { url, answer, asked };
        source.publish(signers);
        source
    }

    fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<_> = signers.iter().map(|signer| signer.public()).collect();
        self.say(200, &json!({ "keys": keys }).to_string());
    }

    fn say(&self, status: u16, body: &str) {
        *self.answer.lock() = (status, body.to_owned());
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }

    /// The settings of a server that trusts it.
    fn trusted(&self, signer: &Signer) -> Trust {
        let mut trust = Trust::new(signer);
        trust.set.retain(|(name, _)| *name != "SERVICE_KEYS");
        trust.set.extend([("SERVICE_KEYS", self.url), ("RATE_LIMIT", "off")]);
        trust
    }
}

/// A token that names a key which nobody has.
fn made_up(signer: &Signer) -> String {
    signer.token_with(&json!({ "alg": "EdDSA", "kid": "made-up" }), &claims())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_issuers_keys_may_be_behind_a_url() {
    let signer = Signer::ed25519("one");
    let source = Source::start(&[&signer]).await;
    let trust = source.trusted(&signer);
    let began = Instant::now();
    let program = trust.start();
    for _ in 0..20 {
        assert_eq!(status(&program, &signer.token(&claims())).await, 200);
        assert_eq!(status(&program, &made_up(&signer)).await, 401);
    }
    // Once for each process that was started: at the beginning, and made-up ids do not make it ask again and again.
    let (asked, most) = (source.asked(), 3 + began.elapsed().as_secs() / ASKED_EVERY);
    assert!(u64::from(asked) <= most, "asked {asked} times in {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_issuers_keys_behind_a_url_are_rotated_without_a_restart() {
    let (old, new) = (Signer::ed25519("old"), Signer::ed25519("new"));
    let source = Source::start(&[&old]).await;
    let trust = source.trusted(&old);
    let program = trust.start();
    let (began, before) = (Instant::now(), source.asked());
    let both = async || {
        (status(&program, &old.token(&claims())).await, status(&program, &new.token(&claims())).await)
    };
    assert_eq!(both().await, (200, 401));
    // An id that is not known makes it ask again.
    source.publish(&[&old, &new]);
    eventually("the new key beside the old one", async || both().await == (200, 200)).await;
    source.publish(&[&new]);
    eventually("the end of the old key", async || {
        assert_eq!(status(&program, &made_up(&new)).await, 401);
        both().await == (401, 200)
    })
    .await;
    // Where it cannot be read, or is no key set, what is known stays.
    for (code, body) in [(500, ""), (200, "{"), (200, r#"{"keys":[]}"#)] {
        source.say(code, body);
        let asked = source.asked();
        eventually("the next time that it asks", async || {
            assert_eq!(status(&program, &made_up(&new)).await, 401);
            source.asked() > asked
        })
        .await;
        assert_eq!(both().await, (401, 200), "{code} {body}");
    }
    let (asked, most) = (source.asked() - before, 1 + began.elapsed().as_secs() / ASKED_EVERY);
    assert!(u64::from(asked) <= most, "asked {asked} times in {:?}", began.elapsed());
}
