//! The claims that say whether a token counts: issuer, time, audience, scope (RFC 7519 §4.1). Whom it
//! proves is read in `subject`. Types are judged strictly; unknown claims are ignored.

use super::json::{Node, Object};
use super::settings::IssuerSettings;
use super::{malformed, untrusted};
use crate::domain::{Denial, DenialCode, Scopes, TokenWindow, UnixSeconds};
use std::sync::Arc;
use std::time::Duration;

/// The end of year 9999, the last that RFC 3339 can write. Anything later is a mistake, or an attempt to
/// make arithmetic overflow.
const MAX_NUMERIC_DATE: u64 = 253_402_300_799;
/// Bounds what a token can make a record hold.
const MAX_CLIENT_ID_BYTES: usize = 255;

/// The claims of one token. As long as nobody has verified its signature, they are hearsay.
pub(super) struct Claims<'t> {
    pub(super) issuer: String,
    pub(super) window: TokenWindow,
    issued_at: Option<UnixSeconds>,
    /// `None` when there is no `scope` claim.
    pub(super) scopes: Option<Scopes>,
    pub(super) client_id: Option<Arc<str>>,
    /// All of them.
    pub(super) all: Object<'t>,
}

impl<'t> Claims<'t> {
    pub(super) fn parse(all: Object<'t>) -> Result<Self, Denial> {
        let issuer = match all.member("iss") {
            Some(issuer) => {
                issuer.text().ok_or_else(|| malformed("`iss` is not a text"))?.to_owned()
            }
            None => return Err(untrusted("the token names no issuer")),
        };
        let date = |name: &str| match all.member(name) {
            None => Ok(None),
            Some(node) => node
                .whole()
                .filter(|seconds| *seconds <= MAX_NUMERIC_DATE)
                .map(|seconds| Some(UnixSeconds(seconds)))
                .ok_or_else(|| malformed("`exp`, `nbf` or `iat` is not a whole number of seconds")),
        };
        let expires = date("exp")?.ok_or_else(|| malformed("the token has no `exp`"))?;
        let issued_at = date("iat")?;
        // `None` is less than any time: the later of the two that are there.
        let not_before = date("nbf")?.max(issued_at);
        let scopes = match all.member("scope") {
            None => None,
            Some(scope) => Some(read_scopes(scope)?),
        };
        let client_id = match all.member("client_id") {
            None => None,
            Some(client_id) => Some(read_client_id(client_id)?),
        };
        if !all.member("aud").is_none_or(is_audience) {
            return Err(malformed("`aud` is neither a text nor a list of texts"));
        }
        let window = TokenWindow { not_before, expires };
        Ok(Self { issuer, window, issued_at, scopes, client_id, all })
    }

    /// Whether the token's own times let it count now (RFC 7519 §4.1.4 and §4.1.5), and whether it was
    /// meant to live too long.
    pub(super) fn check_time(
        &self,
        now: UnixSeconds,
        leeway: Duration,
        max_lifetime: Duration,
    ) -> Result<(), Denial> {
        check_window(&self.window, now, leeway)?;
        // A token that does not say when it was issued is counted from now.
        let born = self.issued_at.unwrap_or(now);
        if self.window.expires > born.saturating_add(max_lifetime) {
            return Err(untrusted("the token lives longer than its issuer's tokens may"));
        }
        Ok(())
    }

    /// Whether the token may be used by its bearer, here.
    pub(super) fn check_use(&self, issuer: &IssuerSettings) -> Result<(), Denial> {
        // RFC 7800: bound to a key its sender must prove. As a bearer token it would be a stolen one.
        if self.all.member("cnf").is_some() {
            return Err(untrusted(
                "the token is bound to its sender and was sent as a bearer token",
            ));
        }
        match &issuer.audience {
            None => Ok(()),
            Some(audience) if self.is_for(audience) => Ok(()),
            Some(_) => Err(DenialCode::TokenWrongAudience.into()),
        }
    }

    fn is_for(&self, audience: &str) -> bool {
        // Maskinporten writes `unspecified` where the client named no audience.
        let matches = |node: &Node<'_>| {
            node.text().is_some_and(|text| text == audience && text != "unspecified")
        };
        match self.all.member("aud") {
            Some(Node::List(list)) => list.iter().any(matches),
            Some(node) => matches(node),
            None => false,
        }
    }
}

/// Whether a token of this window counts now. Used again for every use of a remembered token.
pub(super) fn check_window(
    window: &TokenWindow,
    now: UnixSeconds,
    leeway: Duration,
) -> Result<(), Denial> {
    if now >= window.expires.saturating_add(leeway) {
        return Err(DenialCode::TokenExpired.into());
    }
    if window.not_before.is_some_and(|not_before| now.saturating_add(leeway) < not_before) {
        return Err(DenialCode::TokenNotYetValid.into());
    }
    Ok(())
}

/// RFC 6749 §3.3: words of visible ASCII with spaces between.
fn read_scopes(scope: &Node<'_>) -> Result<Scopes, Denial> {
    let legal = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    scope
        .text()
        .filter(|text| text.bytes().all(legal))
        .map(Scopes::from_claim)
        .ok_or_else(|| malformed("`scope` is not a text of scopes"))
}

/// RFC 6749 appendix A.1: printable ASCII.
fn read_client_id(client_id: &Node<'_>) -> Result<Arc<str>, Denial> {
    client_id
        .text()
        .filter(|text| (1..=MAX_CLIENT_ID_BYTES).contains(&text.len()))
        .filter(|text| text.bytes().all(|byte| matches!(byte, 0x20..=0x7E)))
        .map(Arc::from)
        .ok_or_else(|| malformed("`client_id` is not a text of printable ASCII"))
}

fn is_audience(node: &Node<'_>) -> bool {
    match node {
        Node::Text(_) => true,
        Node::List(list) => list.iter().all(|item| item.text().is_some()),
        Node::Whole(_) | Node::Object(_) | Node::Other => false,
    }
}
