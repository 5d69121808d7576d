//! Paths of a document: as they are meant, as clients send them, and as rules write them.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::domain::RequestTarget;
use crate::route::Template;

/// A value that is no word of any template.
pub(super) const FRESH: &str = "portvakt-sample-value";
/// Names of captures. As the rules have it.
const MAX_NAME: usize = Template::MAX_CAPTURE_NAME_BYTES;

/// A path without what some write into its braces beside a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Begins with `/`.
    pub(super) path: String,
    /// Regular expressions that stood beside names, as in `{orgnr:[0-9]{9}}`.
    pub(super) patterns: Vec<(String, String)>,
    /// What stood after `?` or `#`, which is of no path.
    pub(super) dropped: Option<String>,
}

/// Reads a key of `paths`.
pub(super) fn written(key: &str) -> Written {
    let mut written =
        Written { path: String::with_capacity(key.len()), patterns: Vec::new(), dropped: None };
    if !key.starts_with('/') {
        written.path.push('/');
    }
    let mut rest = key;
    while let Some(at) = rest.find(['{', '?', '#']) {
        let (before, from) = rest.split_at(at);
        written.path.push_str(before);
        if !from.starts_with('{') {
            written.dropped = Some(from.to_owned());
            return written;
        }
        let Some(inner) = braced(from) else {
            written.path.push_str(from);
            return written;
        };
        let name = match inner.split_once(':') {
            Some((name, pattern)) => {
                written.patterns.push((name.to_owned(), pattern.to_owned()));
                name
            }
            None => inner,
        };
        written.path.push('{');
        written.path.push_str(name);
        written.path.push('}');
        rest = from.get(inner.len().saturating_add(2)..).unwrap_or_default();
    }
    written.path.push_str(rest);
    written
}

/// What stands between the first brace, which the text begins with, and the one that closes it.
fn braced(text: &str) -> Option<&str> {
    let mut depth = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth = depth.saturating_add(1),
            '}' if depth == 1 => return text.get(1..at),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// The parameter that a segment consists of.
pub(super) fn parameter(segment: &str) -> Option<&str> {
    let inner = segment.strip_prefix('{')?.strip_suffix('}')?;
    (!inner.contains(['{', '}'])).then_some(inner)
}

/// The segments of a path.
pub(super) fn segments(path: &str) -> std::str::Split<'_, char> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

/// A request of it, with a value of no meaning for each parameter; `None` where no request can have such a path.
pub(super) fn request(path: &str) -> Option<String> {
    let mut text = String::new();
    for segment in segments(path) {
        text.push('/');
        if segment.contains('{') {
            text.push_str(FRESH);
        } else {
            text.push_str(&encoded(segment));
        }
    }
    RequestTarget::parse(&text, usize::MAX).ok()?;
    Some(text)
}

/// What of a segment is written as it is (RFC 3986 §3.3); all else is encoded.
const LITERAL: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// A segment of the document as clients send it.
pub(super) fn encoded(segment: &str) -> String {
    match percent_decode_str(segment).decode_utf8() {
        Ok(plain) => value(&plain),
        Err(_) => segment.to_owned(),
    }
}

/// A value as clients write it into a path.
pub(super) fn value(plain: &str) -> String {
    utf8_percent_encode(plain, &LITERAL).to_string()
}

/// Whether a value can be a whole segment of a request.
pub(super) fn is_segment(plain: &str) -> bool {
    RequestTarget::parse(&format!("/{}", value(plain)), usize::MAX).is_ok() && !plain.is_empty()
}

/// A path as rules write it.
#[derive(Debug)]
pub(super) struct AsTemplate {
    pub(super) text: String,
    /// Each parameter that fills a segment, and its name in the template.
    pub(super) captures: Vec<(String, String)>,
    /// A segment that no template tells from others: a capture stands for it.
    pub(super) widened: Option<String>,
}

/// `None` where there is no such template.
pub(super) fn template(path: &str) -> Option<AsTemplate> {
    let mut template = AsTemplate { text: String::new(), captures: Vec::new(), widened: None };
    let mut names = Vec::<String>::new();
    for segment in segments(path) {
        template.text.push('/');
        let literal = plain(segment);
        let is_sayable = || Template::parse(&format!("/{literal}")).is_ok();
        if !segment.contains(['{', '}']) && is_sayable() {
            template.text.push_str(&literal);
            continue;
        }
        let capture = capture(segment, &mut names);
        template.text.push('{');
        template.text.push_str(&capture);
        template.text.push('}');
        match parameter(segment) {
            Some(name) => template.captures.push((name.to_owned(), capture)),
            None => {
                template.widened.get_or_insert_with(|| segment.to_owned());
            }
        }
    }
    Template::parse(&template.text).is_ok().then_some(template)
}

/// A segment as templates have it, which are of decoded text; as it is where that would mean something else there.
fn plain(segment: &str) -> Cow<'_, str> {
    match percent_decode_str(segment).decode_utf8() {
        Ok(plain) if !plain.contains(['{', '}', '/', '%']) => plain,
        Ok(_) | Err(_) => segment.into(),
    }
}

/// A name that rules accept and that no other capture of the path has.
fn capture(written: &str, taken: &mut Vec<String>) -> String {
    let mut name: String = written
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '-' })
        .collect();
    name = name.trim_matches('-').chars().take(MAX_NAME - 4).collect();
    if !name.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        name.insert(0, 'x');
    }
    let mut numbered = name.clone();
    for number in 2..100 {
        if !taken.iter().any(|other| other.eq_ignore_ascii_case(&numbered)) {
            break;
        }
        numbered = format!("{name}-{number}");
    }
    taken.push(numbered.clone());
    numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_hold_names_and_paths_end_before_queries() {
        for (key, path, patterns, dropped) in [
            ("/a/{b}", "/a/{b}", &[][..], None),
            ("a", "/a", &[], None),
            ("/{o:[0-9]{9}}/c", "/{o}/c", &[("o", "[0-9]{9}")], None),
            (r"/{a:\d+}-{b}", "/{a}-{b}", &[("a", r"\d+")], None),
            ("/a?type=x", "/a", &[], Some("?type=x")),
            ("/a/{b}#1", "/a/{b}", &[], Some("#1")),
            ("/a/{b:x?}", "/a/{b}", &[("b", "x?")], None),
            ("/a/{b", "/a/{b", &[], None),
            ("/a}/b", "/a}/b", &[], None),
        ] {
            let found = written(key);
            let patterns: Vec<_> =
                patterns.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            let expected =
                Written { path: path.to_owned(), patterns, dropped: dropped.map(str::to_owned) };
            assert_eq!(found, expected, "{key}");
        }
    }

    #[test]
    fn a_template_takes_the_path_and_is_told_where_it_takes_more() {
        for (path, text, widened) in [
            ("/a/{b}", "/a/{b}", None),
            ("/a/", "/a/", None),
            ("/", "/", None),
            ("/{id}.pdf/x", "/{id--pdf}/x", Some("{id}.pdf")),
            ("/{id}/{ID}", "/{id}/{ID-2}", None),
            ("/a%20b/æ", "/a b/æ", None),
            ("/*", "/{x}", Some("*")),
            ("/a%7Bb", "/{a-7Bb}", Some("a%7Bb")),
        ] {
            let found = template(path).unwrap();
            assert_eq!((&*found.text, found.widened.as_deref()), (text, widened), "{path}");
        }
        assert!(template("/a//b").is_none() && request("/a//b").is_none());
        assert_eq!(request("/æ/{b}.c").unwrap(), format!("/%C3%A6/{FRESH}"));
    }
}
