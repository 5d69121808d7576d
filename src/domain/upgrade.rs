//! What a request asks its connection, or its stream, to become: a WebSocket, or nothing that is ever
//! granted. Whether it is granted is the rule's affair; how bytes then pass is the upstream's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, HeaderMap, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Version};

/// What a request asks for beside an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// Nothing, or what is never granted, such as `h2c`: the words are removed, and the request is an
    /// ordinary one (RFC 9110 §7.8 lets a server ignore them).
    None,
    /// A WebSocket by the handshake of HTTP/1.1 (RFC 6455 §4.1).
    Handshake(Result<WebSocketKey, HandshakeFault>),
    /// A WebSocket by extended `CONNECT` (RFC 8441 §4). The request is judged as the `GET` that it would
    /// be over HTTP/1.1: a rule is written for both.
    Stream,
}

/// Why a request for a WebSocket is none. It is refused rather than forwarded without the words: its
/// client takes no answer but a handshake's, and servers differ in what they make of half of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeFault {
    /// Only `GET` opens one.
    #[error("a WebSocket is opened by `GET` only")]
    NotGet,
    /// `Upgrade` names other protocols too, of which the API could choose another than was judged.
    #[error("`Upgrade` names more than `websocket`")]
    SeveralProtocols,
    /// `Sec-WebSocket-Key` is absent, repeated, or not 16 bytes in base64.
    #[error("`Sec-WebSocket-Key` is not one key of 16 bytes")]
    Key,
    /// `Sec-WebSocket-Version` is absent, repeated, or not a number up to 255. Which versions there are
    /// is between client and API.
    #[error("`Sec-WebSocket-Version` is not one number")]
    Version,
    /// A body follows, which nobody could tell from what follows the handshake.
    #[error("a handshake has no body")]
    Body,
}

/// The key of a handshake: 16 bytes in base64, as RFC 6455 §4.1 has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketKey(Box<str>);

impl Upgrade {
    /// Reads the head of a request over HTTP/1.1; over HTTP/1.0 the words mean nothing.
    #[must_use]
    pub fn asked(method: &Method, version: Version, headers: &HeaderMap) -> Self {
        if version != Version::HTTP_11
            || !names_upgrade(headers)
            || !tokens(headers, &UPGRADE).any(is_websocket)
        {
            return Self::None;
        }
        Self::Handshake(judge(method, headers))
    }
}

fn judge(method: &Method, headers: &HeaderMap) -> Result<WebSocketKey, HandshakeFault> {
    if *method != Method::GET {
        return Err(HandshakeFault::NotGet);
    }
    if !is_exactly_websocket(headers) {
        return Err(HandshakeFault::SeveralProtocols);
    }
    let version = only(headers, &SEC_WEBSOCKET_VERSION).ok_or(HandshakeFault::Version)?;
    let digits = version.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || version.parse::<u8>().is_err() {
        return Err(HandshakeFault::Version);
    }
    only(headers, &SEC_WEBSOCKET_KEY).and_then(WebSocketKey::parse).ok_or(HandshakeFault::Key)
}

impl WebSocketKey {
    fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        (bytes.len() == 16).then(|| Self(text.into()))
    }

    /// A key of our own, for the API, where the client spoke HTTP/2 and has none.
    #[must_use]
    pub fn of(bytes: [u8; 16]) -> Self {
        Self(STANDARD.encode(bytes).into())
    }

    /// As it stands in the header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a `Connection` line names `upgrade`; without it `Upgrade` means nothing (RFC 9110 §7.8).
#[must_use]
pub fn names_upgrade(headers: &HeaderMap) -> bool {
    tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

/// Whether `Upgrade` is one line that says `websocket` and nothing else.
#[must_use]
pub fn is_exactly_websocket(headers: &HeaderMap) -> bool {
    only(headers, &UPGRADE).is_some_and(is_websocket)
}

fn is_websocket(token: &str) -> bool {
    token.eq_ignore_ascii_case("websocket")
}

/// The elements of a list header over all its lines. A line that is no text names nothing.
fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|token| token.trim_matches([' ', '\t']))
}

/// The value, if there is exactly one line.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => line.to_str().ok(),
        (Some(_) | None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn asked(method: &str, version: Version, lines: &[(&str, &str)]) -> Upgrade {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        Upgrade::asked(&method.parse().unwrap(), version, &headers)
    }

    fn with<'l>(changed: &[(&'l str, &'l str)]) -> Upgrade {
        let whole = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ];
        let kept = whole.iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
        let lines: Vec<_> =
            kept.chain(changed).filter(|(_, value)| *value != "-").copied().collect();
        asked("GET", Version::HTTP_11, &lines)
    }

    #[test]
    fn a_whole_handshake_asks_for_a_websocket() {
        let expected = Upgrade::Handshake(Ok(WebSocketKey(KEY.into())));
        assert_eq!(with(&[]), expected);
        assert_eq!(with(&[("connection", "upgrade"), ("connection", "close")]), expected);
        // Which versions there are is between client and API.
        assert_eq!(with(&[("sec-websocket-version", "8")]), expected);
    }

    #[test]
    fn what_does_not_say_websocket_asks_for_nothing() {
        for changed in [
            ("connection", "keep-alive"),
            ("connection", "-"),
            ("connection", "upgrades"),
            ("upgrade", "h2c"),
            ("upgrade", "-"),
            ("upgrade", "websocket/13"),
            ("upgrade", "websocket;x"),
        ] {
            assert_eq!(with(&[changed]), Upgrade::None, "{changed:?}");
        }
        let lines = [("connection", "upgrade"), ("upgrade", "websocket")];
        assert_eq!(asked("GET", Version::HTTP_10, &lines), Upgrade::None);
        assert_eq!(asked("GET", Version::HTTP_2, &lines), Upgrade::None);
    }

    #[test]
    fn half_a_handshake_is_a_fault() {
        for (changed, fault) in [
            (vec![("upgrade", "websocket, h2c")], HandshakeFault::SeveralProtocols),
            (vec![("upgrade", "websocket"), ("upgrade", "h2c")], HandshakeFault::SeveralProtocols),
            (
                vec![("upgrade", "websocket"), ("upgrade", "websocket")],
                HandshakeFault::SeveralProtocols,
            ),
            (vec![("sec-websocket-version", "-")], HandshakeFault::Version),
            (vec![("sec-websocket-version", "+13")], HandshakeFault::Version),
            (vec![("sec-websocket-version", "256")], HandshakeFault::Version),
            (vec![("sec-websocket-version", "13, 8")], HandshakeFault::Version),
            (vec![("sec-websocket-key", "-")], HandshakeFault::Key),
            (vec![("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ")], HandshakeFault::Key),
            (vec![("sec-websocket-key", "c2hvcnQ=")], HandshakeFault::Key),
            (vec![("sec-websocket-key", KEY), ("sec-websocket-key", KEY)], HandshakeFault::Key),
        ] {
            assert_eq!(with(&changed), Upgrade::Handshake(Err(fault)), "{changed:?}");
        }
        let lines = [("connection", "upgrade"), ("upgrade", "websocket")];
        let post = asked("POST", Version::HTTP_11, &lines);
        assert_eq!(post, Upgrade::Handshake(Err(HandshakeFault::NotGet)));
    }
}
