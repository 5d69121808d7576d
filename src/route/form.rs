//! Values of a form (`application/x-www-form-urlencoded`), each name judged against what the rule reads.
//!
//! Decoded once, strictly, as queries are. Invariant: no other name in the form is one that a server could
//! take for a source of the rule.

use super::alike::is_query_alias;
use super::rule::Reads;
use crate::domain::Query;
use std::borrow::Cow;
use std::sync::Arc;

/// Pairs of one form. Bounds the work of comparing names; common servers read no more than a thousand.
const MAX_FORM_PAIRS: usize = 1000;

/// Why a body yields nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FormFault {
    /// Not a form, or larger than any.
    Unreadable(&'static str),
    /// A source of the rule, as written, has two readings.
    Ambiguous(String),
}

/// Reads the form and gives, for each `form:` source, its values in order, of which no more are kept than
/// were asked for.
pub(super) fn read<'b>(
    body: &'b [u8],
    reads: &Reads,
    max_values: usize,
) -> Result<Vec<Vec<Cow<'b, str>>>, FormFault> {
    let text = std::str::from_utf8(body).map_err(|_| FormFault::Unreadable("not valid UTF-8"))?;
    if text.contains(char::is_control) {
        return Err(FormFault::Unreadable("it has a control character"));
    }
    if !has_sound_escapes(text) {
        return Err(FormFault::Unreadable("a percent escape is broken"));
    }
    let form = Query::new(text);
    if form.has_raw_semicolon() {
        let first = reads.form.first().map(|name| format!("form:{name}"));
        return Err(FormFault::Ambiguous(first.unwrap_or_default()));
    }
    let mut found: Vec<Vec<Cow<'b, str>>> = reads.form.iter().map(|_| Vec::new()).collect();
    for (count, pair) in form.pairs().enumerate() {
        if count >= MAX_FORM_PAIRS {
            return Err(FormFault::Unreadable("it has too many pairs"));
        }
        let (name, value) =
            pair.map_err(|_| FormFault::Unreadable("not valid UTF-8 once decoded"))?;
        let place = reads.form.iter().position(|source| source.as_ref() == name);
        match place.and_then(|place| found.get_mut(place)) {
            Some(values) if values.len() < max_values => values.push(value),
            Some(_) => {}
            None => judge_name(&name, reads)?,
        }
    }
    Ok(found)
}

/// Frameworks that bind one parameter from path, query and form let one of them win.
fn judge_name(name: &str, reads: &Reads) -> Result<(), FormFault> {
    let meets = |sources: &[Arc<str>]| {
        sources.iter().find(|source| is_query_alias(name, source)).map(Arc::clone)
    };
    for (kind, sources) in [
        ("form", &reads.form),
        ("path", &reads.path),
        ("query", &reads.query),
        ("query", &reads.matched),
    ] {
        if let Some(source) = meets(sources) {
            return Err(FormFault::Ambiguous(format!("{kind}:{source}")));
        }
    }
    Ok(())
}

/// Whether two hex digits follow each `%`.
fn has_sound_escapes(text: &str) -> bool {
    let mut pieces = text.split('%');
    pieces.next();
    pieces.all(|piece| {
        let mut digits = piece.bytes().take(2);
        digits.len() == 2 && digits.all(|digit| digit.is_ascii_hexdigit())
    })
}
