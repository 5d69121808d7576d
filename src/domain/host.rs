//! The host a request is addressed to.

use http::HeaderMap;
use http::header::HOST;
use std::fmt;

/// A host and optional port in lower case: `api.example.no`, `[::1]:8080`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(Box<str>);

/// Why a request's host is refused (RFC 9110 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostFault {
    /// No `Host` line.
    #[error("the request has no Host")]
    Missing,
    /// More than one `Host` line.
    #[error("the request has several Host lines")]
    Repeated,
    /// Not `host` or `host:port`.
    #[error("the Host is malformed")]
    Malformed,
}

impl Host {
    /// Bounds what is compared and recorded; a DNS name has at most 253 characters.
    const MAX_BYTES: usize = 261;

    /// The one `Host` of a request.
    pub fn of(headers: &HeaderMap) -> Result<Self, HostFault> {
        let mut lines = headers.get_all(HOST).iter();
        let line = lines.next().ok_or(HostFault::Missing)?;
        if lines.next().is_some() {
            return Err(HostFault::Repeated);
        }
        line.to_str().map_err(|_| HostFault::Malformed).and_then(Self::parse)
    }

    /// Reads `host` or `host:port`; letters are folded to lower case, nothing else is changed.
    pub fn parse(text: &str) -> Result<Self, HostFault> {
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
            Some(_) | None => (text, None),
        };
        let sound_port = port.is_none_or(|port| {
            port.len() <= 5
                && port.bytes().all(|byte| byte.is_ascii_digit())
                && port.parse::<u16>().is_ok_and(|port| port != 0)
        });
        if text.len() > Self::MAX_BYTES || !sound_port || !is_sound_name(name) {
            return Err(HostFault::Malformed);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// Host and port as addressed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without its port.
    #[must_use]
    pub fn name(&self) -> &str {
        match self.0.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => name,
            Some(_) | None => &self.0,
        }
    }
}

fn is_sound_name(name: &str) -> bool {
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn letters_are_folded_and_the_port_is_set_apart() {
        let host = Host::parse("API.Example.NO:8080").unwrap();
        assert_eq!((host.as_str(), host.name()), ("api.example.no:8080", "api.example.no"));
        assert_eq!(Host::parse("[::1]:80").unwrap().name(), "[::1]");
        assert_eq!(Host::parse("[::1]").unwrap().name(), "[::1]");
    }

    #[test]
    fn odd_hosts_are_malformed() {
        for text in [
            "",
            "a,b",
            "a b",
            "user@host",
            "host:0",
            "host:70000",
            "host:",
            "host:+80",
            "[::1",
            "::1",
            "a/b",
            "æ.no",
            ":80",
        ] {
            assert_eq!(Host::parse(text), Err(HostFault::Malformed), "{text}");
        }
    }

    #[test]
    fn a_request_has_exactly_one_host() {
        let mut headers = HeaderMap::new();
        assert_eq!(Host::of(&headers), Err(HostFault::Missing));
        headers.append(HOST, HeaderValue::from_static("me"));
        assert!(Host::of(&headers).is_ok());
        headers.append(HOST, HeaderValue::from_static("me"));
        assert_eq!(Host::of(&headers), Err(HostFault::Repeated));
    }
}
