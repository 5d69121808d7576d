//! Altinn's PDP: wants a subscription key and a token of the exchange, decides as told, and remembers.

use super::super::tokens::PERMITTED;
use super::super::wire::Head;
use super::SkewedClock;
use super::endpoint::{Answer, Endpoint, Peer};
use super::exchange::{bearer, claims_of};
use super::maskinporten::Issued;
use super::tls::Authority;
use portvakt::domain::{Clock as _, Decision, Indeterminate, Obligations};
use portvakt::pdp::wire::{self, RequestFault, WireCategory, WireResult, category};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

pub(crate) const SUBSCRIPTION_KEY: &str = "0123456789abcdef-subscription";

/// One question, as the PDP understands it. Empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) subject: String,
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) party: String,
}

/// A question, and what was decided on it; the answer may have been a fault all the same.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    pub(crate) question: Question,
    pub(crate) decision: &'static str,
    pub(crate) at: Instant,
    /// How many questions came with it in one request.
    pub(crate) together: usize,
}

type Judgement = Arc<dyn Fn(&Question) -> Decision + Send + Sync>;

pub(crate) struct Pdp {
    pub(crate) peer: Peer,
    pub(crate) authorize: Arc<Endpoint>,
    /// By which tokens end.
    pub(crate) clock: SkewedClock,
    state: Arc<State>,
}

struct State {
    judgement: Mutex<Judgement>,
    decided: Mutex<Vec<Decided>>,
    pascal_case: AtomicBool,
    taken: Issued,
    /// Anybody may ask.
    public: AtomicBool,
    clock: SkewedClock,
}

impl Pdp {
    /// Permits what concerns [`PERMITTED`], and has nothing to say of others.
    pub(crate) fn start(authority: Option<&Arc<Authority>>, taken: Issued) -> Self {
        let clock = SkewedClock::default();
        let state = Arc::new(State {
            judgement: Mutex::new(Arc::new(|question| {
                if question.party == PERMITTED { permit() } else { Decision::NotApplicable }
            })),
            decided: Mutex::default(),
            pascal_case: AtomicBool::new(false),
            taken,
            public: AtomicBool::new(false),
            clock: clock.clone(),
        });
        let pdp = Arc::clone(&state);
        let line = "POST /authorization/api/v1/authorize";
        let authorize = Endpoint::new(line, move |head, body| pdp.answer(head, body));
        let endpoint = Arc::clone(&authorize);
        let peer = Peer::start(authority, |_| vec![endpoint]);
        Self { peer, authorize, clock, state }
    }

    /// Decides like this from now on.
    pub(crate) fn decide(&self, judgement: impl Fn(&Question) -> Decision + Send + Sync + 'static) {
        *self.state.judgement.lock().unwrap() = Arc::new(judgement);
    }

    /// Writes member names as in Altinn's documentation, not as in its wire form.
    pub(crate) fn pascal_case(&self, pascal_case: bool) {
        self.state.pascal_case.store(pascal_case, Ordering::SeqCst);
    }

    /// Lets anybody ask from now on.
    pub(crate) fn open_to_all(&self) {
        self.state.public.store(true, Ordering::SeqCst);
    }

    /// What it has decided since it was last asked this.
    pub(crate) fn take_decided(&self) -> Vec<Decided> {
        std::mem::take(&mut *self.state.decided.lock().unwrap())
    }
}

pub(crate) fn permit() -> Decision {
    Decision::Permit(Obligations::default())
}

impl State {
    fn answer(&self, head: &Head, body: &[u8]) -> Answer {
        if let Some(refusal) = self.refuse(head) {
            return refusal;
        }
        let results = match self.results(body) {
            Ok(results) => results,
            Err(RequestFault::Content { status, .. }) => {
                vec![Decision::Indeterminate(status).into()]
            }
            Err(RequestFault::Malformed(_)) => {
                return Answer::new(400, "application/problem+json", r#"{"status":400}"#);
            }
        };
        let body = wire::encode_response(&results);
        let body = if self.pascal_case.load(Ordering::SeqCst) {
            let document: Value = serde_json::from_slice(&body).unwrap();
            pascal(document).to_string().into_bytes()
        } else {
            body
        };
        Answer::new(200, "application/json; charset=utf-8", body)
    }

    fn refuse(&self, head: &Head) -> Option<Answer> {
        if self.public.load(Ordering::SeqCst) {
            return None;
        }
        if head.get("ocp-apim-subscription-key") != Some(SUBSCRIPTION_KEY) {
            let body =
                r#"{"statusCode":401,"message":"Access denied due to invalid subscription key."}"#;
            return Some(Answer::new(401, "application/json", body));
        }
        let is_good = bearer(head).filter(|token| self.taken.has(token)).is_some_and(|token| {
            claims_of(token)["exp"].as_u64().is_some_and(|end| end > self.clock.wall().0)
        });
        (!is_good).then(|| Answer::new(401, "text/plain", ""))
    }

    fn results(&self, body: &[u8]) -> Result<Vec<WireResult>, RequestFault> {
        let request = wire::decode_request(body)?;
        let questions = request.questions()?;
        let judgement = Arc::clone(&self.judgement.lock().unwrap());
        let mut results = Vec::new();
        for categories in &questions {
            let question = Question::of(categories).ok_or(RequestFault::Content {
                status: Indeterminate::ProcessingError,
                cause: "a question without one subject, action, resource and party",
            })?;
            let decision = judgement(&question);
            self.decided.lock().unwrap().push(Decided {
                question,
                decision: decision.as_str(),
                at: self.clock.monotonic(),
                together: questions.len(),
            });
            results.push(WireResult { echoed: wire::echo(categories), ..decision.into() });
        }
        Ok(results)
    }
}

impl Question {
    fn of(categories: &[&WireCategory]) -> Option<Self> {
        let only = |urn: &str, wanted: &dyn Fn(&str) -> bool| {
            let mut found = categories
                .iter()
                .filter(|entry| entry.category == urn)
                .flat_map(|entry| &entry.attributes)
                .filter(|attribute| wanted(&attribute.id));
            let first = found.next()?;
            found.next().is_none().then(|| first.value.clone())
        };
        let is_party = |id: &str| {
            id.ends_with(":identifier-no")
                || matches!(id, "urn:altinn:partyid" | "urn:altinn:party:uuid")
        };
        Some(Self {
            subject: only(category::SUBJECT, &|_| true)?,
            action: only(category::ACTION, &|_| true)?,
            resource: only(category::RESOURCE, &|id| id == "urn:altinn:resource")?,
            party: only(category::RESOURCE, &is_party)?,
        })
    }
}

/// The document with the first letter of every member name in upper case.
fn pascal(document: Value) -> Value {
    match document {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let (first, rest) = name.split_at(1);
                (first.to_ascii_uppercase() + rest, pascal(value))
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(pascal).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}
