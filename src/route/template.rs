//! The path of a rule: literal segments, captures and an optional rest.
//!
//! Holds what a template *is* and how specific it is; walking many templates at once is `tree`'s. Literals
//! are written decoded. Invariant: some canonical path matches every template.

use super::alike::is_alike;
use crate::domain::{RequestPath, Segment};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// A path template: `/mva/{orgnr}/melding`, `/files/{*rest}`, `/dialogs/`.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    // Invariant: `parse` accepted this text, and `segments` and `final_slash` are what it says.
    text: Arc<str>,
    segments: Box<[TemplateSegment]>,
    final_slash: bool,
}

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateSegment {
    /// This text, decoded.
    Literal(Box<str>),
    /// Any one segment, under this name.
    Capture(Box<str>),
    /// One or more segments up to the end, under this name.
    Rest(Box<str>),
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    /// Does not begin with `/`.
    #[error("the path `{0}` does not begin with a slash")]
    NoLeadingSlash(String),
    /// `//`
    #[error("the path `{0}` has an empty segment")]
    EmptySegment(String),
    /// More segments than a request may have.
    #[error("the path has more than {max} segments", max = RequestPath::MAX_SEGMENTS)]
    TooManySegments,
    /// `.` or `..`
    #[error("the segment `{0}` is a dot segment, which no request may hold")]
    DotSegment(String),
    /// Percent-escape in a literal.
    #[error("the segment `{0}` is percent-encoded")]
    Encoded(String),
    /// A character no request path may hold, or that belongs to the query or fragment.
    #[error("the segment `{0}` holds a character that never matches")]
    ForbiddenCharacter(String),
    /// `*` or `**`, as other routers write captures.
    #[error("the segment `{0}` is no wildcard here")]
    Star(String),
    /// A brace that does not enclose the whole segment.
    #[error("the braces in `{0}` do not enclose one whole segment")]
    StrayBrace(String),
    /// Not a capture name.
    #[error("`{0}` is not a name for a capture")]
    CaptureName(String),
    /// The same name twice, also in other letters.
    #[error("the capture `{0}` occurs twice")]
    RepeatedCapture(String),
    /// `{*name}` before the end.
    #[error("the rest `{{*{0}}}` is not the last segment")]
    RestNotLast(String),
}

impl TemplateFault {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoLeadingSlash(_) => "write the path from its root, such as `/mva/{orgnr}`",
            Self::EmptySegment(_) => "write single slashes; one final slash makes another path",
            Self::TooManySegments => "use `{*rest}` for the deep part of the path",
            Self::DotSegment(_) => "write the path as it is once resolved",
            Self::Encoded(_) => {
                "write the decoded text, `blåbær` rather than `bl%C3%A5b%C3%A6r`; requests are decoded before comparing"
            }
            Self::ForbiddenCharacter(_) => {
                "control characters, `\\` and `;` are refused in every request; put query conditions under `match.query`"
            }
            Self::Star(_) => "write `{name}` for one segment, `{*name}` for the rest",
            Self::StrayBrace(_) => {
                "a capture fills a whole segment: `{name}`, or `{*name}` as the last"
            }
            Self::CaptureName(_) => {
                "a capture name begins with a letter and has at most 64 letters, digits, `_` and `-`"
            }
            Self::RepeatedCapture(_) => {
                "give each capture a name of its own, also when case is ignored"
            }
            Self::RestNotLast(_) => "move `{*name}` to the end, or capture single segments",
        }
    }
}

/// The value of a capture in [`Template::sample`].
const SAMPLE_VALUE: &str = "sample-value";

/// Percent-encodes what is not a `pchar` (RFC 3986 §3.3).
fn push_encoded(path: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
}

impl Template {
    /// The template as the rule writes it.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// A canonical path that it matches: captures have a value that stands in no API's paths.
    #[must_use]
    pub fn sample(&self) -> String {
        self.sample_with(|_| None)
    }

    /// The same, with these values for captures that have one.
    #[must_use]
    pub fn sample_with<'v>(&self, value_of: impl Fn(&str) -> Option<&'v str>) -> String {
        let mut path = String::new();
        for segment in &self.segments {
            path.push('/');
            match segment {
                TemplateSegment::Literal(text) => push_encoded(&mut path, text),
                TemplateSegment::Capture(name) | TemplateSegment::Rest(name) => {
                    push_encoded(&mut path, value_of(name).unwrap_or(SAMPLE_VALUE));
                }
            }
        }
        if path.is_empty() || self.final_slash {
            path.push('/');
        }
        path
    }

    /// Bounds what is carried in records and compared per request.
    pub const MAX_CAPTURE_NAME_BYTES: usize = 64;

    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateFault> {
        let inner =
            text.strip_prefix('/').ok_or_else(|| TemplateFault::NoLeadingSlash(text.to_owned()))?;
        if inner.is_empty() {
            return Ok(Self { text: text.into(), segments: Box::default(), final_slash: false });
        }
        let (inner, final_slash) = match inner.strip_suffix('/') {
            Some(stripped) => (stripped, true),
            None => (inner, false),
        };
        let mut segments: Vec<TemplateSegment> = Vec::new();
        for written in inner.split('/') {
            if let Some(TemplateSegment::Rest(name)) = segments.last() {
                return Err(TemplateFault::RestNotLast(name.to_string()));
            }
            if written.is_empty() {
                return Err(TemplateFault::EmptySegment(text.to_owned()));
            }
            let segment = parse_segment(written)?;
            if let Some(name) = segment.name() {
                let known = segments.iter().filter_map(TemplateSegment::name);
                if known.into_iter().any(|other| is_alike(other, name)) {
                    return Err(TemplateFault::RepeatedCapture(name.to_owned()));
                }
            }
            segments.push(segment);
            if segments.len() > RequestPath::MAX_SEGMENTS {
                return Err(TemplateFault::TooManySegments);
            }
        }
        Ok(Self { text: text.into(), segments: segments.into(), final_slash })
    }

    /// The template as written; safe for records and metrics.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The template as written, shared.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The segments in order.
    #[must_use]
    pub fn segments(&self) -> &[TemplateSegment] {
        &self.segments
    }

    /// Whether a final slash belongs to the path.
    #[must_use]
    pub fn ends_with_slash(&self) -> bool {
        self.final_slash
    }

    /// The names of captures and rest, in order.
    pub fn capture_names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(TemplateSegment::name)
    }

    /// Which of two templates that match the same path is more specific; `Greater` is more.
    pub(super) fn compare_specificity(&self, other: &Self) -> Ordering {
        self.segments
            .iter()
            .map(TemplateSegment::weight)
            .cmp(other.segments.iter().map(TemplateSegment::weight))
    }

    /// What the capture (or rest) of this name holds in a path that matches, decoded.
    pub(super) fn capture<'p>(&self, name: &str, path: &'p RequestPath) -> Option<Cow<'p, str>> {
        let index = self.segments.iter().position(|segment| segment.name() == Some(name))?;
        let mut rest = path.segments().skip(index);
        match self.segments.get(index)? {
            TemplateSegment::Literal(_) => None,
            TemplateSegment::Capture(_) => rest.next().map(|segment| segment.decoded),
            TemplateSegment::Rest(_) => {
                let mut joined = rest.next()?.decoded;
                for Segment { decoded, .. } in rest {
                    let joined = joined.to_mut();
                    joined.push('/');
                    joined.push_str(&decoded);
                }
                Some(joined)
            }
        }
    }

    /// The name of the capture (or rest) that the segment at `index` of a matching path falls to.
    pub(super) fn name_at(&self, index: usize) -> Option<&str> {
        let last = self.segments.len().checked_sub(1)?;
        self.segments.get(index.min(last))?.name()
    }
}

impl TemplateSegment {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Capture(name) | Self::Rest(name) => Some(name),
        }
    }

    fn weight(&self) -> u8 {
        match self {
            Self::Literal(_) => 3,
            Self::Capture(_) => 2,
            Self::Rest(_) => 1,
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_segment(written: &str) -> Result<TemplateSegment, TemplateFault> {
    if written.contains(['?', '#']) {
        return Err(TemplateFault::ForbiddenCharacter(written.to_owned()));
    }
    let enclosed = written.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let Some(inside) = enclosed else { return parse_literal(written) };
    let (name, is_rest) = match inside.strip_prefix('*') {
        Some(name) => (name, true),
        None => (inside, false),
    };
    if name.contains(['{', '}']) {
        return Err(TemplateFault::StrayBrace(written.to_owned()));
    }
    if !is_capture_name(name) {
        return Err(TemplateFault::CaptureName(name.to_owned()));
    }
    let name = Box::from(name);
    Ok(if is_rest { TemplateSegment::Rest(name) } else { TemplateSegment::Capture(name) })
}

/// Whether a capture may have this name.
pub(super) fn is_capture_name(name: &str) -> bool {
    name.len() <= Template::MAX_CAPTURE_NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Refuses what `RequestPath` never lets through once decoded, so that no rule waits in vain.
fn parse_literal(written: &str) -> Result<TemplateSegment, TemplateFault> {
    let owned = || written.to_owned();
    if written.contains(['{', '}']) {
        return Err(TemplateFault::StrayBrace(owned()));
    }
    if matches!(written, "." | "..") {
        return Err(TemplateFault::DotSegment(owned()));
    }
    if matches!(written, "*" | "**") {
        return Err(TemplateFault::Star(owned()));
    }
    let escaped = written.as_bytes().windows(3).any(|three| {
        matches!(three, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    });
    if escaped {
        return Err(TemplateFault::Encoded(owned()));
    }
    if written.contains(|c: char| c.is_control() || matches!(c, '\\' | ';' | '?' | '#')) {
        return Err(TemplateFault::ForbiddenCharacter(written.escape_debug().to_string()));
    }
    Ok(TemplateSegment::Literal(written.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn literals_captures_rest_and_final_slash_are_read() {
        let template = Template::parse("/v1/blåbær/{orgnr}/{*rest}").unwrap();
        assert_eq!(
            template.segments(),
            [
                TemplateSegment::Literal("v1".into()),
                TemplateSegment::Literal("blåbær".into()),
                TemplateSegment::Capture("orgnr".into()),
                TemplateSegment::Rest("rest".into()),
            ]
        );
        assert!(!template.ends_with_slash());
        assert!(Template::parse("/a/").unwrap().ends_with_slash());
        assert!(Template::parse("/").unwrap().segments().is_empty());
        assert_eq!(template.capture_names().collect::<Vec<_>>(), ["orgnr", "rest"]);
    }

    #[test]
    fn each_fault_is_told_apart() {
        let text = |text: &str| text.to_owned();
        for (written, fault) in [
            ("", TemplateFault::NoLeadingSlash(text(""))),
            ("a", TemplateFault::NoLeadingSlash(text("a"))),
            ("//", TemplateFault::EmptySegment(text("//"))),
            ("/a//b", TemplateFault::EmptySegment(text("/a//b"))),
            ("/a/../b", TemplateFault::DotSegment(text(".."))),
            ("/a%2Fb", TemplateFault::Encoded(text("a%2Fb"))),
            ("/a;b", TemplateFault::ForbiddenCharacter(text("a;b"))),
            ("/a?b", TemplateFault::ForbiddenCharacter(text("a?b"))),
            ("/a/*", TemplateFault::Star(text("*"))),
            ("/a{b}", TemplateFault::StrayBrace(text("a{b}"))),
            ("/{a}{b}", TemplateFault::StrayBrace(text("{a}{b}"))),
            ("/{}", TemplateFault::CaptureName(text(""))),
            ("/{1a}", TemplateFault::CaptureName(text("1a"))),
            ("/{a}/{A}", TemplateFault::RepeatedCapture(text("A"))),
            ("/{*a}/b", TemplateFault::RestNotLast(text("a"))),
        ] {
            assert_eq!(Template::parse(written), Err(fault), "{written}");
        }
    }

    #[test]
    fn a_rest_joins_what_is_left_and_a_capture_takes_one() {
        let template = Template::parse("/f/{id}/{*rest}").unwrap();
        let path = RequestPath::parse("/f/a%20b/c/d%20e/f").unwrap();
        assert_eq!(template.capture("id", &path).unwrap(), "a b");
        assert_eq!(template.capture("rest", &path).unwrap(), "c/d e/f");
        assert_eq!(template.capture("other", &path), None);
        assert_eq!((template.name_at(0), template.name_at(1)), (None, Some("id")));
        assert_eq!((template.name_at(2), template.name_at(9)), (Some("rest"), Some("rest")));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_keeps_its_text(text in "[/a{}*%.;é0 +:@'\"-]{0,30}") {
            if let Ok(template) = Template::parse(&text) {
                prop_assert_eq!(template.as_str(), text);
                let sample = template.sample();
                let path = RequestPath::parse(&sample).map_err(|_| TestCaseError::fail(sample))?;
                for segment in template.segments() {
                    if let TemplateSegment::Literal(literal) = segment {
                        prop_assert!(path.segments().any(|one| one.decoded == **literal));
                    }
                }
            }
        }
    }
}
