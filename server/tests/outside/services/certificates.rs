//! Client certificates, and tokens that are good with one of them alone.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{Trust, claims_with, knock};
use crate::support::{
    client::{BOB, NEWEST, initialize},
    kit::{Authority, Certified, Signer, Validity},
    process::Program,
    wire::Ask,
};

pub(super) const SPIFFE: &str = "spiffe://example.org/billing";

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
