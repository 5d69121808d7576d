//! The bearer token of a request (RFC 6750 §2.1): there is exactly one way to send it. Tokens in a query
//! or a form are not looked for (RFC 6750 §5.3). What the token says is not read here.

use super::malformed;
use crate::domain::{Denial, DenialCode};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::fmt;

/// The longest token read. Bounds the hashing and parsing a stranger can ask for; Maskinporten's tokens
/// are below 2 KiB.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// What a request sends as its one token: bounded in length, and not looked at. Hidden in `Debug`.
#[derive(Clone, Copy)]
pub(super) struct SentToken<'a>(&'a [u8]);

/// The one token of a request: bounded, of the characters of `b64token`, and hidden in `Debug`.
#[derive(Clone, Copy)]
pub struct BearerToken<'a>(&'a str);

impl<'a> SentToken<'a> {
    /// Takes it from `Authorization`, as [`BearerToken::from_headers`] does.
    pub(super) fn from_headers(headers: &'a HeaderMap) -> Result<Self, Denial> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Err(DenialCode::TokenMissing.into());
        };
        if values.next().is_some() {
            return Err(malformed("more than one authorization header"));
        }
        let value = value.as_bytes();
        let Some(space) = value.iter().position(|byte| *byte == b' ') else {
            return Err(malformed("the authorization header is not a scheme and a token"));
        };
        let (scheme, token) = value.split_at_checked(space).unwrap_or_default();
        // RFC 9110 §11.1: the scheme is case-insensitive.
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return Err(malformed("the authorization scheme is not bearer"));
        }
        let token = token.get(1..).unwrap_or_default();
        if token.len() > MAX_TOKEN_BYTES {
            return Err(too_large());
        }
        Ok(Self(token))
    }

    /// As sent: for hashing, never for printing.
    pub(super) fn expose(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn parse(self) -> Result<BearerToken<'a>, Denial> {
        let text = std::str::from_utf8(self.0).map_err(|_| illegible())?;
        BearerToken::parse(text)
    }
}

impl<'a> From<BearerToken<'a>> for SentToken<'a> {
    fn from(token: BearerToken<'a>) -> Self {
        Self(token.0.as_bytes())
    }
}

fn too_large() -> Denial {
    malformed("the token is larger than any we read")
}

fn illegible() -> Denial {
    malformed("the token has characters that no token has, or none")
}

impl<'a> BearerToken<'a> {
    /// Takes the token from `Authorization`. Absent is `token-missing`; every fault of a header that is
    /// there, another scheme included, is `token-malformed`: a client that sends credentials we cannot
    /// read should hear that, not that it sent none.
    pub fn from_headers(headers: &'a HeaderMap) -> Result<Self, Denial> {
        SentToken::from_headers(headers)?.parse()
    }

    /// Takes a bare token, as read from a file.
    pub fn parse(token: &'a str) -> Result<Self, Denial> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(too_large());
        }
        let body = token.trim_end_matches('=');
        // Of all bytes, whatever the first ones are: so it is done for many at once.
        let legal = |legal: bool, byte: u8| legal & is_legal(byte);
        if body.is_empty() || !body.bytes().fold(true, legal) {
            return Err(illegible());
        }
        Ok(Self(token))
    }

    /// The token: for hashing, verifying and forwarding, never for printing.
    #[must_use]
    pub fn expose(&self) -> &'a str {
        self.0
    }
}

/// The characters of `b64token` (RFC 6750 §2.1).
fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
}

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a token of {} bytes", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        values
            .iter()
            .map(|value| (AUTHORIZATION, HeaderValue::from_bytes(value).unwrap()))
            .collect()
    }

    #[test]
    fn one_bearer_token_is_taken_whatever_the_case_of_the_scheme() {
        for value in ["Bearer a.b-c_d", "bearer a.b-c_d", "BEARER a.b-c_d"] {
            let headers = headers(&[value.as_bytes()]);
            let token = BearerToken::from_headers(&headers).unwrap();
            assert_eq!(token.expose(), "a.b-c_d", "{value}");
            assert!(!format!("{token:?}").contains("a.b"));
        }
    }

    #[test]
    fn an_absent_header_is_missing_and_every_other_fault_is_malformed() {
        let code = |values: &[&[u8]]| BearerToken::from_headers(&headers(values)).unwrap_err().code;
        assert_eq!(code(&[]), DenialCode::TokenMissing);
        let cases: [&[&[u8]]; 15] = [
            &[b"Bearer a", b"Bearer a"],
            &[b"Bearer a", b"Basic a"],
            &[b"Basic dXNlcjpwYXNz"],
            &[b"DPoP a"],
            &[b""],
            &[b"Bearer"],
            &[b"Bearer "],
            &[b"Bearer  a"],
            &[b"Bearer\ta"],
            &[b"Bearer a b"],
            &[b"Bearer a, Bearer b"],
            &[b"Bearer a,b"],
            &[b"Bearer \xc3\xa5"],
            &[b"Bearer a=b"],
            &[b"Bearer ="],
        ];
        for case in cases {
            assert_eq!(code(case), DenialCode::TokenMalformed, "{case:?}");
        }
    }

    #[test]
    fn the_largest_token_passes_and_one_byte_more_does_not() {
        let longest = "a".repeat(MAX_TOKEN_BYTES);
        assert!(BearerToken::parse(&longest).is_ok());
        assert!(BearerToken::parse(&format!("{longest}a")).is_err());
    }
}
