//! Where in a request a value is found, as a rule writes it: `path:orgnr`, `json:/sender`.
//!
//! Holds the name of the place only; reading it is `values`', and judging its surroundings `ambiguity`'s.

use super::pointer::{Pointer, PointerFault};
use super::template::is_capture_name;
use super::xml_path::{XmlPath, XmlPathFault};
use http::HeaderName;
use std::fmt;
use std::sync::Arc;

/// A place that yields exactly one value, or refuses the request. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    // Invariant: `place` is what `text` says.
    text: Arc<str>,
    place: Place,
}

/// The kinds of place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `path:NAME`: a capture of the template.
    Path(Arc<str>),
    /// `query:NAME`
    Query(Arc<str>),
    /// `header:NAME`
    Header(HeaderName),
    /// `json:/pointer`
    Json(Pointer),
    /// `xml:/path`
    Xml(XmlPath),
    /// `form:NAME`
    Form(Arc<str>),
    /// `token:systemuser_org`: the organization that owns the system user.
    SystemUserOwner,
    /// `token:consumer`
    Consumer,
    /// `const:VALUE`
    Const(Arc<str>),
}

/// Why a text is not a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    /// No known prefix.
    #[error("`{0}` is not a source")]
    Unknown(String),
    /// `multipart:`
    #[error("a multipart body is never a source")]
    Multipart,
    /// Nothing behind the prefix.
    #[error("the source `{0}` names nothing")]
    Empty(String),
    /// Longer than [`Source::MAX_BYTES`].
    #[error("the source is longer than {max} bytes", max = Source::MAX_BYTES)]
    TooLong,
    /// Not the name of a capture.
    #[error("`{0}` is not the name of a capture")]
    CaptureName(String),
    /// A control character, or a character that separates pairs or lists.
    #[error("`{0}` is not a name for a query parameter")]
    QueryName(String),
    /// The same, of a form.
    #[error("`{0}` is not a name for a field of a form")]
    FormName(String),
    /// Not a header name.
    #[error("`{0}` is not a header name")]
    HeaderName(String),
    /// A header the API behind does not receive as it was sent.
    #[error("the header `{0}` cannot be a source")]
    HeaderNotOurs(String),
    /// Not `token:systemuser_org` or `token:consumer`.
    #[error("`token:{0}` is not a source")]
    TokenClaim(String),
    /// The pointer is wrong.
    #[error(transparent)]
    Pointer(#[from] PointerFault),
    /// The path into XML is wrong.
    #[error(transparent)]
    XmlPath(#[from] XmlPathFault),
}

impl SourceFault {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unknown(_) | Self::Empty(_) => {
                "write `path:NAME`, `query:NAME`, `header:NAME`, `json:/pointer`, `xml:/path`, `form:NAME`, `token:systemuser_org`, `token:consumer` or `const:VALUE`"
            }
            Self::Multipart => "let the client state the value in the path, the query or a header",
            Self::TooLong => "name the value more briefly",
            Self::CaptureName(_) => "name a capture of `match.path`, without braces",
            Self::QueryName(_) | Self::FormName(_) => {
                "write the decoded name, without `&`, `=`, `;` or `,`"
            }
            Self::HeaderName(_) => "write one header name, such as `header:X-Org`",
            Self::HeaderNotOurs(_) => {
                "this header is removed, rewritten or judged by Portvakt itself; use one of the API's own"
            }
            Self::TokenClaim(_) => {
                "the token yields `token:systemuser_org` and `token:consumer`; it never names an agent's clients"
            }
            Self::Pointer(fault) => fault.help(),
            Self::XmlPath(fault) => fault.help(),
        }
    }
}

/// Headers that are hop-by-hop, credentials, framing, or rewritten on their way, so that the
/// value judged would not be the value the API reads.
const NOT_SOURCES: [&str; 23] = [
    "authorization",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-connection",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "host",
    "expect",
    "cookie",
    "content-length",
    "content-encoding",
    "forwarded",
    "x-real-ip",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

impl Source {
    /// Bounds what a refusal repeats in `parameter`.
    pub const MAX_BYTES: usize = 512;

    /// Reads a source.
    pub fn parse(text: &str) -> Result<Self, SourceFault> {
        if text.len() > Self::MAX_BYTES {
            return Err(SourceFault::TooLong);
        }
        let (kind, name) =
            text.split_once(':').ok_or_else(|| SourceFault::Unknown(text.to_owned()))?;
        let place = match kind {
            "multipart" => return Err(SourceFault::Multipart),
            "path" | "query" | "header" | "json" | "xml" | "form" | "token" | "const"
                if name.is_empty() =>
            {
                return Err(SourceFault::Empty(text.to_owned()));
            }
            "path" if is_capture_name(name) => Place::Path(name.into()),
            "path" => return Err(SourceFault::CaptureName(name.to_owned())),
            "query" if is_query_name(name) => Place::Query(name.into()),
            "query" => return Err(SourceFault::QueryName(name.to_owned())),
            "header" => Place::Header(parse_header(name)?),
            "json" => Place::Json(Pointer::parse(name)?),
            "xml" => Place::Xml(XmlPath::parse(name)?),
            "form" if is_query_name(name) => Place::Form(name.into()),
            "form" => return Err(SourceFault::FormName(name.to_owned())),
            "token" => match name {
                "systemuser_org" => Place::SystemUserOwner,
                "consumer" => Place::Consumer,
                other => return Err(SourceFault::TokenClaim(other.to_owned())),
            },
            "const" => Place::Const(name.into()),
            _ => return Err(SourceFault::Unknown(text.to_owned())),
        };
        Ok(Self { text: text.into(), place })
    }

    /// The source as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The source as written, shared: what a refusal names.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The place it names.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }
}

impl Place {
    /// Whether a request can do without it: then it may be one of several, or have a stand-in.
    pub(super) fn may_be_absent(&self) -> bool {
        match self {
            Self::Query(_) | Self::Header(_) | Self::Json(_) | Self::Xml(_) | Self::Form(_) => true,
            Self::Path(_) | Self::SystemUserOwner | Self::Consumer | Self::Const(_) => false,
        }
    }
}

/// Whether a query parameter may have this name in a rule.
pub(super) fn is_query_name(name: &str) -> bool {
    !name.is_empty()
        && name.trim() == name
        && !name.contains(|c: char| c.is_control() || matches!(c, '&' | '=' | ';' | ','))
}

fn parse_header(written: &str) -> Result<HeaderName, SourceFault> {
    let name = HeaderName::from_bytes(written.as_bytes())
        .map_err(|_| SourceFault::HeaderName(written.to_owned()))?;
    let folded = name.as_str().replace(['_', '.'], "-");
    let ours = NOT_SOURCES.contains(&folded.as_str())
        || folded.starts_with("portvakt-")
        || folded.starts_with("x-forwarded-");
    if ours { Err(SourceFault::HeaderNotOurs(written.to_owned())) } else { Ok(name) }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_kind_of_source_is_read_and_keeps_its_text() {
        for (text, place) in [
            ("path:orgnr", Place::Path("orgnr".into())),
            ("query:party[]", Place::Query("party[]".into())),
            ("header:X-Org", Place::Header(HeaderName::from_static("x-org"))),
            ("json:/a~1b/0", Place::Json(Pointer::parse("/a~1b/0").unwrap())),
            ("json:/a/*", Place::Json(Pointer::parse("/a/*").unwrap())),
            ("xml:/p:a/@b", Place::Xml(XmlPath::parse("/p:a/@b").unwrap())),
            ("form:a b", Place::Form("a b".into())),
            ("token:systemuser_org", Place::SystemUserOwner),
            ("token:consumer", Place::Consumer),
            ("const:urn:x", Place::Const("urn:x".into())),
        ] {
            let source = Source::parse(text).unwrap();
            assert_eq!((source.as_str(), source.place()), (text, &place));
        }
    }

    #[test]
    fn each_fault_is_told_apart() {
        let text = |text: &str| text.to_owned();
        for (written, fault) in [
            ("orgnr", SourceFault::Unknown(text("orgnr"))),
            ("cookie:a", SourceFault::Unknown(text("cookie:a"))),
            ("Path:a", SourceFault::Unknown(text("Path:a"))),
            ("xml:a", SourceFault::XmlPath(XmlPathFault::NoLeadingSlash)),
            ("xml:", SourceFault::Empty(text("xml:"))),
            ("form:", SourceFault::Empty(text("form:"))),
            ("form:a;b", SourceFault::FormName(text("a;b"))),
            ("multipart:a", SourceFault::Multipart),
            ("query:", SourceFault::Empty(text("query:"))),
            ("path:{a}", SourceFault::CaptureName(text("{a}"))),
            ("query:a&b", SourceFault::QueryName(text("a&b"))),
            ("header:a b", SourceFault::HeaderName(text("a b"))),
            ("header:Authorization", SourceFault::HeaderNotOurs(text("Authorization"))),
            ("header:Portvakt_Party", SourceFault::HeaderNotOurs(text("Portvakt_Party"))),
            ("header:X-Forwarded-For", SourceFault::HeaderNotOurs(text("X-Forwarded-For"))),
            ("token:sub", SourceFault::TokenClaim(text("sub"))),
            ("json:/items/-", SourceFault::Pointer(PointerFault::BehindEnd)),
        ] {
            assert_eq!(Source::parse(written), Err(fault), "{written}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(path|query|header|json|token|const|xml|form|x)?:?.{0,20}") {
            if let Ok(source) = Source::parse(&text) {
                prop_assert_eq!(source.as_str(), text);
            }
        }
    }
}
