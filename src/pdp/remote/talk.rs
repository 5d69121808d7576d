//! The exchanges for one question: as a rule one, another after a connection that failed, another after a
//! token that was refused. Whether the PDP may be asked at all is decided before.

use super::RemotePdp;
use super::answer::{self, Failed};
use crate::outbound::{Call, Exchanged, OutboundFault, System};
use crate::pdp::DecisionFault;
use crate::pdp::credential::{AccessToken, CredentialFault};
use crate::pdp::wire::WireFault;
use bytes::Bytes;
use http::Method;
use http::header::AUTHORIZATION;
use tokio::time::Instant;

pub(super) struct Talk<'a> {
    pdp: &'a RemotePdp,
    body: Bytes,
    deadline: Instant,
    /// Whether a failed connection may be tried again. Once for the whole question: against a PDP that is
    /// down, everything beyond is only load.
    spare: bool,
}

impl<'a> Talk<'a> {
    pub(super) fn new(pdp: &'a RemotePdp, body: Bytes, deadline: Instant) -> Self {
        Self { pdp, body, deadline, spare: true }
    }

    /// Asks until there is an answer, `read` from its body, or a reason to stop.
    pub(super) async fn hold<T>(
        mut self,
        read: impl Fn(&[u8]) -> Result<T, WireFault>,
    ) -> Result<T, Failed> {
        let Some(keeper) = &self.pdp.keeper else { return self.ask(None, &read).await };
        let token = self.in_time(keeper.token()).await?;
        match self.ask(Some(&token), &read).await {
            Err(Failed::TokenRefused) => {
                let other = self.in_time(keeper.replace(&token)).await?;
                self.ask(Some(&other), &read).await
            }
            outcome => outcome,
        }
    }

    async fn in_time(
        &self,
        token: impl Future<Output = Result<AccessToken, CredentialFault>>,
    ) -> Result<AccessToken, Failed> {
        match tokio::time::timeout_at(self.deadline, token).await {
            Ok(token) => Ok(token?),
            Err(_) => Err(DecisionFault::credential("no token before the deadline").into()),
        }
    }

    /// One exchange, and another if the connection failed: the server may have closed it while it was idle,
    /// or be one of several that is just restarted. A question changes nothing, so it may be sent twice.
    async fn ask<T>(
        &mut self,
        token: Option<&AccessToken>,
        read: &impl Fn(&[u8]) -> Result<T, WireFault>,
    ) -> Result<T, Failed> {
        let first = self.exchange(token, read).await;
        match first {
            Err(Failed::NoAnswer(OutboundFault::Connect(_) | OutboundFault::Broken(_)))
                if self.spare && Instant::now() < self.deadline =>
            {
                self.spare = false;
                self.exchange(token, read).await
            }
            outcome => outcome,
        }
    }

    async fn exchange<T>(
        &self,
        token: Option<&AccessToken>,
        read: &impl Fn(&[u8]) -> Result<T, WireFault>,
    ) -> Result<T, Failed> {
        let timeout = self.deadline.saturating_duration_since(Instant::now());
        if timeout.is_zero() {
            return Err(DecisionFault::Timeout(self.pdp.timeout).into());
        }
        let mut headers = self.pdp.headers.clone();
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token.header());
        }
        let call = Call {
            method: Method::POST,
            url: self.pdp.endpoint.clone(),
            headers,
            body: self.body.clone(),
            timeout,
            max_answer_bytes: self.pdp.max_answer_bytes,
        };
        let reply = self.pdp.outbound.exchange(call).await.map_err(Failed::NoAnswer);
        let outcome =
            reply.and_then(answer::body).and_then(|body| read(&body).map_err(Failed::Wire));
        let exchanged = outcome.as_ref().map_or_else(Failed::exchanged, |_| Exchanged::Ok);
        let now = self.pdp.clock.monotonic();
        self.pdp.outbound.health(System::Pdp).note(exchanged, now);
        outcome
    }
}
