//! How Portvakt proves to the PDP who it is: a bearer token, from a file that the platform renews or by
//! Maskinporten's JWT grant and Altinn's exchange.
//!
//! [`CredentialKeeper`] holds the token and has it renewed in the background; a [`TokenSource`] makes one
//! attempt to get one. Invariant: no token, key or answer is in a `Debug`, an error or a log line.

mod client_key;
mod grant;
mod keeper;
#[cfg(test)]
pub(crate) mod samples;
mod token_file;

pub use client_key::{ClientKey, InvalidClientKey};
pub use grant::{GrantSettings, MaskinportenGrant};
pub use keeper::{CredentialKeeper, CredentialState};
pub use token_file::TokenFile;

use crate::domain::Clock;
use crate::outbound::Outbound;
use crate::tasks::Tasks;
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// How we prove to the PDP who we are. Two are equal if a keeper of one would serve for the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Not at all: for the development PDP, or where the network does it.
    None,
    /// By a bearer token in a file that the platform renews.
    TokenFile(PathBuf),
    /// By Maskinporten's JWT grant and Altinn's exchange.
    Maskinporten(Arc<GrantSettings>),
}

impl Credential {
    /// What holds the token, if there is to be one. It touches nothing before it is started or asked.
    #[must_use]
    pub fn keeper(
        &self,
        outbound: &Outbound,
        tasks: &Tasks,
        clock: &Arc<dyn Clock>,
    ) -> Option<Arc<CredentialKeeper>> {
        let source: Arc<dyn TokenSource> = match self {
            Self::None => return None,
            Self::TokenFile(path) => Arc::new(TokenFile::new(path.clone())),
            Self::Maskinporten(settings) => Arc::new(MaskinportenGrant::new(
                Arc::clone(settings),
                outbound.clone(),
                Arc::clone(clock),
            )),
        };
        Some(CredentialKeeper::new(source, tasks.clone(), Arc::clone(clock)))
    }

    /// Who we are to the PDP, in words: what it answers may depend on it.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::None => "nobody".to_owned(),
            Self::TokenFile(path) => format!("the token in {}", path.display()),
            Self::Maskinporten(settings) => {
                format!("the Maskinporten client {}", settings.client_id)
            }
        }
    }
}

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
        Some(Self { header: bearer(token.expose_secret())?, serial })
    }

    /// Whether it is the same token, whichever serial it was given.
    fn has_text_of(&self, other: &Self) -> bool {
        self.header == other.header
    }
}

/// `Authorization` with this token, if it is one: visible ASCII of at most [`AccessToken::MAX_BYTES`].
fn bearer(token: &str) -> Option<HeaderValue> {
    let sound = (1..=AccessToken::MAX_BYTES).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !sound {
        return None;
    }
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
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
