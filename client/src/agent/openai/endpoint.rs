//! Where a model is asked, and the key that goes there.

use std::{borrow::Cow, net::IpAddr};

use async_openai::config::{Config, OPENAI_API_BASE};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::SecretString;
use url::{Host, Url};

use super::OpenAiError;
use crate::mcp::{Endpoint, EndpointError};

/// The path that async-openai adds, and that people copy along.
const COMPLETIONS: &str = "/chat/completions";

/// An endpoint and its key. The key goes nowhere else, and `Debug` does not show it.
#[derive(Debug, Clone)]
pub(super) struct ModelEndpoint {
    place: Endpoint,
    base: String,
    /// The key as a header, marked sensitive.
    authorization: Option<HeaderValue>,
    /// What async-openai wants to be given, and nothing uses: the key is in the header.
    no_key: SecretString,
}

impl ModelEndpoint {
    /// Checks where `base_url` leads and whether the key can go there.
    pub(super) fn new(base_url: Option<&str>, key: Option<SecretString>) -> Result<Self, OpenAiError> {
        let url = base(base_url.unwrap_or(OPENAI_API_BASE))?;
        // Plain HTTP goes to machines nearby, where local models live, and beyond that only when no key goes along.
        let plain_http = key.is_none() || is_nearby(&url);
        let place = Endpoint::new(url.as_str(), key, plain_http).map_err(|error| match error {
            EndpointError::Key(_) => OpenAiError::Key(error.to_string()),
            EndpointError::NotAUrl(_)
            | EndpointError::Scheme(_)
            | EndpointError::UserInfo
            | EndpointError::Fragment
            | EndpointError::PlainHttp(_) => OpenAiError::BaseUrl(error.to_string()),
        })?;
        let authorization = place.key().map(bearer).transpose()?;
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { place, base, authorization, no_key: SecretString::default() })
    }

    /// The endpoint as the rules for keys and redirects see it.
    pub(super) const fn place(&self) -> &Endpoint {
        &self.place
    }

    /// The base URL, for people.
    pub(super) fn shown(&self) -> &str {
        &self.base
    }

    /// Whether a key goes along.
    pub(super) const fn has_key(&self) -> bool {
        self.authorization.is_some()
    }

    /// `text` without the key, wherever it repeats it.
    pub(super) fn without_key<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.place.without_key(text)
    }
}

impl Config for ModelEndpoint {
    fn headers(&self) -> HeaderMap {
        self.authorization.iter().map(|value| (AUTHORIZATION, value.clone())).collect()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        &self.base
    }

    fn api_key(&self) -> &SecretString {
        &self.no_key
    }
}

/// A base URL as people write it, made what async-openai wants: no slash at the end, no path of one method.
fn base(text: &str) -> Result<Url, OpenAiError> {
    let mut url = Url::parse(text.trim()).map_err(|error| {
        OpenAiError::BaseUrl(format!("not a URL ({error}); write it like http://127.0.0.1:11434/v1"))
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(OpenAiError::BaseUrl(format!(
            "`{}:` is no scheme of a model endpoint; write it like http://127.0.0.1:11434/v1",
            url.scheme()
        )));
    }
    if url.query().is_some() {
        return Err(OpenAiError::BaseUrl("leave out the `?` and what follows it".to_owned()));
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix(COMPLETIONS).unwrap_or(path).trim_end_matches('/');
    let path = if path.is_empty() { "/v1" } else { path }.to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Whether `url` names this machine or one in the same private network.
fn is_nearby(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            !name.contains('.') || name.ends_with(".local") || name.ends_with(".internal")
        }
        Some(Host::Ipv4(address)) => is_private(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_private(IpAddr::V6(address).to_canonical()),
        None => false,
    }
}

const fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

fn bearer(key: &HeaderValue) -> Result<HeaderValue, OpenAiError> {
    let mut bytes = b"Bearer ".to_vec();
    bytes.extend_from_slice(key.as_bytes());
    let mut value =
        HeaderValue::from_bytes(&bytes).map_err(|_| OpenAiError::Key("it cannot be sent".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-secret-0123456789";

    fn endpoint(url: &str) -> Result<ModelEndpoint, OpenAiError> {
        ModelEndpoint::new(Some(url), Some(KEY.into()))
    }

    #[test]
    fn a_base_url_may_be_written_in_every_usual_way() {
        for (written, meant) in [
            ("http://localhost:11434", "http://localhost:11434/v1"),
            ("http://localhost:11434/", "http://localhost:11434/v1"),
            ("http://localhost:11434/v1", "http://localhost:11434/v1"),
            (" http://localhost:11434/v1// ", "http://localhost:11434/v1"),
            ("https://example.com/v1/chat/completions", "https://example.com/v1"),
            ("https://example.com/openai/v1beta/", "https://example.com/openai/v1beta"),
        ] {
            assert_eq!(endpoint(written).unwrap().shown(), meant, "{written}");
        }
        let openai = ModelEndpoint::new(None, Some(KEY.into())).unwrap();
        assert_eq!(openai.url(COMPLETIONS), "https://api.openai.com/v1/chat/completions");
    }

    #[test]
    fn what_is_no_base_url_is_refused_and_says_which_setting_it_is() {
        for wrong in [
            "",
            "localhost",
            "localhost:11434",
            "ftp://example.com",
            "https://example.com/v1?key=hunter22",
            "https://user:hunter22@example.com/v1",
            "https://example.com/v1#x",
        ] {
            let text = endpoint(wrong).unwrap_err().to_string();
            assert!(text.starts_with("OPENAI_BASE_URL: ") && !text.contains("hunter22"), "{wrong}: {text}");
        }
    }

    #[test]
    fn a_key_goes_over_plain_http_to_machines_nearby_only() {
        for near in
            ["http://127.0.0.1:1", "http://[::1]:1", "http://10.1.2.3", "http://gpu:8000", "http://gpu.local"]
        {
            assert!(endpoint(near).is_ok(), "{near}");
        }
        for far in ["http://example.com/v1", "http://8.8.8.8", "http://[2001:db8::1]"] {
            assert!(matches!(endpoint(far), Err(OpenAiError::BaseUrl(_))), "{far}");
            assert!(ModelEndpoint::new(Some(far), None).is_ok(), "{far} without a key");
        }
    }

    #[test]
    fn the_key_is_in_its_header_and_in_no_debug_output() {
        let endpoint = endpoint("https://example.com").unwrap();
        let headers = endpoint.headers();
        assert_eq!(headers[AUTHORIZATION], format!("Bearer {KEY}"));
        assert!(!format!("{endpoint:?} {headers:?}").contains("secret"));
        assert!(ModelEndpoint::new(None, None).unwrap().headers().is_empty());
        let error = ModelEndpoint::new(None, Some("hunter22\n".into())).unwrap_err();
        assert!(matches!(error, OpenAiError::Key(_)) && !error.to_string().contains("hunter22"));
    }
}
