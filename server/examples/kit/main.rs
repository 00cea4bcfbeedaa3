//! Credentials for the walkthrough: an authority with its certificates and an issuer with its tokens, some of them wrong
//! on purpose. They are made anew each time, trusted by nobody else, and written to the folder that is named.

use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use credentials::{Authority, Certified, Signer, Validity};
use serde_json::{Value, json};

#[expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests share it, where failing is what is wanted"
)]
mod credentials;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).context("name a folder")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    certificates(folder)?;
    tokens(folder)
}

fn certificates(folder: &Path) -> anyhow::Result<()> {
    let (authority, stranger) = (Authority::new("walkthrough"), Authority::new("stranger"));
    let name = ["spiffe://example.org/billing"];
    fs::write(folder.join("ca.pem"), authority.certificate())?;
    for (file, certified) in [
        ("server", authority.server()),
        ("client", authority.client(&name, Validity::NOW)),
        ("client-expired", authority.client(&name, Validity::PAST)),
        ("client-of-a-stranger", stranger.client(&name, Validity::NOW)),
    ] {
        let Certified { certificate, key } = certified;
        fs::write(folder.join(format!("{file}.pem")), certificate)?;
        fs::write(folder.join(format!("{file}.key")), key)?;
    }
    Ok(())
}

fn tokens(folder: &Path) -> anyhow::Result<()> {
    let (signer, stranger, other) = (Signer::ed25519("one"), Signer::ed25519("one"), Signer::p256("one"));
    fs::write(folder.join("keys.json"), json!({ "keys": [signer.public()] }).to_string())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = |id: &str, changes: Value| {
        let mut claims = json!({
            "iss": "https://issuer.example", "aud": "payments", "sub": "billing", "jti": id,
            "nbf": now.saturating_sub(5), "exp": now.saturating_add(1_800),
        });
        if let (Some(claims), Some(changes)) = (claims.as_object_mut(), changes.as_object()) {
            claims.extend(changes.clone());
        }
        claims
    };
    let unsigned = signer.token_with(&json!({ "alg": "none", "kid": "one" }), &claims("none", json!({})));
    let unsigned = unsigned.rsplit_once('.').map(|(message, _)| format!("{message}.")).unwrap_or_default();
    for (file, token) in [
        ("good", signer.token(&claims("good", json!({})))),
        ("stolen", signer.token(&claims("stolen", json!({})))),
        ("alg-none", unsigned),
        ("another-algorithm", other.token(&claims("another", json!({})))),
        ("wrong-audience", signer.token(&claims("audience", json!({ "aud": "somebody-else" })))),
        ("expired", signer.token(&claims("expired", json!({ "exp": now.saturating_sub(600) })))),
        ("for-risk", signer.token(&claims("risk", json!({ "aud": "risk", "sub": "payment-server" })))),
        ("of-a-stranger", stranger.token(&claims("stranger", json!({})))),
    ] {
        fs::write(folder.join(format!("{file}.jwt")), token)?;
    }
    Ok(())
}
