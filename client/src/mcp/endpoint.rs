//! Where a key may go: a URL that may be spoken to, and the key that belongs there.

use std::{borrow::Cow, fmt, net::IpAddr};

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

/// Keys shorter than this are not searched for in what a server says: they would be found in ordinary words.
const SHORTEST_HIDDEN_KEY: usize = 8;

/// What stands where a key stood.
const HIDDEN: &str = "[key hidden]";

/// A URL that may be spoken to, and the key that goes there and nowhere else. `Debug` shows the URL only.
#[derive(Clone)]
pub struct Endpoint {
    url: Url,
    shown: String,
    key: Option<HeaderValue>,
}

/// Why a URL or a key is not taken. No variant repeats the key, or a URL that has a secret in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL at all.
    #[error("not a URL ({0}); write it like http://127.0.0.1:8080/mcp")]
    NotAUrl(String),
    /// Another scheme.
    #[error("`{0}:` is not a scheme MCP is served over; use https:// (or http:// on this machine)")]
    Scheme(String),
    /// A user name or a password in the URL.
    #[error(
        "a user name or password does not belong in the URL, as URLs end up in logs; give the key separately"
    )]
    UserInfo,
    /// A fragment.
    #[error("a URL with a `#` part is not an endpoint; leave out the `#` and what follows it")]
    Fragment,
    /// Plain HTTP to another machine.
    #[error("http:// to `{0}` would send the key in the clear; use https://, or allow plain HTTP explicitly")]
    PlainHttp(String),
    /// A key that cannot travel in a header.
    #[error("the key {0}; check how it was copied")]
    Key(&'static str),
}

impl Endpoint {
    /// Checks where `url` leads and whether `key` can go there. `key` is `None` for servers that need none.
    /// `allow_plain_http` permits `http://` beyond loopback, where everyone on the way can read the key.
    ///
    /// # Errors
    /// [`EndpointError`], which says what to change.
    pub fn new(url: &str, key: Option<SecretString>, allow_plain_http: bool) -> Result<Self, EndpointError> {
        let url = Url::parse(url.trim()).map_err(|error| EndpointError::NotAUrl(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(EndpointError::Fragment);
        }
        if url.scheme() == "http" && !allow_plain_http && !is_loopback(&url) {
            return Err(EndpointError::PlainHttp(url.host_str().unwrap_or_default().to_owned()));
        }
        let key = key.map(|key| key_header(&key)).transpose()?;
        Ok(Self { shown: without_query(&url), url, key })
    }

    /// The URL, for people: where there is a query, `?…` stands for it, as queries carry secrets too.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.shown
    }

    /// The URL in full, for the wire.
    pub(crate) const fn target(&self) -> &Url {
        &self.url
    }

    /// The key as the value of its header, marked sensitive.
    pub(crate) const fn key(&self) -> Option<&HeaderValue> {
        self.key.as_ref()
    }

    /// Whether the endpoint is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }

    /// `text` without the key, wherever it repeats it.
    pub(crate) fn without_key<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let key = self.key.as_ref().and_then(|key| key.to_str().ok()).unwrap_or_default();
        if key.len() >= SHORTEST_HIDDEN_KEY && text.contains(key) {
            Cow::Owned(text.replace(key, HIDDEN))
        } else {
            Cow::Borrowed(text)
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.shown).field("has_key", &self.key.is_some()).finish()
    }
}

fn without_query(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{shown}{query}")
}

/// Whether `url` names this machine. The name `localhost` does: the connection resolves it to the loopback addresses
/// itself and asks nobody.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
        None => false,
    }
}

fn key_header(key: &SecretString) -> Result<HeaderValue, EndpointError> {
    let key = key.expose_secret();
    if key.is_empty() {
        return Err(EndpointError::Key("is empty"));
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(EndpointError::Key("has a space, a line break or another character that cannot be sent"));
    }
    let mut value = HeaderValue::from_str(key)
        .map_err(|_| EndpointError::Key("has a character that cannot be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, allow_plain_http: bool) -> Result<Endpoint, EndpointError> {
        Endpoint::new(url, Some("secret-key-0123456789".into()), allow_plain_http)
    }

    #[test]
    fn plain_http_is_spoken_to_this_machine_only_unless_allowed() {
        for url in [
            "http://127.0.0.1:8080/mcp",
            "http://127.9.9.9/",
            "http://[::1]:1/mcp",
            "http://[::ffff:127.0.0.1]/",
            "http://LOCALHOST:8080/mcp",
            "https://example.com/mcp",
        ] {
            assert!(check(url, false).is_ok(), "{url}");
        }
        for url in [
            "http://example.com/mcp",
            "http://10.0.0.1/",
            "http://0.0.0.0:8080/",
            "http://localhost.example.com/",
            "http://[::ffff:10.0.0.1]/",
        ] {
            assert!(matches!(check(url, false), Err(EndpointError::PlainHttp(_))), "{url}");
            assert!(check(url, true).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_not_an_endpoint_is_refused_and_no_secret_is_repeated() {
        assert!(matches!(check("127.0.0.1:8080", false), Err(EndpointError::NotAUrl(_))));
        assert_eq!(check("file:///etc/passwd", false).unwrap_err(), EndpointError::Scheme("file".to_owned()));
        assert_eq!(check("https://example.com/mcp#x", false).unwrap_err(), EndpointError::Fragment);
        for url in ["https://user:hunter22@example.com/", "https://hunter22@example.com/"] {
            let error = check(url, false).unwrap_err();
            assert_eq!(error, EndpointError::UserInfo);
            assert!(!format!("{error} {error:?}").contains("hunter22"));
        }
    }

    #[test]
    fn a_key_that_cannot_be_a_header_is_refused_without_repeating_it() {
        for key in ["", "hunter22\n", "hunter22 ", "hunter22\r\nx-evil: 1", "hunter22ä", "hunter22\0"] {
            let error = Endpoint::new("http://127.0.0.1/", Some(key.into()), false).unwrap_err();
            assert!(matches!(error, EndpointError::Key(_)), "{key:?}");
            assert!(!format!("{error} {error:?}").contains("hunter22"), "{key:?}");
        }
    }

    #[test]
    fn neither_debug_nor_the_shown_url_nor_a_text_that_passed_carries_the_key() {
        let endpoint = check("https://example.com/mcp?token=hunter22", false).unwrap();
        let shown = format!("{endpoint:?} {}", endpoint.url());
        assert!(!shown.contains("secret-key") && !shown.contains("hunter22"), "{shown}");
        assert_eq!(endpoint.url(), "https://example.com/mcp?…");
        assert!(format!("{:?}", endpoint.key()).contains("Sensitive"));
        assert_eq!(endpoint.without_key("bad key secret-key-0123456789!"), "bad key [key hidden]!");
    }
}
