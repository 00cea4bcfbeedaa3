//! The second server: the risk service as its callers meet it, and the payment server as its caller.

mod assessor;
mod batches;
mod counterpart;
mod hostile;
mod left_behind;
mod narrowing;
mod payments;
mod program;
mod rules;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use client::mcp::{Endpoint, TokenOrigin};
use serde_json::{Value, json};
use server::{
    app::Application,
    config::RiskServiceConfig,
    identity::{
        IssuerSettings, Pepper, Role, ServiceName,
        issuer::{KeySource, TokenAlgorithm},
    },
    money::{Amount, Currency},
    risk::{Assessment, BreakerSettings, RiskCredentials, RiskSettings, Threshold},
    risk_service::Rules,
    store::{AccountHolder, KeyId, KeyMode, PolicyChange, StoredKey, UserId},
};

use crate::support::{
    app::{App, run},
    changes::KeyChanges as _,
    kit::Signer,
    modern::Caller,
};

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "risk";
const PEPPER: &str = "the pepper of a risk service in a test";

/// A service that the risk service knows: its subject, its number, and what it may do.
const PAYMENTS: (&str, i64) = ("payments", 1);
const OTHER: (&str, i64) = ("other-payments", 2);

fn claims(subject: &str, audience: &str) -> Value {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let id = format!("risk-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    json!({ "iss": ISSUER, "aud": audience, "sub": subject, "jti": id, "nbf": now - 5, "exp": now + 300 })
}

/// A risk service in this process, with two services that may have payments assessed.
struct RiskServer {
    app: App,
    signer: Signer,
    folder: tempfile::TempDir,
}

impl RiskServer {
    async fn start() -> Self {
        Self::with(Rules { payment_limit: 2_500, exposure_limit: 5_000 }).await
    }

    async fn with(rules: Rules) -> Self {
        let (signer, folder) = (Signer::ed25519("one"), tempfile::tempdir().unwrap());
        let keys = folder.path().join("keys.json");
        std::fs::write(&keys, json!({ "keys": [signer.public()] }).to_string()).unwrap();
        let mut config = RiskServiceConfig::ephemeral().unwrap();
        config.rules = rules;
        config.server.pepper = Some(PEPPER.into());
        config.server.issuer = Some(IssuerSettings {
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            algorithm: TokenAlgorithm::EdDsa,
            keys: KeySource::File(keys),
        });
        let app = run(Application::risk_service(config).await.unwrap());
        let server = Self { app, signer, folder };
        for (subject, number) in [PAYMENTS, OTHER] {
            server.know(subject, number, Role::RiskClient).await;
        }
        server
    }

    /// Lets a service in.
    async fn know(&self, subject: &str, number: i64, role: Role) {
        let holder = AccountHolder {
            user: UserId(number),
            username: subject.to_owned(),
            currency: "USD".to_owned(),
            credit_limit_minor: 0,
        };
        self.app.store.put_holder(holder).await.unwrap();
        let name = ServiceName::Token { issuer: ISSUER.to_owned(), subject: subject.to_owned() };
        let key = StoredKey {
            digest: Pepper::from_secret(&PEPPER.into()).digest_of_service(&name),
            service: Some(name.to_string()),
            ..key(number, subject, role)
        };
        self.app.store.create_key(key, PolicyChange::default()).await.unwrap();
    }

    fn token(&self, subject: &str) -> String {
        self.signer.token(&claims(subject, AUDIENCE))
    }

    /// A caller by hand.
    fn caller(&self, subject: &str) -> Caller {
        Caller::new(self.app.address, &self.token(subject))
    }

    /// How the payment server reaches it.
    fn settings(&self) -> RiskSettings {
        let path = self.folder.path().join("token.jwt");
        std::fs::write(&path, self.token(PAYMENTS.0)).unwrap();
        settings(&format!("http://{}/mcp", self.app.address), path)
    }
}

/// A key row without a secret that anybody knows.
fn key(number: i64, subject: &str, role: Role) -> StoredKey {
    StoredKey {
        id: KeyId(format!("key-{number}")),
        digest: server::store::KeyDigest([u8::try_from(number).unwrap(); 32]),
        user: UserId(number),
        username: subject.to_owned(),
        lineage: KeyId(format!("key-{number}")),
        sources: Vec::new(),
        permissions: role.permissions().bits(),
        role: role.as_str().to_owned(),
        name: "a test's".to_owned(),
        mode: KeyMode::Live,
        last_four: String::new(),
        created_at: server::clock::UnixMillis::now(),
        expires_at: None,
        revoked_at: None,
        used_at: None,
        service: None,
    }
}

/// How a risk service at this URL is reached: impatiently, so that tests need not be patient.
fn settings(url: &str, token: PathBuf) -> RiskSettings {
    RiskSettings {
        endpoint: Endpoint::new(url, None, false).unwrap(),
        credentials: RiskCredentials { token: Some(TokenOrigin::File(token)), ..RiskCredentials::default() },
        timeout: Duration::from_millis(1_000),
        threshold: Threshold::from_major(100),
        breaker: BreakerSettings { failures: 1_000, ..BreakerSettings::default() },
    }
}

fn assessment(payment: &str, dollars: i64) -> Assessment {
    Assessment {
        payment: payment.to_owned(),
        from: "bob".to_owned(),
        to: "alice".to_owned(),
        amount: Amount::from_major(dollars, Currency::USD).unwrap(),
        trace: None,
    }
}
