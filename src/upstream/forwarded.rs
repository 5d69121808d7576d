//! `X-Forwarded-*` and `Forwarded`: what Portvakt itself saw, unless the peer is trusted to know better.

use super::headers::set;
use crate::domain::Peer;
use http::header::{FORWARDED, HOST, HeaderMap, HeaderName};
use std::fmt;
use std::net::IpAddr;

/// A network in CIDR notation: `10.0.0.0/8`, `::1/128`, or one bare address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network is written as `10.0.0.0/8`, `2001:db8::/32` or one address, without host bits")]
pub struct InvalidNetwork;

impl Network {
    /// Reads a network; host bits must be zero.
    pub fn parse(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => {
                prefix.parse().ok().filter(|prefix| *prefix <= width).ok_or(InvalidNetwork)?
            }
            None => width,
        };
        let network = Self { address, prefix };
        if network.masked(address) == bits(address) { Ok(network) } else { Err(InvalidNetwork) }
    }

    /// Whether the address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && self.masked(address) == bits(self.address)
    }

    /// The address with its host bits cleared, left-aligned in 128 bits.
    fn masked(&self, address: IpAddr) -> u128 {
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
        bits(address) & mask
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Rewrites what is said of the way here. An untrusted peer's words are all removed.
pub(super) fn rewrite(headers: &mut HeaderMap, peer: Peer, trusted: &[Network]) {
    let address = peer.address.map(|address| address.to_canonical());
    let believed =
        address.is_some_and(|address| trusted.iter().any(|network| network.contains(address)));
    let before = headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect::<Vec<_>>()
        .join(", ");
    if !believed {
        let told: Vec<HeaderName> =
            headers.keys().filter(|name| speaks_of_the_way(name)).cloned().collect();
        for name in &told {
            headers.remove(name);
        }
        set(headers, "x-forwarded-proto", if peer.secure { "https" } else { "http" });
        if let Some(host) = headers.get(HOST).cloned() {
            headers.insert(HeaderName::from_static("x-forwarded-host"), host);
        }
    }
    if let Some(address) = address {
        let chain = if believed && !before.is_empty() {
            format!("{before}, {address}")
        } else {
            address.to_string()
        };
        set(headers, "x-forwarded-for", &chain);
    }
}

/// Whether a header says who sent the request, from where, or to whom.
pub(super) fn speaks_of_the_way(name: &HeaderName) -> bool {
    let folded = name.as_str().replace(['_', '.'], "-");
    folded.starts_with("x-forwarded-")
        || *name == FORWARDED
        || folded == "x-real-ip"
        || folded == "x-forwarded"
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "api.example.no"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "https"),
            ("x_forwarded_host", "evil"),
            ("forwarded", "for=203.0.113.9"),
            ("x-real-ip", "203.0.113.9"),
            ("x-forwarded-prefix", "/x"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn told(headers: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn an_untrusted_peer_is_not_believed() {
        let mut headers = headers();
        rewrite(&mut headers, Peer::at("192.0.2.7".parse().unwrap()), &[]);
        assert_eq!(
            told(&headers),
            [
                "host: api.example.no",
                "x-forwarded-for: 192.0.2.7",
                "x-forwarded-host: api.example.no",
                "x-forwarded-proto: http"
            ]
        );
    }

    #[test]
    fn a_trusted_peer_is_believed_and_added_to_the_chain() {
        let mut headers = headers();
        let trusted = [Network::parse("192.0.2.0/24").unwrap()];
        rewrite(&mut headers, Peer::at("::ffff:192.0.2.7".parse().unwrap()), &trusted);
        assert!(told(&headers).contains(&"x-forwarded-for: 203.0.113.9, 192.0.2.7".to_owned()));
        assert!(told(&headers).contains(&"x-forwarded-proto: https".to_owned()));
    }

    #[test]
    fn networks_are_read_and_bounded() {
        let network = Network::parse("10.1.0.0/16").unwrap();
        assert!(
            network.contains("10.1.255.255".parse().unwrap())
                && !network.contains("10.2.0.0".parse().unwrap())
        );
        assert!(Network::parse("::/0").unwrap().contains("2001:db8::1".parse().unwrap()));
        assert!(!Network::parse("0.0.0.0/0").unwrap().contains("2001:db8::1".parse().unwrap()));
        for text in ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "::/129", "10.0.0/8", "x"] {
            assert_eq!(Network::parse(text), Err(InvalidNetwork), "{text}");
        }
    }
}
