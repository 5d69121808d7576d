//! What around a value could make another server read another one.
//!
//! Judges names only: which other names in the request meet those a rule reads. That a source occurs once
//! is `values`' to see, because only it knows how many are allowed. Invariant: whatever is refused here
//! is refused whether or not the source itself occurs.

use super::alike::{is_header_alias, is_query_alias};
use super::rule::RouteRule;
use crate::domain::{Denial, DenialCode, Head, Query};
use http::header::CONNECTION;
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use std::sync::Arc;

/// Refuses a request in which something but the rule's own sources goes by their names.
pub(super) fn judge(head: &Head, rule: &RouteRule, query: Option<Query<'_>>) -> Result<(), Denial> {
    let reads = rule.reads();
    connection_names_protected(head, rule)?;
    for (name, source) in &reads.headers {
        judge_header(&head.headers, name, source)?;
    }
    if let Some(query) = query {
        judge_query(query, &reads.query)?;
        judge_names_of_others(query, rule)?;
    }
    Ok(())
}

/// Refuses a `Connection` line that names a header whose removal would change what the API reads:
/// `Authorization`, `Host`, `Content-*`, or a source of the rule (RFC 9110 §7.6.1 has proxies remove
/// what it names). For every rule, whatever its protection.
pub fn connection_names_protected(head: &Head, rule: &RouteRule) -> Result<(), Denial> {
    const CONTENT: &[u8] = b"content-";
    for line in head.headers.get_all(CONNECTION) {
        for option in line.as_bytes().split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            let starts_content = option
                .get(..CONTENT.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(CONTENT));
            let names = |protected: &str| {
                std::str::from_utf8(option).is_ok_and(|option| is_header_alias(option, protected))
            };
            if starts_content
                || names("authorization")
                || names("host")
                || rule.reads().headers.iter().any(|(name, _)| names(name.as_str()))
            {
                return Err(Denial::new(DenialCode::AmbiguousParameter)
                    .at("header:connection")
                    .because("a Connection line names a header that must arrive"));
            }
        }
    }
    Ok(())
}

fn judge_header(headers: &HeaderMap, own: &HeaderName, source: &Arc<str>) -> Result<(), Denial> {
    let alias =
        headers.keys().any(|name| name != own && is_header_alias(name.as_str(), own.as_str()));
    if alias {
        return Err(Denial::new(DenialCode::AmbiguousParameter)
            .at(Arc::clone(source))
            .because("another header has the same name to some servers"));
    }
    Ok(())
}

/// Refuses a query in which a name is another spelling of one of `names`, or whose pairs depend on who
/// splits it. No names, no judgement.
pub(super) fn judge_query(query: Query<'_>, names: &[Arc<str>]) -> Result<(), Denial> {
    let Some(first) = names.first() else { return Ok(()) };
    if query.has_raw_semicolon() {
        return Err(ambiguous(first, "the query holds a raw semicolon"));
    }
    for pair in query.pairs() {
        let (name, _) = pair.map_err(|fault| {
            Denial::new(DenialCode::MalformedRequest).at(format!("query:{first}")).because(fault)
        })?;
        if names.iter().any(|source| source.as_ref() == name) {
            continue;
        }
        if let Some(source) = names.iter().find(|source| is_query_alias(&name, source)) {
            return Err(ambiguous(source, "another query name means the same to some servers"));
        }
    }
    Ok(())
}

/// The name of a capture, or of a field of the form, in the query: frameworks that bind both would let the
/// query win, or lose.
fn judge_names_of_others(query: Query<'_>, rule: &RouteRule) -> Result<(), Denial> {
    let reads = rule.reads();
    if reads.path.is_empty() && reads.form.is_empty() {
        return Ok(());
    }
    for piece in query.as_str().split(['&', ';']) {
        let name = piece.split_once('=').map_or(piece, |(name, _)| name).replace('+', " ");
        // What is not UTF-8 can not be a capture's name, so the loss does not matter.
        let name = percent_decode_str(&name).decode_utf8_lossy();
        if reads.query.iter().any(|source| source.as_ref() == name) {
            continue;
        }
        for (kind, sources) in [("path", &reads.path), ("form", &reads.form)] {
            if let Some(source) = sources.iter().find(|source| is_query_alias(&name, source)) {
                return Err(Denial::new(DenialCode::AmbiguousParameter)
                    .at(format!("{kind}:{source}"))
                    .because("the query names a capture of the path or a field of the form"));
            }
        }
    }
    Ok(())
}

fn ambiguous(name: &str, cause: &'static str) -> Denial {
    Denial::new(DenialCode::AmbiguousParameter).at(format!("query:{name}")).because(cause)
}
