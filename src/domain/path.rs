//! The path of a request, unambiguous or refused: the bytes matched are the bytes forwarded.
//!
//! Nothing here repairs, normalises or rebuilds a path. Whatever two servers might read differently is a
//! [`PathFault`] (RFC 3986 §3.3 for what a segment may hold; dot segments, empty segments and encoded
//! separators because proxies and frameworks disagree about them).

use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::fmt;

/// A canonical path: starts with `/`, every segment non-empty and not a dot segment, raw and decoded.
///
/// `/` has no segments. One final slash is legal and makes another path. A segment may hold an encoded
/// slash; it is marked, and only a rule that allows it for that capture lets it through.
#[derive(Clone)]
pub struct RequestPath {
    // Invariant: `judge` accepted the path of this. A query behind it is not looked at here.
    raw: PathAndQuery,
    escapes: Escapes,
}

/// What percent-escapes a path holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Escapes {
    Absent,
    /// None of them a slash.
    Harmless,
    Slashes,
}

/// One segment: its bytes as received, and what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// As received, and as forwarded.
    pub raw: &'a str,
    /// Percent-decoded once.
    pub decoded: Cow<'a, str>,
    /// Whether `decoded` holds a `/` that was percent-encoded.
    pub encoded_slash: bool,
}

/// Why a path is ambiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// Does not begin with `/`.
    #[error("the path does not begin with a slash")]
    NoLeadingSlash,
    /// `%` without two hex digits.
    #[error("a percent-escape is broken")]
    BrokenEscape,
    /// A byte that RFC 3986 does not allow in a path, or one that servers read differently (`\`, `;`).
    #[error("the path holds a byte that is not allowed there")]
    ForbiddenByte,
    /// An escape that decodes to a control byte, `\` or `;`.
    #[error("a percent-escape hides a byte that is not allowed")]
    ForbiddenEscape,
    /// An escape of a character that never needs one (RFC 3986 §2.3).
    #[error("a character is percent-encoded without need")]
    NeedlessEscape,
    /// An escape remains after one decoding.
    #[error("the path is percent-encoded twice")]
    DoubleEncoding,
    /// `//`.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `.` or `..`.
    #[error("the path has a dot segment")]
    DotSegment,
    /// Not UTF-8 once decoded.
    #[error("the path is not valid UTF-8 once decoded")]
    NotUtf8,
    /// More than [`RequestPath::MAX_SEGMENTS`].
    #[error("the path has too many segments")]
    TooManySegments,
}

impl RequestPath {
    /// Bounds the work of matching one path.
    pub const MAX_SEGMENTS: usize = 256;

    /// Accepts a canonical path, refuses every other.
    pub fn parse(raw: &str) -> Result<Self, PathFault> {
        judge(raw)?;
        Self::of(PathAndQuery::try_from(raw).map_err(|_| PathFault::ForbiddenByte)?)
    }

    /// The same of the path of a target.
    pub(super) fn of(raw: PathAndQuery) -> Result<Self, PathFault> {
        let escapes = judge(raw.path())?;
        Ok(Self { raw, escapes })
    }

    /// The bytes as received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.raw.path()
    }

    /// The target that it is the path of.
    pub(super) fn with_query(&self) -> &PathAndQuery {
        &self.raw
    }

    /// Whether a final slash follows the last segment.
    #[must_use]
    pub fn ends_with_slash(&self) -> bool {
        self.as_str().len() > 1 && self.as_str().ends_with('/')
    }

    /// Whether any segment holds an encoded slash.
    #[must_use]
    pub fn has_encoded_slashes(&self) -> bool {
        self.escapes == Escapes::Slashes
    }

    /// The segments in order; none for `/`.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        let raw = self.as_str();
        let inner = raw.strip_prefix('/').unwrap_or(raw);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        Parts(Some(inner)).filter(|raw| !raw.is_empty()).map(|raw| {
            let decoded = match self.escapes {
                Escapes::Absent => Cow::Borrowed(raw),
                Escapes::Harmless | Escapes::Slashes => percent_decode_str(raw).decode_utf8_lossy(),
            };
            let encoded_slash = self.has_encoded_slashes() && decoded.contains('/');
            Segment { raw, decoded, encoded_slash }
        })
    }
}

impl PartialEq for RequestPath {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for RequestPath {}

impl fmt::Debug for RequestPath {
    /// Without the query behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What stands between slashes, as `str::split` gives it. Segments are short: what the search of the standard
/// library takes to begin is more than they take to be gone through.
struct Parts<'a>(Option<&'a str>);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0?;
        match rest.bytes().position(|byte| byte == b'/') {
            Some(slash) => {
                self.0 = rest.get(slash + 1..);
                rest.get(..slash)
            }
            None => self.0.take(),
        }
    }
}

/// Judges a path.
fn judge(raw: &str) -> Result<Escapes, PathFault> {
    let inner = raw.strip_prefix('/').ok_or(PathFault::NoLeadingSlash)?;
    if inner.is_empty() {
        return Ok(Escapes::Absent);
    }
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let mut escapes = Escapes::Absent;
    for (index, segment) in Parts(Some(inner)).enumerate() {
        if index >= RequestPath::MAX_SEGMENTS {
            return Err(PathFault::TooManySegments);
        }
        escapes = escapes.max(judge_segment(segment)?);
    }
    Ok(escapes)
}

fn judge_segment(raw: &str) -> Result<Escapes, PathFault> {
    if raw.is_empty() {
        return Err(PathFault::EmptySegment);
    }
    if matches!(raw, "." | "..") {
        return Err(PathFault::DotSegment);
    }
    let mut bytes = raw.bytes();
    let mut escapes = Escapes::Absent;
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            if !is_segment_byte(byte) {
                return Err(PathFault::ForbiddenByte);
            }
            continue;
        }
        escapes = escapes.max(Escapes::Harmless);
        let (Some(high), Some(low)) = (bytes.next().and_then(hex), bytes.next().and_then(hex))
        else {
            return Err(PathFault::BrokenEscape);
        };
        match high << 4 | low {
            b'/' => escapes = Escapes::Slashes,
            0..=0x1F | 0x7F | b'\\' | b';' => return Err(PathFault::ForbiddenEscape),
            // Escaped dots are dot segments in disguise; the more telling fault is named first.
            byte if is_unreserved(byte) => {
                let dots = percent_decode_str(raw).all(|byte| byte == b'.');
                return Err(if dots { PathFault::DotSegment } else { PathFault::NeedlessEscape });
            }
            _ => {}
        }
    }
    if escapes > Escapes::Absent {
        judge_decoded(raw)?;
    }
    Ok(escapes)
}

/// What only shows once decoded: UTF-8, an escape that remains, and dot or empty parts around a slash.
fn judge_decoded(raw: &str) -> Result<(), PathFault> {
    let decoded = percent_decode_str(raw).decode_utf8().map_err(|_| PathFault::NotUtf8)?;
    if decoded.chars().any(char::is_control) {
        return Err(PathFault::ForbiddenEscape);
    }
    let bytes = decoded.as_bytes();
    let remains = bytes.windows(3).any(
        |three| matches!(three, [b'%', high, low] if hex(*high).is_some() && hex(*low).is_some()),
    );
    if remains {
        return Err(PathFault::DoubleEncoding);
    }
    for part in Parts(Some(&decoded)) {
        match part {
            "" => return Err(PathFault::EmptySegment),
            "." | ".." => return Err(PathFault::DotSegment),
            _ => {}
        }
    }
    Ok(())
}

/// `pchar` of RFC 3986 §3.3 without `%` and without `;`, which some servers cut off as a parameter.
fn is_segment_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@'
        )
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_are_what_splitting_gives(text in "[/aé]{0,12}") {
            let split: Vec<_> = text.split('/').collect();
            prop_assert_eq!(Parts(Some(&text)).collect::<Vec<_>>(), split);
        }
    }

    fn fault(raw: &str) -> Option<PathFault> {
        RequestPath::parse(raw).err()
    }

    #[test]
    fn ordinary_paths_keep_their_bytes_and_decode_by_segment() {
        let path = RequestPath::parse("/v1/bl%C3%A5b%C3%A6r/a%20b/100%25/@:!$&'()*+,=~").unwrap();
        let decoded: Vec<_> = path.segments().map(|segment| segment.decoded.into_owned()).collect();
        assert_eq!(decoded, ["v1", "blåbær", "a b", "100%", "@:!$&'()*+,=~"]);
        assert_eq!(path.as_str(), "/v1/bl%C3%A5b%C3%A6r/a%20b/100%25/@:!$&'()*+,=~");
    }

    #[test]
    fn the_root_has_no_segments_and_a_final_slash_is_seen() {
        let root = RequestPath::parse("/").unwrap();
        assert_eq!((root.segments().count(), root.ends_with_slash()), (0, false));
        let folder = RequestPath::parse("/a/").unwrap();
        assert_eq!((folder.segments().count(), folder.ends_with_slash()), (1, true));
    }

    #[test]
    fn each_ambiguity_is_refused_for_its_own_reason() {
        for (raw, expected) in [
            ("", PathFault::NoLeadingSlash),
            ("v1/orgs", PathFault::NoLeadingSlash),
            ("*", PathFault::NoLeadingSlash),
            ("//v1", PathFault::EmptySegment),
            ("/v1//orgs", PathFault::EmptySegment),
            ("/v1//", PathFault::EmptySegment),
            ("//", PathFault::EmptySegment),
            ("/v1/./orgs", PathFault::DotSegment),
            ("/v1/../orgs", PathFault::DotSegment),
            ("/v1/..", PathFault::DotSegment),
            ("/%2e%2e/orgs", PathFault::DotSegment),
            ("/%2E./orgs", PathFault::DotSegment),
            ("/.%2e/orgs", PathFault::DotSegment),
            ("/%6f%70en", PathFault::NeedlessEscape),
            ("/a%2Db", PathFault::NeedlessEscape),
            ("/a\\b", PathFault::ForbiddenByte),
            ("/a;x=1/b", PathFault::ForbiddenByte),
            ("/..;/b", PathFault::ForbiddenByte),
            ("/a\tb", PathFault::ForbiddenByte),
            ("/blåbær", PathFault::ForbiddenByte),
            ("/a#b", PathFault::ForbiddenByte),
            ("/a|b", PathFault::ForbiddenByte),
            ("/a%5cb", PathFault::ForbiddenEscape),
            ("/a%3Bb", PathFault::ForbiddenEscape),
            ("/a%00", PathFault::ForbiddenEscape),
            ("/a%0d%0a", PathFault::ForbiddenEscape),
            ("/a%7F", PathFault::ForbiddenEscape),
            ("/a%C2%85", PathFault::ForbiddenEscape),
            ("/%", PathFault::BrokenEscape),
            ("/%2", PathFault::BrokenEscape),
            ("/%zz", PathFault::BrokenEscape),
            ("/%+1", PathFault::BrokenEscape),
            ("/%252e%252e", PathFault::DoubleEncoding),
            ("/a%252Fb", PathFault::DoubleEncoding),
            ("/%ff", PathFault::NotUtf8),
            ("/%c0%ae", PathFault::NotUtf8),
            ("/a%2F..%2Fb", PathFault::DotSegment),
            ("/a%2F", PathFault::EmptySegment),
        ] {
            assert_eq!(fault(raw), Some(expected), "{raw}");
        }
    }

    #[test]
    fn the_last_allowed_number_of_segments_passes_and_the_next_does_not() {
        assert_eq!(fault(&"/a".repeat(RequestPath::MAX_SEGMENTS)), None);
        assert_eq!(
            fault(&"/a".repeat(RequestPath::MAX_SEGMENTS + 1)),
            Some(PathFault::TooManySegments)
        );
    }

    #[test]
    fn an_encoded_slash_is_marked_and_left_to_the_rule() {
        let path = RequestPath::parse("/files/a%2Fb/c").unwrap();
        assert!(path.has_encoded_slashes());
        let marks: Vec<_> = path
            .segments()
            .map(|segment| (segment.decoded.into_owned(), segment.encoded_slash))
            .collect();
        assert_eq!(
            marks,
            [("files".to_owned(), false), ("a/b".to_owned(), true), ("c".to_owned(), false)]
        );
    }

    proptest! {
        #[test]
        fn what_is_accepted_has_no_separator_or_dots_in_any_decoded_segment(raw in "/[a-c./%2eEfF5C;\\\\]{0,24}") {
            if let Ok(path) = RequestPath::parse(&raw) {
                prop_assert_eq!(path.as_str(), raw.as_str());
                for segment in path.segments() {
                    prop_assert!(!segment.decoded.is_empty());
                    prop_assert!(segment.encoded_slash || !segment.decoded.contains('/'));
                    for part in segment.decoded.split('/') {
                        prop_assert!(part != "." && part != ".." && !part.is_empty());
                    }
                    prop_assert!(!segment.decoded.contains(['\\', ';', '\0']));
                }
            }
        }

        #[test]
        fn no_text_panics(raw in ".{0,80}") {
            let _ = RequestPath::parse(&raw);
        }

        #[test]
        fn segments_rebuild_the_very_bytes(raw in "(/[a-z0-9]{1,4}){1,6}/?") {
            let path = RequestPath::parse(&raw).unwrap();
            let mut rebuilt: String = path.segments().flat_map(|segment| ["/", segment.raw]).collect();
            if path.ends_with_slash() { rebuilt.push('/'); }
            prop_assert_eq!(rebuilt, raw);
        }
    }
}
