//! Which rule a request falls to.
//!
//! The most specific rule among those that match host, path, method and query: host first, then the path
//! segment by segment, then method, then query. Invariant: a total function of table and request; two
//! spellings of one path never fall to two rules.

use super::alike::is_query_alias;
use super::ambiguity;
use super::parts::Methods;
use super::rule::RouteRule;
use super::table::RouteTable;
use super::tree::{Levels, Reached, Tree};
use crate::domain::{Denial, DenialCode, Host, Query, RequestPath, RequestTarget};
use http::Method;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

/// A request's rule, and what its captures hold.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'a> {
    rule: &'a Arc<RouteRule>,
    target: &'a RequestTarget,
}

impl<'a> Matched<'a> {
    /// The rule.
    #[must_use]
    pub fn rule(&self) -> &'a Arc<RouteRule> {
        self.rule
    }

    /// The target it matched.
    #[must_use]
    pub fn target(&self) -> &'a RequestTarget {
        self.target
    }

    /// What the capture (or rest) of this name holds, decoded.
    #[must_use]
    pub fn capture(&self, name: &str) -> Option<Cow<'a, str>> {
        self.rule.template().capture(name, self.target.path())
    }

    /// Every capture and what it holds, in the template's order.
    pub fn captures(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
        let (template, path) = (self.rule.template(), self.target.path());
        template.capture_names().filter_map(|name| Some((name, template.capture(name, path)?)))
    }

    /// The same with all it needs, for another thread.
    #[must_use]
    pub fn to_owned(&self) -> OwnedMatch {
        OwnedMatch { rule: Arc::clone(self.rule), target: self.target.clone() }
    }
}

/// A [`Matched`] that owns what it speaks of.
#[derive(Clone, Debug)]
pub struct OwnedMatch {
    rule: Arc<RouteRule>,
    target: RequestTarget,
}

impl OwnedMatch {
    /// What it was made of.
    #[must_use]
    pub fn as_matched(&self) -> Matched<'_> {
        Matched { rule: &self.rule, target: &self.target }
    }
}

impl RouteTable {
    /// Finds the rule of a request, or says why there is none.
    pub fn find<'a>(
        &'a self,
        host: Option<&Host>,
        target: &'a RequestTarget,
        method: &Method,
    ) -> Result<Matched<'a>, Denial> {
        let path = target.path();
        let query = target.query();
        let reached: SmallVec<[Reached<'a>; 1]> =
            self.trees(host).map(|tree| tree.walk(path)).collect();
        for rule in reached.iter().flat_map(|reached| &reached.rules) {
            if method_weight(rule, method).is_some() {
                judge_match_names(rule, query)?;
            }
        }
        for Reached { rules, literal_levels } in &reached {
            let winner = rules
                .iter()
                .filter_map(|rule| Some((*rule, method_weight(rule, method)?)))
                .filter(|(rule, _)| is_query_match(rule, query))
                .max_by(|one, other| compare(*one, *other));
            if let Some((rule, _)) = winner {
                judge_spelling(rule, path, literal_levels)?;
                return Ok(Matched { rule, target });
            }
        }
        if path.has_encoded_slashes() {
            return Err(Denial::new(DenialCode::AmbiguousPath)
                .because("the path has an encoded slash and no rule takes it"));
        }
        let others = reached.iter().flat_map(|reached| &reached.rules);
        Err(refuse(others.filter(|rule| is_query_match(rule, query)).map(AsRef::as_ref)))
    }

    /// The trees that hold rules for this host, the most specific first.
    fn trees(&self, host: Option<&Host>) -> impl Iterator<Item = &Tree> {
        let named = host.filter(|_| !self.hosts.is_empty());
        let with_port = named.and_then(|host| self.hosts.get(host_key(host).as_ref()));
        let without_port = named
            .filter(|host| host.name() != host.as_str())
            .and_then(|host| self.hosts.get(host.name().trim_end_matches('.')));
        [with_port, without_port, Some(&self.any_host)].into_iter().flatten()
    }
}

/// The host as rules are kept by. A final dot names the same host (RFC 3986 §3.2.2) and must not lead
/// around its rules.
pub(super) fn host_key(host: &Host) -> Cow<'_, str> {
    let name = host.name();
    match name.trim_end_matches('.') {
        trimmed if trimmed == name => Cow::Borrowed(host.as_str()),
        trimmed => {
            let port = host.as_str().strip_prefix(name).unwrap_or_default();
            Cow::Owned(format!("{trimmed}{port}"))
        }
    }
}

fn compare(one: (&Arc<RouteRule>, u8), other: (&Arc<RouteRule>, u8)) -> Ordering {
    let pairs = |rule: &RouteRule| rule.matching().query.len();
    one.0
        .template()
        .compare_specificity(other.0.template())
        .then(one.1.cmp(&other.1))
        .then(pairs(one.0).cmp(&pairs(other.0)))
}

/// How specifically a rule names a method; `None` if it does not take it. `HEAD` falls under `GET`, less
/// specifically than under its own name. `any` takes no method in small letters: some frameworks read
/// `get` as `GET`, whose own rule it would go around (RFC 9110 §9.1: methods are case-sensitive).
pub(super) fn method_weight(rule: &RouteRule, method: &Method) -> Option<u8> {
    let by_get = *method == Method::HEAD;
    match &rule.matching().methods {
        Methods::One(own) if own == method => Some(5),
        Methods::List(list) if list.contains(method) => Some(4),
        Methods::One(own) if by_get && *own == Method::GET => Some(3),
        Methods::List(list) if by_get && list.contains(&Method::GET) => Some(2),
        Methods::Any if is_forwardable(method) => Some(1),
        Methods::One(_) | Methods::List(_) | Methods::Any => None,
    }
}

fn is_forwardable(method: &Method) -> bool {
    !matches!(*method, Method::CONNECT | Method::TRACE)
        && !method.as_str().bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Query names that a rule matches on are sources for every request that reaches the rule: a request
/// that could be read as matching and as not matching is refused, whoever would win.
fn judge_match_names(rule: &RouteRule, query: Option<Query<'_>>) -> Result<(), Denial> {
    let names = &rule.reads().matched;
    let Some(query) = query.filter(|_| !names.is_empty()) else { return Ok(()) };
    ambiguity::judge_query(query, names)?;
    for name in names {
        let mut values = query.pairs().flatten().filter(|(other, _)| *other == name.as_ref());
        let listed = values.next().is_some_and(|(_, value)| value.contains(','));
        if listed || values.next().is_some() {
            return Err(Denial::new(DenialCode::AmbiguousParameter)
                .at(format!("query:{name}"))
                .because("a parameter that chooses the rule has several values"));
        }
    }
    Ok(())
}

pub(super) fn is_query_match(rule: &RouteRule, query: Option<Query<'_>>) -> bool {
    rule.matching().query.iter().all(|(name, value)| {
        query.is_some_and(|query| {
            query.pairs().flatten().any(|(given, said)| given == *name && said == *value)
        })
    })
}

/// Refuses a path of which a capture took what may be another spelling of a literal, or an encoded slash
/// that the rule does not allow there.
fn judge_spelling(
    rule: &RouteRule,
    path: &RequestPath,
    literal_levels: &Levels,
) -> Result<(), Denial> {
    for (level, segment) in path.segments().enumerate() {
        let name = rule.template().name_at(level);
        let fault = match name {
            _ if segment.encoded_slash
                && !name.is_some_and(|name| rule.allows_encoded_slash(name)) =>
            {
                "an encoded slash where the rule allows none"
            }
            Some(_) if literal_levels.contains(level) => "a capture took the text of a literal",
            Some(_) | None => continue,
        };
        let denial = Denial::new(DenialCode::AmbiguousPath).because(fault);
        return Err(match name {
            Some(name) => denial.at(format!("path:{name}")),
            None => denial,
        });
    }
    Ok(())
}

/// No rule takes the request; `others` match all but its method.
fn refuse<'r>(others: impl Iterator<Item = &'r RouteRule>) -> Denial {
    const ANY: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    let mut allowed: Vec<&str> = Vec::new();
    for rule in others {
        let methods: &[Method] = match &rule.matching().methods {
            Methods::One(method) => std::slice::from_ref(method),
            Methods::List(methods) => methods,
            Methods::Any => &ANY,
        };
        allowed.extend(methods.iter().map(Method::as_str));
        if methods.contains(&Method::GET) {
            allowed.push(Method::HEAD.as_str());
        }
    }
    if allowed.is_empty() {
        return Denial::new(DenialCode::RouteUnknown);
    }
    allowed.sort_unstable();
    allowed.dedup();
    let mut denial = Denial::new(DenialCode::MethodNotAllowed);
    denial.extras.allowed_methods = Some(allowed.join(", ").into());
    denial
}

/// Whether two rules match on names that some servers take for one, so that neither can ever match.
pub(super) fn have_clashing_names(one: &RouteRule, other: &RouteRule) -> bool {
    let names = |rule: &'_ RouteRule| rule.reads().matched.clone();
    names(one).iter().any(|a| {
        names(other).iter().any(|b| a != b && (is_query_alias(a, b) || is_query_alias(b, a)))
    })
}
