//! Whether a `required` rule puts a whole question: resource, party, instance, and who answers for what
//! the question leaves out.

use super::{Faults, unused_captures};
use crate::domain::{InstanceForm, Party, PartyForms, PartyKind, PartyKinds, SubjectKind};
use crate::route::parts::{Absent, ObjectTie, PartyRule, ResourceRule, RuleParts};
use crate::route::rule::{Reads, RouteRule, Surroundings};
use crate::route::source::Place;

pub(super) fn judge_resource(stated: &RuleParts, faults: &mut Faults) {
    if stated.action.is_none() {
        faults.add(
            "action",
            "the rule does not say what the caller wants to do",
            "write `action: read`",
        );
    }
    let (from, empty) = match &stated.resource {
        None => {
            return faults.add(
                "resource",
                "the rule does not say which resource it is about",
                "write `resource: ID`, here or under `defaults`",
            );
        }
        Some(ResourceRule::Const(_)) => return,
        Some(ResourceRule::Allow { from, allow }) => (from, allow.is_empty()),
        Some(ResourceRule::Map { from, map }) => {
            let repeated = map.iter().enumerate().any(|(index, (text, _))| {
                map.iter().take(index).any(|(earlier, _)| earlier == text)
            });
            if repeated || map.iter().any(|(text, _)| text.is_empty() || text.contains(',')) {
                faults.add(
                    "resource.map",
                    "a text of the map is empty, a list, or there twice",
                    "give each resource one text of its own",
                );
            }
            (from, map.is_empty())
        }
    };
    if empty {
        faults.add(
            "resource",
            "a resource taken from the request must be bounded by a list",
            "list the resources under `allow` or `map`",
        );
    }
    match from.place() {
        Place::Path(_)
        | Place::Query(_)
        | Place::Header(_)
        | Place::Json(_)
        | Place::Xml(_)
        | Place::Form(_) => {}
        Place::Const(_) | Place::SystemUserOwner | Place::Consumer => faults.add(
            "resource.from",
            format!("`{from}` does not name a resource in the request"),
            "write `resource: ID` for a fixed resource",
        ),
    }
}

pub(super) fn judge_party(stated: &RuleParts, surroundings: Surroundings, faults: &mut Faults) {
    let Some(party) = &stated.party else {
        return faults.add(
            "party",
            "the rule does not say where the party is",
            "write `party: path:NAME`, or another source",
        );
    };
    match party {
        PartyRule::One { .. } => {}
        PartyRule::Many { from, max, .. } => {
            if !(1..=RouteRule::MAX_PARTIES).contains(max) {
                faults.add(
                    "party.max",
                    format!("`max: {max}` is not from 1 to {}", RouteRule::MAX_PARTIES),
                    "each party is a question to the PDP",
                );
            }
            if !from.place().may_be_absent() {
                faults.add(
                    "party.many",
                    format!("`{from}` cannot hold several parties"),
                    "`many` reads `query:`, `header:`, `json:`, `xml:` and `form:`",
                );
            }
        }
        PartyRule::OneOf(sources) => {
            let repeated = sources
                .iter()
                .enumerate()
                .any(|(index, source)| sources.iter().take(index).any(|earlier| earlier == source));
            let optional = sources.iter().all(|source| source.place().may_be_absent());
            if sources.len() < 2 || repeated || !optional {
                faults.add(
                    "party.one_of",
                    "`one_of` needs two or more places of which a request fills exactly one",
                    "list different `query:`, `header:`, `json:`, `xml:` or `form:` sources",
                );
            }
        }
    }
    if let Some(Absent::From(source)) = party.absent()
        && !matches!(source.place(), Place::SystemUserOwner | Place::Consumer | Place::Const(_))
    {
        faults.add(
            "party.absent",
            format!("`{source}` cannot stand in for a party that is absent"),
            "write `token:systemuser_org`, `const:VALUE` or `upstream`",
        );
    }
    if party.absent().is_some()
        && !party.sources().first().is_some_and(|source| source.place().may_be_absent())
    {
        faults.add("party.absent", "this source is never absent", "remove `absent`");
    }
    judge_fixed_party(stated, party, surroundings, faults);
}

/// Parties that do not come from the request.
fn judge_fixed_party(
    stated: &RuleParts,
    party: &PartyRule,
    surroundings: Surroundings,
    faults: &mut Faults,
) {
    let kinds = stated.party_kinds.unwrap_or(PartyKinds::ORGANIZATION);
    let forms = PartyForms { kinds, check_digits: surroundings.check_digits };
    let subjects = stated.subjects.as_deref().unwrap_or(&[RouteRule::DEFAULT_SUBJECT]);
    let absent = match party.absent() {
        Some(Absent::From(source)) => Some(("party.absent", source)),
        Some(Absent::Upstream) | None => None,
    };
    let read = party.sources().iter().map(|source| ("party.from", source));
    for (key, source) in read.chain(absent) {
        match source.place() {
            Place::Consumer if subjects != [SubjectKind::Organization] => faults.add(
                key,
                "`token:consumer` is a party only where the subject is exactly `organization`",
                "write `subject: organization`, or read the party from the request",
            ),
            Place::SystemUserOwner if !subjects.contains(&SubjectKind::SystemUser) => faults.add(
                key,
                "`token:systemuser_org` needs a system user, which the rule does not accept",
                "add `system-user` to `subject`, or read the party from the request",
            ),
            Place::SystemUserOwner | Place::Consumer
                if !kinds.contains(PartyKind::Organization) =>
            {
                faults.add(
                    key,
                    format!("`{source}` is an organization, which `party_kinds` does not list"),
                    "add `organization` to `party_kinds`",
                );
            }
            Place::Const(value) => {
                if let Err(fault) = Party::parse(value, forms) {
                    faults.add(key, format!("`{source}` is no party: {fault}"), "write one party");
                }
            }
            Place::SystemUserOwner
            | Place::Consumer
            | Place::Path(_)
            | Place::Query(_)
            | Place::Header(_)
            | Place::Json(_)
            | Place::Xml(_)
            | Place::Form(_) => {}
        }
    }
    if kinds == PartyKinds::of(&[]) {
        faults.add(
            "party_kinds",
            "the list of party kinds is empty",
            "name one, or remove the key",
        );
    }
}

pub(super) fn judge_instance(stated: &RuleParts, faults: &mut Faults) {
    let Some(instance) = &stated.instance else { return };
    if matches!(instance.from.place(), Place::SystemUserOwner | Place::Consumer) {
        faults.add(
            "instance.from",
            format!("`{}` does not name an instance", instance.from),
            "read the instance from the path, the query, a header or the body",
        );
    }
    if instance.form == InstanceForm::App {
        if !stated.party_kinds.unwrap_or(PartyKinds::ORGANIZATION).contains(PartyKind::Id) {
            faults.add(
                "instance.as",
                "an app instance needs a party given by party id, which the rule does not accept",
                "write `party_kinds: [party-id]`",
            );
        }
        if matches!(stated.party, Some(PartyRule::Many { .. })) {
            faults.add(
                "instance.as",
                "an app instance belongs to one party, and the rule accepts many",
                "read one party",
            );
        }
    }
}

/// A question that leaves part of the path out is only right if the API itself checks that part.
pub(super) fn judge_object(stated: &RuleParts, reads: &Reads, faults: &mut Faults) {
    if stated.object == Some(ObjectTie::NoObject) {
        faults.add(
            "object",
            "`object: none` belongs to `protection: token`",
            "remove it, or write `object: upstream`",
        );
    }
    if stated.object == Some(ObjectTie::Upstream) {
        return;
    }
    let Some(party) = &stated.party else { return };
    if party.absent().is_some() {
        faults.add(
            "party.absent",
            "`absent` lets requests through that name no party",
            "write `object: upstream` if the API itself ties the answer to the caller",
        );
    }
    let loose = party.sources().iter().find(|source| match source.place() {
        Place::SystemUserOwner
        | Place::Consumer
        | Place::Const(_)
        | Place::Header(_)
        | Place::Query(_) => true,
        Place::Path(_) | Place::Json(_) | Place::Xml(_) | Place::Form(_) => false,
    });
    let mut unused = unused_captures(stated, reads);
    if let (Some(source), Some(name)) = (loose, unused.next()) {
        faults.add(
            "object",
            format!("nothing ties `{{{name}}}` to the party, which comes from `{source}`"),
            "use the capture as party, instance or attribute, or write `object: upstream` if the API itself ties it to the caller",
        );
    }
}
