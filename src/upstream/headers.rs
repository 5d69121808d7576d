//! Headers that must not pass: those of this hop, those that pretend to be ours, and those that ask the
//! API to read another request than the one judged.

use super::forwarded::speaks_of_the_way;
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};
use http::header::{
    EXPECT, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};

/// Headers of one connection (RFC 9110 §7.6.1), beside those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("http2-settings"),
];

/// Headers by which some frameworks let a client replace the method or path that was judged.
const OVERRIDES: [&str; 5] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// The prefix of every header that Portvakt itself sets.
const OURS: &str = "portvakt-";

/// Removes the headers of this hop: the fixed ones and all that any `Connection` line names.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Removes what a client may not say to the API: our own names in any spelling, and method and path
/// overrides. Also `Expect`, which Portvakt has answered itself.
pub(super) fn remove_pretenders(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> =
        headers.keys().filter(|name| is_pretender(name)).cloned().collect();
    for name in &named {
        headers.remove(name);
    }
    headers.remove(EXPECT);
}

/// Removes from the trailers what would be removed, rewritten or judged as a header: the rule's own
/// sources too, in any spelling, since some servers merge trailers into the headers.
pub(super) fn remove_from_trailers(trailers: &mut HeaderMap, sources: &[HeaderName]) {
    let is_source = |name: &HeaderName| {
        sources.iter().any(|source| folded(name.as_str()).eq(folded(source.as_str())))
    };
    let named: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| is_pretender(name) || speaks_of_the_way(name) || is_source(name))
        .cloned()
        .collect();
    for name in &named {
        trailers.remove(name);
    }
}

/// Whether an API could take this header for one of ours, or for an override.
pub(super) fn is_pretender(name: &HeaderName) -> bool {
    let is = |text: &str, prefix_only: bool| {
        let mut bytes = folded(name.as_str());
        text.bytes().all(|expected| bytes.next() == Some(expected))
            && (prefix_only || bytes.next().is_none())
    };
    is(OURS, true) || OVERRIDES.iter().any(|text| is(text, false))
}

/// Servers that map headers to variables cannot tell `_` and `.` from `-`.
fn folded(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|byte| if matches!(byte, b'_' | b'.') { b'-' } else { byte })
}

/// Sets a header that is ours; a value that cannot stand in a header is left out rather than bent.
pub(super) fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    #[test]
    fn every_connection_line_counts_and_in_any_case() {
        let mut headers = map(&[
            ("connection", "close, X-One"),
            ("connection", "x-two ,,"),
            ("x-one", "1"),
            ("x-one", "2"),
            ("x-two", "1"),
            ("x-three", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAA"),
        ]);
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-three"]);
    }

    #[test]
    fn our_names_are_removed_in_every_spelling_that_a_server_may_fold() {
        for name in [
            "portvakt-party",
            "portvakt_party",
            "portvakt.party",
            "portvakt-",
            "portvakt-anything-new",
            "x-http-method",
            "x_http_method_override",
            "x-method.override",
            "x-original-url",
            "x-rewrite-url",
        ] {
            assert!(is_pretender(&HeaderName::from_static(name)), "{name}");
        }
        for name in
            ["portvakt", "portvaktparty", "x-portvakt-party", "x-original-url-2", "x-request-id"]
        {
            assert!(!is_pretender(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[test]
    fn trailers_say_nothing_that_was_judged_or_rewritten_as_a_header() {
        let sources = [HeaderName::from_static("x-org")];
        let mut trailers = map(&[
            ("x-org", "1"),
            ("x_org", "1"),
            ("x.org", "1"),
            ("portvakt_party", "1"),
            ("x-forwarded-for", "1"),
            ("x_real_ip", "1"),
            ("forwarded", "for=1"),
            ("x-checksum", "1"),
            ("grpc-status", "0"),
        ]);
        remove_from_trailers(&mut trailers, &sources);
        let mut kept: Vec<_> = trailers.keys().map(HeaderName::as_str).collect();
        kept.sort_unstable();
        assert_eq!(kept, ["grpc-status", "x-checksum"]);
    }

    proptest! {
        #[test]
        fn removal_is_complete_and_changes_nothing_the_second_time(
            names in proptest::collection::vec("(portvakt[-_.][a-z]{1,4}|x-[a-c]|te|keep-alive)", 0..8),
            connection in "(x-[a-c]|close|portvakt-[a-z]|,| ){0,4}",
        ) {
            let mut headers = map(&[]);
            for name in &names {
                headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("1"));
            }
            headers.append(CONNECTION, HeaderValue::from_str(&connection).unwrap());
            remove_hop_by_hop(&mut headers);
            remove_pretenders(&mut headers);
            prop_assert!(!headers.keys().any(is_pretender));
            prop_assert!(!HOP_BY_HOP.iter().any(|name| headers.contains_key(name)));
            let before = headers.clone();
            remove_hop_by_hop(&mut headers);
            remove_pretenders(&mut headers);
            prop_assert_eq!(before, headers);
        }
    }
}
