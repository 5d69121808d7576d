//! Headers that must not pass: those of this hop, those that pretend to be ours, and those that ask the
//! API to read another request than the one judged.

use super::forwarded::speaks_of_the_way;
use http::StatusCode;
use http::header::{
    ALT_SVC, CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, TE, TRANSFER_ENCODING,
};

/// Headers by which some frameworks let a client replace the method or path that was judged.
const OVERRIDES: [&str; 5] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// What no trailer may say, because it frames, routes, authenticates or conditions the message whose end it
/// is (RFC 9110 §6.5.1): some servers merge trailers into the headers.
const NEVER_IN_TRAILERS: [&str; 22] = [
    "age",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The prefix of every header that Portvakt itself sets.
const OURS: &str = "portvakt-";

/// What a message says of its own hop, read off once.
pub(super) struct Hop {
    /// What its `Connection` lines name, of what is there: sorted, and each once, so that looking up a line costs
    /// the same however many words they have.
    named: Vec<HeaderName>,
    /// Whether its sender takes trailers, which is the one word of `TE` that is worth something further on
    /// (gRPC asks for it).
    pub(super) takes_trailers: bool,
}

impl Hop {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        fn words<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
            let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
            lines.flat_map(|line| line.split(',')).map(str::trim)
        }
        let named = words(headers, &CONNECTION).filter_map(|name| name.parse().ok());
        let mut named: Vec<HeaderName> = named.filter(|name| headers.contains_key(name)).collect();
        named.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        named.dedup();
        Self {
            named,
            takes_trailers: words(headers, &TE).any(|word| word.eq_ignore_ascii_case("trailers")),
        }
    }

    /// Whether a header stays behind: a fixed one of each hop, or one that any `Connection` line names.
    pub(super) fn keeps(&self, name: &HeaderName) -> bool {
        is_hop_by_hop(name)
            || self.named.binary_search_by(|named| named.as_str().cmp(name.as_str())).is_ok()
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    )
}

/// Why the head of an answer has no single meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AnswerHeadFault {
    #[error("an upgrade that was not asked for")]
    Upgrade,
    #[error("a length together with a transfer coding")]
    LengthAndCoding,
    #[error("more than one length")]
    Lengths,
    #[error("a transfer coding other than `chunked`")]
    Coding,
}

/// Refuses an answer whose end two readers could find in two places (RFC 9112 §6.3): the library picks one,
/// and the client another.
pub(super) fn judge_answer(status: StatusCode, headers: &HeaderMap) -> Result<(), AnswerHeadFault> {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(AnswerHeadFault::Upgrade);
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let (coding, length) = (codings.next(), lengths.next());
    if coding.is_some() && length.is_some() {
        return Err(AnswerHeadFault::LengthAndCoding);
    }
    if lengths.next().is_some()
        || length.is_some_and(|length| {
            length.is_empty() || !length.as_bytes().iter().all(u8::is_ascii_digit)
        })
    {
        return Err(AnswerHeadFault::Lengths);
    }
    let is_chunked = coding.is_none_or(|it| it.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !is_chunked || codings.next().is_some() {
        return Err(AnswerHeadFault::Coding);
    }
    Ok(())
}

/// Removes from an answer what is not for the client: the headers of the hop, what speaks in our name,
/// `Alt-Svc`, by which an API would invite clients to another door than this one, and a length where none
/// can be (RFC 9110 §8.6).
pub(super) fn clean_answer(status: StatusCode, headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    headers.remove(ALT_SVC);
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    }
    remove_where(headers, is_ours);
}

/// The same for the trailers of an answer, which may carry less than its headers.
pub(super) fn remove_from_answer_trailers(trailers: &mut HeaderMap) {
    remove_where(trailers, |name| is_ours(name) || is_never_in_trailers(name));
}

/// Removes the headers of this hop.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let hop = Hop::of(headers);
    remove_where(headers, |name| hop.keeps(name));
}

fn remove_where(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    // Most often there are none, and then nothing is hashed or allocated.
    let named: Vec<HeaderName> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
    for name in &named {
        headers.remove(name);
    }
}

/// Removes from the trailers what would be removed, rewritten or judged as a header: the rule's own
/// sources too, in any spelling, since some servers merge trailers into the headers.
pub(super) fn remove_from_trailers(trailers: &mut HeaderMap, sources: &[HeaderName]) {
    let is_source = |name: &HeaderName| {
        sources.iter().any(|source| folded(name.as_str()).eq(folded(source.as_str())))
    };
    remove_where(trailers, |name| {
        is_pretender(name)
            || speaks_of_the_way(name)
            || is_source(name)
            || is_never_in_trailers(name)
    });
}

/// Whether an API could take this header for one of ours, or for an override.
pub(super) fn is_pretender(name: &HeaderName) -> bool {
    match name.as_str().as_bytes().first() {
        Some(b'p') => is_ours(name),
        Some(b'x') => OVERRIDES.iter().any(|text| folded(name.as_str()).eq(text.bytes())),
        Some(_) | None => false,
    }
}

/// Whether it could be taken for a header that Portvakt sets.
fn is_ours(name: &HeaderName) -> bool {
    let mut bytes = folded(name.as_str());
    OURS.bytes().all(|expected| bytes.next() == Some(expected))
}

fn is_never_in_trailers(name: &HeaderName) -> bool {
    NEVER_IN_TRAILERS.iter().any(|text| folded(name.as_str()).eq(text.bytes()))
}

/// Servers that map headers to variables cannot tell `_` and `.` from `-`.
pub(super) fn folded(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|byte| if matches!(byte, b'_' | b'.') { b'-' } else { byte })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

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
    fn words_of_connection_are_kept_once_and_only_where_they_name_something() {
        let words = "x-b, a, x-a,".repeat(5_000);
        let hop =
            Hop::of(&map(&[("connection", &words), ("x-a", "1"), ("x-b", "1"), ("x-c", "1")]));
        assert_eq!(hop.named, ["x-a", "x-b"]);
        let kept =
            ["x-a", "x-b", "x-c", "connection"].map(|name| hop.keeps(&name.parse().unwrap()));
        assert_eq!(kept, [true, true, false, true]);
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
            ("authorization", "1"),
            ("content_length", "1"),
            ("host", "1"),
            ("cookie", "1"),
            ("x-checksum", "1"),
            ("grpc-status", "0"),
        ]);
        remove_from_trailers(&mut trailers, &sources);
        let mut kept: Vec<_> = trailers.keys().map(HeaderName::as_str).collect();
        kept.sort_unstable();
        assert_eq!(kept, ["grpc-status", "x-checksum"]);
    }

    #[test]
    fn an_answer_that_ends_in_two_places_is_none() {
        for (lines, verdict) in [
            (vec![], Ok(())),
            (vec![("content-length", "0")], Ok(())),
            (vec![("transfer-encoding", "Chunked")], Ok(())),
            (vec![("content-length", "5"), ("content-length", "5")], Err(AnswerHeadFault::Lengths)),
            (vec![("content-length", "5, 5")], Err(AnswerHeadFault::Lengths)),
            (vec![("content-length", "+5")], Err(AnswerHeadFault::Lengths)),
            (vec![("content-length", "")], Err(AnswerHeadFault::Lengths)),
            (
                vec![("content-length", "5"), ("transfer-encoding", "chunked")],
                Err(AnswerHeadFault::LengthAndCoding),
            ),
            (vec![("transfer-encoding", "gzip, chunked")], Err(AnswerHeadFault::Coding)),
            (vec![("transfer-encoding", "gzip")], Err(AnswerHeadFault::Coding)),
            (
                vec![("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
                Err(AnswerHeadFault::Coding),
            ),
        ] {
            assert_eq!(judge_answer(StatusCode::OK, &map(&lines)), verdict, "{lines:?}");
        }
        let switching = judge_answer(StatusCode::SWITCHING_PROTOCOLS, &map(&[]));
        assert_eq!(switching, Err(AnswerHeadFault::Upgrade));
    }

    #[test]
    fn an_answer_says_nothing_in_our_name_nor_of_another_door() {
        let lines = [
            ("portvakt-rule", "x"),
            ("portvakt_party", "x"),
            ("alt-svc", "h3=\":443\""),
            ("content-length", "0"),
            ("set-cookie", "a"),
            ("set-cookie", "b"),
        ];
        let mut headers = map(&lines);
        clean_answer(StatusCode::NO_CONTENT, &mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["set-cookie"]);
        assert_eq!(headers.len(), 2);
        let mut trailers = map(&[("grpc-status", "0"), ("set-cookie", "a"), ("portvakt.x", "1")]);
        remove_from_answer_trailers(&mut trailers);
        assert_eq!(trailers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["grpc-status"]);
    }
}
