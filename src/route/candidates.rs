//! Which rules come near a request, and why each matches it or does not: for who asks, never for a request under way.

use super::find::{host_key, is_query_match, method_weight};
use super::parts::Methods;
use super::rule::RouteRule;
use super::table::RouteTable;
use super::template::TemplateSegment;
use crate::domain::{Host, RequestTarget};
use http::Method;
use std::cmp::Reverse;
use std::sync::Arc;

/// A rule that comes near a request.
#[derive(Debug)]
pub struct Candidate<'t> {
    /// The rule.
    pub rule: &'t Arc<RouteRule>,
    /// Why it does not match; `None` if it does, whether or not another one is closer.
    pub differs: Option<String>,
}

impl RouteTable {
    /// Those that match, and then those whose path agrees with the request's the longest; at most `max`.
    #[must_use]
    pub fn candidates(
        &self,
        host: Option<&Host>,
        target: &RequestTarget,
        method: &Method,
        max: usize,
    ) -> Vec<Candidate<'_>> {
        let mut near: Vec<_> = self
            .rules()
            .iter()
            .map(|rule| {
                let (agrees, whole) = path_agreement(rule, target);
                let differs = difference(rule, host, target, method, whole.as_deref());
                // One that differs in something else than its path is nearer than any that does in it.
                ((differs.is_some(), whole.is_some(), Reverse(agrees)), Candidate { rule, differs })
            })
            .filter(|((differs, path_differs, Reverse(agrees)), _)| {
                !differs || !path_differs || *agrees > 0
            })
            .collect();
        near.sort_by_key(|(nearness, _)| *nearness);
        near.into_iter().map(|(_, candidate)| candidate).take(max).collect()
    }
}

/// How many segments agree from the first on, and where the path differs, if it does.
fn path_agreement(rule: &RouteRule, target: &RequestTarget) -> (usize, Option<String>) {
    let template = rule.template();
    let mut segments = target.path().segments();
    let mut agreeing: usize = 0;
    for (number, wanted) in (1..).zip(template.segments()) {
        let Some(segment) = segments.next() else {
            return (agreeing, Some(format!("the path ends before segment {number}")));
        };
        match wanted {
            TemplateSegment::Rest(_) => return (agreeing.saturating_add(1), None),
            TemplateSegment::Capture(_) => {}
            TemplateSegment::Literal(text) => {
                let same = if rule.ignores_case() {
                    text.eq_ignore_ascii_case(&segment.decoded)
                } else {
                    **text == *segment.decoded
                };
                if !same {
                    return (agreeing, Some(format!("segment {number} is not `{text}`")));
                }
            }
        }
        agreeing = agreeing.saturating_add(1);
    }
    if segments.next().is_some() {
        return (agreeing, Some("the path goes on behind it".to_owned()));
    }
    let ends = target.path().as_str().len() > 1 && target.path().as_str().ends_with('/');
    let differs = (ends != template.ends_with_slash()).then(|| {
        let text = if ends { "it has no final slash" } else { "it has a final slash" };
        text.to_owned()
    });
    (agreeing, differs)
}

fn difference(
    rule: &RouteRule,
    host: Option<&Host>,
    target: &RequestTarget,
    method: &Method,
    path: Option<&str>,
) -> Option<String> {
    if let Some(path) = path {
        return Some(path.to_owned());
    }
    if let Some(wanted) = &rule.matching().host
        && !host.is_some_and(|host| {
            let wanted = host_key(wanted);
            host_key(host) == wanted || host.name().trim_end_matches('.') == wanted
        })
    {
        return Some(format!("it is for the host `{wanted}`"));
    }
    if method_weight(rule, method).is_none() {
        return Some(match &rule.matching().methods {
            Methods::One(own) => format!("it is for `{own}`"),
            Methods::List(list) => {
                let names: Vec<_> = list.iter().map(|own| format!("`{own}`")).collect();
                format!("it is for {}", names.join(", "))
            }
            Methods::Any => "it takes no such method".to_owned(),
        });
    }
    if !is_query_match(rule, target.query()) {
        let pairs = rule.matching().query.iter().map(|(name, value)| format!("`{name}={value}`"));
        return Some(format!("the query lacks {}", pairs.collect::<Vec<_>>().join(", ")));
    }
    None
}
