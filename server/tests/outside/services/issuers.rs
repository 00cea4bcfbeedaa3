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
use server::{
    identity::{
        IssuerSettings, Pepper, ServiceName,
        issuer::{KeySource, TokenAlgorithm},
    },
    store::{KeyId, PolicyChange, StoredKey},
};
use tokio::sync::watch;

use super::{AUDIENCE, ISSUER, Trust, claims, knock, status};
use crate::support::{
    app::{App, spawn_app_with},
    changes::KeyChanges as _,
    eventually,
    kit::Signer,
    soon,
};

/// How many seconds pass at least until a URL is asked again for a key that is not known.
const ASKED_EVERY: u64 = 5;

/// How long keys from a URL are taken without a look.
const FRESH: Duration = Duration::from_secs(300);

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
    hangs: watch::Sender<bool>,
}

impl Source {
    async fn start(signers: &[&Signer]) -> Self {
        use axum::{Router, http::StatusCode, routing::get};
        let (answer, asked) = (Arc::new(Mutex::new((200, String::new()))), Arc::new(AtomicU32::new(0)));
        let hangs = watch::Sender::new(false);
        let route = {
            let (answer, asked, hangs) = (Arc::clone(&answer), Arc::clone(&asked), hangs.clone());
            get(move || {
                asked.fetch_add(1, Ordering::SeqCst);
                let (status, body) = answer.lock().clone();
                let mut hangs = hangs.subscribe();
                async move {
                    hangs.wait_for(|hangs| !hangs).await.unwrap();
                    (StatusCode::from_u16(status).unwrap(), body)
                }
            })
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap()).leak();
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys", route)).await });
        let source = Self { url, answer, asked, hangs };
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
        // Whoever asks again and again opens a session each time that it is let in.
        trust.set.extend([
            ("SERVICE_KEYS", self.url),
            ("RATE_LIMIT", "off"),
            ("MAX_SESSIONS_PER_KEY", "100000"),
        ]);
        trust
    }

    /// A server in this process that trusts it, with the service `billing` in it.
    async fn trusted_here(&self) -> App {
        const PEPPER: &str = "a pepper for tests, and for nothing else at all";
        let app = spawn_app_with(|config| {
            config.pepper = Some(PEPPER.into());
            config.issuer = Some(IssuerSettings {
                issuer: ISSUER.to_owned(),
                audience: AUDIENCE.to_owned(),
                algorithm: TokenAlgorithm::EdDsa,
                keys: KeySource::Url(self.url.parse().unwrap()),
            });
        })
        .await;
        let service = ServiceName::Token { issuer: ISSUER.to_owned(), subject: "billing".to_owned() };
        let digest = Pepper::from_secret(&PEPPER.into()).digest_of_service(&service);
        let (id, row) = (KeyId("billing".to_owned()), app.store.keys().await.unwrap().remove(0));
        let service = Some(service.to_string());
        app.store
            .create_key(
                StoredKey { lineage: id.clone(), id, digest, service, ..row },
                PolicyChange::default(),
            )
            .await
            .unwrap();
        app
    }
}

/// Somebody who hangs up on all who call.
struct Called {
    port: u16,
    times: Arc<AtomicU32>,
}

impl Called {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, times) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&times);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, times }
    }

    fn times(&self) -> u32 {
        self.times.load(Ordering::SeqCst)
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

/// Keys that a proxy gives out are those of whoever runs it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_proxy_is_asked_for_the_keys_of_an_issuer_on_this_machine() {
    let (signer, stranger) = (Signer::ed25519("one"), Signer::ed25519("one"));
    let (source, proxy) = (Source::start(&[&signer]).await, Source::start(&[&stranger]).await);
    let mut trust = source.trusted(&signer);
    trust.set.extend(["HTTP_PROXY", "ALL_PROXY"].map(|name| (name, proxy.url)));
    let program = trust.start();
    let both = (
        status(&program, &signer.token(&claims())).await,
        status(&program, &stranger.token(&claims())).await,
    );
    assert_eq!((both, proxy.asked()), ((200, 401), 0));

    // Over TLS it is enough to see who is called.
    for host in ["localhost", "127.0.0.1"] {
        let (source, proxy) = (Called::start().await, Called::start().await);
        let mut trust = Trust::new(&signer);
        trust.set.retain(|(name, _)| *name != "SERVICE_KEYS");
        trust.set.push(("SERVICE_KEYS", format!("https://{host}:{}/keys", source.port).leak()));
        let url: &str = format!("http://127.0.0.1:{}", proxy.port).leak();
        trust.set.extend(["HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, url)));
        trust.start();
        assert!(source.times() > 0 && proxy.times() == 0, "{host}: {}, {}", source.times(), proxy.times());
    }
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

/// Puts the clock forward. What waits for a socket meanwhile goes on waiting.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn an_issuer_that_hangs_keeps_nobody_waiting_whose_key_is_known() {
    let (old, new) = (Signer::ed25519("old"), Signer::ed25519("new"));
    let source = Source::start(&[&old]).await;
    let app = source.trusted_here().await;
    let address = app.address;
    let status = async |token: String| knock(&token).send(address).await.status;
    assert_eq!((status(old.token(&claims())).await, source.asked()), (200, 1));

    pass(FRESH).await;
    source.hangs.send_replace(true);
    let strangers: Vec<_> = (0..3)
        .map(|_| {
            let ask = knock(&made_up(&old));
            tokio::spawn(async move { ask.send(address).await.status })
        })
        .collect();
    eventually("that it is asked for what strangers made up", async || source.asked() == 2).await;
    for _ in 0..5 {
        assert_eq!(status(old.token(&claims())).await, 200);
    }
    assert!(strangers.iter().all(|stranger| !stranger.is_finished()), "the known key waited for the unknown");
    for stranger in strangers {
        assert_eq!(soon("that the URL is given up", stranger).await.unwrap(), 401);
    }
    assert_eq!(source.asked(), 2, "what one waited for in vain, the next asked for again");

    // Whoever has a known key waits for nothing, and yet makes it ask.
    pass(Duration::from_secs(ASKED_EVERY)).await;
    source.publish(&[&new]);
    assert_eq!(status(old.token(&claims())).await, 200);
    eventually("that it is asked again", async || source.asked() == 3).await;
    source.hangs.send_replace(false);
    eventually("the new key", async || status(new.token(&claims())).await == 200).await;
    assert_eq!((status(old.token(&claims())).await, source.asked()), (401, 3));
}
