//! The room through its public face, as tables.

mod bodies;
mod candidates;
mod json;
mod matching;
mod resolving;
mod rules;
mod xml;

use super::*;
use crate::domain::{
    Action, AuthenticationLevel, Caller, CheckDigits, Denial, Head, OrganizationCaller,
    OrganizationNumber, ProvenLevel, RequestTarget, ResourceId, Scope, ScopeRequirement, Scopes,
    Subject, SubjectKind, SystemId, SystemUser, SystemUserId, TokenWindow, UnixSeconds, Upgrade,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use std::sync::Arc;

const SURROUNDINGS: Surroundings =
    Surroundings { scopes: ScopeDemand::MustBeStated, check_digits: CheckDigits::Strict };

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

fn source(text: &str) -> Source {
    Source::parse(text).unwrap()
}

fn target(text: &str) -> RequestTarget {
    RequestTarget::parse(text, 8192).unwrap()
}

fn methods(text: &str) -> Methods {
    let method = |word: &str| Method::from_bytes(word.as_bytes()).unwrap();
    match text {
        "any" => Methods::Any,
        list if list.contains(' ') => Methods::List(list.split(' ').map(method).collect()),
        one => Methods::One(method(one)),
    }
}

/// A public rule: `METHOD /path`, which is all that matching looks at.
fn public(id: &str, matched: &str) -> RuleParts {
    let (words, path) = matched.rsplit_once(' ').unwrap();
    let mut parts = RuleParts::new(id, "api", Matching::new(methods(words), template(path)));
    parts.protection = Protection::Public;
    parts
}

/// A required rule on `POST path` with this party.
fn required(path: &str, from: &str) -> RuleParts {
    let matching = Matching::new(Methods::One(Method::POST), template(path));
    let mut parts = RuleParts::new("rule", "api", matching);
    parts.resource = Some(ResourceRule::Const(ResourceId::parse("r-read").unwrap()));
    parts.action = Some(Action::parse("write").unwrap());
    parts.party = Some(PartyRule::One { from: source(from), absent: None });
    parts.scopes = Some(ScopeRequirement::All([Scope::parse("x:y").unwrap()].into()));
    parts
}

fn rule(parts: RuleParts) -> RouteRule {
    RouteRule::new(parts, SURROUNDINGS).unwrap()
}

fn table(parts: Vec<RuleParts>) -> RouteTable {
    RouteTable::build(parts.into_iter().map(rule).collect()).unwrap().table
}

fn head(headers: &[(&str, &str)]) -> Head {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    Head {
        framing: Ok(()),
        method: Method::POST,
        target: Ok(target("/")),
        version: Version::HTTP_11,
        headers: map,
        upgrade: Upgrade::None,
    }
}

fn number(text: &str) -> OrganizationNumber {
    OrganizationNumber::parse(text, CheckDigits::Strict).unwrap()
}

fn caller(kind: SubjectKind) -> Caller {
    let subject = match kind {
        SubjectKind::SystemUser | SubjectKind::Person => Subject::SystemUser(SystemUser {
            id: SystemUserId::parse("ebe4a681-0a8c-429e-a36f-8f9ca942b59f").unwrap(),
            owner: number("314330897"),
            system: SystemId::parse("310329495_x").unwrap(),
            vendor: number("310329495"),
            consumer: number("310329495"),
            supplier: None,
        }),
        SubjectKind::Organization => Subject::Organization(OrganizationCaller {
            consumer: number("314242726"),
            supplier: None,
        }),
    };
    Caller {
        subject,
        scopes: Scopes::from_claim("x:y"),
        window: TokenWindow { not_before: None, expires: UnixSeconds(1) },
        issuer: Arc::from("https://issuer.example"),
        level: ProvenLevel::Proven(AuthenticationLevel::SUBSTANTIAL),
        service_owner: false,
        client_id: None,
    }
}

/// `code` or `code at parameter`.
fn told(denial: &Denial) -> String {
    match &denial.extras.parameter {
        Some(parameter) => format!("{} at {parameter}", denial.code),
        None => denial.code.to_string(),
    }
}
