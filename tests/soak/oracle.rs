//! Checks every answer against the truth, against what the API saw, and against its decision record.
//!
//! What it holds to: nobody passes who may not; nobody who may is told 401 or 403; an outage is a 503, only
//! for what is not in hand, and only while something is or was wrong; no answer is believed longer than
//! its rule says, or past a purge; every request has one record, which says the same.

use crate::now;
use crate::support::peers::Decided;
use crate::tokens::Badge;
use crate::truth::{self, PUBLIC, RESOURCES, Rule};
use crate::weather::Weather;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use uuid::Uuid;

/// How long a request may take from its caller to the look into the cache, on a busy machine.
const MARGIN: Duration = Duration::from_millis(300);
/// How long the verdict on what is in hand may take, on a busy machine. Half of what a PDP call may.
const AT_ONCE: Duration = Duration::from_millis(500);
/// Sightings of a permit are kept this long: longer than any permit lives.
const MEMORY: Duration = Duration::from_secs(10);
/// Sightings of one permit, told from another by when it was asked for.
const APART: Duration = Duration::from_millis(100);

/// Something that must not be.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) kind: &'static str,
    pub(crate) what: String,
}

impl Violation {
    pub(crate) fn new(kind: &'static str, what: &str) -> Self {
        Self { kind, what: what.to_owned() }
    }
}

/// A request before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) id: Uuid,
    pub(crate) rule: Rule,
    pub(crate) user: usize,
    pub(crate) parties: Vec<usize>,
    pub(crate) badge: Badge,
    /// Of the key that signed the token.
    pub(crate) kid: Arc<str>,
    pub(crate) sent: Instant,
}

/// Its answer.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// Of the problem document; empty without one.
    pub(crate) code: String,
    /// Whether it says when to come back.
    pub(crate) retry_after: bool,
    pub(crate) received: Instant,
}

/// What the API behind saw.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) id: String,
    pub(crate) rule: String,
    pub(crate) user: Option<String>,
    pub(crate) parties: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) action: Option<String>,
}

/// What a purge is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purged {
    All,
    User(usize),
    Party(usize),
    Resource(usize),
}

#[derive(Debug)]
struct Purge {
    purged: Purged,
    began: Instant,
    /// `None` while its answer has not come.
    done: Option<Instant>,
}

#[derive(Debug)]
struct Pending {
    asked: Asked,
    /// Whether a token by its key had been verified before it was sent.
    key_was_known: bool,
    passed: usize,
    answered: Option<Answered>,
    record: Option<Value>,
}

/// A permit that somebody was let through by.
#[derive(Debug)]
struct Sighting {
    /// No later than this the answer was in hand.
    landed: Instant,
    /// No earlier than this the PDP was asked.
    asked: Instant,
}

#[derive(Debug)]
pub(crate) struct Oracle {
    weather: Arc<Weather>,
    state: Mutex<State>,
    first: Mutex<Option<Violation>>,
    broken: Notify,
}

#[derive(Debug, Default)]
struct State {
    pending: HashMap<Uuid, Pending>,
    requests: usize,
    records: usize,
    /// Records of requests that got the answer to a PDP call of their own.
    asked_the_pdp: usize,
    answers: BTreeMap<String, usize>,
    sources: BTreeMap<String, usize>,
    permits: HashMap<(usize, usize, usize), VecDeque<Sighting>>,
    /// Keys by which a token was verified.
    known_keys: HashSet<Arc<str>>,
    purges: Vec<Purge>,
}

/// How a request must be answered when nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Passes,
    Refused(u16),
}

impl Asked {
    fn due(&self) -> Due {
        let Some(resource) = self.rule.resource else {
            return match self.badge {
                _ if self.rule == PUBLIC => Due::Passes,
                Badge::Good => Due::Passes,
                Badge::Scopeless => Due::Refused(403),
                Badge::Missing
                | Badge::Expired
                | Badge::Foreign
                | Badge::Forged
                | Badge::Altered => Due::Refused(401),
            };
        };
        match self.badge {
            Badge::Good => {
                if self.parties.iter().all(|party| truth::may(self.user, *party, resource)) {
                    Due::Passes
                } else {
                    Due::Refused(403)
                }
            }
            Badge::Scopeless => Due::Refused(403),
            Badge::Missing | Badge::Expired | Badge::Foreign | Badge::Forged | Badge::Altered => {
                Due::Refused(401)
            }
        }
    }

    fn keys(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let resource = self.rule.resource.unwrap_or(usize::MAX);
        self.parties.iter().map(move |party| (self.user, *party, resource))
    }

    /// Whether the token itself is in order, so that a refusal is not about it.
    fn is_by_a_good_key(&self) -> bool {
        matches!(self.badge, Badge::Good | Badge::Scopeless)
    }
}

impl Purge {
    fn concerns(&self, (user, party, resource): (usize, usize, usize)) -> bool {
        match self.purged {
            Purged::All => true,
            Purged::User(purged) => purged == user,
            Purged::Party(purged) => purged == party,
            Purged::Resource(purged) => purged == resource,
        }
    }
}

impl Oracle {
    pub(crate) fn new(weather: Arc<Weather>) -> Self {
        Self { weather, state: Mutex::default(), first: Mutex::default(), broken: Notify::new() }
    }

    /// The first violation, when there is one.
    pub(crate) async fn broken(&self) -> Violation {
        loop {
            if let Some(first) = self.first.lock().unwrap().clone() {
                return first;
            }
            self.broken.notified().await;
        }
    }

    pub(crate) fn violation(&self, kind: &'static str, what: &str) {
        self.first.lock().unwrap().get_or_insert_with(|| Violation::new(kind, what));
        self.broken.notify_one();
    }

    pub(crate) fn requests(&self) -> usize {
        self.state.lock().unwrap().requests
    }

    pub(crate) fn answers(&self) -> String {
        let state = self.state.lock().unwrap();
        let list = |counts: &BTreeMap<String, usize>| {
            let list: Vec<String> =
                counts.iter().map(|(name, count)| format!("{name}: {count}")).collect();
            list.join(", ")
        };
        format!("{}; decided by {}", list(&state.answers), list(&state.sources))
    }

    /// A request is about to be sent.
    pub(crate) fn asked(&self, asked: Asked) {
        let mut state = self.state.lock().unwrap();
        state.requests += 1;
        let key_was_known = state.known_keys.contains(&asked.kid);
        let pending = Pending { passed: 0, answered: None, record: None, asked, key_was_known };
        state.pending.insert(pending.asked.id, pending);
    }

    /// Its answer is here.
    pub(crate) fn answered(&self, id: Uuid, answered: Answered) {
        let mut state = self.state.lock().unwrap();
        let name = format!("{} {}", answered.status, answered.code).trim_end().to_owned();
        *state.answers.entry(name).or_default() += 1;
        let Some(pending) = state.pending.get_mut(&id) else { return };
        self.check_answer(&pending.asked, &answered);
        pending.answered = Some(answered);
        self.join(&mut state, id);
    }

    /// The API has seen a request. Judged by what it was told, not by what was sent.
    pub(crate) fn passed(&self, passed: &Passed) {
        let mut state = self.state.lock().unwrap();
        let id = Uuid::parse_str(&passed.id).unwrap_or_default();
        let Some(pending) = state.pending.get_mut(&id) else {
            return self.violation("admitted", &format!("a request that nobody sent: {passed:?}"));
        };
        pending.passed += 1;
        let asked = &pending.asked;
        if pending.passed > 1 {
            self.violation("admitted", &format!("the API saw it twice: {asked:?}"));
        }
        if asked.due() != Due::Passes {
            self.violation("admitted", &format!("{asked:?} reached the API as {passed:?}"));
        }
        if passed.rule != asked.rule.id {
            self.violation("identity", &format!("{asked:?} reached the API as {passed:?}"));
        }
        if asked.rule == PUBLIC {
            return;
        }
        let user = passed.user.as_deref().and_then(truth::user_of);
        let told = passed.parties.as_deref().unwrap_or_default();
        let parties: Option<Vec<usize>> = match told {
            "" => Some(Vec::new()),
            told => told.split(',').map(truth::party_of).collect(),
        };
        let resource = passed.resource.as_deref().zip(passed.action.as_deref());
        let resource = resource.and_then(|(name, action)| truth::resource_of(name, action));
        let same = user == Some(asked.user)
            && parties.as_ref() == Some(&asked.parties)
            && resource == asked.rule.resource;
        if !same {
            self.violation("identity", &format!("{asked:?} reached the API as {passed:?}"));
        }
    }

    /// A decision record was written.
    pub(crate) fn recorded(&self, record: &Value) {
        let mut state = self.state.lock().unwrap();
        state.records += 1;
        let source = record["source"].as_str().unwrap_or_default().to_owned();
        state.asked_the_pdp += usize::from(source == "pdp" && record["decision"].is_string());
        *state.sources.entry(source).or_default() += 1;
        let id = record["requestId"].as_str().and_then(|id| Uuid::parse_str(id).ok());
        let Some(id) = id else {
            return self.violation("record", &format!("without an id: {record}"));
        };
        let Some(pending) = state.pending.get_mut(&id) else {
            return self.violation("record", &format!("of no request: {record}"));
        };
        if pending.record.is_some() {
            return self.violation("record", &format!("a second one: {record}"));
        }
        pending.record = Some(record.clone());
        self.join(&mut state, id);
    }

    /// A purge is about to be sent; gives its number.
    pub(crate) fn purge_begins(&self, purged: Purged) -> usize {
        let mut state = self.state.lock().unwrap();
        state.purges.push(Purge { purged, began: now(), done: None });
        state.purges.len() - 1
    }

    /// It was answered.
    pub(crate) fn purge_done(&self, number: usize) {
        self.state.lock().unwrap().purges[number].done = Some(now());
    }

    /// The end: nothing is missing, and the numbers agree.
    pub(crate) async fn settle(&self, pdp: &crate::storm::Summary) -> Result<(), Violation> {
        for _ in 0..50 {
            if self.state.lock().unwrap().pending.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if let Some(first) = self.first.lock().unwrap().clone() {
            return Err(first);
        }
        let state = self.state.lock().unwrap();
        if let Some(pending) = state.pending.values().next() {
            let count = state.pending.len();
            let what = format!("{count} requests without answer or record, such as {pending:?}");
            return Err(Violation::new("record", &what));
        }
        if state.records != state.requests {
            let what = format!("{} requests, {} records", state.requests, state.records);
            return Err(Violation::new("record", &what));
        }
        if state.asked_the_pdp > pdp.decided {
            let what = format!(
                "{} records say that the PDP decided; it did so {} times",
                state.asked_the_pdp, pdp.decided
            );
            return Err(Violation::new("record", &what));
        }
        if pdp.trapped > 0 {
            return Err(Violation::new("redirect", "somebody followed a redirect"));
        }
        Ok(())
    }

    /// The PDP was asked only what somebody asks.
    pub(crate) fn decided(&self, decided: &[Decided]) {
        let unknown = decided.iter().map(|decided| &decided.question).find(|question| {
            truth::user_of(&question.subject).is_none()
                || truth::party_of(&question.party).is_none()
                || truth::resource_of(&question.resource, &question.action).is_none()
        });
        if let Some(question) = unknown {
            self.violation("question", &format!("nobody asks {question:?}"));
        }
    }

    /// What can be said without the record.
    fn check_answer(&self, asked: &Asked, answered: &Answered) {
        let complain = |kind: &'static str| {
            self.violation(kind, &format!("{asked:?} was answered {answered:?}"));
        };
        let due = asked.due();
        match (due, answered.status) {
            (Due::Passes, 200) => {}
            (Due::Passes, 401 | 403) => complain("refused"),
            (Due::Refused(_), 200..=299) => complain("admitted"),
            (Due::Refused(due), status) if due == status => {}
            (_, 503) => {
                let keys = answered.code == "keys-unavailable";
                // Nothing but its key can keep the proxy from judging such a token.
                let only_keys = asked.rule.resource.is_none() || asked.badge != Badge::Good;
                let known = [
                    "pdp-unavailable",
                    "pdp-timeout",
                    "pdp-protocol-error",
                    "credential-unavailable",
                    "overloaded",
                    "decision-indeterminate",
                ];
                if !answered.retry_after {
                    complain("outage-without-retry-after");
                }
                if asked.rule == PUBLIC
                    || asked.badge == Badge::Missing
                    || !(keys || known.contains(&answered.code.as_str()))
                    || (only_keys && !keys)
                {
                    complain("outage-without-reason");
                }
            }
            _ => complain("odd-answer"),
        }
    }

    /// Everything about one request is here.
    fn join(&self, state: &mut State, id: Uuid) {
        let complete = |pending: &Pending| pending.answered.is_some() && pending.record.is_some();
        if !state.pending.get(&id).is_some_and(complete) {
            return;
        }
        let Some(Pending {
            asked,
            key_was_known,
            passed,
            answered: Some(answered),
            record: Some(record),
        }) = state.pending.remove(&id)
        else {
            return;
        };
        self.check_record(&asked, &answered, passed, &record);
        if asked.is_by_a_good_key() && asked.rule != PUBLIC {
            self.check_keys(state, &asked, key_was_known, &answered);
        }
        if asked.due() != Due::Passes || asked.rule.resource.is_none() {
            return;
        }
        match answered.status {
            200 => {
                self.check_permit(state, &asked, &answered, &record);
                let took = Duration::from_secs_f64(record["authorizeSeconds"].as_f64().unwrap());
                // The record names the source of one of several parties.
                let was_in_hand = is_held(&record) && asked.parties.len() == 1 && key_was_known;
                let stood_still = self.weather.stood_still(asked.sent, answered.received);
                if was_in_hand && took > AT_ONCE && !stood_still {
                    let what = format!("{took:?} for what was in hand: {asked:?}, {record}");
                    self.violation("slow", &what);
                }
            }
            503 => self.check_outage(state, &asked, key_was_known, &answered, &record),
            _ => {}
        }
    }

    fn check_record(&self, asked: &Asked, answered: &Answered, passed: usize, record: &Value) {
        let code = record["code"].as_str().unwrap_or_default();
        let forwarded = answered.status == 200;
        let outcome = if forwarded { "forwarded" } else { "refused" };
        let same = record["status"] == answered.status
            && code == answered.code
            && record["outcome"] == outcome
            && record["rule"] == asked.rule.id
            && passed == usize::from(forwarded);
        let decided = asked.rule.resource.is_none_or(|resource| {
            !forwarded
                || (record["decision"] == "Permit"
                    && record["systemUser"] == truth::user_id(asked.user)
                    && record["resource"] == RESOURCES[resource].0
                    && record["party"].as_array().map(Vec::len) == Some(asked.parties.len()))
        });
        if !same || !decided {
            let what = format!("{asked:?}, {answered:?}, seen {passed} times by the API: {record}");
            self.violation("record", &what);
        }
    }

    /// A key that was known when a token was sent stays known: the issuer publishes it until nobody signs with
    /// it. By the time of the answer another request may have had it fetched, which proves nothing.
    fn check_keys(
        &self,
        state: &mut State,
        asked: &Asked,
        key_was_known: bool,
        answered: &Answered,
    ) {
        if answered.code != "keys-unavailable" {
            state.known_keys.insert(Arc::clone(&asked.kid));
        } else if key_was_known {
            self.violation("key-lost", &format!("{asked:?} was answered {answered:?}"));
        }
    }

    fn check_permit(&self, state: &mut State, asked: &Asked, answered: &Answered, record: &Value) {
        let age = Duration::from_secs_f64(record["age"].as_f64().unwrap_or(0.0));
        if is_held(record) && age >= asked.rule.lifetime {
            let what = format!("{asked:?} passed by an answer of {age:?}: {record}");
            self.violation("stale", &what);
        }
        let latest = answered.received.checked_sub(age).unwrap();
        let forgotten = state.purges.iter().find(|purge| {
            purge.done.is_some_and(|done| done < asked.sent)
                && latest < purge.began
                && asked.keys().all(|key| purge.concerns(key))
        });
        if let Some(purge) = forgotten {
            let what = format!("{asked:?} passed by what was purged ({purge:?}): {record}");
            self.violation("purged", &what);
        }
        let sighted = asked.sent.checked_sub(age).unwrap();
        for key in asked.keys() {
            let sightings = state.permits.entry(key).or_default();
            let old = |sighting: &Sighting| sighting.asked + MEMORY < answered.received;
            while sightings.front().is_some_and(old) {
                sightings.pop_front();
            }
            if sightings.back().is_none_or(|last| last.asked + APART < sighted) {
                let sighting = Sighting { landed: answered.received, asked: sighted };
                sightings.push_back(sighting);
            }
        }
    }

    fn check_outage(
        &self,
        state: &State,
        asked: &Asked,
        key_was_known: bool,
        answered: &Answered,
        record: &Value,
    ) {
        if self.weather.stood_still(asked.sent, answered.received) {
            return;
        }
        let by_keys = answered.code == "keys-unavailable";
        // Who has to wait for a new signing key may see a decision end meanwhile.
        let looked = if key_was_known { asked.sent } else { answered.received };
        let in_hand = |key| {
            let purges = || state.purges.iter().filter(move |purge| purge.concerns(key));
            state.permits.get(&key).is_some_and(|sightings| {
                sightings.iter().any(|sighting| {
                    sighting.landed < asked.sent
                        && looked + MARGIN < sighting.asked + asked.rule.lifetime
                        && purges().all(|purge| {
                            purge.done.is_some_and(|done| done + APART < sighting.asked)
                        })
                })
            })
        };
        if !by_keys && asked.keys().all(in_hand) {
            let sightings: Vec<_> = asked.keys().map(|key| state.permits.get(&key)).collect();
            let what = format!(
                "{asked:?} (key known: {key_was_known}), {answered:?}, {record}, sightings {sightings:?}"
            );
            self.violation("outage-in-hand", &what);
        }
        if self.weather.was_calm(asked.sent) {
            let what = format!("nothing is wrong: {asked:?}, {answered:?}, {record}");
            self.violation("outage-in-calm", &what);
        }
    }
}

/// Whether its answer was in hand when the request came.
fn is_held(record: &Value) -> bool {
    matches!(record["source"].as_str(), Some("cache" | "refreshed"))
}
