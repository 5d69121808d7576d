//! Runs rule tests: each request through the very `authorize` that the proxy calls, with a token minted
//! from the test's claims by a key made for the run.
//!
//! Invariant: a test passes only if the rule, the outcome, and whatever else it states are as stated; and
//! where it states no PDP, only if nobody was asked.

use super::claims::{self, Life};
use super::signer::{SigningFault, SigningKey};
use super::tour::unsigned_token;
use crate::authorize::authorize;
use crate::config::rule_tests::{
    BrokenToken, ExpectedOutcome, RuleTest, TestClaims, TestDecision, TestPdp, TokenClaims,
};
use crate::domain::{
    AccessRequest, Clock as _, Decision, DecisionSource, Denial, Head, Inbound, InboundBody,
    Indeterminate, Obligation, Obligations, OrganizationNumber, Peer, RequestId, RequestTarget,
    SystemClock, SystemId, Upgrade,
};
use crate::pdp::embedded::{EmbeddedPdp, Reasons};
use crate::pdp::{DecisionFault, DecisionPoint, PendingDecision, Purge};
use crate::record::{Journey, Steps};
use crate::snapshot::Snapshot;
use crate::token::{IssuerKind, IssuerSettings, KeyLocation};
use bytes::Bytes;
use http::Version;
use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Who decides during a run: what the test at hand says.
#[derive(Debug)]
pub struct TestPoint {
    embedded: Option<Arc<EmbeddedPdp>>,
    now: Mutex<(Option<TestPdp>, Vec<AccessRequest>)>,
}

/// Mints the tokens of a run.
#[derive(Debug)]
pub struct Mint {
    key: SigningKey,
    foreign: SigningKey,
    issuers: Vec<IssuerSettings>,
    minted: Mutex<HashMap<String, String>>,
}

/// What became of one test.
#[derive(Clone, Debug)]
pub struct TestOutcome {
    /// What differs from what is expected; empty if nothing.
    pub faults: Vec<String>,
    /// The rule that the request fell under.
    pub rule: Option<String>,
    /// Whether it was refused.
    pub refused: bool,
}

const LIFE: Duration = Duration::from_mins(2);
/// Told apart from the key of any issuer.
const KID: &str = "portvakt-test";

impl TestPoint {
    /// A point that can ask this embedded PDP where a test says so.
    #[must_use]
    pub fn new(embedded: Option<Arc<EmbeddedPdp>>) -> Self {
        Self { embedded, now: Mutex::default() }
    }

    fn begin(&self, pdp: Option<TestPdp>) {
        *self.lock() = (pdp, Vec::new());
    }

    fn asked(&self) -> Vec<AccessRequest> {
        std::mem::take(&mut self.lock().1)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Option<TestPdp>, Vec<AccessRequest>)> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DecisionPoint for TestPoint {
    fn decide<'a>(&'a self, request: &'a AccessRequest) -> PendingDecision<'a> {
        let mut now = self.lock();
        now.1.push(request.clone());
        let pdp = now.0.clone();
        drop(now);
        match (pdp, &self.embedded) {
            (Some(TestPdp::Embedded), Some(embedded)) => embedded.decide(request),
            (Some(TestPdp::Embedded), None) => {
                let cause = Arc::from("there are no policies for an embedded PDP");
                Box::pin(std::future::ready(Err(DecisionFault::unavailable(cause))))
            }
            (Some(TestPdp::Answers { decision, minimum_level, unknown_obligation }), _) => {
                let mut obligations = Vec::new();
                let mut demand = |category: &str, value: String| {
                    let (category, value) = (category.into(), value.into());
                    obligations.push(Obligation { id: "test".into(), category, value });
                };
                if let Some(level) = minimum_level {
                    demand("urn:altinn:minimum-authenticationlevel", level.to_string());
                }
                if unknown_obligation {
                    demand("urn:example:nobody-knows", String::new());
                }
                Box::pin(std::future::ready(answer(decision, Obligations::new(obligations))))
            }
            (None, _) => {
                let cause = Arc::from("the test says that nobody is asked");
                Box::pin(std::future::ready(Err(DecisionFault::unavailable(cause))))
            }
        }
    }

    fn reasons(&self, request: &AccessRequest) -> Option<Box<Reasons>> {
        match (&self.lock().0, &self.embedded) {
            (Some(TestPdp::Embedded), Some(embedded)) => embedded.reasons(request),
            (Some(TestPdp::Embedded | TestPdp::Answers { .. }) | None, _) => None,
        }
    }

    fn source(&self) -> DecisionSource {
        DecisionSource::Embedded
    }

    fn identity(&self) -> &'static str {
        "rule tests"
    }
}

fn answer(decision: TestDecision, obligations: Obligations) -> Result<Decision, DecisionFault> {
    match decision {
        TestDecision::Permit => Ok(Decision::Permit(obligations)),
        TestDecision::Deny => Ok(Decision::Deny),
        TestDecision::NotApplicable => Ok(Decision::NotApplicable),
        TestDecision::Indeterminate => Ok(Decision::Indeterminate(Indeterminate::ProcessingError)),
        TestDecision::Unavailable => Err(DecisionFault::unavailable("the test says so")),
        TestDecision::Timeout => Err(DecisionFault::Timeout(Duration::from_secs(5))),
    }
}

impl Mint {
    /// A mint in the name of these issuers.
    pub fn new(issuers: &[IssuerSettings]) -> Result<Self, SigningFault> {
        let (key, foreign) = (SigningKey::generate(KID)?, SigningKey::generate(KID)?);
        let keys = Bytes::from(key.public_jwks());
        let issuers = issuers.iter().map(|issuer| {
            let mut issuer = issuer.clone();
            issuer.keys = KeyLocation::Static(keys.clone());
            issuer
        });
        Ok(Self { key, foreign, issuers: issuers.collect(), minted: Mutex::default() })
    }

    /// The issuers, with the mint's key in place of theirs; every other check stands.
    #[must_use]
    pub fn issuers(&self) -> Vec<IssuerSettings> {
        self.issuers.clone()
    }

    /// A token of these claims, over the usual times and the issuer's name; equal claims give one token.
    pub fn token(&self, claims: &Value) -> Result<String, SigningFault> {
        let claims = self.completed(claims.clone(), None);
        let mut minted = self.minted.lock().unwrap_or_else(PoisonError::into_inner);
        let name = claims.to_string();
        if let Some(token) = minted.get(&name) {
            return Ok(token.clone());
        }
        let token = self.key.sign(&claims)?;
        minted.insert(name, token.clone());
        Ok(token)
    }

    fn of(&self, claims: &TestClaims) -> Result<Option<String>, SigningFault> {
        match claims {
            TestClaims::Nobody => Ok(None),
            TestClaims::Sound(claims) => self.token(&self.written(claims)).map(Some),
            TestClaims::Broken(way, claims) => self.broken(*way, self.written(claims)).map(Some),
        }
    }

    fn broken(&self, way: BrokenToken, claims: Value) -> Result<String, SigningFault> {
        let now = SystemClock.wall().0;
        let sound = self.completed(claims, None);
        let with = |members: &[(&str, Value)]| {
            let mut claims = sound.clone();
            for (name, value) in members {
                claims::set(&mut claims, name, value.clone());
            }
            claims
        };
        match way {
            BrokenToken::Expired => {
                let past = [
                    ("iat", json!(now.saturating_sub(600))),
                    ("exp", json!(now.saturating_sub(480))),
                ];
                self.key.sign(&with(&past))
            }
            BrokenToken::NotYetValid => {
                self.key.sign(&with(&[("nbf", json!(now.saturating_add(100)))]))
            }
            BrokenToken::ForeignKey => self.foreign.sign(&sound),
            BrokenToken::UnknownIssuer => {
                self.key.sign(&with(&[("iss", json!("https://unknown.example/"))]))
            }
            BrokenToken::Unsigned => Ok(unsigned_token(&sound, KID)),
            BrokenToken::Malformed => Ok("not-a-token".to_owned()),
        }
    }

    fn written(&self, claims: &TokenClaims) -> Value {
        match claims {
            TokenClaims::Raw(members) => Value::Object(members.clone()),
            TokenClaims::SystemUser { id, owner, system_id, vendor, scopes } => {
                let scopes: Vec<&str> = scopes.iter().map(crate::domain::Scope::as_str).collect();
                let life = Life { issued: SystemClock.wall(), lifetime: LIFE };
                let vendor: OrganizationNumber = vendor.unwrap_or(*owner);
                let plain = claims::organization(
                    self.name(IssuerKind::Maskinporten),
                    life,
                    &scopes.join(" "),
                    vendor,
                );
                let system = system_id.clone().or_else(|| SystemId::parse("rule-tests").ok());
                let mut claims = match system {
                    Some(system) => claims::system_user(plain, *id, *owner, &system),
                    None => plain,
                };
                // Times and ids are filled in when the token is made, so that equal claims are equal.
                if let Some(members) = claims.as_object_mut() {
                    for name in ["iat", "exp", "jti"] {
                        members.remove(name);
                    }
                }
                claims
            }
        }
    }

    fn completed(&self, mut claims: Value, issuer: Option<&str>) -> Value {
        // A minute's steps keep the tokens of one run equal.
        let now = SystemClock.wall().0 / 60 * 60;
        if let Some(members) = claims.as_object_mut() {
            let name = issuer.unwrap_or_else(|| self.name(IssuerKind::Maskinporten));
            let name = members.entry("iss").or_insert_with(|| json!(name)).clone();
            members.entry("iat").or_insert_with(|| json!(now));
            members.entry("exp").or_insert_with(|| json!(now.saturating_add(240)));
            let audience = self
                .issuers
                .iter()
                .find(|issuer| name == *issuer.issuer)
                .and_then(|issuer| issuer.audience.clone());
            if let Some(audience) = audience {
                members.entry("aud").or_insert_with(|| json!(&*audience));
            }
        }
        claims
    }

    fn name(&self, kind: IssuerKind) -> &str {
        let of_kind = self.issuers.iter().find(|issuer| issuer.kind == kind);
        of_kind.or(self.issuers.first()).map_or("", |issuer| &*issuer.issuer)
    }
}

/// Runs one test.
pub async fn run_rule_test(
    test: &RuleTest,
    snapshot: &Snapshot,
    point: &TestPoint,
    mint: &Mint,
) -> TestOutcome {
    let mut inbound = match inbound(test, snapshot, mint) {
        Ok(inbound) => inbound,
        Err(fault) => return TestOutcome { faults: vec![fault], rule: None, refused: true },
    };
    // What one test has asked must not answer the next.
    snapshot.decisions.purge(&Purge::default());
    point.begin(test.pdp.clone());
    let clock = Arc::clone(&snapshot.clock);
    let method = test.request.method.clone();
    let mut journey = Journey::begin(
        RequestId::fresh(),
        method,
        snapshot.generation,
        clock,
        None,
        Steps::Dropped,
    );
    let verdict = authorize(snapshot, &mut inbound, &mut journey).await;
    let outcome = match &verdict {
        Ok(_) => ExpectedOutcome::Forward,
        Err(denial) => ExpectedOutcome::Refused(denial.code),
    };
    let mut faults = Vec::new();
    if outcome != test.expect.outcome {
        faults.push(format!(
            "expected {}, and it is {}",
            describe(test.expect.outcome),
            cause(outcome, verdict.as_ref().err())
        ));
    }
    if let Some(rule) = &test.expect.rule
        && journey.rule() != Some(rule.as_str())
    {
        faults.push(format!(
            "expected rule `{rule}`, and it falls to `{}`",
            journey.rule().unwrap_or("none")
        ));
    }
    if let Some(decision) = test.expect.decision
        && journey.decision() != Some(word(decision))
    {
        let said = journey.decision().unwrap_or("nothing");
        faults.push(format!("expected the PDP to say {}, and it says {said}", word(decision)));
    }
    let asked = point.asked();
    if !faults.is_empty() {
        let reasons =
            asked.iter().filter_map(|question| Some((question, point.reasons(question)?)));
        faults.extend(reasons.map(|(question, reasons)| {
            format!("the embedded PDP, for {}: {}", question.party, reasons.in_short())
        }));
    }
    compare_questions(test, &asked, &mut faults);
    let rule = journey.rule().map(str::to_owned);
    TestOutcome { faults, rule, refused: verdict.is_err() }
}

fn compare_questions(test: &RuleTest, asked: &[AccessRequest], faults: &mut Vec<String>) {
    if test.pdp.is_none() && !asked.is_empty() {
        faults.push(
            "expected that nobody is asked, and the PDP was; state `pdp` if that is meant"
                .to_owned(),
        );
    }
    let expected = &test.expect.question;
    let mut differ = |what: &str, expected: String, got: String| {
        if expected != got {
            faults.push(format!("expected {what} {expected}, and asked for {got}"));
        }
    };
    let first = asked.first();
    let none = || "nothing".to_owned();
    if let Some(subject) = &expected.subject {
        differ(
            "subject",
            subject.clone(),
            first.map_or_else(none, |asked| asked.subject.expose_value()),
        );
    }
    if let Some(resource) = &expected.resource {
        differ(
            "resource",
            resource.to_string(),
            first.map_or_else(none, |asked| asked.resource.to_string()),
        );
    }
    if let Some(action) = &expected.action {
        differ(
            "action",
            action.to_string(),
            first.map_or_else(none, |asked| asked.action.to_string()),
        );
    }
    if let Some(parties) = &expected.parties {
        let asked: Vec<_> = asked.iter().map(|asked| asked.party).collect();
        if *parties != asked {
            differ("party", format!("{parties:?}"), format!("{asked:?}"));
        }
    }
}

fn inbound(test: &RuleTest, snapshot: &Snapshot, mint: &Mint) -> Result<Inbound, String> {
    let request = &test.request;
    let mut headers: HeaderMap = request.headers.iter().cloned().collect();
    let host =
        request.host.as_ref().or(snapshot.hosts.first()).map_or("localhost", |host| host.as_str());
    if !headers.contains_key(HOST) {
        headers.insert(HOST, HeaderValue::from_str(host).map_err(|fault| fault.to_string())?);
    }
    if let Some(token) = mint.of(&test.claims).map_err(|fault| fault.to_string())? {
        let value =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(|fault| fault.to_string())?;
        headers.append(AUTHORIZATION, value);
    }
    let target = RequestTarget::parse(&request.target, snapshot.judging.max_target_bytes);
    let head = Head {
        framing: Ok(()),
        method: request.method.clone(),
        target,
        version: Version::HTTP_11,
        upgrade: Upgrade::asked(&request.method, Version::HTTP_11, &headers),
        headers,
    };
    Ok(Inbound { head, peer: Peer::LOCAL, body: InboundBody::Buffered(request.body.clone()) })
}

fn describe(outcome: ExpectedOutcome) -> String {
    match outcome {
        ExpectedOutcome::Forward => "to be forwarded".to_owned(),
        ExpectedOutcome::Refused(code) => format!("`{code}`"),
    }
}

fn cause(outcome: ExpectedOutcome, denial: Option<&Denial>) -> String {
    let why = denial.and_then(|denial| denial.cause.as_deref());
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    match outcome {
        ExpectedOutcome::Forward => "forwarded".to_owned(),
        ExpectedOutcome::Refused(code) => format!("`{code}`{why}"),
    }
}

fn word(decision: TestDecision) -> &'static str {
    match decision {
        TestDecision::Permit => "Permit",
        TestDecision::Deny => "Deny",
        TestDecision::NotApplicable => "NotApplicable",
        TestDecision::Indeterminate => "Indeterminate",
        TestDecision::Unavailable | TestDecision::Timeout => "nothing",
    }
}
