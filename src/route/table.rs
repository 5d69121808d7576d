//! All rules together: what only shows between them, and the trees they are found in.
//!
//! Invariant: no two rules of a table can both be the most specific for one request, and each can be for
//! some request.

use super::find::{have_clashing_names, host_key, method_weight};
use super::parts::Methods;
use super::rule::RouteRule;
use super::template::TemplateSegment;
use super::tree::Tree;
use http::Method;
use std::collections::HashMap;
use std::sync::Arc;

/// The rules of a snapshot, ready to be searched.
#[derive(Debug, Default)]
pub struct RouteTable {
    pub(super) hosts: HashMap<Box<str>, Tree>,
    pub(super) any_host: Tree,
    rules: Vec<Arc<RouteRule>>,
}

/// A table, and what its author should know of.
#[derive(Debug)]
pub struct Built {
    /// The table.
    pub table: RouteTable,
    /// Not wrong, but easily misread.
    pub warnings: Vec<TableFault>,
}

/// Something wrong, or worth a warning, between two rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TableFault {
    /// The ids of both rules; the one at fault, if only one is, comes second.
    pub rules: (Arc<str>, Arc<str>),
    /// Their places in the list given to [`RouteTable::build`], since ids may be equal.
    pub places: (usize, usize),
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: &'static str,
}

impl RouteTable {
    /// Builds the table, or reports every pair of rules that cannot stand together.
    pub fn build(rules: Vec<RouteRule>) -> Result<Built, Vec<TableFault>> {
        let rules: Vec<Arc<RouteRule>> = rules.into_iter().map(Arc::new).collect();
        let mut faults = repeated_ids(&rules);
        let mut warnings = Vec::new();
        for group in groups(&rules) {
            for (position, later) in group.iter().enumerate() {
                for earlier in group.iter().take(position) {
                    let pair = Pair { earlier: *earlier, later: *later };
                    if !pair.may_meet() {
                        continue;
                    }
                    faults.extend(pair.tie());
                    warnings.extend(pair.difference());
                }
                faults.extend(shadowed(*later, &group));
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut table = Self::default();
        for rule in &rules {
            let tree = match &rule.matching().host {
                Some(host) => table.hosts.entry(host_key(host).into()).or_default(),
                None => &mut table.any_host,
            };
            tree.insert(rule);
        }
        table.rules = rules;
        Ok(Built { table, warnings })
    }

    /// The rules, in the order given.
    #[must_use]
    pub fn rules(&self) -> &[Arc<RouteRule>] {
        &self.rules
    }
}

/// A rule and its place in the list.
type Placed<'r> = (usize, &'r Arc<RouteRule>);

fn repeated_ids(rules: &[Arc<RouteRule>]) -> Vec<TableFault> {
    let mut first: HashMap<&str, Placed<'_>> = HashMap::new();
    let mut faults = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        match first.get(rule.id().as_ref()) {
            Some(earlier) => faults.push(fault(
                *earlier,
                (place, rule),
                format!("the id `{}` is given to two rules", rule.id()),
                "give each rule an id of its own: records and metrics name rules by it",
            )),
            None => {
                first.insert(rule.id(), (place, rule));
            }
        }
    }
    faults
}

/// Rules whose templates could match the very same paths, by shape and literals without case. Only these
/// can tie or hide each other: any other overlap is settled by a segment.
fn groups(rules: &[Arc<RouteRule>]) -> Vec<Vec<Placed<'_>>> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut groups: Vec<Vec<Placed<'_>>> = Vec::new();
    for placed in rules.iter().enumerate() {
        let key = shape(placed.1);
        match places.get(&key).and_then(|place| groups.get_mut(*place)) {
            Some(group) => group.push(placed),
            None => {
                places.insert(key, groups.len());
                groups.push(vec![placed]);
            }
        }
    }
    groups
}

fn shape(rule: &RouteRule) -> String {
    let mut shape = String::new();
    for segment in rule.template().segments() {
        shape.push('/');
        match segment {
            TemplateSegment::Literal(text) => shape.push_str(&text.to_ascii_lowercase()),
            // No literal holds a brace.
            TemplateSegment::Capture(_) => shape.push_str("{}"),
            TemplateSegment::Rest(_) => shape.push_str("{*}"),
        }
    }
    if rule.template().ends_with_slash() {
        shape.push('/');
    }
    shape
}

/// Two rules of one group.
struct Pair<'r> {
    earlier: Placed<'r>,
    later: Placed<'r>,
}

impl Pair<'_> {
    /// Whether some path matches both, letter case considered.
    fn may_meet(&self) -> bool {
        let (one, other) = (self.earlier.1, self.later.1);
        one.ignores_case() || other.ignores_case() || has_same_literals(one, other)
    }

    /// Both most specific for one request: same host, method named alike, as many query pairs, none of
    /// which contradict.
    fn tie(&self) -> Option<TableFault> {
        let (one, other) = (self.earlier.1, self.later.1);
        let (ours, theirs) = (&one.matching().query, &other.matching().query);
        let shared = shared_method(one, other, |a, b| a == b);
        if !is_same_host(one, other) {
            return None;
        }
        if shared_method(one, other, |_, _| true).is_some() && have_clashing_names(one, other) {
            return Some(fault(
                self.earlier,
                self.later,
                "the query names they match on mean the same to some servers".to_owned(),
                "every request that matched either would be refused: match on one name",
            ));
        }
        let contradict = ours
            .iter()
            .any(|(name, value)| theirs.iter().any(|(other, said)| name == other && value != said));
        let method = shared.filter(|_| ours.len() == theirs.len() && !contradict)?;
        Some(fault(
            self.earlier,
            self.later,
            format!("both rules match `{method} {}` equally well", other.template()),
            "make one of them more specific, or remove it",
        ))
    }

    /// They differ only in host or query, and in what they protect with: a caller who chooses the host
    /// or the query chooses the protection.
    fn difference(&self) -> Option<TableFault> {
        let (one, other) = (self.earlier.1, self.later.1);
        shared_method(one, other, |_, _| true)?;
        let what = [
            ("protection", one.protection() == other.protection()),
            ("resource", one.resource() == other.resource()),
            ("action", one.action() == other.action()),
            ("scopes", one.scopes() == other.scopes()),
        ];
        let differing: Vec<_> =
            what.iter().filter(|(_, same)| !same).map(|(what, _)| *what).collect();
        let same_query = one.matching().query == other.matching().query;
        if differing.is_empty() || (is_same_host(one, other) && same_query) {
            return None;
        }
        Some(fault(
            self.earlier,
            self.later,
            format!(
                "the rules differ in host or query, which the caller chooses, and in {}",
                differing.join(", ")
            ),
            "make sure that the API behind tells these requests apart in the same way",
        ))
    }
}

/// A rule whose every request falls to a rule that names its method more closely.
fn shadowed(rule: Placed<'_>, group: &[Placed<'_>]) -> Option<TableFault> {
    let methods = accepted(rule.1)?;
    let mut hides = None;
    for method in methods {
        let hiding = group.iter().find(|other| {
            other.0 != rule.0
                && is_same_host(other.1, rule.1)
                && covers_path(other.1, rule.1)
                && method_weight(other.1, &method) > method_weight(rule.1, &method)
                && other
                    .1
                    .matching()
                    .query
                    .iter()
                    .all(|pair| rule.1.matching().query.contains(pair))
        });
        hides = Some(*hiding?);
    }
    hides.map(|hiding| {
        fault(
            hiding,
            rule,
            format!("the rule can never match: `{}` takes its requests", hiding.1.id()),
            "remove it, or make it more specific",
        )
    })
}

/// Every method a rule takes; `None` if they cannot be counted.
fn accepted(rule: &RouteRule) -> Option<Vec<Method>> {
    let mut methods = match &rule.matching().methods {
        Methods::One(method) => vec![method.clone()],
        Methods::List(methods) => methods.clone(),
        Methods::Any => return None,
    };
    if methods.contains(&Method::GET) && !methods.contains(&Method::HEAD) {
        methods.push(Method::HEAD);
    }
    Some(methods)
}

/// A method that both take with weights that satisfy `weights`.
fn shared_method(
    one: &RouteRule,
    other: &RouteRule,
    weights: impl Fn(u8, u8) -> bool,
) -> Option<Method> {
    let candidates = match (accepted(one), accepted(other)) {
        (Some(methods), _) | (None, Some(methods)) => methods,
        (None, None) => vec![Method::GET],
    };
    candidates.into_iter().find(|method| {
        match (method_weight(one, method), method_weight(other, method)) {
            (Some(a), Some(b)) => weights(a, b),
            (Some(_) | None, _) => false,
        }
    })
}

fn is_same_host(one: &RouteRule, other: &RouteRule) -> bool {
    let key =
        |rule: &'_ RouteRule| rule.matching().host.as_ref().map(|host| host_key(host).into_owned());
    key(one) == key(other)
}

/// Whether every path of `rule` is one of `other`'s too, both being of one group.
fn covers_path(other: &RouteRule, rule: &RouteRule) -> bool {
    other.ignores_case() || (!rule.ignores_case() && has_same_literals(other, rule))
}

fn has_same_literals(one: &RouteRule, other: &RouteRule) -> bool {
    let literals = |rule: &RouteRule| -> Vec<Box<str>> {
        let segments = rule.template().segments().iter();
        segments
            .filter_map(|segment| match segment {
                TemplateSegment::Literal(text) => Some(text.clone()),
                TemplateSegment::Capture(_) | TemplateSegment::Rest(_) => None,
            })
            .collect()
    };
    literals(one) == literals(other)
}

fn fault(
    earlier: Placed<'_>,
    later: Placed<'_>,
    message: String,
    help: &'static str,
) -> TableFault {
    TableFault {
        rules: (Arc::clone(earlier.1.id()), Arc::clone(later.1.id())),
        places: (earlier.0, later.0),
        message,
        help,
    }
}
