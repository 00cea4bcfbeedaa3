//! Is the request meant for this server, and does it come from a page that may call it?
//!
//! A page in a browser can send requests to a server on the same machine, and with a name that resolves to it (DNS
//! rebinding) it can read the answers. The Host header then has the page's name and Origin its origin, so both are held
//! against lists (Streamable HTTP transport, "Security Warning"). Programs send no Origin.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName, Request, header};

/// Which hosts are ours, and which origins may call.
#[derive(Debug, Clone)]
pub struct Guard {
    hosts: Vec<Host>,
    origins: Vec<AllowedOrigin>,
}

/// A setting names something that is no host and no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// An allowed host is not a host name or an address.
    #[error("`{0}` is not a host: write a name or an address, such as payments.example.com")]
    NotAHost(String),
    /// An allowed origin is neither a host nor an origin.
    #[error(
        "`{0}` is not an origin: write https://app.example.com, or a host for any scheme of it, and any port unless it names one"
    )]
    NotAnOrigin(String),
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// It is for another host, or does not say for which.
    #[error("Host not allowed: add it to ALLOWED_HOSTS if this server is meant")]
    Host,
    /// It comes from a page that is not on the list.
    #[error("Origin not allowed: add it to ALLOWED_ORIGINS if that page may call this server")]
    Origin,
}

/// A host without its port.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum AllowedOrigin {
    /// Of every scheme, and of every port where none is named.
    AnyOf {
        host: Host,
        port: Option<u16>,
    },
    Exactly {
        scheme: String,
        host: Host,
        port: Option<u16>,
    },
}

impl Guard {
    /// A guard that lets in requests for these hosts, whatever the port, and pages of these origins. An origin is
    /// `https://app.example.com:8443`, or a host for every scheme of it, and for every port where it names none.
    ///
    /// # Errors
    /// [`GuardError`] names the first entry that means nothing.
    pub fn new(allowed_hosts: &[String], allowed_origins: &[String]) -> Result<Self, GuardError> {
        let host = |entry: &String| {
            let bare = entry.trim().parse::<Ipv6Addr>().map(|address| Host::Address(address.into())).ok();
            let host =
                bare.or_else(|| Authority::parse(entry.trim()).map(|authority| authority.host.owned()));
            host.ok_or_else(|| GuardError::NotAHost(entry.clone()))
        };
        let origin = |entry: &String| match entry.trim().split_once("://") {
            None => {
                let port = Authority::parse(entry.trim()).and_then(|authority| authority.port);
                let host = host(entry).map_err(|_| GuardError::NotAnOrigin(entry.clone()))?;
                Ok(AllowedOrigin::AnyOf { host, port })
            }
            Some((scheme, rest)) if is_web(scheme) => {
                let authority =
                    Authority::parse(rest).ok_or_else(|| GuardError::NotAnOrigin(entry.clone()))?;
                Ok(AllowedOrigin::Exactly {
                    scheme: scheme.to_ascii_lowercase(),
                    host: authority.host.owned(),
                    port: authority.port.or(default_port(scheme)),
                })
            }
            Some(_) => Err(GuardError::NotAnOrigin(entry.clone())),
        };
        Ok(Self {
            hosts: allowed_hosts.iter().map(host).collect::<Result<_, _>>()?,
            origins: allowed_origins.iter().map(origin).collect::<Result<_, _>>()?,
        })
    }

    /// Whether the request may come in. Every host it names must be ours: the Host header, and the request target
    /// where that is a whole URL.
    ///
    /// # Errors
    /// [`NotAllowed`].
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), NotAllowed> {
        let named = single(request.headers(), &header::HOST).map_err(|Repeated| NotAllowed::Host)?;
        let target = request.uri().authority().map(http::uri::Authority::as_str);
        if named.is_none() && target.is_none() {
            return Err(NotAllowed::Host);
        }
        if !named.into_iter().chain(target).all(|authority| self.is_ours(authority)) {
            return Err(NotAllowed::Host);
        }
        match single(request.headers(), &header::ORIGIN) {
            Ok(None) => Ok(()),
            Ok(Some(origin)) if self.may_call(origin) => Ok(()),
            Ok(Some(_)) | Err(Repeated) => Err(NotAllowed::Origin),
        }
    }

    fn is_ours(&self, authority: &str) -> bool {
        Authority::parse(authority)
            .is_some_and(|authority| self.hosts.iter().any(|allowed| authority.host.is(allowed)))
    }

    fn may_call(&self, origin: &str) -> bool {
        let Some((scheme, rest)) = origin.split_once("://").filter(|(scheme, _)| is_web(scheme)) else {
            return false;
        };
        let Some(claimed) = Authority::parse(rest) else { return false };
        self.origins.iter().any(|allowed| match allowed {
            AllowedOrigin::AnyOf { host, port } => {
                claimed.host.is(host) && (port.is_none() || claimed.port.or(default_port(scheme)) == *port)
            }
            AllowedOrigin::Exactly { scheme: allowed, host, port } => {
                scheme.eq_ignore_ascii_case(allowed)
                    && claimed.host.is(host)
                    && claimed.port.or(default_port(scheme)) == *port
            }
        })
    }
}

/// `host[:port]`, read.
struct Authority<'a> {
    host: HostRef<'a>,
    port: Option<u16>,
}

#[derive(Clone, Copy)]
enum HostRef<'a> {
    Name(&'a str),
    Address(IpAddr),
}

impl<'a> Authority<'a> {
    /// `None` for anything that is not exactly a host and perhaps a port.
    fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(bracketed) => {
                let (address, rest) = bracketed.split_once(']')?;
                let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
                (HostRef::Address(address.parse::<Ipv6Addr>().ok()?.into()), port)
            }
            None => {
                let (name, port) =
                    text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
                (HostRef::parse(name)?, port)
            }
        };
        let port = match port {
            None => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            Some(_) => return None,
        };
        Some(Self { host, port })
    }
}

impl<'a> HostRef<'a> {
    /// A name or an IPv4 address. One dot at the end is the root of all names and says nothing.
    fn parse(text: &'a str) -> Option<Self> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let named = !name.is_empty() && !name.starts_with('.') && !name.ends_with('.');
        (named && name.bytes().all(allowed)).then_some(Self::Name(name))
    }

    fn is(self, allowed: &Host) -> bool {
        match (self, allowed) {
            (Self::Name(name), Host::Name(allowed)) => name.eq_ignore_ascii_case(allowed),
            // An IPv4 address may be written as one of IPv6.
            (Self::Address(address), Host::Address(allowed)) => {
                address.to_canonical() == allowed.to_canonical()
            }
            (Self::Name(_), Host::Address(_)) | (Self::Address(_), Host::Name(_)) => false,
        }
    }

    fn owned(self) -> Host {
        match self {
            Self::Name(name) => Host::Name(name.to_ascii_lowercase()),
            Self::Address(address) => Host::Address(address),
        }
    }
}

/// The header is there more than once, or is not text.
struct Repeated;

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Repeated> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Repeated),
        (Some(_), Some(_)) => Err(Repeated),
    }
}

fn is_web(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

fn default_port(scheme: &str) -> Option<u16> {
    Some(if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        let list = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>();
        Guard::new(
            &list(&["localhost", "127.0.0.1", "::1", "Payments.Example.com"]),
            &list(&[
                "localhost",
                "https://app.example.com",
                "http://[::1]:3000",
                "dev.example:5173",
                "at.example:443",
            ]),
        )
        .unwrap()
    }

    fn checked(target: &str, headers: &[(&'static str, &str)]) -> Result<(), NotAllowed> {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        guard().check(&request.body(()).unwrap())
    }

    #[test]
    fn a_request_for_one_of_our_hosts_is_let_in_whatever_the_port() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "localhost.:1",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]:8080",
            "[::ffff:7f00:1]",
            "payments.example.com:443",
            "localhost:",
        ] {
            let expected = if host.ends_with(':') { Err(NotAllowed::Host) } else { Ok(()) };
            assert_eq!(checked("/mcp", &[("host", host)]), expected, "{host}");
        }
    }

    #[test]
    fn any_other_host_is_refused() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evil.example:127.0.0.1",
            "localhost@evil.example",
            "localhost..",
            ".localhost",
            "",
            "[::1",
            "[::2]",
            "[::ffff:127.0.0.2]",
            "[::1]x",
            "127.0.0.1.evil.example",
            "localhost:99999",
            "localhost:80:80",
            "localhost, evil.example",
        ] {
            assert_eq!(checked("/mcp", &[("host", host)]), Err(NotAllowed::Host), "{host}");
        }
        assert_eq!(checked("/mcp", &[]), Err(NotAllowed::Host), "no host at all");
        assert_eq!(checked("/mcp", &[("host", "localhost"), ("host", "localhost")]), Err(NotAllowed::Host));
    }

    #[test]
    fn a_request_target_that_is_a_url_must_name_us_too() {
        assert_eq!(checked("http://localhost:8080/mcp", &[("host", "localhost")]), Ok(()));
        assert_eq!(checked("http://localhost:8080/mcp", &[]), Ok(()));
        assert_eq!(checked("http://evil.example/mcp", &[("host", "localhost")]), Err(NotAllowed::Host));
        assert_eq!(checked("http://localhost/mcp", &[("host", "evil.example")]), Err(NotAllowed::Host));
    }

    #[test]
    fn a_page_is_let_in_only_from_a_listed_origin() {
        for (origin, allowed) in [
            ("http://localhost:5173", true),
            ("https://LOCALHOST", true),
            ("https://app.example.com", true),
            ("http://dev.example:5173", true),
            ("https://dev.example:5173", true),
            ("http://dev.example:3000", false),
            ("http://dev.example", false),
            ("https://at.example", true),
            ("http://at.example", false),
            ("https://APP.example.com:443", true),
            ("http://[::1]:3000", true),
            ("http://app.example.com", false),
            ("https://app.example.com:8443", false),
            ("http://[::1]:3001", false),
            ("https://app.example.com.evil.example", false),
            ("https://app.example.com/path", false),
            ("https://user@localhost", false),
            ("null", false),
            ("", false),
            ("localhost", false),
            ("file://localhost", false),
            ("https://", false),
        ] {
            let result = checked("/mcp", &[("host", "localhost"), ("origin", origin)]);
            assert_eq!(result.is_ok(), allowed, "{origin}");
        }
        let repeated =
            [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://localhost")];
        assert_eq!(checked("/mcp", &repeated), Err(NotAllowed::Origin));
    }

    #[test]
    fn a_setting_that_means_nothing_is_refused() {
        for entry in ["", "*", "http://localhost", "a b"] {
            let refusal = Guard::new(&[entry.to_owned()], &[]).unwrap_err();
            assert_eq!(refusal, GuardError::NotAHost(entry.to_owned()));
        }
        for entry in ["", "*", "null", "ftp://localhost", "https://localhost/x"] {
            let refusal = Guard::new(&[], &[entry.to_owned()]);
            assert_eq!(refusal.is_err(), entry != "null", "{entry}: `null` reads as a host of that name");
        }
    }
}
