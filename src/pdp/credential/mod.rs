//! How Portvakt proves to the PDP who it is: a bearer token, from a file that the platform renews or by
//! Maskinporten's JWT grant and Altinn's exchange.
//!
//! [`CredentialKeeper`] holds the token and has it renewed in the background; a [`TokenSource`] makes one
//! attempt to get one. Invariant: no token, key or answer is in a `Debug`, an error or a log line.

mod keeper;

pub use keeper::{CredentialKeeper, CredentialState};

use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A token to ask with. Cheap to clone; `Debug` shows only which one it is.
#[derive(Clone)]
pub struct AccessToken {
    header: HeaderValue,
    serial: u64,
}

impl AccessToken {
    /// Bounds a wrong file or answer: tokens of Maskinporten and Altinn have one to four kilobytes.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// The value of `Authorization`, marked sensitive.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// The token as the `serial`-th of its keeper; `None` if it is not one token of visible ASCII.
    fn new(token: &SecretString, serial: u64) -> Option<Self> {
        let token = token.expose_secret();
        let sound = (1..=Self::MAX_BYTES).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !sound {
            return None;
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        header.set_sensitive(true);
        Some(Self { header, serial })
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token {}", self.serial)
    }
}

/// A token as it comes from its source, and how long it is good for, counted from the beginning of the
/// attempt that got it. `Debug` hides the token.
#[derive(Debug)]
pub struct FreshToken {
    /// The token.
    pub token: SecretString,
    /// When to get the next one; well before the end.
    pub renew_after: Duration,
    /// When it no longer counts, if its source knows.
    pub expires_after: Option<Duration>,
}

/// Why there is no token. For logs and the status page; holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {cause}")]
pub struct CredentialFault {
    /// Where it failed: `the token file`, `Maskinporten`, `Altinn's exchange`.
    pub step: &'static str,
    /// What happened.
    pub cause: Arc<str>,
    /// When the next attempt makes sense, if the other side said so.
    pub retry_after: Option<Duration>,
}

/// One attempt to get a token.
pub type FetchingToken<'a> =
    Pin<Box<dyn Future<Output = Result<FreshToken, CredentialFault>> + Send + 'a>>;

/// Gives the token with which Portvakt itself asks the PDP.
pub trait TokenSource: fmt::Debug + Send + Sync + 'static {
    /// One attempt; it ends in bounded time.
    fn fetch(&self) -> FetchingToken<'_>;
}
