//! The heart: one function that decides one request, and the only maker of a [`Permit`].
//!
//! The checks run in a fixed order, and the first fault ends them: framing, expectation, canonical target, host,
//! route and method, `closed`, token, subject kind, scope, systems and vendors, authentication level,
//! body size and type, sources, decision, obligations. Whatever can refuse a request refuses it here.

mod admission;
mod refusals;
mod shadow;
mod upgrade;
mod words;

pub use admission::admits;
pub use refusals::{no_room, with_help};
pub use shadow::overlook;

use crate::domain::{
    AccessRequest, Action, Answered, Caller, CheckDigits, Decision, Denial, DenialCode, Head,
    HeldRoom, Host, Inbound, InboundBody, Pace, Party, RequestTarget, ResourceId, Turn,
};
use crate::pdp::{self, DecisionFault, Lifetimes};
use crate::record::{Journey, Stage};
use crate::route::{
    self, BodyCoding, CacheRule, Matched, Parties, Protection, Question, Resolved, RouteRule,
    WebSocketRule,
};
use crate::snapshot::{Judging, Snapshot};
use crate::tasks::compute_aside;
use bytes::Bytes;
use http::header::{EXPECT, HeaderMap, HeaderName};
use refusals::{
    about_question, about_rule, refuse_body, refuse_for_room, refuse_framing, refuse_gzip,
    refuse_host, refuse_target,
};
use std::sync::Arc;
use words::{AsXacml, describe_answer, describe_questions};
pub(crate) use words::{describe_caller, describe_denial};

/// Leave to forward one request, and the reason for it.
///
/// Its fields are private and nothing outside this file makes one; it is not `Clone`, so one permit
/// forwards one request.
#[derive(Debug)]
pub struct Permit {
    basis: Basis,
    /// There is one, but for what no rule matches in the shadow of them all.
    rule: Option<Arc<RouteRule>>,
    web_socket: Option<WebSocketRule>,
}

/// What a permit rests on.
#[derive(Debug)]
pub enum Basis {
    /// The rule is `public`.
    Public,
    /// The rule asks for a token and no more, or its source of a party is absent and the API decides.
    Token(Arc<Caller>),
    /// The PDP permits it, for every party.
    Decision(Granted),
    /// `mode: shadow`: whatever is judged beside it.
    Shadow,
}

/// What the PDP has granted.
#[derive(Debug)]
pub struct Granted {
    /// To whom.
    pub caller: Arc<Caller>,
    /// On what.
    pub resource: ResourceId,
    /// To do what.
    pub action: Action,
    /// For whom; each of them was asked about.
    pub parties: Parties,
}

impl Permit {
    /// What it rests on.
    #[must_use]
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// The rule that let the request through.
    #[must_use]
    pub fn rule_id(&self) -> Option<&str> {
        self.rule.as_deref().map(|rule| rule.id().as_ref())
    }

    /// Whether nothing of the request was judged but what is refused in any mode.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        matches!(self.basis, Basis::Shadow)
    }

    /// Where the rule's callers get help, if not where all do.
    #[must_use]
    pub fn help_url(&self) -> Option<&Arc<str>> {
        self.rule.as_deref().and_then(RouteRule::help_url)
    }

    /// The largest body that is let through, in bytes.
    #[must_use]
    pub fn max_body(&self) -> Option<u64> {
        self.enforced().and_then(RouteRule::max_body_bytes)
    }

    /// Whether the request asks for a WebSocket and may have it, and for how long. Without this, nothing
    /// that it says of an upgrade is sent on.
    #[must_use]
    pub fn web_socket(&self) -> Option<WebSocketRule> {
        self.web_socket
    }

    /// The headers that the rule read a value from; a trailer of such a name must not follow.
    pub fn source_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.enforced().into_iter().flat_map(RouteRule::source_headers)
    }

    /// For a request that is judged beside, by the rule that it falls under, if there is one.
    fn overlooking(rule: Option<Arc<RouteRule>>, web_socket: Option<WebSocketRule>) -> Self {
        Self { basis: Basis::Shadow, rule, web_socket }
    }

    /// The rule, unless its refusals have no effect.
    fn enforced(&self) -> Option<&RouteRule> {
        self.rule.as_deref().filter(|_| !self.is_shadow())
    }
}

/// Decides one request. Whatever can refuse a request refuses it here; nothing else can permit one.
///
/// May read the request's body into memory, once, after the caller is known to be admitted and only if the
/// rule needs it; the bytes read are the bytes that [`crate::upstream`] sends.
pub async fn authorize(
    snapshot: &Snapshot,
    inbound: &mut Inbound,
    journey: &mut Journey,
) -> Result<Permit, Denial> {
    let verdict = judge(snapshot, inbound, journey).await;
    let verdict = verdict.map_err(|denial| with_help(denial, None, &snapshot.judging));
    journey.judged();
    match &verdict {
        Ok(permit) => {
            journey.step(Stage::Verdict, || format!("permit: {}", permit.basis.describe()));
        }
        Err(denial) => journey.step(Stage::Verdict, || describe_denial(denial)),
    }
    verdict
}

async fn judge(
    snapshot: &Snapshot,
    inbound: &mut Inbound,
    journey: &mut Journey,
) -> Result<Permit, Denial> {
    let Inbound { head, body, peer: _ } = inbound;
    let (target, host) = read_head(head)?;
    let matched = find(snapshot, head, target, &host, journey)?;
    let rule = matched.rule();
    journey.matched(rule.id(), rule.template().text());
    journey.step(Stage::Route, || {
        format!(
            "rule `{}` ({}), template `{}`",
            rule.id(),
            rule.protection().as_str(),
            rule.template().text()
        )
    });
    let verdict = match upgrade::grant(rule, &head.upgrade, body, journey) {
        Ok(web_socket) => judge_under(snapshot, &matched, head, body, journey)
            .await
            .map(|basis| Permit { basis, rule: Some(Arc::clone(rule)), web_socket }),
        Err(denial) => Err(denial),
    };
    verdict.map_err(|denial| with_help(denial, rule.help_url(), &snapshot.judging))
}

/// What must be right of a head whatever the rules say.
fn read_head(head: &Head) -> Result<(&RequestTarget, Host), Denial> {
    head.framing.map_err(refuse_framing)?;
    check_expectation(&head.headers)?;
    let target = head.target.as_ref().map_err(|fault| refuse_target(*fault))?;
    Ok((target, Host::of(&head.headers).map_err(refuse_host)?))
}

/// Which rule the request falls under.
fn find<'s>(
    snapshot: &'s Snapshot,
    head: &Head,
    target: &'s RequestTarget,
    host: &Host,
    journey: &mut Journey,
) -> Result<Matched<'s>, Denial> {
    if !snapshot.hosts.is_empty()
        && !snapshot.hosts.iter().any(|known| known == host || known.as_str() == host.name())
    {
        return Err(Denial::new(DenialCode::HostUnknown));
    }
    journey.step(Stage::Head, || {
        format!("{} {} for host `{host}`: canonical", head.method, target.path().as_str())
    });
    snapshot.routes.find(Some(host), target, &head.method)
}

/// What follows once the rule is known.
async fn judge_under(
    snapshot: &Snapshot,
    matched: &Matched<'_>,
    head: &Head,
    body: &mut InboundBody,
    journey: &mut Journey,
) -> Result<Basis, Denial> {
    let rule = matched.rule();
    let judging = &snapshot.judging;
    let caller = match rule.protection() {
        Protection::Closed => return Err(Denial::new(DenialCode::RouteClosed)),
        Protection::Public => None,
        Protection::Token | Protection::Required => {
            Some(admit(snapshot, rule, &head.headers, journey).await?)
        }
    };
    check_size(rule, body)?;
    route::connection_names_protected(head, rule)?;
    let Some(caller) = caller else { return Ok(Basis::Public) };
    if rule.protection() == Protection::Token {
        return Ok(Basis::Token(caller));
    }
    let body = if rule.needs_body() {
        // On the heap, since its room would be taken by every request.
        Some(Box::pin(read_body(snapshot, rule, head, &caller, body)).await?)
    } else {
        None
    };
    let digits = judging.check_digits;
    let resolved = match body {
        // On the heap, as above.
        Some(body) => Box::pin(resolve_with(body, matched, head, &caller, digits)).await,
        None => route::resolve(matched, head, None, Some(&caller), digits),
    };
    match resolved.map_err(|denial| about_rule(denial, rule))? {
        Resolved::Upstream => {
            journey.step(
                Stage::Question,
                || "no party in the request: left to the API, as the rule says",
            );
            Ok(Basis::Token(caller))
        }
        Resolved::Question(question) => {
            ask(snapshot, rule, caller, question, journey).await.map(Basis::Decision)
        }
    }
}

/// A body as it is judged. What is sent stays with the request.
struct ReadBody {
    plain: Bytes,
    /// For what was decompressed.
    _room: Option<HeldRoom>,
    turn: Turn,
}

/// As [`route::resolve`], in the turn of the body. What was decompressed is not sent, so it is not kept
/// while the PDP is asked.
async fn resolve_with(
    body: ReadBody,
    matched: &Matched<'_>,
    head: &Head,
    caller: &Arc<Caller>,
    digits: CheckDigits,
) -> Result<Resolved, Denial> {
    if !body.turn.is_large() {
        return route::resolve(matched, head, Some(&body.plain), Some(caller), digits);
    }
    let (matched, head, caller) = (matched.to_owned(), head.clone(), Arc::clone(caller));
    compute_aside(move || {
        route::resolve(&matched.as_matched(), &head, Some(&body.plain), Some(&caller), digits)
    })
    .await
}

/// Reads the body, which the rule needs.
async fn read_body(
    snapshot: &Snapshot,
    rule: &RouteRule,
    head: &Head,
    caller: &Caller,
    body: &mut InboundBody,
) -> Result<ReadBody, Denial> {
    let judging = &snapshot.judging;
    let share = snapshot.buffers.of(caller.subject.for_pdp());
    let coding = route::check_body_type(rule, head)?;
    let pace = Pace { idle: judging.body_idle_timeout };
    let bytes = body.buffer(body_limit(rule, judging), pace, &share).await.map_err(refuse_body)?;
    let buffers = &snapshot.buffers;
    match coding {
        BodyCoding::Identity => {
            let turn = buffers.turn(bytes.len()).await;
            Ok(ReadBody { plain: bytes, _room: None, turn })
        }
        BodyCoding::Gzip => {
            let own = rule.max_decompressed_bytes();
            // What can never have room is too large, and not a matter of trying again.
            let max = own.map_or(judging.max_buffered_body, saturating_usize).min(buffers.total());
            let turn = buffers.turn(route::work_of(&bytes, max)).await;
            let is_large = turn.is_large();
            let work = move || decompress(&bytes, max, turn);
            if is_large { compute_aside(work).await } else { work() }
        }
    }
}

/// Takes room for what a compressed body states to hold, and decompresses it.
fn decompress(bytes: &[u8], max: usize, turn: Turn) -> Result<ReadBody, Denial> {
    let length = route::stated_length(bytes, max).map_err(refuse_gzip)?;
    let room = turn.take(length).map_err(refuse_for_room)?;
    let plain = Bytes::from(route::decompress(bytes, length).map_err(refuse_gzip)?);
    Ok(ReadBody { plain, _room: Some(room), turn })
}

/// Token, subject kind, scope, systems and vendors, authentication level: who may come in at all.
async fn admit(
    snapshot: &Snapshot,
    rule: &RouteRule,
    headers: &HeaderMap,
    journey: &mut Journey,
) -> Result<Arc<Caller>, Denial> {
    let authenticated = snapshot.tokens.authenticate(headers).await?;
    let caller = authenticated.caller;
    journey.authenticated(&caller);
    journey.step(Stage::Token, || {
        let remembered = if authenticated.remembered { "remembered" } else { "verified" };
        format!("{remembered}: {}", describe_caller(&caller))
    });
    admits(rule, &caller, snapshot.judging.machine_level)?;
    Ok(caller)
}

/// Puts the question to the PDP, once a party, and demands a permit with met obligations for each.
async fn ask(
    snapshot: &Snapshot,
    rule: &RouteRule,
    caller: Arc<Caller>,
    question: Question,
    journey: &mut Journey,
) -> Result<Granted, Denial> {
    let Question { resource, action, parties, instance, attributes } = question;
    journey.asked(&resource, &action, parties.as_slice());
    let subject = caller.subject.for_pdp();
    let lifetimes = lifetimes_of(rule, &snapshot.judging);
    match parties {
        Parties::One(party) => {
            let question = AccessRequest { subject, resource, action, party, instance, attributes };
            tell_questions(rule, std::slice::from_ref(&question), journey);
            let answer = snapshot.decisions.decide(&question, lifetimes).await;
            judge_answer(snapshot, &caller, &question, answer, journey)?;
            let AccessRequest { resource, action, .. } = question;
            Ok(Granted { caller, resource, action, parties })
        }
        Parties::Several(several) => {
            let put = |party: &Party| AccessRequest {
                subject,
                resource: resource.clone(),
                action: action.clone(),
                party: *party,
                instance: instance.clone(),
                attributes: Arc::clone(&attributes),
            };
            let questions: Vec<AccessRequest> = several.iter().map(put).collect();
            tell_questions(rule, &questions, journey);
            let answers = Box::pin(snapshot.decisions.decide_all(&questions, lifetimes)).await;
            for (question, answer) in questions.iter().zip(answers) {
                judge_answer(snapshot, &caller, question, answer, journey)?;
            }
            Ok(Granted { caller, parties: Parties::Several(several), resource, action })
        }
    }
}

fn tell_questions(rule: &RouteRule, questions: &[AccessRequest], journey: &mut Journey) {
    journey.step(Stage::Question, || describe_questions(rule, questions));
    journey.because(|| Some(AsXacml(questions)));
}

fn judge_answer(
    snapshot: &Snapshot,
    caller: &Caller,
    question: &AccessRequest,
    answer: Result<Answered, DecisionFault>,
    journey: &mut Journey,
) -> Result<(), Denial> {
    let verdict = answer
        .inspect_err(|_| journey.unanswered(snapshot.decisions.source()))
        .map_err(Denial::from)
        .inspect(|answered| {
            journey.answered(answered);
            journey.step(Stage::Decision, || describe_answer(question, answered));
            journey.because(|| snapshot.decisions.reasons(question));
        })
        .and_then(|answered| check_decision(&answered, caller, &snapshot.judging));
    verdict.map_err(|denial| about_question(denial, question, caller, &snapshot.grants))
}

/// Only a permit whose every obligation is understood and met lets a request through.
fn check_decision(answered: &Answered, caller: &Caller, judging: &Judging) -> Result<(), Denial> {
    match &answered.decision {
        Decision::Permit(obligations) => {
            let level = caller.level.or(judging.machine_level);
            pdp::obligations::check(obligations, level, caller.service_owner).map_err(Denial::from)
        }
        Decision::Deny => Err(Denial::new(DenialCode::AccessDenied).because("Deny")),
        Decision::NotApplicable => {
            Err(Denial::new(DenialCode::AccessDenied).because("NotApplicable"))
        }
        Decision::Indeterminate(status) => {
            Err(Denial::new(DenialCode::DecisionIndeterminate).because(status.as_str()))
        }
    }
}

/// How long answers to a rule's questions are believed.
#[must_use]
pub fn lifetimes_of(rule: &RouteRule, judging: &Judging) -> Lifetimes {
    match (rule.cache(), judging.lifetimes) {
        (Some(CacheRule::Off), _) | (None, Lifetimes::Off) => Lifetimes::Off,
        (None, general @ Lifetimes::Held { .. }) => general,
        (
            Some(CacheRule::Lifetimes { permit, deny }),
            Lifetimes::Held { permit: general_permit, deny: general_deny },
        ) => Lifetimes::Held {
            permit: permit.unwrap_or(general_permit),
            deny: deny.unwrap_or(general_deny),
        },
        // A rule may cache where the service as a whole does not, but only what it names.
        (Some(CacheRule::Lifetimes { permit, deny }), Lifetimes::Off) => {
            Lifetimes::Held { permit: permit.unwrap_or_default(), deny: deny.unwrap_or_default() }
        }
    }
}

/// The only expectation is `100-continue` (RFC 9110 §10.1.1).
fn check_expectation(headers: &HeaderMap) -> Result<(), Denial> {
    let known = headers
        .get_all(EXPECT)
        .iter()
        .all(|line| line.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if known { Ok(()) } else { Err(Denial::new(DenialCode::ExpectationFailed)) }
}

/// A body whose stated length is above the rule's limit is refused before a byte of it is read.
fn check_size(rule: &RouteRule, body: &InboundBody) -> Result<(), Denial> {
    let stated = body.stated().lower();
    match rule.max_body_bytes() {
        Some(max) if stated > max => Err(Denial::new(DenialCode::BodyTooLarge).limit(max)),
        Some(_) | None => Ok(()),
    }
}

fn body_limit(rule: &RouteRule, judging: &Judging) -> usize {
    rule.max_body_bytes().map_or(usize::MAX, saturating_usize).min(judging.max_buffered_body)
}

fn saturating_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
