//! Each operation of a document, and the rule that its requests fall under: found by the table that the proxy finds
//! rules by, with requests made from the document.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::agreement::{self, Judged};
use super::document::{Document, Operation, ParameterPlace};
use super::paths::{self, FRESH};
use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::routes::RulePlaces;
use crate::domain::{Host, RequestTarget};
use crate::route::{ObjectTie, Protection, RouteRule, RouteTable, TemplateSegment};
use crate::snapshot::Snapshot;

/// Every operation, and what guards it.
#[derive(Debug)]
pub struct Coverage {
    /// In the order of the document.
    pub operations: Vec<Covered>,
}

/// One operation.
#[derive(Debug)]
pub struct Covered {
    /// `GET /a/{b}`.
    pub operation: String,
    /// The rules that its requests fall under; one, where all is well.
    pub rules: Vec<String>,
    /// What they demand.
    pub guard: Guard,
}

/// What stands between a caller and an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// Altinn decides, for the object of the request.
    Decided,
    /// A token, and maybe Altinn for the party; the API ties the object.
    Upstream,
    /// A token alone.
    Token,
    /// Nothing.
    Public,
    /// It is refused.
    Closed,
    /// No rule: it is refused, and nobody meant it to be.
    Uncovered,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Decided, Self::Upstream, Self::Token, Self::Public, Self::Closed, Self::Uncovered];

    /// The word of reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decided => "decided by Altinn",
            Self::Upstream => "object left to the API",
            Self::Token => "token alone",
            Self::Public => "public",
            Self::Closed => "closed",
            Self::Uncovered => "not covered",
        }
    }

    fn of(rule: &RouteRule) -> Self {
        match (rule.protection(), rule.object()) {
            (Protection::Required, None) => Self::Decided,
            (Protection::Required | Protection::Token, Some(ObjectTie::Upstream))
            | (Protection::Required, Some(ObjectTie::NoObject)) => Self::Upstream,
            (Protection::Token, None | Some(ObjectTie::NoObject)) => Self::Token,
            (Protection::Public, _) => Self::Public,
            (Protection::Closed, _) => Self::Closed,
        }
    }
}

impl Coverage {
    /// Operations with this guard.
    #[must_use]
    pub fn count(&self, guard: Guard) -> usize {
        self.operations.iter().filter(|covered| covered.guard == guard).count()
    }

    /// For people: each operation with its rule, and how many there are of each kind.
    #[must_use]
    pub fn to_human(&self) -> String {
        let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or_default();
        let operation = width(&mut self.operations.iter().map(|it| it.operation.chars().count()));
        let rule = width(&mut self.operations.iter().map(|it| it.rules.join(", ").len()));
        let mut text = String::new();
        for covered in &self.operations {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "  {:operation$}  {:rule$}  {}",
                covered.operation,
                covered.rules.join(", "),
                covered.guard.as_str()
            );
        }
        let counts = Guard::ALL.map(|guard| format!("{} {}", self.count(guard), guard.as_str()));
        let _ = writeln!(text, "{} operations: {}", self.operations.len(), counts.join(", "));
        text
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let line = |covered: &Covered| json!({ "operation": covered.operation, "rules": covered.rules, "guard": covered.guard.as_str() });
        let counts = Guard::ALL.map(|guard| (guard.as_str().to_owned(), json!(self.count(guard))));
        json!({
            "operations": self.operations.iter().map(line).collect::<Vec<_>>(),
            "counts": counts.into_iter().collect::<serde_json::Map<_, _>>(),
        })
    }
}

/// Requests tried for one operation. Bounds the work where several parameters have many words that rules have too.
const MAX_REQUESTS: usize = 4096;

/// Finds the rule of each operation. Gaps are errors in `diagnostics`, at the operation's place.
#[must_use]
pub fn cover(
    document: &Document,
    snapshot: &Snapshot,
    places: &RulePlaces,
    diagnostics: &mut Diagnostics,
) -> Coverage {
    let hosts = hosts(snapshot);
    let mut used = BTreeSet::new();
    let mut operations = Vec::new();
    for operation in &document.operations {
        let path = operation.whole_path();
        let found = rules(operation, &path, &hosts, &snapshot.routes);
        used.extend(found.rules.iter().map(|rule| Arc::clone(rule.id())));
        judge(operation, &found, &path, places, diagnostics);
        let guards = found.rules.iter().map(|rule| Guard::of(rule));
        let guard = if found.missed { Some(Guard::Uncovered) } else { guards.max() };
        operations.push(Covered {
            operation: format!("{} {path}", operation.method),
            rules: found.rules.iter().map(|rule| rule.id().to_string()).collect(),
            guard: guard.unwrap_or(Guard::Uncovered),
        });
    }
    tell_unused(snapshot, &used, places, diagnostics);
    Coverage { operations }
}

/// What the requests of one operation fall under.
struct Found<'t> {
    rules: Vec<&'t Arc<RouteRule>>,
    /// Whether some fall under none.
    missed: bool,
}

fn rules<'t>(
    operation: &Operation,
    path: &str,
    hosts: &[Option<Host>],
    table: &'t RouteTable,
) -> Found<'t> {
    let mut found = Found { rules: Vec::new(), missed: false };
    for path in requests(operation, path, table) {
        for query in queries(operation, table) {
            let text = if query.is_empty() { path.clone() } else { format!("{path}?{query}") };
            let Ok(target) = RequestTarget::parse(&text, usize::MAX) else {
                found.missed = true;
                continue;
            };
            for host in hosts {
                let rule = table.find(host.as_ref(), &target, &operation.method).ok();
                match rule
                    .and_then(|rule| table.rules().iter().find(|it| Arc::ptr_eq(it, rule.rule())))
                {
                    Some(rule) if !found.rules.iter().any(|it| Arc::ptr_eq(it, rule)) => {
                        found.rules.push(rule);
                    }
                    Some(_) => {}
                    None => found.missed = true,
                }
            }
        }
    }
    found
}

/// Paths of the operation as clients send them. A parameter has a value of no meaning; or, where the document lists its
/// values, each that some rule has as a word of its own, and one that none has.
fn requests(operation: &Operation, path: &str, table: &RouteTable) -> Vec<String> {
    let templates = table.rules().iter().flat_map(|rule| rule.template().segments());
    let literals: BTreeSet<&str> = templates
        .filter_map(|segment| match segment {
            TemplateSegment::Literal(text) => Some(&**text),
            TemplateSegment::Capture(_) | TemplateSegment::Rest(_) => None,
        })
        .collect();
    let mut requests = vec![String::new()];
    for segment in paths::segments(path) {
        let parameter = paths::parameter(segment)
            .and_then(|name| operation.parameter(ParameterPlace::Path, name));
        let listed = parameter.map(|one| one.shape.allowed.as_slice()).unwrap_or_default();
        let (words, others): (Vec<&String>, Vec<_>) = listed
            .iter()
            .filter(|value| paths::is_segment(value))
            .partition(|value| literals.contains(value.as_str()));
        let mut values: Vec<_> = words
            .into_iter()
            .chain(others.into_iter().take(1))
            .map(|it| paths::value(it))
            .collect();
        if values.is_empty() {
            let is_fixed = !segment.contains('{');
            values.push(if is_fixed { paths::encoded(segment) } else { FRESH.to_owned() });
        }
        requests = requests
            .iter()
            .flat_map(|path| values.iter().map(move |value| format!("{path}/{value}")))
            .take(MAX_REQUESTS)
            .collect();
    }
    requests
}

/// Queries by which rules tell requests apart, where the operation has such a parameter; and none.
fn queries(operation: &Operation, table: &RouteTable) -> BTreeSet<String> {
    let mut queries = BTreeSet::from([String::new()]);
    for rule in table.rules() {
        let pairs = &rule.matching().query;
        let is_declared = |name: &str| operation.parameter(ParameterPlace::Query, name).is_some();
        if !pairs.is_empty() && pairs.iter().all(|(name, _)| is_declared(name)) {
            let pairs = pairs.iter().map(|(name, value)| {
                let mut pair = url::form_urlencoded::Serializer::new(String::new());
                pair.append_pair(name, value).finish()
            });
            queries.insert(pairs.collect::<Vec<_>>().join("&"));
        }
    }
    queries
}

/// Those that are answered for; else those that rules name, and another where a rule takes any.
fn hosts(snapshot: &Snapshot) -> Vec<Option<Host>> {
    if !snapshot.hosts.is_empty() {
        return snapshot.hosts.iter().cloned().map(Some).collect();
    }
    let mut hosts = Vec::new();
    for rule in snapshot.routes.rules() {
        let host = rule.matching().host.clone();
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

fn judge(
    operation: &Operation,
    found: &Found<'_>,
    path: &str,
    places: &RulePlaces,
    diagnostics: &mut Diagnostics,
) {
    let label = format!("{} {path}", operation.method);
    if found.missed {
        let message = match found.rules.as_slice() {
            [] => format!("no rule is for `{label}`"),
            [rule, ..] => format!(
                "some requests of `{label}` fall under no rule, others under `{}`",
                rule.id()
            ),
        };
        let found = Diagnostic::error("uncovered-operation", message).at(&operation.origin);
        diagnostics.push(found.help(
            "add a rule for it; one with `protection: closed` says that it is meant to be refused",
        ));
    }
    if let [_, _, ..] = found.rules.as_slice() {
        let ids: Vec<_> = found.rules.iter().map(|rule| format!("`{}`", rule.id())).collect();
        let message = format!("requests of `{label}` fall under several rules: {}", ids.join(", "));
        let by_choice = found
            .rules
            .iter()
            .all(|rule| !rule.matching().query.is_empty() || rule.matching().host.is_some())
            || found.rules.iter().filter(|rule| rule.matching().query.is_empty()).count() == 1;
        let mut diagnostic = if by_choice {
            Diagnostic::note("divided-operation", message)
        } else {
            Diagnostic::error("divided-operation", message)
        };
        for rule in &found.rules {
            diagnostic =
                diagnostic.related(places.of(rule.id()), format!("the rule `{}`", rule.id()));
        }
        let diagnostic = diagnostic.at(&operation.origin).help("let one rule take all of them");
        diagnostics.push(diagnostic);
    }
    for rule in &found.rules {
        let rule = Judged { rule, at: places.of(rule.id()) };
        agreement::judge(operation, &label, path, &rule, diagnostics);
    }
}

/// Rules of the same APIs that no operation needs: forgotten, or for what the document does not tell.
fn tell_unused(
    snapshot: &Snapshot,
    used: &BTreeSet<Arc<str>>,
    places: &RulePlaces,
    diagnostics: &mut Diagnostics,
) {
    let rules = snapshot.routes.rules();
    let touched: BTreeSet<_> =
        rules.iter().filter(|rule| used.contains(rule.id())).map(|rule| rule.api()).collect();
    for rule in
        rules.iter().filter(|rule| touched.contains(rule.api()) && !used.contains(rule.id()))
    {
        let asks = rule.matching();
        let is_preflight = crate::route::Methods::One(Method::OPTIONS) == asks.methods;
        if is_preflight {
            continue;
        }
        let message = format!("no operation of the document falls under the rule `{}`", rule.id());
        let found = Diagnostic::warning("rule-without-operation", message).at(places.of(rule.id()));
        diagnostics.push(found.help("remove the rule, or add the operation to the document"));
    }
}
