//! The namespaces in force in an XML document, and names in full.
//!
//! Resolved here, because the library's own resolver allocates for every declaration it meets. What costs an
//! attacker a declaration costs us one copy of it, whatever names it afterwards. Which names a document may
//! have, and where, is not known here.

use super::xml_path::{XML_NAMESPACE, is_xml_name};
use std::rc::Rc;

/// Declarations in force at once. Bounds the table that every prefix is looked up in.
pub(super) const MAX_NAMESPACES: usize = 64;
/// Bytes of one namespace. Bounds what is kept of declarations, and the search for one that says the same.
pub(super) const MAX_NAMESPACE_BYTES: usize = 2 * 1024;

const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// The declarations in force where the document is being read.
pub(super) struct Namespaces {
    // Invariant: in the order of their depths.
    declared: Vec<Declared>,
    none: Namespace,
    xml: Namespace,
}

/// A namespace in force inside the element at this depth.
struct Declared {
    prefix: Box<str>,
    namespace: Namespace,
    depth: usize,
}

/// A namespace of the document. Of those in force at once, equal ones share their text, so that comparing
/// two is comparing where it lies, however long they are and however much they have in common.
#[derive(Clone)]
pub(super) struct Namespace(Rc<str>);

impl Namespace {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

/// A name of the document in full. Comparable with others of the same element.
#[derive(PartialEq)]
pub(super) struct Name<'t> {
    pub(super) local: &'t str,
    pub(super) namespace: Namespace,
}

/// What a name without a prefix means.
#[derive(Clone, Copy)]
pub(super) enum Unprefixed {
    /// Of an element: the default namespace.
    Default,
    /// Of an attribute.
    NoNamespace,
}

impl Namespaces {
    /// None but that of `xml:`.
    pub(super) fn new() -> Self {
        Self {
            declared: Vec::new(),
            none: Namespace("".into()),
            xml: Namespace(XML_NAMESPACE.into()),
        }
    }

    /// Puts a declaration of the tag at this depth in force.
    pub(super) fn declare(
        &mut self,
        prefix: &str,
        uri: &str,
        depth: usize,
    ) -> Result<(), &'static str> {
        if uri.len() > MAX_NAMESPACE_BYTES {
            return Err("a namespace is too long");
        }
        // Namespaces in XML 1.0 §3; `xml` may be declared as what it is.
        let sound = match prefix {
            "" => uri != XML_NAMESPACE && uri != XMLNS,
            "xml" => uri == XML_NAMESPACE,
            "xmlns" => false,
            prefix => {
                is_xml_name(prefix) && !uri.is_empty() && uri != XML_NAMESPACE && uri != XMLNS
            }
        };
        if !sound {
            return Err("a namespace is declared as none may be");
        }
        let mut of_this_tag = self.declared.iter().rev().take_while(|one| one.depth == depth);
        if of_this_tag.any(|one| &*one.prefix == prefix) {
            return Err("a prefix is declared twice");
        }
        if self.declared.len() >= MAX_NAMESPACES {
            return Err("too many namespaces are declared");
        }
        let namespace = self.shared(uri);
        self.declared.push(Declared { prefix: prefix.into(), namespace, depth });
        Ok(())
    }

    /// Ends what was declared at this depth or deeper.
    pub(super) fn leave(&mut self, depth: usize) {
        while self.declared.last().is_some_and(|one| one.depth >= depth) {
            self.declared.pop();
        }
    }

    /// The name in full.
    pub(super) fn expand<'t>(
        &self,
        name: &'t str,
        unprefixed: Unprefixed,
    ) -> Result<Name<'t>, &'static str> {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let sound = (prefix.is_empty() || is_xml_name(prefix)) && is_xml_name(local);
        if !sound || name.starts_with(':') {
            return Err("a name is not well-formed");
        }
        let declared = || self.declared.iter().rev().find(|one| &*one.prefix == prefix);
        let namespace = match (prefix, unprefixed) {
            ("xml", _) => &self.xml,
            ("", Unprefixed::NoNamespace) => &self.none,
            ("", Unprefixed::Default) => declared().map_or(&self.none, |one| &one.namespace),
            (_, _) => &declared().ok_or("a prefix is not declared")?.namespace,
        };
        Ok(Name { local, namespace: namespace.clone() })
    }

    /// The namespace of this text: the one that is in force already, or a new one.
    fn shared(&self, uri: &str) -> Namespace {
        let declared = self.declared.iter().map(|one| &one.namespace);
        let mut known = [&self.none, &self.xml].into_iter().chain(declared);
        known.find(|known| known.as_str() == uri).cloned().unwrap_or_else(|| Namespace(uri.into()))
    }
}
