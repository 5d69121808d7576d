//! Whether the body of a request is of a kind that its rule can read; asked before the body is read.

use super::body::BodyKind;
use super::rule::RouteRule;
use crate::domain::{Denial, DenialCode, Head};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// How a body that is read stands in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyCoding {
    /// As it is meant.
    Identity,
    /// Compressed with gzip (RFC 9110 §8.4.1.3).
    Gzip,
}

/// Refuses a body that the rule would have to read and cannot: of another kind than it reads, not in UTF-8,
/// or compressed in a way that the rule does not accept. Rules that do not read the body take any.
pub fn check_body_type(rule: &RouteRule, head: &Head) -> Result<BodyCoding, Denial> {
    let Some(kind) = rule.body_kind() else { return Ok(BodyCoding::Identity) };
    let coding = coding(rule, head)?;
    let mut lines = head.headers.get_all(CONTENT_TYPE).iter();
    let Some(line) = lines.next() else {
        return Err(unsupported("content-type", "the body has no media type"));
    };
    if lines.next().is_some() {
        return Err(unsupported("content-type", "the body has several media types"));
    }
    match line.to_str() {
        Ok(text) if is_of(kind, text) => Ok(coding),
        Ok(_) | Err(_) => {
            Err(unsupported("content-type", "the body is not of the kind that the rule reads"))
        }
    }
}

/// One coding at most, by its registered name: what a list, an alias or a repetition means differs between servers.
fn coding(rule: &RouteRule, head: &Head) -> Result<BodyCoding, Denial> {
    let mut lines = head.headers.get_all(CONTENT_ENCODING).iter();
    let Some(line) = lines.next() else { return Ok(BodyCoding::Identity) };
    let is = |coding: &[u8]| line.as_bytes().trim_ascii().eq_ignore_ascii_case(coding);
    match lines.next() {
        None if is(b"identity") => Ok(BodyCoding::Identity),
        None if is(b"gzip") && rule.accepts_gzip() => Ok(BodyCoding::Gzip),
        None | Some(_) => Err(unsupported("content-encoding", "the body is compressed")),
    }
}

fn unsupported(header: &str, cause: &'static str) -> Denial {
    Denial::new(DenialCode::UnsupportedBody).at(format!("header:{header}")).because(cause)
}

/// Whether a media type is of a kind, with charset absent or utf-8:
///
/// * `application/json`, `text/json`, `application/*+json` (RFC 6839 §3.1),
/// * `application/xml`, `text/xml`, `*/*+xml` (RFC 7303 §4.2),
/// * `application/x-www-form-urlencoded`.
fn is_of(kind: BodyKind, text: &str) -> bool {
    let mut parts = text.split(';').map(|part| part.trim_matches([' ', '\t']));
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let Some((main, subtype)) = essence.split_once('/') else { return false };
    let has_suffix = |suffix| subtype.strip_suffix(suffix).is_some_and(is_token);
    let fits = match kind {
        BodyKind::Json => match main {
            "application" => subtype == "json" || has_suffix("+json"),
            "text" => subtype == "json",
            _ => false,
        },
        BodyKind::Xml => {
            (matches!(main, "application" | "text") && subtype == "xml")
                || (is_token(main) && main != "multipart" && has_suffix("+xml"))
        }
        BodyKind::Form => essence == "application/x-www-form-urlencoded",
    };
    fits && has_sound_parameters(parts)
}

/// A quoted `;` splits here and then leaves a lone quote, which is refused: no parameter worth sending
/// needs one.
fn has_sound_parameters<'t>(parts: impl Iterator<Item = &'t str>) -> bool {
    let mut charset_count = 0usize;
    for part in parts.filter(|part| !part.is_empty()) {
        let Some((name, value)) = part.split_once('=') else { return false };
        let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let sound_value = match quoted {
            Some(inner) => !inner.contains(['"', '\\']),
            None => is_token(value),
        };
        if !is_token(name) || !sound_value {
            return false;
        }
        if name.eq_ignore_ascii_case("charset") {
            charset_count = charset_count.saturating_add(1);
            if charset_count > 1 || !quoted.unwrap_or(value).eq_ignore_ascii_case("utf-8") {
                return false;
            }
        }
    }
    true
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_in_utf8_is_read_and_nothing_else() {
        let is_json = |text: &str| is_of(BodyKind::Json, text);
        for text in [
            "application/json",
            "Application/JSON",
            "text/json",
            "application/problem+json",
            "application/json;charset=utf-8",
            "application/json ; Charset=\"UTF-8\"",
            "application/json; profile=\"https://example.no/x\"",
            "application/json;",
        ] {
            assert!(is_json(text), "{text}");
        }
        for text in [
            "",
            "json",
            "text/plain",
            "application/xml",
            "multipart/form-data; boundary=x",
            "application/+json",
            "text/x+json",
            "application/jsonx",
            "application/json, text/plain",
            "application/json; charset=utf-16",
            "application/json; charset=utf-8; charset=utf-8",
            "application/json; charset",
            "application/json; x=\";charset=utf-16\"",
            "application/a b+json",
        ] {
            assert!(!is_json(text), "{text}");
        }
    }

    #[test]
    fn each_kind_has_media_types_of_its_own() {
        use BodyKind::{Form, Json, Xml};
        for (text, kind) in [
            ("application/xml", Some(Xml)),
            ("text/xml; charset=UTF-8", Some(Xml)),
            ("application/soap+xml; action=\"urn:x\"", Some(Xml)),
            ("image/svg+xml", Some(Xml)),
            ("application/x-www-form-urlencoded", Some(Form)),
            ("Application/X-WWW-Form-Urlencoded;charset=utf-8", Some(Form)),
            ("application/json", Some(Json)),
            ("text/xml; charset=iso-8859-1", None),
            ("application/+xml", None),
            ("/x+xml", None),
            ("multipart/x+xml", None),
            ("text/x+json", None),
            ("application/xml-dtd", None),
            ("application/x-www-form-urlencoded, text/plain", None),
            ("application/x-www-form-urlencoded; charset=utf-7", None),
            ("multipart/form-data; boundary=x", None),
            ("text/plain", None),
            ("xml", None),
        ] {
            for tried in [Json, Xml, Form] {
                assert_eq!(is_of(tried, text), kind == Some(tried), "{text}: {tried:?}");
            }
        }
    }
}
