//! Whether the places a rule reads in the body, and what it says of the body, go together.

use super::Faults;
use crate::route::alike::is_query_alias;
use crate::route::parts::{PartyRule, RuleParts};
use crate::route::rule::{Reads, RouteRule, stated_sources};
use crate::route::source::Place;
use crate::route::xml_path::{XML_NAMESPACE, is_xml_name};
use std::sync::Arc;

pub(super) fn judge_body(stated: &RuleParts, reads: &Reads, faults: &mut Faults) {
    let places = [reads.json.len(), reads.xml.len(), reads.form.len()];
    if places.iter().fold(0usize, |sum, count| sum.saturating_add(*count))
        > RouteRule::MAX_BODY_SOURCES
    {
        faults.add(
            "party",
            format!("the rule reads more than {} places of the body", RouteRule::MAX_BODY_SOURCES),
            "read fewer places",
        );
    }
    if reads.body_kinds().count() > 1 {
        faults.add(
            "party",
            "the rule reads the body as two kinds of document, and it can only be one",
            "read all of `json:`, of `xml:` or of `form:`; or write a rule for each media type's own path",
        );
    }
    for (key, source) in stated_sources(stated) {
        if let Place::Json(pointer) = source.place()
            && pointer.has_star()
            && !(key == "party.from" && matches!(stated.party, Some(PartyRule::Many { .. })))
        {
            faults.add(
                key,
                format!("`*` in `{source}` names every element of an array, and one value is read"),
                "name one value, or write `party: { from: …, many: all, max: N }`",
            );
        }
    }
    judge_namespaces(stated, faults);
    judge_form_names(stated, reads, faults);
}

/// What only rules that read the body may say of it.
pub(super) fn judge_coding(stated: &RuleParts, reads: &Reads, faults: &mut Faults) {
    let reads_body = reads.body_kinds().next().is_some();
    match stated.content_encodings.as_deref() {
        Some([]) => faults.add(
            "content_encoding",
            "the list of content encodings is empty",
            "write `content_encoding: [gzip]`, or remove the key",
        ),
        Some(_) if !reads_body => faults.add(
            "content_encoding",
            "the rule does not read the body, so any encoding is forwarded as it comes",
            "remove `content_encoding`",
        ),
        Some(_) | None => {}
    }
    if stated.max_decompressed_bytes.is_some() && stated.content_encodings.is_none() {
        faults.add(
            "max_decompressed",
            "the rule takes no compressed body, so `max_decompressed` would go unheeded",
            "write `content_encoding: [gzip]` as well, or remove it",
        );
    }
}

fn judge_namespaces(stated: &RuleParts, faults: &mut Faults) {
    let mut used: Vec<&str> = Vec::new();
    for (key, source) in stated_sources(stated) {
        let Place::Xml(path) = source.place() else { continue };
        for prefix in path.prefixes() {
            used.push(prefix);
            if !stated.namespaces.iter().any(|(declared, _)| declared == prefix) {
                faults.add(
                    key,
                    format!("the prefix `{prefix}` in `{source}` stands for no namespace"),
                    format!("write `namespaces: {{ {prefix}: URI }}` in the rule"),
                );
            }
        }
    }
    for (prefix, uri) in &stated.namespaces {
        if !is_xml_name(prefix) || matches!(prefix.as_str(), "xml" | "xmlns") {
            faults.add(
                "namespaces",
                format!("`{}` is not a prefix", prefix.escape_debug()),
                "write a short name, such as `p`",
            );
        } else if uri.is_empty() || uri == XML_NAMESPACE {
            faults.add(
                "namespaces",
                format!("`{prefix}` cannot stand for `{}`", uri.escape_debug()),
                "write the namespace of the document's elements",
            );
        } else if !used.contains(&prefix.as_str()) {
            faults.add(
                "namespaces",
                format!("no `xml:` source of the rule uses the prefix `{prefix}`"),
                "remove it",
            );
        }
    }
}

/// Names of a form that some servers take for another source: they merge query and form, or drop case.
fn judge_form_names(stated: &RuleParts, reads: &Reads, faults: &mut Faults) {
    let meet = |one: &str, other: &str| is_query_alias(one, other) || is_query_alias(other, one);
    // Exactly one of them is then there.
    let alternatives = |name: &Arc<str>| match &stated.party {
        Some(PartyRule::OneOf(sources)) => {
            let has = |place: Place| sources.iter().any(|source| *source.place() == place);
            has(Place::Form(Arc::clone(name))) && has(Place::Query(Arc::clone(name)))
        }
        Some(PartyRule::One { .. } | PartyRule::Many { .. }) | None => false,
    };
    for (index, name) in reads.form.iter().enumerate() {
        let earlier = reads.form.iter().take(index).map(|other| ("form", other));
        let query = reads.query.iter().filter(|other| *other != name || !alternatives(name));
        let query = query.chain(&reads.matched).map(|other| ("query", other));
        let path = reads.path.iter().map(|other| ("path", other));
        if let Some((kind, other)) =
            earlier.chain(query).chain(path).find(|(_, other)| meet(name, other))
        {
            faults.add(
                "party",
                format!("`form:{name}` and `{kind}:{other}` mean the same to some servers"),
                "read one of them, or give them different names",
            );
        }
    }
}
