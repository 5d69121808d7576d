//! What is being asked: resource, action, parties, instance and attributes of a request.
//!
//! Everything that decides is read here, once, from the bytes that are forwarded. Whether it is permitted
//! is not judged. Invariant: what is returned was there exactly as the rule demands, and no other
//! reading of the request by the API behind is in sight.

use super::ambiguity;
use super::body::{self, BodyValues};
use super::find::Matched;
use super::parts::{Absent, PartyRule, ResourceRule};
use super::rule::RouteRule;
use super::source::Source;
use super::values::{Readable, Role, refuse};
use crate::domain::{
    Action, Caller, CheckDigits, Denial, DenialCode, Head, Instance, InstanceForm, InvalidInstance,
    Party, PartyForms, ResourceAttribute, ResourceId,
};
use std::sync::Arc;

/// What a request of a `required` rule comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// To be put to the PDP, once for each party.
    Question(Question),
    /// The request names no party and the rule says `absent: upstream`: forwarded as by a `token` rule.
    Upstream,
}

/// What the PDP is asked, but for the subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// On what.
    pub resource: ResourceId,
    /// To do what.
    pub action: Action,
    /// For whom: every one must be permitted.
    pub parties: Parties,
    /// On which instance.
    pub instance: Option<Instance>,
    /// Further attributes, in the rule's order.
    pub attributes: Arc<[ResourceAttribute]>,
}

/// One party, or several different ones in the request's order; never none.
#[derive(Clone, Debug, PartialEq)]
pub enum Parties {
    /// The ordinary case, without an allocation.
    One(Party),
    /// Two or more.
    Several(Box<[Party]>),
}

impl Parties {
    /// The parties.
    #[must_use]
    pub fn as_slice(&self) -> &[Party] {
        match self {
            Self::One(party) => std::slice::from_ref(party),
            Self::Several(parties) => parties,
        }
    }
}

/// Reads what is asked by a request of a `required` rule. `bytes` are the whole body, decompressed,
/// where the rule [needs it](RouteRule::needs_body), after `check_body_type`.
pub fn resolve(
    matched: &Matched<'_>,
    head: &Head,
    bytes: Option<&[u8]>,
    caller: Option<&Caller>,
    check_digits: CheckDigits,
) -> Result<Resolved, Denial> {
    let rule = matched.rule();
    let query = matched.target().query();
    ambiguity::judge(head, rule, query)?;
    let values = match rule.body_kind() {
        Some(kind) => {
            let bytes = bytes.ok_or_else(|| broken("the body was not read"))?;
            body::read(kind, rule, bytes)?
        }
        None => BodyValues::Unread,
    };
    let readable = Readable { matched, head, query, body: &values, caller };
    let action = rule.action().ok_or_else(|| broken("the rule has no action"))?;
    let resource = resolve_resource(rule, &readable)?;
    let forms = PartyForms { kinds: rule.party_kinds(), check_digits };
    let Some(parties) = resolve_parties(rule, &readable, forms)? else {
        return Ok(Resolved::Upstream);
    };
    let instance = resolve_instance(rule, &readable, &parties)?;
    let attributes = resolve_attributes(rule, &readable)?;
    let action = action.clone();
    Ok(Resolved::Question(Question { resource, action, parties, instance, attributes }))
}

fn resolve_resource(rule: &RouteRule, readable: &Readable<'_>) -> Result<ResourceId, Denial> {
    let (from, listed) = match rule.resource() {
        None => return Err(broken("the rule has no resource")),
        Some(ResourceRule::Const(resource)) => return Ok(resource.clone()),
        Some(ResourceRule::Allow { from, allow }) => {
            let text = demand(readable, from, Role::Resource)?;
            let asked = ResourceId::parse(&text)
                .map_err(|fault| refuse(DenialCode::ResourceInvalid, from, fault))?;
            (from, allow.iter().find(|allowed| **allowed == asked))
        }
        Some(ResourceRule::Map { from, map }) => {
            let text = demand(readable, from, Role::Resource)?;
            let entry = map.iter().find(|(word, _)| *word == *text);
            (from, entry.map(|(_, resource)| resource))
        }
    };
    listed
        .cloned()
        .ok_or_else(|| refuse(DenialCode::ResourceNotAllowed, from, "not on the rule's list"))
}

/// `None` where the rule leaves a request without a party to the API behind.
fn resolve_parties(
    rule: &RouteRule,
    readable: &Readable<'_>,
    forms: PartyForms,
) -> Result<Option<Parties>, Denial> {
    match rule.party() {
        None => Err(broken("the rule has no party")),
        Some(PartyRule::One { from, absent }) => match readable.one(from, Role::Party)? {
            Some(text) => parse_party(&text, from, forms).map(Some),
            None => resolve_absent(from, absent.as_ref(), readable, forms),
        },
        Some(PartyRule::Many { from, max, absent }) => {
            let texts = readable.many(from, Role::Party)?;
            if texts.is_empty() {
                return resolve_absent(from, absent.as_ref(), readable, forms);
            }
            if texts.len() > *max {
                let limit = u64::try_from(*max).unwrap_or(u64::MAX);
                return Err(refuse(DenialCode::TooManyParties, from, "too many").limit(limit));
            }
            let mut parties: Vec<Party> = Vec::with_capacity(texts.len());
            for text in texts {
                let party = Party::parse(&text, forms)
                    .map_err(|fault| refuse(DenialCode::PartyInvalid, from, fault))?;
                if !parties.contains(&party) {
                    parties.push(party);
                }
            }
            Ok(Some(match parties.as_slice() {
                [only] => Parties::One(*only),
                _ => Parties::Several(parties.into()),
            }))
        }
        Some(PartyRule::OneOf(sources)) => {
            let mut present = None;
            for source in sources {
                let Some(text) = readable.one(source, Role::Party)? else { continue };
                if present.replace((source, text)).is_some() {
                    let cause = "more than one of the places is filled";
                    return Err(refuse(DenialCode::AmbiguousParameter, source, cause));
                }
            }
            match (present, sources.first()) {
                (Some((source, text)), _) => parse_party(&text, source, forms).map(Some),
                (None, Some(first)) => {
                    Err(refuse(DenialCode::PartyMissing, first, "none is filled"))
                }
                (None, None) => Err(broken("the rule has no party")),
            }
        }
    }
}

fn resolve_absent(
    from: &Source,
    absent: Option<&Absent>,
    readable: &Readable<'_>,
    forms: PartyForms,
) -> Result<Option<Parties>, Denial> {
    match absent {
        None => Err(refuse(DenialCode::PartyMissing, from, "it does not occur")),
        Some(Absent::Upstream) => Ok(None),
        Some(Absent::From(source)) => {
            let text = demand(readable, source, Role::Party)?;
            parse_party(&text, source, forms).map(Some)
        }
    }
}

fn parse_party(text: &str, source: &Source, forms: PartyForms) -> Result<Parties, Denial> {
    Party::parse(text, forms)
        .map(Parties::One)
        .map_err(|fault| refuse(DenialCode::PartyInvalid, source, fault))
}

/// There is no code for an invalid instance: one that is malformed makes the request so, and one that
/// contradicts the party makes it ambiguous whose data is meant.
fn resolve_instance(
    rule: &RouteRule,
    readable: &Readable<'_>,
    parties: &Parties,
) -> Result<Option<Instance>, Denial> {
    let Some(instance) = rule.instance() else { return Ok(None) };
    let text = demand(readable, &instance.from, Role::Instance)?;
    let read = match (instance.form, parties) {
        (InstanceForm::Resource, _) => Instance::of_resource(&text),
        (InstanceForm::App, Parties::One(party)) => Instance::of_app(&text, *party),
        (InstanceForm::App, Parties::Several(_)) => Err(InvalidInstance::PartyIdNeeded),
    };
    read.map(Some).map_err(|fault| {
        let code = match fault {
            InvalidInstance::OtherParty => DenialCode::AmbiguousParameter,
            InvalidInstance::PartyIdNeeded => DenialCode::PartyInvalid,
            InvalidInstance::Characters | InvalidInstance::NotAnAppInstance => {
                Role::Instance.invalid()
            }
        };
        refuse(code, &instance.from, fault)
    })
}

fn resolve_attributes(
    rule: &RouteRule,
    readable: &Readable<'_>,
) -> Result<Arc<[ResourceAttribute]>, Denial> {
    if rule.attributes().is_empty() {
        return Ok(Arc::default());
    }
    let read = |(id, source): &(_, Source)| {
        let text = demand(readable, source, Role::Attribute)?;
        if text.len() > ResourceAttribute::MAX_VALUE_BYTES || text.contains(char::is_control) {
            let cause = "too long for an attribute, or with control characters";
            return Err(refuse(Role::Attribute.invalid(), source, cause));
        }
        Ok(ResourceAttribute { id: Clone::clone(id), value: Arc::from(text.as_ref()) })
    };
    rule.attributes().iter().map(read).collect()
}

fn demand<'r>(
    readable: &Readable<'r>,
    source: &Source,
    role: Role,
) -> Result<std::borrow::Cow<'r, str>, Denial> {
    let value = readable.one(source, role)?;
    value.ok_or_else(|| refuse(role.missing(), source, "it does not occur"))
}

/// A promise of our own that does not hold.
fn broken(cause: &'static str) -> Denial {
    debug_assert!(false, "{cause}");
    Denial::new(DenialCode::Internal).because(cause)
}
