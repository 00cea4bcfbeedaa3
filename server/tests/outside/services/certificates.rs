//! Client certificates, and tokens that are good with one of them alone.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use serde_json::json;
use server::http::tls::TlsSettings;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Trust, claims_with, knock, listen, now};
use crate::{
    refusals::recorded,
    support::{
        app::spawn_app_with,
        client::{BOB, NEWEST, initialize},
        kit::{Authority, Certified, Signer, Validity},
        process::Program,
        soon,
        wire::{Ask, Wire},
    },
};

pub(super) const SPIFFE: &str = "spiffe://example.org/billing";

/// What opens connections, and keeps what the server gave it to come back with.
fn connector(
    root: &str,
    client: Option<&Certified>,
    versions: &[&'static SupportedProtocolVersion],
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
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
    TlsConnector::from(Arc::new(config))
}

async fn open(connector: &TlsConnector, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// One request that is the last, and everything that comes back until the end.
async fn finish(mut stream: TlsStream<TcpStream>, bytes: &[u8]) -> std::io::Result<String> {
    stream.write_all(bytes).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// One request over TLS, and everything that comes back until the end; an error where the handshake fails.
async fn over_tls(
    address: SocketAddr,
    root: &str,
    client: Option<&Certified>,
    ask: Ask,
) -> std::io::Result<String> {
    let stream = open(&connector(root, client, rustls::ALL_VERSIONS), address).await?;
    finish(stream, &ask.with("connection", "close").bytes(address)).await
}

/// A server with TLS and an authority for clients, and the service `billing` known by its certificate.
pub(super) fn encrypted(authority: &Authority) -> (Trust, Program) {
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

    let billing = authority.client(&[SPIFFE], Validity::NOW);
    assert!(send(Some(&billing), knock()).await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(send(None, knock().key(BOB)).await.unwrap().starts_with("HTTP/1.1 200"), "a key does as well");
    assert!(send(None, knock()).await.unwrap().starts_with("HTTP/1.1 401"));
    for names in [&["spiffe://example.org/other"][..], &[SPIFFE, "spiffe://example.org/other"], &[]] {
        let other = authority.client(names, Validity::NOW);
        assert!(send(Some(&other), knock()).await.unwrap().starts_with("HTTP/1.1 401"), "{names:?}");
    }
    // What TLS itself refuses.
    for (client, why) in [
        (authority.client(&[SPIFFE], Validity::PAST), "expired"),
        (Authority::new("stranger").client(&[SPIFFE], Validity::NOW), "of another authority"),
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

/// The same, and it believes the tokens of `signer` too.
pub(super) fn encrypted_with_tokens(authority: &Authority, signer: &Signer) -> (Trust, Program) {
    let (mut trust, program) = encrypted(authority);
    program.kill();
    trust.publish(&[signer]);
    trust.set.retain(|(name, _)| *name != "SERVICE_ALGORITHM");
    let program = trust.start();
    (trust, program)
}

/// A token that names this certificate.
fn token_for(client: &Certified, signer: &Signer) -> String {
    let der = CertificateDer::from_pem_slice(client.certificate.as_bytes()).unwrap();
    let bound = json!({ "x5t#S256": BASE64URL_NOPAD.encode(&Sha256::digest(&der)) });
    signer.token(&claims_with("cnf", bound))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_names_a_certificate_is_good_with_that_certificate_alone() {
    let authority = Authority::new("test");
    let root = authority.certificate();
    let signer = Signer::ed25519("two");
    let (_trust, program) = encrypted_with_tokens(&authority, &signer);
    let (right, wrong) =
        (authority.client(&["billing"], Validity::NOW), authority.client(&["billing"], Validity::NOW));
    let token = token_for(&right, &signer);
    for (client, status) in
        [(Some(&right), "200"), (Some(&wrong), "401"), (None, "401"), (Some(&right), "200")]
    {
        let answer = over_tls(program.address, &root, client, knock(&token)).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

/// A connection that stays open after a request was served on it.
struct Kept {
    connector: TlsConnector,
    stream: TlsStream<TcpStream>,
    ask: Ask,
}

impl Kept {
    /// The connection, unless the certificate is over by now.
    async fn open(connector: TlsConnector, address: SocketAddr, ask: Ask) -> Option<Self> {
        let mut stream = open(&connector, address).await.ok()?;
        stream.write_all(&ask.bytes(address)).await.ok()?;
        let mut answer = String::new();
        // The answer is one JSON object, with nothing behind it.
        while !answer.ends_with("}") {
            let mut piece = [0; 4_096];
            let read = stream.read(&mut piece).await.ok().filter(|read| *read > 0)?;
            answer.push_str(str::from_utf8(&piece[..read]).unwrap());
        }
        answer.starts_with("HTTP/1.1 200").then_some(Self { connector, stream, ask })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_whose_time_is_over_is_worth_nothing_on_a_kept_connection_and_opens_no_other() {
    let authority = Authority::new("test");
    let root = authority.certificate();
    let signer = Signer::ed25519("two");
    let (trust, program) = encrypted_with_tokens(&authority, &signer);
    let address = program.address;

    // A busy machine may need a certificate that lives longer to be served with it at all. It must not live longer than a
    // connection may be idle.
    let (mut kept, mut ends) = (Vec::new(), 0);
    for life in [2, 4, 6] {
        ends = now() + life;
        let client = authority.client(&[SPIFFE], Validity(ends));
        let alone = || Ask::post(initialize(NEWEST));
        let cases = [(&TLS12, alone()), (&TLS13, alone()), (&TLS13, knock(&token_for(&client, &signer)))];
        for (version, ask) in cases {
            let connector = connector(&root, Some(&client), &[version]);
            kept.extend(soon("an answer", Kept::open(connector, address, ask)).await);
        }
        if kept.len() == 3 {
            break;
        }
        kept.clear();
    }
    assert_eq!(kept.len(), 3, "no certificate lived long enough to be served");
    while now() <= ends {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    for Kept { connector, stream, ask } in kept {
        let refused = soon("the end", finish(stream, &ask.bytes(address))).await.unwrap();
        assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
        assert!(refused.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{refused}");
        let again = async { finish(open(&connector, address).await?, &ask.bytes(address)).await };
        let again = soon("the handshake", again).await;
        assert!(again.is_err(), "{again:?}");
    }
    program.signal("INT");
    program.ended();
    let rules = trust.rules();
    for rule in ["certificate: expired", "key: certificate: expired"] {
        assert!(rules.iter().any(|one| one == rule), "{rule} is not in {rules:?}");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_listened_to_ends_with_the_certificate_that_opened_it() {
    let authority = Authority::new("test");
    let root = authority.certificate();
    let signer = Signer::ed25519("two");
    let (_trust, program) = encrypted_with_tokens(&authority, &signer);
    for has_token in [false, true] {
        // A busy machine may need a certificate that lives longer to be served with it at all.
        let mut ended = false;
        for life in [2, 4, 8] {
            let ends = now() + life;
            let client = authority.client(&[SPIFFE], Validity(ends));
            let ask = listen(program.address);
            let ask = match has_token {
                true => ask.with("authorization", &format!("Bearer {}", token_for(&client, &signer))),
                false => ask,
            };
            let heard = soon("the end", over_tls(program.address, &root, Some(&client), ask)).await;
            if heard.is_ok_and(|heard| heard.starts_with("HTTP/1.1 200")) {
                assert!(now() > ends, "{} s before its time", ends - now());
                ended = true;
                break;
            }
        }
        assert!(ended, "no certificate lived long enough to be served");
    }
}

/// As it is without TLS, one that sends nothing is only idle.
#[tokio::test]
async fn a_handshake_that_does_not_end_is_recorded_and_one_that_does_not_begin_is_not() {
    let authority = Authority::new("test");
    let (server, folder) = (authority.server(), tempfile::tempdir().unwrap());
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, &server.certificate).unwrap();
    std::fs::write(&key, &server.key).unwrap();
    let tls = TlsSettings { certificate, key, client_ca: None };
    let app = spawn_app_with(|config| config.tls = Some(tls)).await;
    let outlasted = async |begun: &[u8]| {
        let mut wire = Wire::connect(app.address).await;
        wire.write(begun).await;
        tokio::time::pause();
        wire.until_closed().await;
        tokio::time::resume();
    };
    let rules = async |number: usize| -> Vec<_> {
        recorded(&app, number).await.into_iter().map(|record| record.rule.into_owned()).collect()
    };
    outlasted(&[]).await;
    let knock = Ask::post(initialize(NEWEST));
    assert!(over_tls(app.address, &authority.certificate(), None, knock).await.is_ok());
    assert_eq!(rules(1).await, ["key: missing"]);
    outlasted(&[22, 3, 1, 0, 200]).await;
    assert_eq!(rules(2).await, ["key: missing", "connection: too slow"]);
}
