//! What a token says, and which checks it would fail: for people who wonder about one and have no key at hand.
//!
//! **Invariant:** the signature is not verified, so that nothing here is proven. What is found may be told, and is
//! handed out to be looked at, never to be kept.

use super::claims::Claims;
use super::settings::{IssuerKind, IssuerSettings, KeyLocation, TokenSettings};
use super::{BearerToken, Jws, Object, malformed, subject, untrusted};
use crate::domain::{Caller, CheckDigits, Denial, TokenWindow, UnixSeconds};
use bytes::Bytes;
use std::time::Duration;

/// What was found of one token.
#[derive(Debug)]
pub struct Inspection {
    /// The checks in the order in which the proxy makes them, each by itself, as far as the ones before let it be made.
    pub checks: Vec<(&'static str, Result<(), Denial>)>,
    hearsay: Option<Caller>,
}

impl Inspection {
    /// Looks at whom the token would prove, if its signature were verified.
    pub fn if_verified<T>(&self, look: impl FnOnce(&Caller) -> T) -> Option<T> {
        self.hearsay.as_ref().map(look)
    }

    /// When the token would be good, if its claims can be read.
    #[must_use]
    pub fn window(&self) -> Option<TokenWindow> {
        self.hearsay.as_ref().map(|caller| caller.window)
    }

    fn note(&mut self, check: &'static str, outcome: Result<(), Denial>) {
        self.checks.push((check, outcome));
    }
}

impl TokenSettings {
    /// Inspects a token in compact form (RFC 7515 §7.1).
    #[must_use]
    pub fn inspect(&self, token: &str, now: UnixSeconds) -> Inspection {
        let mut inspection = Inspection { checks: Vec::new(), hearsay: None };
        let parsed = BearerToken::parse(token).and_then(|token| Jws::parse(token.expose()));
        match parsed.and_then(|jws| jws.claims().map(drop).map(|()| jws)) {
            Err(denial) => inspection.note("form", Err(denial)),
            Ok(jws) => {
                inspection.note("form", Ok(()));
                self.inspect_claims(jws.claims(), Some(&jws), now, &mut inspection);
            }
        }
        inspection
    }

    /// Inspects claims in JSON, which no header and no signature stand beside.
    #[must_use]
    pub fn inspect_only_claims(&self, claims: &[u8], now: UnixSeconds) -> Inspection {
        let mut inspection = Inspection { checks: Vec::new(), hearsay: None };
        let object = Object::parse(claims)
            .map_err(|_| malformed("the claims are not a JSON object with each name once"));
        self.inspect_claims(object, None, now, &mut inspection);
        inspection
    }

    fn inspect_claims(
        &self,
        object: Result<Object<'_>, Denial>,
        jws: Option<&Jws<'_>>,
        now: UnixSeconds,
        into: &mut Inspection,
    ) {
        let claims = match object.and_then(Claims::parse) {
            Ok(claims) => claims,
            Err(denial) => return into.note("claims", Err(denial)),
        };
        into.note("claims", Ok(()));
        let Some(issuer) = self.issuers.iter().find(|it| *it.issuer == *claims.issuer) else {
            return into.note("issuer", Err(untrusted("the token's issuer is not one we trust")));
        };
        into.note("issuer", Ok(()));
        if let Some(jws) = jws {
            let fault = || untrusted("the token's algorithm is not one its issuer uses");
            let known = issuer.algorithms.contains(&jws.algorithm);
            into.note("algorithm", if known { Ok(()) } else { Err(fault()) });
        }
        into.note("time", claims.check_time(now, self.leeway, issuer.max_lifetime));
        into.note("audience", claims.check_use(issuer));
        match subject::prove(claims, issuer, self.check_digits) {
            Ok(caller) => {
                into.note("subject", Ok(()));
                into.hearsay = Some(caller);
            }
            Err(denial) => into.note("subject", Err(denial)),
        }
    }

    /// Settings that take a token as it comes: for whoever has no configuration, and wants to know what it says.
    #[must_use]
    pub fn taking(kind: IssuerKind, issuer: &str) -> Self {
        let nowhere = KeyLocation::Static(Bytes::new());
        let mut issuer = IssuerSettings::new(kind, issuer, nowhere);
        issuer.max_lifetime = Duration::MAX;
        Self { check_digits: CheckDigits::Lenient, ..Self::new(vec![issuer]) }
    }
}
