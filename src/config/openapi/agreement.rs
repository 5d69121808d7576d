//! Whether a rule reads what an operation has, and demands what the document says of callers.

use std::collections::BTreeSet;

use super::document::{Operation, ParameterPlace, Security};
use super::paths;
use super::schema::Body;
use crate::config::diagnostic::{Diagnostic, Diagnostics, Origin};
use crate::domain::{Scope, ScopeRequirement};
use crate::route::{Place, Protection, RouteRule, TemplateSegment};

/// A rule, and where it stands.
pub(super) struct Judged<'r> {
    pub(super) rule: &'r RouteRule,
    pub(super) at: &'r Origin,
}

/// Tells where the rule and the operation, `path` as it comes to the proxy, contradict each other.
pub(super) fn judge(
    operation: &Operation,
    label: &str,
    path: &str,
    judged: &Judged<'_>,
    diagnostics: &mut Diagnostics,
) {
    let id = judged.rule.id();
    for (source, why) in missing_sources(operation, judged.rule, path) {
        let message = format!("the rule `{id}` reads `{source}`, and `{label}` {why}");
        let found = Diagnostic::error("missing-source", message)
            .at(&operation.origin)
            .related(judged.at, "the rule");
        diagnostics.push(found.help("read what the operation has, or correct the document"));
    }
    if let Some((why, help)) = other_callers(&operation.security, judged.rule) {
        let message = format!("{why}: `{label}`, rule `{id}`");
        let found = Diagnostic::warning("other-callers", message)
            .at(&operation.origin)
            .related(judged.at, "the rule");
        diagnostics.push(found.help(help));
    }
}

/// How the rule lets others in than the document says, or fewer.
fn other_callers(security: &Security, rule: &RouteRule) -> Option<(String, &'static str)> {
    let Security::Scopes(stated) = security else { return None };
    match rule.protection() {
        Protection::Public => {
            return Some((
                "the document asks for a token, and the rule for nothing".to_owned(),
                "write `protection: token` or `required`, or `security: []` in the document",
            ));
        }
        Protection::Closed => return None,
        Protection::Token | Protection::Required => {}
    }
    // Schemes without scopes, such as a plain bearer token, say nothing of them.
    if stated.iter().any(Vec::is_empty) {
        return None;
    }
    let words = |scopes: &[Scope]| scopes.iter().map(|it| it.as_str().to_owned()).collect();
    let demanded: Vec<BTreeSet<String>> = match rule.scopes()? {
        ScopeRequirement::All(scopes) => vec![words(scopes)],
        ScopeRequirement::Any(scopes) => {
            scopes.iter().map(|one| words(std::slice::from_ref(one))).collect()
        }
        ScopeRequirement::Waived => vec![BTreeSet::new()],
    };
    let stated: Vec<BTreeSet<String>> =
        stated.iter().map(|scopes| scopes.iter().cloned().collect()).collect();
    let suffices = |held: &BTreeSet<String>, any: &[BTreeSet<String>]| {
        any.iter().any(|enough| enough.is_subset(held))
    };
    let text = |any: &[BTreeSet<String>]| {
        let all: Vec<_> = any
            .iter()
            .map(|all| all.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(" and "))
            .map(|text| if text.is_empty() { "none".to_owned() } else { text })
            .collect();
        all.join(" or ")
    };
    let (looser, stricter) = (
        demanded.iter().any(|held| !suffices(held, &stated)),
        stated.iter().any(|held| !suffices(held, &demanded)),
    );
    let said =
        || format!("the document asks for {}, and the rule for {}", text(&stated), text(&demanded));
    // A document can ask for more than a rule can say: that alone is no contradiction.
    let is_sayable = stated.len() == 1 || stated.iter().all(|scopes| scopes.len() == 1);
    (looser || (stricter && is_sayable))
        .then(|| (said(), "correct the rule's `scopes`, or the document's `security`"))
}

/// What the rule reads and the operation does not have.
fn missing_sources(operation: &Operation, rule: &RouteRule, path: &str) -> Vec<(String, String)> {
    let mut missing = Vec::new();
    for source in rule.sources() {
        let why = match source.place() {
            Place::Path(name) => misread(rule, path, name),
            Place::Query(name) => {
                has_none(operation, ParameterPlace::Query, name, "query parameter")
            }
            Place::Header(name) => {
                has_none(operation, ParameterPlace::Header, name.as_str(), "header")
            }
            Place::Json(pointer) => in_body(operation, "JSON", Body::is_json, &pointer.to_string()),
            Place::Form(name) => {
                let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
                in_body(operation, "form", Body::is_form, &pointer)
            }
            // Where in XML a value stands a schema of JSON does not say.
            Place::Xml(_) => {
                (!operation.bodies.iter().any(Body::is_xml)).then(|| "has no XML body".to_owned())
            }
            Place::SystemUserOwner | Place::Consumer | Place::Const(_) => None,
        };
        missing.extend(why.map(|why| (source.to_string(), why)));
    }
    missing
}

fn has_none(
    operation: &Operation,
    place: ParameterPlace,
    name: &str,
    what: &str,
) -> Option<String> {
    operation.parameter(place, name).is_none().then(|| format!("has no such {what}"))
}

fn in_body(
    operation: &Operation,
    what: &str,
    is_kind: impl Fn(&Body) -> bool,
    pointer: &str,
) -> Option<String> {
    let mut bodies = operation.bodies.iter().filter(|body| is_kind(body)).peekable();
    if bodies.peek().is_none() {
        return Some(format!("has no {what} body"));
    }
    let is_there = bodies.any(|body| body.has(pointer) || body.has(&format!("{pointer}/*")));
    (!is_there).then(|| format!("has no such value in its {what} body"))
}

/// What the operation has where the capture stands, if that is not meant.
fn misread(rule: &RouteRule, path: &str, name: &str) -> Option<String> {
    let mut segments = rule.template().segments().iter();
    let at = segments.position(
        |segment| matches!(segment, TemplateSegment::Capture(capture) if **capture == *name),
    )?;
    let written = paths::segments(path).nth(at)?;
    if !written.contains('{') {
        return Some("has a fixed segment there".to_owned());
    }
    // Names are the reader's own, unless one says that it is another.
    let is_named = |segment: &str| {
        paths::parameter(segment).is_some_and(|other| other.eq_ignore_ascii_case(name))
    };
    let is_elsewhere = !is_named(written) && paths::segments(path).any(is_named);
    is_elsewhere.then(|| format!("has `{written}` there, and `{{{name}}}` elsewhere"))
}
