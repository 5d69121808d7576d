//! `X-Forwarded-*` and `Forwarded`: what Portvakt itself saw, unless the peer is trusted to know better.

use super::headers::folded;
use super::values::Values;
use crate::domain::Peer;
use http::header::{FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue};
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
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What is said of the way here, and what of it is believed.
///
/// An untrusted peer's words all stay behind. A trusted one's are sent on, the chains with the peer itself
/// added, and what it does not say is said by us; but not its words in other spellings of these names, which it
/// may have passed on unread.
pub(super) struct Way {
    address: Option<IpAddr>,
    secure: bool,
    believed: bool,
}

impl Way {
    pub(super) fn from(peer: Peer, trusted: &[Network]) -> Self {
        let address = peer.address.map(|address| address.to_canonical());
        let believed =
            address.is_some_and(|address| trusted.iter().any(|network| network.contains(address)));
        Self { address, secure: peer.secure, believed }
    }

    /// Whether a header that the peer sent stays behind.
    pub(super) fn keeps(&self, name: &HeaderName) -> bool {
        speaks_of_the_way(name) && (!self.believed || name.as_str().contains(['_', '.']))
    }

    /// Says what we saw, beside what of the peer's words is in `sent` already.
    pub(super) fn say(&self, sent: &mut HeaderMap, values: &mut Values) {
        let scheme = if self.secure { "https" } else { "http" };
        // Where nothing is believed, nothing is there.
        let is_said = |name: HeaderName| self.believed && sent.contains_key(name);
        let has_forwarded = is_said(FORWARDED);
        let has_proto = has_forwarded || is_said(X_FORWARDED_PROTO);
        let has_host = has_forwarded || is_said(X_FORWARDED_HOST);
        if !has_proto {
            sent.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
        }
        if !has_host && let Some(host) = sent.get(HOST).cloned() {
            sent.insert(X_FORWARDED_HOST, host);
        }
        let Some(address) = self.address else { return };
        self.link_to(sent, values, &X_FORWARDED_FOR);
        values.address(address);
        values.end(X_FORWARDED_FOR);
        if has_forwarded {
            self.link_to(sent, values, &FORWARDED);
            // RFC 7239 §6: an IPv6 address stands in brackets, and with them in quotes.
            let [open, close] = if address.is_ipv6() { ["\"[", "]\""] } else { ["", ""] };
            values.text().push_str("for=");
            values.text().push_str(open);
            values.address(address);
            values.text().push_str(close);
            values.text().push_str(";proto=");
            values.text().push_str(scheme);
            values.end(FORWARDED);
        }
    }

    /// The links of a chain so far, to be followed by one more; it is one line then.
    fn link_to(&self, sent: &HeaderMap, values: &mut Values, name: &HeaderName) {
        if !self.believed {
            return;
        }
        for line in sent.get_all(name).iter().filter_map(|line| line.to_str().ok()) {
            values.text().push_str(line);
            values.text().push_str(", ");
        }
    }
}

/// Whether a header says who sent the request, from where, or to whom.
pub(super) fn speaks_of_the_way(name: &HeaderName) -> bool {
    if *name == FORWARDED {
        return true;
    }
    if !name.as_str().starts_with('x') {
        return false;
    }
    let is = |text: &str| folded(name.as_str()).eq(text.bytes());
    let begins = |text: &str| folded(name.as_str()).take(text.len()).eq(text.bytes());
    begins("x-forwarded-") || is("x-real-ip") || is("x-forwarded")
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// What is sent of `headers`, which come from this peer.
    fn rewritten(headers: &HeaderMap, peer: Peer, trusted: &[Network]) -> HeaderMap {
        let way = Way::from(peer, trusted);
        let passed = headers.iter().filter(|(name, _)| !way.keeps(name));
        let mut sent: HeaderMap =
            passed.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut values = Values::new();
        way.say(&mut sent, &mut values);
        values.set_in(&mut sent);
        sent
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
        let headers = rewritten(&headers(), Peer::at("192.0.2.7".parse().unwrap()), &[]);
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
        let trusted = [Network::parse("192.0.2.0/24").unwrap()];
        let peer = Peer::at("::ffff:192.0.2.7".parse().unwrap());
        let headers = rewritten(&headers(), peer, &trusted);
        assert!(told(&headers).contains(&"x-forwarded-for: 203.0.113.9, 192.0.2.7".to_owned()));
        assert!(told(&headers).contains(&"x-forwarded-proto: https".to_owned()));
    }

    #[test]
    fn both_chains_are_continued_and_other_spellings_of_them_are_not_believed() {
        let trusted = [Network::parse("2001:db8::/32").unwrap()];
        let address = Some("2001:db8::7".parse().unwrap());
        let headers = rewritten(&headers(), Peer { address, secure: true }, &trusted);
        assert_eq!(
            told(&headers),
            [
                "forwarded: for=203.0.113.9, for=\"[2001:db8::7]\";proto=https",
                "host: api.example.no",
                "x-forwarded-for: 203.0.113.9, 2001:db8::7",
                "x-forwarded-prefix: /x",
                "x-forwarded-proto: https",
                "x-real-ip: 203.0.113.9",
            ]
        );
    }

    #[test]
    fn what_a_trusted_peer_does_not_say_is_said_by_us() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("a"));
        let trusted = [Network::parse("192.0.2.7").unwrap()];
        let headers = rewritten(&headers, Peer::at("192.0.2.7".parse().unwrap()), &trusted);
        let expected = [
            "host: a",
            "x-forwarded-for: 192.0.2.7",
            "x-forwarded-host: a",
            "x-forwarded-proto: http",
        ];
        assert_eq!(told(&headers), expected);
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
