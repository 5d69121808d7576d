//! Whether what a rule matches on, and the places it reads, can be met by one unambiguous request.

use super::Faults;
use crate::route::alike::{is_header_alias, is_query_alias};
use crate::route::parts::{Methods, RuleParts};
use crate::route::rule::{Reads, stated_sources};
use crate::route::source::{Place, is_query_name};
use http::Method;
use std::sync::Arc;

pub(super) fn judge_matching(stated: &RuleParts, faults: &mut Faults) {
    let matching = &stated.matching;
    let methods: &[Method] = match &matching.methods {
        Methods::One(method) => std::slice::from_ref(method),
        Methods::List(methods) => methods,
        Methods::Any => &[],
    };
    if matching.methods == Methods::List(Vec::new()) {
        faults.add("match.method", "the list of methods is empty", "name a method, or write `any`");
    }
    for (index, method) in methods.iter().enumerate() {
        if matches!(*method, Method::CONNECT | Method::TRACE) {
            faults.add(
                "match.method",
                format!("`{method}` is never forwarded"),
                "name the methods the API serves",
            );
        }
        if ["*", "ALL", "ANY"].contains(&method.as_str()) {
            faults.add(
                "match.method",
                format!("`{method}` is a method like any other, and no client sends it"),
                "write `any` for every method",
            );
        }
        if method.as_str().bytes().any(|byte| byte.is_ascii_lowercase()) {
            faults.add(
                "match.method",
                format!("`{method}` is not a method clients send"),
                "methods are case-sensitive (RFC 9110 §9.1): write them in capitals",
            );
        }
        if methods.iter().take(index).any(|earlier| earlier == method) {
            faults.add("match.method", format!("`{method}` occurs twice"), "name it once");
        }
    }
    for (index, (name, value)) in matching.query.iter().enumerate() {
        if !is_query_name(name) {
            faults.add(
                "match.query",
                format!("`{}` is not a name for a query parameter", name.escape_debug()),
                "write the decoded name, without `&`, `=`, `;` or `,`",
            );
        }
        if value.contains(',') {
            faults.add(
                "match.query",
                format!("the value of `{name}` is a list, which is refused in requests"),
                "match on a parameter that has one value",
            );
        }
        let mut earlier = matching.query.iter().take(index);
        if earlier.any(|(other, _)| is_query_alias(name, other) || is_query_alias(other, name)) {
            faults.add(
                "match.query",
                format!("`{name}` and an earlier name mean the same to some servers"),
                "name each parameter once",
            );
        }
    }
    for name in &stated.encoded_slashes {
        if !matching.template.capture_names().any(|capture| capture == name) {
            faults.add(
                "encoded_slashes",
                format!("`{name}` is not a capture of `{}`", matching.template),
                "name a capture of `match.path`, without braces",
            );
        }
    }
}

pub(super) fn judge_sources(stated: &RuleParts, reads: &Reads, faults: &mut Faults) {
    let template = &stated.matching.template;
    for (key, source) in stated_sources(stated) {
        if let Place::Path(name) = source.place()
            && !template.capture_names().any(|capture| capture == name.as_ref())
        {
            faults.add(
                key,
                format!("`{source}` is not a capture of `{template}`"),
                "name a capture of `match.path`, or add it there as `{name}`",
            );
        }
    }
    judge_aliases(reads, faults);
}

/// Names of one rule that some servers take for one: every request that had them would be refused.
fn judge_aliases(reads: &Reads, faults: &mut Faults) {
    let meet = |one: &str, other: &str| {
        one != other && (is_query_alias(one, other) || is_query_alias(other, one))
    };
    for (index, name) in reads.query.iter().enumerate() {
        let mut others = reads.matched.iter().chain(reads.query.iter().take(index));
        if let Some(other) = others.find(|other| meet(name, other)) {
            faults.add(
                "match.query",
                format!("`query:{name}` and `query:{other}` mean the same to some servers"),
                "read one of them",
            );
        }
    }
    for (index, (name, source)) in reads.headers.iter().enumerate() {
        let mut earlier = reads.headers.iter().take(index);
        let alias = earlier
            .find(|(other, _)| other != name && is_header_alias(other.as_str(), name.as_str()));
        if let Some((_, other)) = alias {
            faults.add(
                "party",
                format!("`{source}` and `{other}` mean the same to some servers"),
                "read one of them",
            );
        }
    }
    for name in &reads.matched {
        let demanded = |path: &&Arc<str>| is_query_alias(name, path) && !reads.query.contains(name);
        if let Some(path) = reads.path.iter().find(demanded) {
            faults.add(
                "match.query",
                format!("`path:{path}` is a source, so no query may hold the name `{name}`"),
                "rename the capture",
            );
        }
    }
}
