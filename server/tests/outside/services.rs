//! Services: tokens and client certificates, each with what is wrong with it, over TLS and without.

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::support::{
    client::{BOB, NEWEST, initialize, request},
    kit::{Authority, Certified, Signer, Validity},
    process::{Program, run},
    wire::Ask,
};

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "payments";
const SPIFFE: &str = "spiffe://example.org/billing";

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

fn without(member: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(member);
    claims
}

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

fn knock(token: &str) -> Ask {
    Ask::post(initialize(NEWEST)).with("authorization", &format!("Bearer {token}"))
}

async fn status(program: &Program, token: &str) -> u16 {
    knock(token).send(program.address).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_a_token_is_a_principal_like_any_other() {
    for signer in [Signer::ed25519("one"), Signer::p256("one")] {
        let trust = Trust::new(&signer);
        let program = trust.start();
        let bearer = format!("Bearer {}", signer.token(&claims()));
        let opened = Ask::post(initialize(NEWEST)).with("authorization", &bearer).send(program.address).await;
        assert_eq!(opened.status, 200, "{opened:?}");
        let ask = |name: &str| {
            Ask::post(request(2, "tools/call", json!({ "name": name, "arguments": {} })))
                .with("authorization", &bearer)
                .with("mcp-session-id", opened.header("mcp-session-id").unwrap())
        };
        let told = ask("whoAmI").send(program.address).await.json();
        let told = &told["result"]["structuredContent"];
        assert_eq!((&told["kind"], &told["role"]), (&json!("service"), &json!("read-only")));
        let denied = ask("listAuditRecords").send(program.address).await.json();
        assert_eq!(denied["result"]["isError"], true);

        // It ends like any key.
        let keys = trust.operate(&["keys", "list"]);
        let key = keys.as_array().unwrap().iter().find(|key| key["service"].is_string()).unwrap();
        trust.operate(&["keys", "revoke", key["id"].as_str().unwrap()]);
        assert_eq!(ask("whoAmI").send(program.address).await.status, 401);
        let again = run(trust.path(), &["keys", "rotate", key["id"].as_str().unwrap()], &trust.set);
        assert!(again.stderr.contains("has no secret"), "{again:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_01_a_token_that_breaks_one_rule_is_refused_and_the_rule_is_in_the_audit() {
    let (signer, stranger, other) = (Signer::ed25519("one"), Signer::ed25519("one"), Signer::p256("one"));
    let trust = Trust::new(&signer);
    let program = trust.start();
    let header = |header: Value| signer.token_with(&header, &claims());
    let none = {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        format!("{}.{}.", part(&json!({ "alg": "none", "kid": "one" })), part(&claims()))
    };
    let hmac = {
        // Signed with the public key as if it were a shared secret.
        use hmac::{Hmac, KeyInit as _, Mac as _};
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", part(&json!({ "alg": "HS256", "kid": "one" })), part(&claims()));
        let public = signer.public()["x"].as_str().unwrap().to_owned();
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&BASE64URL_NOPAD.decode(public.as_bytes()).unwrap()).unwrap();
        mac.update(message.as_bytes());
        format!("{message}.{}", BASE64URL_NOPAD.encode(&mac.finalize().into_bytes()))
    };
    let mut changed = signer.token(&claims());
    changed.replace_range(60..61, if changed.as_bytes()[60] == b'A' { "B" } else { "A" });
    let cases = [
        (signer.token(&claims_with("exp", json!(now() - 60))), "token: expired"),
        (signer.token(&claims_with("nbf", json!(now() + 60))), "token: not yet"),
        (signer.token(&claims_with("exp", json!(now() + 100_000))), "token: lives too long"),
        (signer.token(&claims_with("aud", json!("another"))), "token: audience"),
        (signer.token(&claims_with("iss", json!("https://other.example"))), "token: issuer"),
        (signer.token(&claims_with("sub", json!("nobody"))), "key: unknown"),
        (signer.token(&without("nbf")), "token: a claim is missing"),
        (signer.token(&without("aud")), "token: a claim is missing"),
        (signer.token(&without("jti")), "token: malformed"),
        (header(json!({ "alg": "EdDSA" })), "token: no key id"),
        (header(json!({ "alg": "EdDSA", "kid": "two" })), "token: unknown key id"),
        (header(json!({ "alg": "EdDSA", "kid": "one", "crit": ["exp"] })), "token: algorithm"),
        (none, "token: unsigned"),
        (hmac, "token: algorithm"),
        (other.token(&claims()), "token: algorithm"),
        (stranger.token(&claims()), "token: signature"),
        (changed, "token: signature"),
    ];
    let mut expected = Vec::new();
    for (token, rule) in cases {
        let answer = knock(&token).send(program.address).await;
        assert_eq!((answer.status, answer.code()), (401, Some(-32001)), "{rule}");
        assert!(answer.body.contains("Invalid API key"), "all of them read the same: {answer:?}");
        expected.push(if rule.starts_with("key") { rule.to_owned() } else { format!("key: {rule}") });
    }
    program.signal("INT");
    let ended = program.ended();
    assert!(!ended.stderr.contains("eyJ"), "a token is in the log");
    let rules = trust.rules();
    for rule in expected {
        assert!(rules.contains(&rule), "{rule} is not in {rules:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_01_a_token_belongs_to_whoever_presented_it_first() {
    let signer = Signer::ed25519("one");
    let mut trust = Trust::new(&signer);
    trust.set.push(("TRUSTED_PROXIES", "127.0.0.0/8"));
    let program = trust.start();
    let token = signer.token(&claims());
    let from = |address: &str| knock(&token).with("x-forwarded-for", address);
    let mut statuses = Vec::new();
    for address in ["192.0.2.1", "192.0.2.1", "192.0.2.66", "192.0.2.1"] {
        statuses.push(from(address).send(program.address).await.status);
    }
    assert_eq!(statuses, [200, 200, 401, 200]);
    // Another server on the same database knows it too.
    let second = Program::start(trust.path(), &trust.set);
    assert_eq!(from("192.0.2.66").send(second.address).await.status, 401);
    assert_eq!(from("192.0.2.1").send(second.address).await.status, 200);
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_issuers_keys_may_be_behind_a_url() {
    use axum::{Router, routing::get};
    let signer = Signer::ed25519("one");
    let set = Arc::new(json!({ "keys": [signer.public()] }).to_string());
    let asked = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let route = {
        let (set, asked) = (Arc::clone(&set), Arc::clone(&asked));
        get(move || {
            asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move { set.to_string() }
        })
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: &'static str = format!("http://{}/keys", listener.local_addr().unwrap()).leak();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys", route)).await });
    let mut trust = Trust::new(&signer);
    trust.set.retain(|(name, _)| *name != "SERVICE_KEYS");
    trust.set.push(("SERVICE_KEYS", url));
    let program = trust.start();
    for _ in 0..20 {
        assert_eq!(status(&program, &signer.token(&claims())).await, 200);
        let unknown = signer.token_with(&json!({ "alg": "EdDSA", "kid": "made-up" }), &claims());
        assert_eq!(status(&program, &unknown).await, 401);
    }
    // Once for each process that was started: at the beginning, and made-up ids do not make it ask again and again.
    let asked = asked.load(std::sync::atomic::Ordering::Relaxed);
    assert!(asked <= 3, "asked {asked} times");
}

/// One request over TLS, and everything that comes back until the end; an error where the handshake fails.
async fn over_tls(
    address: SocketAddr,
    root: &str,
    client: Option<&Certified>,
    ask: Ask,
) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some(client) => config
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(client.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(client.key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(&ask.with("connection", "close").bytes(address)).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// A server with TLS and an authority for clients, and the service `billing` known by its certificate.
fn encrypted(authority: &Authority) -> (Trust, Program) {
    let mut trust = Trust::new(&Signer::ed25519("one"));
    let server = authority.server();
    trust
        .write("ca.pem", &authority.certificate())
        .write("cert.pem", &server.certificate)
        .write("key.pem", &server.key);
    trust.set.extend([("TLS_CERT", "cert.pem"), ("TLS_KEY", "key.pem"), ("CLIENT_CA", "ca.pem")]);
    let program = Program::start(trust.path(), &trust.set);
    trust.operate(&["keys", "create", "--user", "bob", "--role", "read-only", "--certificate-name", SPIFFE]);
    (trust, program)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_a_certificate_is_known_by_its_one_name() {
    let authority = Authority::new("test");
    let root = authority.certificate();
    let (trust, program) = encrypted(&authority);
    let knock = || Ask::post(initialize(NEWEST));
    let send =
        async |client: Option<&Certified>, ask: Ask| over_tls(program.address, &root, client, ask).await;

    let billing = authority.client(&[SPIFFE], Validity::Now);
    assert!(send(Some(&billing), knock()).await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(send(None, knock().key(BOB)).await.unwrap().starts_with("HTTP/1.1 200"), "a key does as well");
    assert!(send(None, knock()).await.unwrap().starts_with("HTTP/1.1 401"));
    for names in [&["spiffe://example.org/other"][..], &[SPIFFE, "spiffe://example.org/other"], &[]] {
        let other = authority.client(names, Validity::Now);
        assert!(send(Some(&other), knock()).await.unwrap().starts_with("HTTP/1.1 401"), "{names:?}");
    }
    // What TLS itself refuses.
    for (client, why) in [
        (authority.client(&[SPIFFE], Validity::Past), "expired"),
        (Authority::new("stranger").client(&[SPIFFE], Validity::Now), "of another authority"),
    ] {
        assert!(send(Some(&client), knock()).await.is_err(), "{why}");
    }
    program.signal("INT");
    program.ended();
    let rules = trust.rules();
    for rule in ["certificate: expired", "certificate: unknown issuer", "key: certificate: no one name"] {
        assert!(rules.iter().any(|one| one == rule), "{rule} is not in {rules:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_names_a_certificate_is_good_with_that_certificate_alone() {
    let authority = Authority::new("test");
    let root = authority.certificate();
    let (mut trust, program) = encrypted(&authority);
    program.kill();
    let signer = Signer::ed25519("two");
    trust.publish(&[&signer]);
    trust.set.retain(|(name, _)| *name != "SERVICE_ALGORITHM");
    let program = trust.start();
    let (right, wrong) =
        (authority.client(&["billing"], Validity::Now), authority.client(&["billing"], Validity::Now));
    let der = CertificateDer::from_pem_slice(right.certificate.as_bytes()).unwrap();
    let bound = json!({ "x5t#S256": BASE64URL_NOPAD.encode(&Sha256::digest(&der)) });
    let token = signer.token(&claims_with("cnf", bound));
    for (client, status) in
        [(Some(&right), "200"), (Some(&wrong), "401"), (None, "401"), (Some(&right), "200")]
    {
        let answer = over_tls(program.address, &root, client, knock(&token)).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_read_again_at_a_hangup() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (trust, program) = encrypted(&old);
    let alive = async |root: &Authority| {
        over_tls(program.address, &root.certificate(), None, Ask::bare("GET").to("/healthz")).await.is_ok()
    };
    assert_eq!((alive(&old).await, alive(&new).await), (true, false));
    let server = new.server();
    trust.write("cert.pem", &server.certificate).write("key.pem", &server.key);
    program.signal("HUP");
    for _ in 0..100 {
        if alive(&new).await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((alive(&old).await, alive(&new).await), (false, true));
    // A key that is not the certificate's changes nothing.
    trust.write("key.pem", &old.server().key);
    program.signal("HUP");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(alive(&new).await);
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
