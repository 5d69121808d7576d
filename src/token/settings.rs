//! What the room is told at start: whose tokens count, for what, and how long. Values only; reading them
//! from files and judging them against the environment is the config room's.

use crate::domain::CheckDigits;
use bytes::Bytes;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Everything a [`TokenVerifier`](super::TokenVerifier) is built from. Equal settings make an equal
/// verifier, so a reload keeps the old one with its keys and remembered tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// Whose tokens are believed. `iss` is looked up here, exactly; the first that matches counts.
    pub issuers: Vec<IssuerSettings>,
    /// How far the clocks of issuer and Portvakt may differ. Bounds use of a token after its end.
    pub leeway: Duration,
    /// How often keys are fetched in the background.
    pub refresh: Duration,
    /// The least time between fetches that callers provoke with an unknown `kid`. Bounds how far a caller
    /// can make Portvakt load an issuer.
    pub refresh_min_interval: Duration,
    /// How long keys are used when they can no longer be fetched. Bounds how long a withdrawn key counts
    /// for somebody who can cut the way to the issuer.
    pub max_stale: Duration,
    /// How many verified tokens are remembered. Bounds memory: about 1 KiB each.
    pub cache_max_entries: u64,
    /// Whether organization numbers in tokens must have a right check digit.
    pub check_digits: CheckDigits,
}

impl TokenSettings {
    /// The safe defaults, for these issuers.
    #[must_use]
    pub fn new(issuers: Vec<IssuerSettings>) -> Self {
        Self {
            issuers,
            leeway: Duration::from_secs(10),
            refresh: Duration::from_hours(1),
            refresh_min_interval: Duration::from_secs(30),
            max_stale: Duration::from_hours(24),
            cache_max_entries: 20_000,
            check_digits: CheckDigits::Strict,
        }
    }
}

/// One issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerSettings {
    /// What its tokens may prove.
    pub kind: IssuerKind,
    /// `iss`, compared byte for byte.
    pub issuer: Arc<str>,
    /// Where its keys are.
    pub keys: KeyLocation,
    /// Which algorithms it may sign with; the first of a key type binds keys that state none.
    pub algorithms: Vec<Algorithm>,
    /// Required in `aud` when set.
    pub audience: Option<Arc<str>>,
    /// The longest `exp − iat`. Bounds the harm of a stolen or wrongly issued token.
    pub max_lifetime: Duration,
}

impl IssuerSettings {
    /// An issuer with the usual algorithms and lifetime and no audience.
    #[must_use]
    pub fn new(kind: IssuerKind, issuer: impl Into<Arc<str>>, keys: KeyLocation) -> Self {
        Self {
            kind,
            issuer: issuer.into(),
            keys,
            algorithms: vec![Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512],
            audience: None,
            max_lifetime: Duration::from_hours(1),
        }
    }
}

/// What an issuer's tokens may prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerKind {
    /// A system user, or else an organization. Never a person: a `pid` there is not a login.
    Maskinporten,
    /// A person.
    IdPorten,
    /// Exchanged by Altinn: what the original token proved.
    Altinn,
}

impl IssuerKind {
    /// The word used in settings, records and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Maskinporten => "maskinporten",
            Self::IdPorten => "idporten",
            Self::Altinn => "altinn",
        }
    }
}

/// Where an issuer's keys are.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyLocation {
    /// A metadata document (RFC 8414) that names the key set and must name this very issuer.
    Metadata(Url),
    /// A key set (RFC 7517 §5).
    Jwks(Url),
    /// A key set in a file, read again at every refresh.
    File(PathBuf),
    /// A key set at hand: for commands that run in one process.
    Static(Bytes),
}

impl KeyLocation {
    /// Whether the keys come over the network.
    pub(super) fn is_remote(&self) -> bool {
        match self {
            Self::Metadata(_) | Self::Jwks(_) => true,
            Self::File(_) | Self::Static(_) => false,
        }
    }
}

impl fmt::Debug for KeyLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata(url) => write!(f, "metadata at {url}"),
            Self::Jwks(url) => write!(f, "keys at {url}"),
            Self::File(path) => write!(f, "keys in {}", path.display()),
            Self::Static(bytes) => write!(f, "keys at hand ({} bytes)", bytes.len()),
        }
    }
}

/// One row an algorithm: variant and word. There is none for `none` and none with a shared secret, so
/// that no setting can allow them (RFC 8725 §3.1).
macro_rules! algorithms {
    ($($variant:ident = $word:literal, $library:ident, $key_type:ident;)+) => {
        /// How a token may be signed: asymmetric only (RFC 7518 §3.1).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the words are those of RFC 7518")]
        pub enum Algorithm { $($variant,)+ }

        impl Algorithm {
            /// Every algorithm.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word used in `alg`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            #[cfg(test)]
            pub(super) fn of_library(self) -> jsonwebtoken::Algorithm {
                match self { $(Self::$variant => jsonwebtoken::Algorithm::$library,)+ }
            }

            pub(super) fn key_type(self) -> KeyType {
                match self { $(Self::$variant => KeyType::$key_type,)+ }
            }
        }
    };
}

// A macro, because the word, the library's name and the key type must never live in three places.
algorithms! {
    Rs256 = "RS256", RS256, Rsa;
    Rs384 = "RS384", RS384, Rsa;
    Rs512 = "RS512", RS512, Rsa;
    Ps256 = "PS256", PS256, Rsa;
    Ps384 = "PS384", PS384, Rsa;
    Ps512 = "PS512", PS512, Rsa;
    Es256 = "ES256", ES256, EcP256;
    Es384 = "ES384", ES384, EcP384;
}

/// What a key is made of; decides which algorithms it can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyType {
    Rsa,
    EcP256,
    EcP384,
}

impl Algorithm {
    /// Reads the word of `alg`, exactly (RFC 7515 §4.1.1: case-sensitive).
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.as_str() == word)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_names_an_unsigned_or_symmetric_algorithm() {
        for word in ["none", "None", "NONE", "", "HS256", "HS384", "HS512", "rs256", "EdDSA", "RS1"]
        {
            assert_eq!(Algorithm::parse(word), None, "{word}");
        }
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.as_str()), Some(*algorithm));
        }
    }
}
