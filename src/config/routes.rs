//! `policies/routes/*.yaml`: from files to the table of rules.
//!
//! What a rule may state and how rules go together is judged by the route room; here its findings get
//! their places. A rule with a fault is left out of the table, and the others are judged on.

mod keys;
mod unfinished;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use http::Method;

use super::diagnostic::{Diagnostic, Diagnostics, Origin};
use super::field::{Field, Located, string};
use super::files::Files;
use super::positions;
use super::reader::{Table, read_table};
use super::tree::{Node, Value};
use crate::domain::{CheckDigits, ResourceId, ScopeRequirement, SubjectKind, nearest};
use crate::pdp::embedded::PolicyStore;
use crate::route::{
    LetterCase, Methods, ObjectTie, Protection, ResourceRule, RouteRule, RouteTable, RuleFault,
    RuleParts, ScopeDemand, Surroundings, TableFault,
};
use crate::token::{IssuerKind, IssuerSettings};
use crate::upstream::UpstreamAddress;
use crate::xacml::{ACTION_ID, Category};

/// Rules of one file. Bounds what a generated file can cost at start.
const MAX_RULES: usize = 5000;

/// What rules are judged against beyond themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    pub(super) issuers: &'a [IssuerSettings],
    pub(super) check_digits: CheckDigits,
    /// The resource policies, as far as there are any.
    pub(super) policies: Option<&'a PolicyStore>,
    /// Whether the PDP decides by them, and by no other.
    pub(super) decides_by_policies: bool,
    /// Where the API is; `None` after an error.
    pub(super) upstream: Option<&'a UpstreamAddress>,
}

/// Where the id of each rule is written, for whoever finds something about a rule afterwards.
#[derive(Debug, Default)]
pub struct RulePlaces(BTreeMap<Arc<str>, Origin>);

impl RulePlaces {
    /// Where this rule is; nowhere if there is none.
    #[must_use]
    pub fn of(&self, id: &str) -> &Origin {
        self.0.get(id).unwrap_or(&Origin::Nowhere)
    }
}

/// A rule that stands, and where its id is written.
struct Placed {
    rule: RouteRule,
    origin: Origin,
}

/// `defaults`, and where they are written.
struct Defaults<'n> {
    resource: Option<ResourceRule>,
    scopes: Option<ScopeRequirement>,
    node: Option<&'n Node>,
}

/// Reads every rule below `policies`. After an error the table lacks what the error is about.
pub(super) fn read(
    files: &Files,
    policies: &Located<std::path::PathBuf>,
    around: Around<'_>,
    diagnostics: &mut Diagnostics,
) -> (RouteTable, RulePlaces) {
    let folder = policies.value.join("routes");
    let paths = match files.list(&folder, "yaml") {
        Ok(paths) => paths,
        Err(error) => {
            let message = format!("the folder `{}` cannot be read: {error}", folder.display());
            let help = "`policies` names the folder that holds `routes/*.yaml`";
            let found = Diagnostic::error("unreadable-folder", message).at(&policies.origin);
            diagnostics.push(found.help(help));
            return (RouteTable::default(), RulePlaces::default());
        }
    };
    let mut placed = Vec::new();
    let errors_before = diagnostics.error_count();
    for path in &paths {
        placed.extend(read_file(files, path, around, diagnostics));
    }
    // Rules that are there and wrong have been reported by themselves.
    if placed.is_empty() && diagnostics.error_count() == errors_before {
        let what = if paths.is_empty() { "no `*.yaml`" } else { "files without rules" };
        let message = format!("there are no rules: `{}` holds {what}", folder.display());
        let found = Diagnostic::error("no-rules", message).at(&policies.origin);
        diagnostics.push(found.help("without a rule every request is refused"));
    }
    for ignored in files.list(&folder, "yml").unwrap_or_default() {
        let found = Diagnostic::warning("ignored-file", "rules are read from `*.yaml` only");
        diagnostics.push(found.at(&Origin::WholeFile(ignored.into())).help("rename the file"));
    }
    let places =
        placed.iter().map(|it: &Placed| (Arc::clone(it.rule.id()), it.origin.clone())).collect();
    (build(placed, diagnostics), RulePlaces(places))
}

fn read_file(
    files: &Files,
    path: &Path,
    around: Around<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<Placed> {
    let Some(mut root) = positions::read(files, path, diagnostics) else { return Vec::new() };
    unfinished::refuse(&mut root, diagnostics);
    let rules = read_table(&root, diagnostics, |table| {
        let api = table.required("api", string);
        let words =
            [("sensitive", LetterCase::Sensitive), ("insensitive", LetterCase::Insensitive)];
        let case = table.stated("case", |field| field.choice(&words));
        let defaults = table.stated("defaults", |field| {
            field.table(|table| {
                let resource = table.stated("resource", keys::resource);
                let scopes = table.stated("scopes", keys::scopes);
                Some(Defaults { resource: resource?, scopes: scopes?, node: root.get("defaults") })
            })
        });
        // A rule is only judged as a whole if what the file says for all of its rules is right.
        let file = match (&api, case, defaults) {
            (Some(api), Some(case), Some(defaults)) => Some(OfFile {
                api,
                case: case.unwrap_or_default(),
                defaults: defaults.unwrap_or(Defaults { resource: None, scopes: None, node: None }),
            }),
            (Some(_) | None, _, _) => None,
        };
        table.required("rules", |field| {
            // A rule with a fault does not take the others with it.
            field.sequence(MAX_RULES, |field| Some(read_rule(field, file.as_ref(), around)))
        })
    });
    rules.into_iter().flatten().flatten().collect()
}

/// What a file says for all of its rules.
struct OfFile<'f> {
    api: &'f str,
    case: LetterCase,
    defaults: Defaults<'f>,
}

fn read_rule(field: Field<'_>, file: Option<&OfFile<'_>>, around: Around<'_>) -> Option<Placed> {
    let node = field.node();
    field.table(|table| {
        let parts = keys::rule(table, around.check_digits);
        let (mut parts, file) = (parts?, file?);
        file.api.clone_into(&mut parts.api);
        parts.matching.case = file.case;
        apply(&file.defaults, &mut parts);
        let origin = table.value_origin("id");
        let surroundings = Surroundings {
            scopes: scope_demand(&parts, around.issuers),
            check_digits: around.check_digits,
        };
        warn_unprovable(table, &parts, around.issuers);
        match RouteRule::new(parts, surroundings) {
            Ok(rule) => {
                warn(table, &rule);
                warn_bodiless(table, &rule, node);
                warn_unopened(table, &rule, node, around.upstream);
                if let Some(policies) = around.policies {
                    let defaults = file.defaults.node.and_then(|node| place(node, "resource"));
                    let origin = place(node, "resource").or(defaults);
                    if around.decides_by_policies {
                        warn_uncovered(table, &rule, policies, origin);
                    }
                    warn_unheard_of(table, &rule, policies);
                }
                Some(Placed { rule, origin })
            }
            Err(faults) => {
                for fault in faults {
                    let origin = place(node, &fault.key)
                        .or_else(|| file.defaults.node.and_then(|node| place(node, &fault.key)))
                        .unwrap_or_else(|| table.origin().clone());
                    table.push(diagnostic(fault, &origin));
                }
                None
            }
        }
    })
}

/// Defaults count where they mean something: scopes where a token is needed, the resource where the PDP
/// is asked.
fn apply(defaults: &Defaults<'_>, parts: &mut RuleParts) {
    let (asks, needs_token) = match parts.protection {
        Protection::Required => (true, true),
        Protection::Token => (false, true),
        Protection::Public | Protection::Closed => (false, false),
    };
    if asks && parts.resource.is_none() {
        parts.resource.clone_from(&defaults.resource);
    }
    if needs_token && parts.scopes.is_none() {
        parts.scopes.clone_from(&defaults.scopes);
    }
}

/// A scope may be left out only if every issuer that can prove one of the rule's subjects has an
/// audience: then a token made for another API does not count.
fn scope_demand(parts: &RuleParts, issuers: &[IssuerSettings]) -> ScopeDemand {
    let mut relevant =
        issuers.iter().filter(|issuer| can_prove(issuer.kind, subjects(parts))).peekable();
    if relevant.peek().is_some() && relevant.all(|issuer| issuer.audience.is_some()) {
        ScopeDemand::MayBeAbsent
    } else {
        ScopeDemand::MustBeStated
    }
}

fn subjects(parts: &RuleParts) -> &[SubjectKind] {
    parts.subjects.as_deref().unwrap_or(&[RouteRule::DEFAULT_SUBJECT])
}

/// Whether tokens of such an issuer can prove one of these.
fn can_prove(issuer: IssuerKind, subjects: &[SubjectKind]) -> bool {
    subjects.iter().any(|subject| match (issuer, subject) {
        (IssuerKind::Altinn, _)
        | (IssuerKind::Maskinporten, SubjectKind::SystemUser | SubjectKind::Organization)
        | (IssuerKind::IdPorten, SubjectKind::Person) => true,
        (IssuerKind::Maskinporten, SubjectKind::Person)
        | (IssuerKind::IdPorten, SubjectKind::SystemUser | SubjectKind::Organization) => false,
    })
}

fn warn_unprovable(table: &mut Table<'_>, parts: &RuleParts, issuers: &[IssuerSettings]) {
    // No issuer at all is an error of its own, reported where they are configured.
    if issuers.is_empty() {
        return;
    }
    let needs_token = matches!(parts.protection, Protection::Required | Protection::Token);
    for subject in subjects(parts).iter().filter(|_| needs_token) {
        if !issuers.iter().any(|issuer| can_prove(issuer.kind, &[*subject])) {
            let message =
                format!("no configured issuer can prove a subject `{}`", subject.as_str());
            let found = Diagnostic::warning("unprovable-subject", message);
            let found = found.at(&table.origin_of("subject"));
            table.push(found.help("add an issuer to `tokens.issuers`, or remove the subject"));
        }
    }
}

/// For a resource without a policy the embedded PDP says Indeterminate to everybody.
fn warn_uncovered(
    table: &mut Table<'_>,
    rule: &RouteRule,
    policies: &PolicyStore,
    origin: Option<Origin>,
) {
    let resources = rule.resource().into_iter().flat_map(ResourceRule::ids);
    let origin = origin.unwrap_or_else(|| table.origin().clone());
    for resource in resources.filter(|id| policies.policy(id).is_none()) {
        let message = format!("no resource policy covers `{resource}`");
        let found = Diagnostic::warning("unknown-resource", message).at(&origin);
        let known = policies.resources().map(ResourceId::as_str);
        let help = "add its policy to the resources folder, or correct the id";
        table.push(match nearest(resource.as_str(), known) {
            Some(meant) => found.help(format!("did you mean `{meant}`? if not, {help}")),
            None => found.help(help),
        });
    }
}

/// An action that no rule of the resource's policy is about is most often a slip of the hand: nobody is permitted it.
fn warn_unheard_of(table: &mut Table<'_>, rule: &RouteRule, policies: &PolicyStore) {
    let (Some(action), Some(resources)) = (rule.action(), rule.resource()) else { return };
    for resource in resources.ids() {
        let Some(policy) = policies.policy(resource) else { continue };
        let known = policy.compared_with(&Category::Action, ACTION_ID);
        if known.is_empty() || known.iter().any(|one| one.eq_ignore_ascii_case(action.as_str())) {
            continue;
        }
        let message =
            format!("no rule of the policy of `{resource}` is about the action `{action}`");
        let found = Diagnostic::warning("unknown-action", message);
        let found = found.at(&table.value_origin("action"));
        table.push(found.help(match nearest(action.as_str(), known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!(
                "it is about {}",
                known.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ")
            ),
        }));
    }
}

fn warn(table: &mut Table<'_>, rule: &RouteRule) {
    let is_explicit = rule.object() == Some(ObjectTie::Upstream);
    if rule.protection() == Protection::Required && !is_explicit {
        for name in rule.unused_captures() {
            let message = format!("the PDP is not told `{{{name}}}`: nothing reads it");
            let found = Diagnostic::warning("unused-capture", message);
            let found = found.at(&table.origin_of("match"));
            table.push(found.help(
                "use it as instance or attribute, or state `object: upstream` if the API ties it to the party",
            ));
        }
    }
}

/// A body may come with any method (RFC 9110 §9.3.1), but no client, and no library for clients, sends one
/// where it means nothing.
fn warn_bodiless(table: &mut Table<'_>, rule: &RouteRule, node: &Node) {
    let bodiless = |method: &&Method| matches!(**method, Method::GET | Method::HEAD);
    let methods = match &rule.matching().methods {
        Methods::One(method) => std::slice::from_ref(method),
        Methods::List(methods) => methods,
        // What it is meant for has one.
        Methods::Any => &[],
    };
    let Some(method) = methods.iter().find(bodiless).filter(|_| rule.needs_body()) else { return };
    let message =
        format!("the rule reads the body, and a `{method}` has none: nobody will be permitted one");
    let origin = place(node, "match.method").unwrap_or_else(|| table.origin().clone());
    let found = Diagnostic::warning("no-body-to-read", message).at(&origin);
    table.push(found.help(format!(
        "read the values from the path, the query or a header, in a rule of its own for `{method}`"
    )));
}

/// WebSockets over HTTP/2 (RFC 8441) are not asked of an API.
fn warn_unopened(
    table: &mut Table<'_>,
    rule: &RouteRule,
    node: &Node,
    upstream: Option<&UpstreamAddress>,
) {
    let Some(UpstreamAddress::H2c(_)) = upstream.filter(|_| rule.web_socket().is_some()) else {
        return;
    };
    let origin = place(node, "upgrade").unwrap_or_else(|| table.origin().clone());
    let message = "no WebSocket can be opened: the API is asked for one over HTTP/1.1, and `upstream.url` is `h2c://`";
    let found = Diagnostic::warning("no-web-sockets", message).at(&origin);
    table.push(found.help(
        "remove `upgrade`, or name an `http://`, `https://` or `unix:` address of the API; until then who asks for one gets 502",
    ));
}

/// Where `key`, with dots between levels, is written below `node`; or as much of it as is.
fn place(node: &Node, key: &str) -> Option<Origin> {
    let mut found = None;
    let mut node = node;
    for part in key.split('.') {
        let Value::Table(entries) = &node.value else { break };
        let Some(entry) = entries.iter().find(|entry| entry.key == part) else { break };
        found = Some(entry.key_origin.clone());
        node = &entry.node;
    }
    found
}

fn diagnostic(fault: RuleFault, origin: &Origin) -> Diagnostic {
    Diagnostic::error("invalid-rule", fault.message).at(origin).help(fault.help)
}

fn build(placed: Vec<Placed>, diagnostics: &mut Diagnostics) -> RouteTable {
    let (rules, origins): (Vec<_>, Vec<_>) =
        placed.into_iter().map(|placed| (placed.rule, placed.origin)).unzip();
    match RouteTable::build(rules) {
        Ok(built) => {
            for warning in &built.warnings {
                let found = Diagnostic::warning("differing-rules", warning.message.clone());
                diagnostics.push(between(found, warning, &origins));
            }
            built.table
        }
        Err(faults) => {
            for fault in &faults {
                let found = Diagnostic::error("conflicting-rules", fault.message.clone());
                diagnostics.push(between(found, fault, &origins));
            }
            RouteTable::default()
        }
    }
}

/// At the place of the later rule, related to that of the earlier.
fn between(found: Diagnostic, fault: &TableFault, origins: &[Origin]) -> Diagnostic {
    let origin = |place: usize| origins.get(place).cloned().unwrap_or(Origin::Nowhere);
    found
        .at(&origin(fault.places.1))
        .related(&origin(fault.places.0), format!("the rule `{}`", fault.rules.0))
        .help(fault.help)
}

#[cfg(test)]
mod tests;
