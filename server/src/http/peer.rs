//! From where a request comes.
//!
//! The connection knows its peer. Where that is a proxy that is trusted, the peer says on whose behalf it asks, in
//! `X-Forwarded-For`: the last address there that is no trusted proxy itself. What anybody else writes there is not
//! read.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Its address.
    pub(super) address: IpAddr,
    /// Its certificate in DER, where it presented one that holds.
    pub(super) certificate: Option<Arc<[u8]>>,
}

impl Peer {
    /// Somebody of whom nothing is known.
    pub(super) const UNKNOWN: Self = Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), certificate: None };
}

/// Whose word is taken about where a request comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// The proxies in these networks.
    #[must_use]
    pub const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a request comes from that this peer sent, with these headers.
    pub(super) fn origin_of(&self, peer: &Peer, headers: &HeaderMap) -> IpAddr {
        let peer = peer.address.to_canonical();
        if self.trusts(peer) { self.forwarded_for(headers).unwrap_or(peer) } else { peer }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The nearest address that is no trusted proxy. From the first thing on that is no address nothing is believed.
    fn forwarded_for(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let mut nearest = None;
        let values: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
        for value in values.into_iter().rev() {
            for hop in value.as_bytes().rsplit(|byte| *byte == b',') {
                let hop = str::from_utf8(hop).unwrap_or_default();
                let Some(address) = address(hop.trim()) else { return nearest };
                nearest = Some(address);
                if !self.trusts(address) {
                    return nearest;
                }
            }
        }
        nearest
    }
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse().or_else(|_| text.parse().map(|socket: std::net::SocketAddr| socket.ip()));
    parsed.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let peer = Peer { address: peer.parse().unwrap(), certificate: None };
        let mut headers = HeaderMap::new();
        for value in forwarded {
            let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(FORWARDED_FOR, value);
        }
        proxies.origin_of(&peer, &headers).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_about_the_nearest() {
        for (peer, forwarded, expected) in [
            ("192.0.2.1", &[][..], "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.1"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", &["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9, 198.51.100.1, 10.0.0.7"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.1", "fd00::7"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9, unknown, 10.0.0.7"], "10.0.0.7"),
            ("10.0.0.1", &["é, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9, é, 10.0.0.7"], "10.0.0.7"),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
        ] {
            assert_eq!(origin(peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }
}
