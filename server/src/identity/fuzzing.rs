//! The room's parsers, for the fuzz targets alone (`cargo fuzz` sets `cfg(fuzzing)`).

use std::{
    fs::File,
    io::Write as _,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, header};
use shared::headers;

use super::{
    Issuer, IssuerSettings, Sender,
    authenticator::presented,
    issuer::{KeySource, TokenAlgorithm},
    token::{self, Token},
};

const SENDER: Sender<'_> = Sender { address: IpAddr::V4(Ipv4Addr::LOCALHOST), certificate: None };

/// The public half of a key that nobody has the other half of any more.
const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"one","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// Whether what two headers say is one credential.
#[must_use]
pub fn is_credential(own: &[u8], bearer: &[u8]) -> bool {
    let mut map = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(own) {
        map.append(headers::API_KEY, value);
    }
    if let Ok(value) = HeaderValue::from_bytes(&[b"Bearer ", bearer].concat()) {
        map.append(header::AUTHORIZATION, value);
    }
    presented(&map, SENDER).is_ok()
}

/// An issuer whose private key nobody has.
#[derive(Debug)]
pub struct Tokens(Arc<Issuer>);

impl Tokens {
    /// The issuer.
    ///
    /// # Errors
    /// Its public keys cannot be written where it reads them.
    pub fn new() -> Result<Self, String> {
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(|error| error.to_string())?;
        let path = std::env::temp_dir().join(format!("fuzz-keys-{}.json", HEXLOWER.encode(&name)));
        let written = File::create_new(&path).and_then(|mut file| file.write_all(KEYS.as_bytes()));
        written.map_err(|error| error.to_string())?;
        let settings = IssuerSettings {
            issuer: "https://issuer.example".to_owned(),
            audience: "payments".to_owned(),
            algorithm: TokenAlgorithm::EdDsa,
            keys: KeySource::File(path.clone()),
        };
        let opened = Issuer::open(settings).now_or_never();
        std::fs::remove_file(path).map_err(|error| error.to_string())?;
        opened.ok_or("it waits for a file")?.map(Self).map_err(|error| error.to_string())
    }

    /// Whether a text is a token of this issuer's.
    #[must_use]
    pub fn hold(&self, text: &str) -> bool {
        let Some(token) = Token::recognise(text) else { return false };
        token::verify(&token, &self.0, SENDER).now_or_never().is_some_and(|verified| verified.is_ok())
    }

    /// Whether a text is taken for the claims of a token of this issuer's.
    #[must_use]
    pub fn hold_with_claims(&self, claims: &str) -> bool {
        let head = BASE64URL_NOPAD.encode(br#"{"alg":"EdDSA","kid":"one"}"#);
        let signature = BASE64URL_NOPAD.encode(&[7; 64]);
        self.hold(&format!("{head}.{}.{signature}", BASE64URL_NOPAD.encode(claims.as_bytes())))
    }
}
