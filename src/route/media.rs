//! Whether the body of a request is of a kind that its rule can read; asked before the body is read.

use super::rule::RouteRule;
use crate::domain::{Denial, DenialCode, Head};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// The media type that clients are told to send.
const JSON: &str = "application/json";

/// Refuses a body that the rule would have to read and cannot: not JSON in UTF-8, or compressed.
/// Rules that do not read the body take any.
pub fn check_media_type(rule: &RouteRule, head: &Head) -> Result<(), Denial> {
    if !rule.needs_body() {
        return Ok(());
    }
    for line in head.headers.get_all(CONTENT_ENCODING) {
        if !line.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity") {
            return Err(unsupported("content-encoding", "the body is compressed"));
        }
    }
    let mut lines = head.headers.get_all(CONTENT_TYPE).iter();
    let Some(line) = lines.next() else {
        return Err(unsupported("content-type", "the body has no media type"));
    };
    if lines.next().is_some() {
        return Err(Denial::new(DenialCode::AmbiguousParameter)
            .at("header:content-type")
            .because("the body has several media types"));
    }
    match line.to_str() {
        Ok(text) if is_json(text) => Ok(()),
        Ok(_) | Err(_) => Err(unsupported("content-type", "the body is not JSON in UTF-8")),
    }
}

fn unsupported(header: &str, cause: &'static str) -> Denial {
    Denial::new(DenialCode::UnsupportedBody).at(format!("header:{header}")).because(cause)
}

/// `application/json`, `text/json` or `application/*+json` (RFC 6839 §3.1), with charset absent or utf-8.
fn is_json(text: &str) -> bool {
    let mut parts = text.split(';').map(|part| part.trim_matches([' ', '\t']));
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let suffixed = essence
        .strip_prefix("application/")
        .and_then(|subtype| subtype.strip_suffix("+json"))
        .is_some_and(is_token);
    (essence == JSON || essence == "text/json" || suffixed) && has_sound_parameters(parts)
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
}
