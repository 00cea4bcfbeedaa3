//! Services: tokens and client certificates, each with what is wrong with it, over TLS and without.

use std::{fs, net::SocketAddr, path::Path};

use serde_json::{Value, json};

use crate::support::{
    client::{NEWEST, initialize},
    kit::{Authority, Signer},
    modern::Caller,
    process::{Program, run},
    wire::Ask,
};

mod callers;
mod certificates;
mod issuers;
mod tokens;

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "payments";

/// A folder with the keys of an issuer, and the settings that trust it.
struct Trust {
    folder: tempfile::TempDir,
    set: Vec<(&'static str, &'static str)>,
}

impl Trust {
    fn new(signer: &Signer) -> Self {
        let trust = Self {
            folder: tempfile::tempdir().unwrap(),
            set: vec![
                ("SERVICE_ISSUER", ISSUER),
                ("SERVICE_AUDIENCE", AUDIENCE),
                ("SERVICE_KEYS", "keys.json"),
                ("SERVICE_ALGORITHM", signer.algorithm()),
            ],
        };
        trust.publish(&[signer]);
        trust
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<_> = signers.iter().map(|signer| signer.public()).collect();
        fs::write(self.path().join("keys.json"), json!({ "keys": keys }).to_string()).unwrap();
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        fs::write(self.path().join(name), text).unwrap();
        self
    }

    /// Starts the server with the service `billing` in it.
    fn start(&self) -> Program {
        let program = Program::start(self.path(), &self.set);
        self.operate(&[
            "keys",
            "create",
            "--user",
            "bob",
            "--role",
            "read-only",
            "--token-subject",
            "billing",
        ]);
        program
    }

    fn operate(&self, arguments: &[&str]) -> Value {
        let ended = run(self.path(), &[arguments, &["--json"]].concat(), &self.set);
        assert!(ended.status.success(), "{ended:?}");
        serde_json::from_str(&ended.stdout).unwrap()
    }

    /// The rules by which somebody was turned away, in order.
    fn rules(&self) -> Vec<String> {
        let records = self.operate(&["audit", "list", "--tool", "(refused)"]);
        let mut rules: Vec<_> =
            records.as_array().unwrap().iter().map(|one| one["rule"].as_str().unwrap().to_owned()).collect();
        rules.reverse();
        rules
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// Claims that hold, under an id of their own.
fn claims() -> Value {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let id = format!("token-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "billing", "jti": id, "nbf": now() - 5, "exp": now() + 300 })
}

/// The same with something else.
fn claims_with(member: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[member] = value;
    claims
}

fn knock(token: &str) -> Ask {
    Ask::post(initialize(NEWEST)).with("authorization", &format!("Bearer {token}"))
}

/// Listens, in the revision without sessions; without a credential.
fn listen(address: SocketAddr) -> Ask {
    let wanted = json!({ "notifications": { "toolsListChanged": true } });
    Caller::new(address, "").ask("subscriptions/listen", wanted).without("x-api-key")
}

async fn status(program: &Program, token: &str) -> u16 {
    knock(token).send(program.address).await.status
}

#[test]
fn what_cannot_be_used_stops_the_start_and_is_named() {
    let authority = Authority::new("test");
    let (server, other) = (authority.server(), authority.server());
    let trust = Trust::new(&Signer::ed25519("one"));
    trust.write("cert.pem", &server.certificate).write("key.pem", &server.key).write("other.pem", &other.key);
    let tls = |cert, key| vec![("TLS_CERT", cert), ("TLS_KEY", key)];
    let issuer =
        |keys| vec![("SERVICE_ISSUER", ISSUER), ("SERVICE_AUDIENCE", AUDIENCE), ("SERVICE_KEYS", keys)];
    for (set, named) in [
        (tls("nowhere.pem", "key.pem"), "TLS_CERT must name a file"),
        (tls("keys.json", "key.pem"), "TLS_CERT must name a file"),
        (tls("cert.pem", "cert.pem"), "TLS_KEY must name a file"),
        (tls("cert.pem", "other.pem"), "TLS_CERT and TLS_KEY must belong together"),
        (
            [tls("cert.pem", "key.pem"), vec![("CLIENT_CA", "keys.json")]].concat(),
            "CLIENT_CA must name a file",
        ),
        (issuer("nowhere.json"), "the issuer's keys cannot be read"),
        (issuer("cert.pem"), "there is no JSON Web Key Set"),
    ] {
        let ended = run(trust.path(), &["serve"], &set);
        assert_eq!(ended.status.code(), Some(2), "{named}: {ended:?}");
        assert!(ended.stderr.contains(named), "{named}: {ended:?}");
    }
}
