//! Altinn's PDP, over HTTP. One question, one deadline; as a rule one exchange.
//!
//! It follows nothing and believes nothing but a `200` with JSON in it. A connection that fails is tried once
//! more, and so is a token that is refused. A fault on the way is never a refusal of the caller: the PDP's
//! `401` and `403` concern *our* credential.

mod answer;
mod breaker;
mod circuit;
mod places;
mod settings;
mod talk;

pub use settings::{BreakerSettings, InvalidRemote, RemoteSettings};

use super::credential::CredentialKeeper;
use super::point::{
    DecisionFault, DecisionPoint, PendingDecision, PendingDecisions, PointCondition,
};
use super::wire::{self, WireFault};
use crate::domain::{AccessRequest, Clock, Decision, DecisionSource, PdpSubject};
use crate::outbound::Outbound;
use crate::tasks::Tasks;
use answer::{Bearing, Failed};
use bytes::Bytes;
use circuit::CircuitBreaker;
use futures_util::future::join_all;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use places::{Full, Place, Places};
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use std::time::Duration;
use talk::Talk;
use tokio::time::Instant;
use url::Url;

const SUBSCRIPTION_KEY: HeaderName = HeaderName::from_static("ocp-apim-subscription-key");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The questions of one exchange. Bounds its answer: with what is repeated in it, one result has at most two
/// kilobytes.
const MAX_REFERENCES: usize = 64;

/// Altinn's PDP.
#[derive(Debug)]
pub struct RemotePdp {
    outbound: Outbound,
    endpoint: Url,
    /// All of a call's headers but `Authorization`; the key is marked sensitive.
    headers: HeaderMap,
    keeper: Option<Arc<CredentialKeeper>>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    max_answer_bytes: usize,
    multi_request: bool,
    places: Places,
    circuit: CircuitBreaker,
    identity: String,
}

impl RemotePdp {
    /// A client for these settings. It touches nothing before it is started or asked.
    pub fn new(
        outbound: Outbound,
        settings: &RemoteSettings,
        tasks: &Tasks,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidRemote> {
        let keeper = settings.credential.keeper(&outbound, tasks, &clock);
        Self::with_keeper(outbound, settings, keeper, clock)
    }

    /// The same, with a keeper that may hold a token already.
    pub fn with_keeper(
        outbound: Outbound,
        settings: &RemoteSettings,
        keeper: Option<Arc<CredentialKeeper>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidRemote> {
        let endpoint = settings::endpoint(&settings.url).ok_or(InvalidRemote::Url)?;
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, JSON), (ACCEPT, JSON)]);
        if let Some(key) = &settings.subscription_key {
            let mut key = Some(key.expose_secret())
                .filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()))
                .and_then(|key| HeaderValue::from_str(key).ok())
                .ok_or(InvalidRemote::SubscriptionKey)?;
            key.set_sensitive(true);
            headers.insert(SUBSCRIPTION_KEY, key);
        }
        Ok(Self {
            outbound,
            identity: format!("{endpoint} as {}", settings.credential.identity()),
            endpoint,
            headers,
            keeper,
            timeout: settings.timeout,
            max_answer_bytes: settings.max_answer_bytes,
            multi_request: settings.multi_request,
            places: Places::new(
                settings.max_in_flight,
                settings.max_in_flight_per_subject,
                settings.max_queued,
            ),
            circuit: CircuitBreaker::new(settings.breaker, Arc::clone(&clock)),
            clock,
        })
    }

    fn deadline(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.timeout).unwrap_or(now)
    }

    async fn ask(
        &self,
        request: &AccessRequest,
        deadline: Instant,
    ) -> Result<Decision, DecisionFault> {
        let body = wire::encode_request(request).into();
        self.put(request.subject, body, wire::decode_response, deadline, self.timeout / 2)
            .await
            .map_err(|failed| failed.into_fault(self.timeout))
    }

    async fn ask_many(
        &self,
        requests: &[Arc<AccessRequest>],
    ) -> Vec<Result<Decision, DecisionFault>> {
        let deadline = self.deadline();
        let parts = requests
            // One place is one subject's.
            .chunk_by(|one, next| one.subject == next.subject)
            .flat_map(|same| same.chunks(if self.multi_request { MAX_REFERENCES } else { 1 }));
        join_all(parts.map(|part| self.ask_together(part, deadline))).await.concat()
    }

    async fn ask_together(
        &self,
        requests: &[Arc<AccessRequest>],
        deadline: Instant,
    ) -> Vec<Result<Decision, DecisionFault>> {
        let singly = || join_all(requests.iter().map(|request| self.ask(request, deadline)));
        let [first, _, ..] = requests else { return singly().await };
        let body = wire::encode_requests(requests).into();
        let read = |body: &[u8]| wire::decode_answers(body, requests);
        // How long so many take is the doing of who asks: that no answer comes says nothing of the PDP.
        match self.put(first.subject, body, read, deadline, Duration::MAX).await {
            Ok(decisions) => decisions.into_iter().map(Ok).collect(),
            // One part that Altinn's PDP falls over makes the whole one `Indeterminate`.
            Err(failed) if failed.is_mix_up() => singly().await,
            Err(failed) => vec![Err(failed.into_fault(self.timeout)); requests.len()],
        }
    }

    /// Puts one body of questions of one subject to the PDP: in turn, unless it is left alone. A PDP that is
    /// silent for less than a `fair` time is not held to be failing.
    async fn put<T>(
        &self,
        subject: PdpSubject,
        body: Bytes,
        read: impl Fn(&[u8]) -> Result<T, WireFault>,
        deadline: Instant,
        fair: Duration,
    ) -> Result<T, Failed> {
        let _place = self.place(subject, deadline).await?;
        // Only now: a probe that waits for a place would keep the circuit open.
        let passage = self.circuit.enter()?;
        let outcome = Talk::new(self, body, deadline).hold(read).await;
        let bearing = |failed: &Failed| failed.bearing(fair);
        match outcome.as_ref().map_or_else(bearing, |_| Bearing::Answers) {
            Bearing::Answers => passage.succeeded(),
            Bearing::Ails(failure) => passage.failed(failure),
            Bearing::Nothing => drop(passage),
        }
        outcome
    }

    async fn place(
        &self,
        subject: PdpSubject,
        deadline: Instant,
    ) -> Result<Place<'_>, DecisionFault> {
        // Whoever has waited for longer would have too little time left for an answer: in a rush every place
        // would be spent on questions that are given up, and nobody would get a decision.
        let latest = deadline.checked_sub(self.timeout / 2).unwrap_or(deadline);
        let opening = self.circuit.opening();
        self.circuit.look()?;
        tokio::select! {
            biased;
            place = tokio::time::timeout_at(latest, self.places.enter(subject)) => match place {
                Ok(Ok(place)) => Ok(place),
                Ok(Err(Full)) => Err(DecisionFault::overloaded("no room in the queue")),
                Err(_) => Err(DecisionFault::overloaded("no turn before the deadline")),
            },
            // Whoever waits is refused as those are who come from now on.
            () = opening => Err(match self.circuit.look() {
                Err(refused) => refused,
                Ok(()) => DecisionFault::overloaded("the queue was cleared"),
            }),
        }
    }
}

impl DecisionPoint for RemotePdp {
    fn decide<'a>(&'a self, request: &'a AccessRequest) -> PendingDecision<'a> {
        Box::pin(self.ask(request, self.deadline()))
    }

    fn decide_many<'a>(&'a self, requests: &'a [Arc<AccessRequest>]) -> PendingDecisions<'a> {
        Box::pin(self.ask_many(requests))
    }

    fn puts_many_into_one(&self) -> bool {
        self.multi_request
    }

    fn start(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.start();
        }
    }

    fn condition(&self) -> PointCondition {
        PointCondition {
            credential: self.keeper.as_ref().map(|keeper| keeper.state()),
            in_flight: self.places.in_flight(),
            queued: self.places.queued(),
            circuit: self.circuit.state(),
        }
    }

    fn source(&self) -> DecisionSource {
        DecisionSource::Pdp
    }

    fn identity(&self) -> &str {
        &self.identity
    }
}

#[cfg(test)]
mod tests;
