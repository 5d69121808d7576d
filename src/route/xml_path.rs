//! Paths to elements and attributes of an XML document, as rules write them behind `xml:`.
//!
//! A small, absolute language: `/p:a/b/@c`. There are no predicates, wildcards or axes, so that a path has one
//! reading. Prefixes mean what the rule's `namespaces` say, never what a document says; a name without one
//! is in no namespace, as in XPath 1.0.

use std::fmt;
use std::sync::Arc;

/// The namespace of `xml:` (Namespaces in XML 1.0 §3), which nobody declares.
pub(super) const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";

/// A path as written. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct XmlPath {
    // Invariant: at least one, the outermost element first.
    elements: Arc<[QualifiedName]>,
    attribute: Option<QualifiedName>,
}

/// A name with its prefix, which is empty where there is none.
#[derive(Clone, PartialEq, Eq)]
struct QualifiedName {
    prefix: Box<str>,
    local: Box<str>,
}

/// A path whose names are known in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct XmlPlace {
    pub(super) path: XmlPath,
    pub(super) elements: Box<[ExpandedName]>,
    pub(super) attribute: Option<ExpandedName>,
}

/// A name and its namespace, which is empty where it is in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExpandedName {
    pub(super) namespace: Box<str>,
    pub(super) local: Box<str>,
}

/// Why a text is not such a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlPathFault {
    /// Does not begin with `/`, or with two.
    #[error("a path into XML begins with one slash")]
    NoLeadingSlash,
    /// A step is not a name.
    #[error("`{0}` is not the name of an element or attribute")]
    Name(String),
    /// `@` stands elsewhere than before the last name, or alone.
    #[error("an attribute is the last step of a path, below an element")]
    Attribute,
    /// Declarations of namespaces are not data.
    #[error("`{0}` declares a namespace and is never a value")]
    Declaration(String),
    /// More steps than a document may have levels.
    #[error("the path has more than {max} levels", max = super::xml::MAX_XML_DEPTH)]
    TooDeep,
}

impl XmlPathFault {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoLeadingSlash => "write the whole way from the outermost element, as `xml:/a/b`",
            Self::Name(_) => {
                "write names, each with a prefix of `namespaces` where it has a namespace: `xml:/p:a/p:b/@c`; there are no wildcards or predicates"
            }
            Self::Attribute => "write `@name` once, at the end",
            Self::Declaration(_) => "name an element or another attribute",
            Self::TooDeep => "documents deeper than that are refused",
        }
    }
}

impl XmlPath {
    /// Reads a path.
    pub fn parse(text: &str) -> Result<Self, XmlPathFault> {
        let inner = text.strip_prefix('/').ok_or(XmlPathFault::NoLeadingSlash)?;
        if inner.starts_with('/') {
            return Err(XmlPathFault::NoLeadingSlash);
        }
        let mut elements = Vec::new();
        let mut attribute = None;
        for step in inner.split('/') {
            if attribute.is_some() {
                return Err(XmlPathFault::Attribute);
            }
            match step.strip_prefix('@') {
                Some(_) if elements.is_empty() => return Err(XmlPathFault::Attribute),
                Some(name) => attribute = Some(QualifiedName::parse(name)?),
                None if elements.len() >= super::xml::MAX_XML_DEPTH => {
                    return Err(XmlPathFault::TooDeep);
                }
                None => elements.push(QualifiedName::parse(step)?),
            }
        }
        Ok(Self { elements: elements.into(), attribute })
    }

    /// The prefixes it uses, but for `xml`.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = &str> {
        let names = self.elements.iter().chain(&self.attribute);
        names.map(|name| name.prefix.as_ref()).filter(|prefix| !matches!(*prefix, "" | "xml"))
    }

    /// The same with its names in full. A prefix that is not declared means no namespace here; that there is
    /// none is `soundness`' to judge.
    pub(super) fn expand(&self, namespaces: &[(String, String)]) -> XmlPlace {
        let expand = |name: &QualifiedName| {
            let declared =
                namespaces.iter().find(|(prefix, _)| prefix.as_str() == name.prefix.as_ref());
            let namespace = match (name.prefix.as_ref(), declared) {
                ("xml", _) => XML_NAMESPACE,
                (_, Some((_, uri))) => uri.as_str(),
                (_, None) => "",
            };
            ExpandedName { namespace: namespace.into(), local: name.local.clone() }
        };
        XmlPlace {
            path: self.clone(),
            elements: self.elements.iter().map(expand).collect(),
            attribute: self.attribute.as_ref().map(expand),
        }
    }
}

impl QualifiedName {
    fn parse(text: &str) -> Result<Self, XmlPathFault> {
        let (prefix, local) = text.split_once(':').unwrap_or(("", text));
        if text == "xmlns" || prefix == "xmlns" {
            return Err(XmlPathFault::Declaration(text.to_owned()));
        }
        let sound = (prefix.is_empty() || is_xml_name(prefix)) && is_xml_name(local);
        if !sound || text.starts_with(':') {
            return Err(XmlPathFault::Name(text.to_owned()));
        }
        Ok(Self { prefix: prefix.into(), local: local.into() })
    }
}

/// Whether a text is a name without a colon (Namespaces in XML 1.0 §3, `NCName`).
pub(super) fn is_xml_name(text: &str) -> bool {
    let starts = |c: char| {
        matches!(c, 'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}'
            | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}'
            | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
            | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
            | '\u{10000}'..='\u{EFFFF}')
    };
    let continues = |c: char| {
        starts(c)
            || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}'
                | '\u{203F}'..='\u{2040}')
    };
    let mut characters = text.chars();
    characters.next().is_some_and(starts) && characters.all(continues)
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix.is_empty() {
            f.write_str(&self.local)
        } else {
            write!(f, "{}:{}", self.prefix, self.local)
        }
    }
}

impl fmt::Display for XmlPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.elements.iter().try_for_each(|name| write!(f, "/{name}"))?;
        self.attribute.iter().try_for_each(|name| write!(f, "/@{name}"))
    }
}

impl fmt::Debug for XmlPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_keep_their_text_and_their_names_are_expanded() {
        for text in ["/a", "/p:a/b/@c", "/a/@xml:id", "/blåbær/_x-1.2"] {
            assert_eq!(XmlPath::parse(text).unwrap().to_string(), text);
        }
        let path = XmlPath::parse("/p:a/b/@xml:id").unwrap();
        let place = path.expand(&[("p".to_owned(), "urn:x".to_owned())]);
        let names: Vec<_> = place.elements.iter().chain(&place.attribute).collect();
        let names: Vec<_> = names.iter().map(|it| (&*it.namespace, &*it.local)).collect();
        assert_eq!(names, [("urn:x", "a"), ("", "b"), (XML_NAMESPACE, "id")]);
        assert_eq!(path.prefixes().collect::<Vec<_>>(), ["p"]);
    }

    #[test]
    fn each_fault_is_told_apart() {
        let name = |text: &str| XmlPathFault::Name(text.to_owned());
        let declaration = |text: &str| XmlPathFault::Declaration(text.to_owned());
        for (text, fault) in [
            ("", XmlPathFault::NoLeadingSlash),
            ("a", XmlPathFault::NoLeadingSlash),
            ("//a", XmlPathFault::NoLeadingSlash),
            ("/", name("")),
            ("/a/", name("")),
            ("/a//b", name("")),
            ("/a/*", name("*")),
            ("/a[1]", name("a[1]")),
            ("/a/..", name("..")),
            ("/a/text()", name("text()")),
            ("/1a", name("1a")),
            ("/:a", name(":a")),
            ("/p:", name("p:")),
            ("/p:a:b", name("p:a:b")),
            ("/a b", name("a b")),
            ("/@a", XmlPathFault::Attribute),
            ("/a/@b/c", XmlPathFault::Attribute),
            ("/a/@b/@c", XmlPathFault::Attribute),
            ("/a/@", name("")),
            ("/a/@@b", name("@b")),
            ("/a/@xmlns", declaration("xmlns")),
            ("/a/@xmlns:p", declaration("xmlns:p")),
            (&"/a".repeat(65), XmlPathFault::TooDeep),
        ] {
            assert_eq!(XmlPath::parse(text), Err(fault), "{text}");
        }
    }
}
