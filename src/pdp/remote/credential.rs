//! Which credential is used, and the token in a file as a source of tokens.

use crate::domain::Clock;
use crate::outbound::Outbound;
use crate::pdp::credential::{
    AccessToken, CredentialFault, CredentialKeeper, FetchingToken, FreshToken, TokenSource,
};
use crate::tasks::Tasks;
use secrecy::SecretString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// How we prove to the PDP who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Not at all: for the development PDP, or where the network does it.
    None,
    /// By a bearer token in a file that the platform renews.
    TokenFile(PathBuf),
}

impl Credential {
    /// What holds the token, if there is to be one.
    pub(super) fn keeper(
        &self,
        _outbound: &Outbound,
        tasks: &Tasks,
        clock: &Arc<dyn Clock>,
    ) -> Option<Arc<CredentialKeeper>> {
        match self {
            Self::None => None,
            Self::TokenFile(path) => {
                let source = Arc::new(TokenFile(path.clone()));
                Some(CredentialKeeper::new(source, tasks.clone(), Arc::clone(clock)))
            }
        }
    }

    /// As whom the PDP is asked; holds no secret.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::None => "nobody".to_owned(),
            Self::TokenFile(path) => format!("the token in {}", path.display()),
        }
    }
}

#[derive(Debug)]
struct TokenFile(PathBuf);

impl TokenFile {
    async fn read(&self) -> Result<FreshToken, CredentialFault> {
        let fault = |cause: String| CredentialFault {
            step: "the token file",
            cause: cause.into(),
            retry_after: None,
        };
        let file = tokio::fs::File::open(&self.0)
            .await
            .map_err(|cause| fault(format!("cannot be opened: {}", cause.kind())))?;
        let mut token = String::new();
        file.take(u64::try_from(AccessToken::MAX_BYTES).map_or(u64::MAX, |max| max + 2))
            .read_to_string(&mut token)
            .await
            .map_err(|cause| fault(format!("cannot be read: {}", cause.kind())))?;
        Ok(FreshToken {
            token: SecretString::from(token.trim_ascii()),
            renew_after: Duration::from_mins(1),
            expires_after: None,
        })
    }
}

impl TokenSource for TokenFile {
    fn fetch(&self) -> FetchingToken<'_> {
        Box::pin(self.read())
    }
}
