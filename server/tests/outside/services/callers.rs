//! Our own client as a service: with a token from a file, with one that a command prints, and with a certificate.

use std::{fs, net::SocketAddr, sync::Arc};

use client::mcp::{
    CallOptions, ClientCertificate, ConnectOptions, Connection, Credentials, Endpoint, Era, McpError,
    RetryPolicy, Roots, TokenOrigin, TokenSource,
};
use data_encoding::BASE64URL_NOPAD;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Trust,
    certificates::{encrypted, encrypted_with_tokens},
    claims, claims_with,
};
use crate::support::{
    kit::{Authority, Certified, Signer, Validity},
    soon,
};

const ERAS: [Era; 2] = [Era::Sessions, Era::Stateless];

fn token(origin: TokenOrigin) -> Credentials {
    Credentials { token: Some(Arc::new(TokenSource::new(origin))), ..Credentials::default() }
}

/// What a certificate shows of itself, to a server of this authority.
fn certificate(authority: &Authority, client: &Certified) -> Credentials {
    let key = SecretString::from(client.key.clone());
    let certificate = ClientCertificate::from_pem(client.certificate.as_bytes(), &key).unwrap();
    Credentials { certificate: Some(certificate), roots: Some(roots(authority)), token: None }
}

fn roots(authority: &Authority) -> Roots {
    Roots::from_pem(authority.certificate().as_bytes()).unwrap()
}

async fn open(
    scheme: &str,
    address: SocketAddr,
    era: Era,
    credentials: Credentials,
) -> Result<Connection, McpError> {
    let endpoint =
        Endpoint::new(&format!("{scheme}://localhost:{}/mcp", address.port()), None, false).unwrap();
    let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    let options = ConnectOptions { era, credentials, retry, ..ConnectOptions::default() };
    soon("a connection", Connection::open(endpoint, options)).await
}

/// Who the server says that is calling.
async fn who(connection: &Connection) -> Result<Value, McpError> {
    let called = connection.call_tool("whoAmI", serde_json::Map::new(), CallOptions::default());
    Ok(soon("an answer", called).await?.structured_content.unwrap())
}

/// That it is the service, and no key of anybody's.
async fn is_billing(connection: &Connection) {
    let told = who(connection).await.unwrap();
    assert_eq!((&told["kind"], &told["role"]), (&json!("service"), &json!("read-only")), "{told}");
}

/// That it is not let in, and that no token is told.
fn is_refused(error: &McpError) {
    assert!(matches!(error, McpError::Unauthorized(_)), "{error}");
    tells_no_token(error);
}

/// That there was nothing to send, and that no token is told.
fn is_unsent(error: &McpError) {
    assert!(matches!(error, McpError::NoCredentials(_)), "{error}");
    tells_no_token(error);
}

fn tells_no_token(error: &McpError) {
    assert!(!format!("{error} {error:?}").contains("eyJ"), "a token is told: {error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_calls_with_a_token_from_a_file_and_goes_on_when_the_file_has_another() {
    for era in ERAS {
        let (old, new) = (Signer::ed25519("old"), Signer::ed25519("new"));
        let trust = Trust::new(&old);
        let program = trust.start();
        trust.write("token.jwt", &(old.token(&claims()) + "\n"));
        let from_file = || token(TokenOrigin::File(trust.path().join("token.jwt")));
        let connection = open("http", program.address, era, from_file()).await.unwrap();
        is_billing(&connection).await;
        // The issuer has new keys, and whatever renews tokens has written another one: the refusal makes it look.
        trust.publish(&[&new]);
        trust.write("token.jwt", &new.token(&claims()));
        crate::support::eventually("the new keys", async || {
            super::status(&program, &new.token(&claims())).await == 200
        })
        .await;
        is_billing(&connection).await;
        // One that is no good is refused, and one that is none is not sent.
        trust.write("token.jwt", &old.token(&claims()));
        is_refused(&open("http", program.address, era, from_file()).await.unwrap_err());
        for nothing in ["", "two words", "\u{fc}"] {
            trust.write("token.jwt", nothing);
            is_unsent(&open("http", program.address, era, from_file()).await.unwrap_err());
        }
        fs::remove_file(trust.path().join("token.jwt")).unwrap();
        is_unsent(&open("http", program.address, era, from_file()).await.unwrap_err());
        is_billing(&connection).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_calls_with_a_token_that_a_command_prints_and_runs_it_no_more_often_than_it_must() {
    for era in ERAS {
        let signer = Signer::ed25519("one");
        let trust = Trust::new(&signer);
        let program = trust.start();
        trust.write("token.jwt", &signer.token(&claims())).write("runs", "");
        let folder = trust.path().display();
        let prints =
            || token(TokenOrigin::Command(format!("echo run >> '{folder}/runs'; cat '{folder}/token.jwt'")));
        let connection = open("http", program.address, era, prints()).await.unwrap();
        for _ in 0..5 {
            is_billing(&connection).await;
        }
        let runs = || fs::read_to_string(trust.path().join("runs")).unwrap().lines().count();
        assert_eq!(runs(), 1, "a token is kept for as long as it is good");
        // One that ends within half a minute is not kept.
        let soon_over = claims_with("exp", json!(super::now() + 20));
        trust.write("token.jwt", &signer.token(&soon_over));
        let connection = open("http", program.address, era, prints()).await.unwrap();
        let before = runs();
        is_billing(&connection).await;
        assert!(runs() > before, "it is read again before it ends");
        for fails in ["false", "echo eyJ; exit 3", "true", "kill $$"] {
            let unsent =
                open("http", program.address, era, token(TokenOrigin::Command(fails.to_owned()))).await;
            is_unsent(&unsent.unwrap_err());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_calls_with_a_certificate_and_speaks_to_nobody_whose_own_it_does_not_trust() {
    let authority = Authority::new("test");
    let (_trust, program) = encrypted(&authority);
    let stranger = Authority::new("stranger");
    let billing = authority.client(&[super::certificates::SPIFFE], Validity::NOW);
    for era in ERAS {
        let connection =
            open("https", program.address, era, certificate(&authority, &billing)).await.unwrap();
        is_billing(&connection).await;
        let other = authority.client(&["spiffe://example.org/other"], Validity::NOW);
        let refused = open("https", program.address, era, certificate(&authority, &other)).await;
        is_refused(&refused.unwrap_err());
        let none = Credentials { roots: Some(roots(&authority)), ..Credentials::default() };
        is_refused(&open("https", program.address, era, none).await.unwrap_err());
        // TLS itself refuses these, on either side: nothing was said.
        let past = authority.client(&[super::certificates::SPIFFE], Validity::PAST);
        for credentials in [
            certificate(&authority, &past),
            certificate(&authority, &stranger.client(&[super::certificates::SPIFFE], Validity::NOW)),
            Credentials { roots: Some(roots(&stranger)), ..certificate(&authority, &billing) },
            Credentials { roots: None, ..certificate(&authority, &billing) },
        ] {
            let error = open("https", program.address, era, credentials).await.unwrap_err();
            assert!(!matches!(error, McpError::Unauthorized(_)), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_shows_a_token_and_the_certificate_that_it_is_bound_to() {
    let (authority, signer) = (Authority::new("test"), Signer::ed25519("two"));
    let (trust, program) = encrypted_with_tokens(&authority, &signer);
    let (right, wrong) =
        (authority.client(&["billing"], Validity::NOW), authority.client(&["billing"], Validity::NOW));
    let der = CertificateDer::from_pem_slice(right.certificate.as_bytes()).unwrap();
    let bound = json!({ "x5t#S256": BASE64URL_NOPAD.encode(&Sha256::digest(&der)) });
    trust.write("token.jwt", &signer.token(&claims_with("cnf", bound)));
    let both = |client: &Certified| Credentials {
        token: token(TokenOrigin::File(trust.path().join("token.jwt"))).token,
        ..certificate(&authority, client)
    };
    for era in ERAS {
        is_billing(&open("https", program.address, era, both(&right)).await.unwrap()).await;
        is_refused(&open("https", program.address, era, both(&wrong)).await.unwrap_err());
    }
}
