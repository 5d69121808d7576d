//! The tree while it is read: open elements, namespaces in force, and the limits on both.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;
use quick_xml::events::attributes::Attribute as RawAttribute;

use super::{
    Attribute, Document, Element, PolicyFault, fault_at, is_white_space, is_xml_char, quoted,
};
use crate::xacml::limits::{
    MAX_ATTRIBUTES_PER_TAG, MAX_DEPTH, MAX_ELEMENTS, MAX_NAMESPACES, MAX_TAG_BYTES, MAX_TEXT_BYTES,
};

const XACML: &str = "urn:oasis:names:tc:xacml:3.0:core:schema:wd-17";
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// The elements read so far.
pub(super) struct Tree<'d> {
    text: &'d str,
    root: Option<Element>,
    open: Vec<Element>,
    namespaces: Vec<Namespace>,
    element_count: usize,
}

/// A declaration in force inside the element at this depth.
struct Namespace {
    prefix: Box<str>,
    uri: Box<str>,
    depth: usize,
}

impl<'d> Tree<'d> {
    pub(super) fn new(text: &'d str) -> Self {
        Self { text, root: None, open: Vec::new(), namespaces: Vec::new(), element_count: 0 }
    }

    pub(super) fn open(
        &mut self,
        at: usize,
        end: usize,
        tag: &BytesStart<'_>,
    ) -> Result<(), PolicyFault> {
        let fault = |message: String, help: &str| Err(fault_at(self.text, at, message, help));
        if self.root.is_some() {
            return fault(
                "there is more after the end of the outermost element".to_owned(),
                "keep one document in a file",
            );
        }
        if self.open.len() >= MAX_DEPTH {
            return fault(
                format!("elements are nested more than {MAX_DEPTH} deep"),
                "flatten the condition",
            );
        }
        self.element_count = self.element_count.saturating_add(1);
        if self.element_count > MAX_ELEMENTS {
            return fault(
                format!("the document has more than {MAX_ELEMENTS} elements"),
                "split the policy into several, one for each resource",
            );
        }
        if end.saturating_sub(at) > MAX_TAG_BYTES {
            return fault(
                format!("a start tag is longer than {MAX_TAG_BYTES} bytes"),
                "shorten it",
            );
        }
        let element = self.element(at, tag)?;
        self.open.push(element);
        Ok(())
    }

    fn element(&mut self, at: usize, tag: &BytesStart<'_>) -> Result<Element, PolicyFault> {
        let mut plain = Vec::new();
        let mut xml_id = None;
        let mut prefixed: Vec<(Box<str>, Box<str>)> = Vec::new();
        for (index, attribute) in tag.attributes().enumerate() {
            if index == MAX_ATTRIBUTES_PER_TAG {
                return Err(fault_at(
                    self.text,
                    at,
                    format!("a tag has more than {MAX_ATTRIBUTES_PER_TAG} attributes"),
                    "remove those that are not needed",
                ));
            }
            let attribute = attribute.map_err(|error| {
                fault_at(self.text, at, format!("not well-formed XML: {error}"), "correct the XML")
            })?;
            let value = self.attribute_value(at, &attribute)?;
            let name = attribute.key.into_inner();
            match name.split_once(':') {
                None if name == "xmlns" => self.declare(at, "", value)?,
                None => plain.push(Attribute { name: name.into(), value: value.into() }),
                Some(("xmlns", prefix)) => self.declare(at, prefix, value)?,
                Some(("xml", "id")) => xml_id = Some(value.into()),
                Some((prefix, local)) => prefixed.push((prefix.into(), local.into())),
            }
        }
        let name = tag.name().into_inner();
        // Nobody reads what is in `Content`; it is bounded as all else is.
        if self.open.iter().any(|one| &*one.name == "Content") {
            return Ok(Element::bare(name.into(), at));
        }
        for (prefix, local) in &prefixed {
            let namespace = self.namespace(prefix);
            if namespace != Some(SCHEMA_INSTANCE) && namespace != Some(XML) {
                return Err(fault_at(
                    self.text,
                    at,
                    format!("the attribute {} is not known", quoted(&format!("{prefix}:{local}"))),
                    "attributes of XACML have no prefix",
                ));
            }
        }
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        if self.namespace(prefix) != Some(XACML) {
            return Err(fault_at(
                self.text,
                at,
                format!("the element {} is not of XACML 3.0", quoted(name)),
                format!("its namespace must be `{XACML}`"),
            ));
        }
        Ok(Element { attributes: plain, xml_id, ..Element::bare(local.into(), at) })
    }

    fn attribute_value<'a>(
        &self,
        at: usize,
        attribute: &RawAttribute<'a>,
    ) -> Result<Cow<'a, str>, PolicyFault> {
        let fault = |message: String| fault_at(self.text, at, message, "correct the XML");
        if attribute.value.contains('<') {
            return Err(fault("not well-formed XML: `<` in an attribute".to_owned()));
        }
        let value = attribute
            .normalized_value(XmlVersion::Explicit1_0)
            .map_err(|error| fault(format!("not well-formed XML: {error}")))?;
        if value.chars().all(is_xml_char) {
            Ok(value)
        } else {
            Err(fault("a character reference names a character XML does not allow".to_owned()))
        }
    }

    fn declare(&mut self, at: usize, prefix: &str, uri: Cow<'_, str>) -> Result<(), PolicyFault> {
        let reserved = matches!(prefix, "xml" | "xmlns") || uri == XML;
        if reserved || (uri.is_empty() && !prefix.is_empty()) {
            return Err(fault_at(
                self.text,
                at,
                "a namespace declaration is not allowed by XML",
                "remove it",
            ));
        }
        if self.namespaces.len() >= MAX_NAMESPACES {
            return Err(fault_at(
                self.text,
                at,
                format!("more than {MAX_NAMESPACES} namespaces are declared"),
                "declare the one of XACML, on the outermost element",
            ));
        }
        let depth = self.open.len().saturating_add(1);
        self.namespaces.push(Namespace { prefix: prefix.into(), uri: uri.into(), depth });
        Ok(())
    }

    fn namespace(&self, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some(XML);
        }
        let innermost = self.namespaces.iter().rev().find(|one| &*one.prefix == prefix);
        innermost.map(|one| &*one.uri)
    }

    pub(super) fn close(&mut self) {
        let depth = self.open.len();
        while self.namespaces.last().is_some_and(|one| one.depth >= depth) {
            self.namespaces.pop();
        }
        let Some(element) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }

    /// Text between elements; outside the outermost one only white space may stand.
    pub(super) fn text(&mut self, at: usize, content: &str) -> Result<(), PolicyFault> {
        if self.open.is_empty() && content.chars().all(is_white_space) {
            return Ok(());
        }
        self.character_data(at, content)
    }

    pub(super) fn character_data(&mut self, at: usize, content: &str) -> Result<(), PolicyFault> {
        let Some(element) = self.open.last_mut() else {
            if self.root.is_none() {
                return Err(fault_at(
                    self.text,
                    at,
                    "this is not XML: there is text where the first element must begin",
                    "check that this is the file you meant",
                ));
            }
            return Err(fault_at(
                self.text,
                at,
                "there is text outside the outermost element",
                "remove it, or make it a comment",
            ));
        };
        if element.text.len().saturating_add(content.len()) > MAX_TEXT_BYTES {
            return Err(fault_at(
                self.text,
                at,
                format!("the text of an element is longer than {MAX_TEXT_BYTES} bytes"),
                "shorten it",
            ));
        }
        element.text.push_str(content);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Document<'d>, PolicyFault> {
        if let Some(element) = self.open.last() {
            return Err(fault_at(
                self.text,
                element.at,
                format!("the element {} is not closed", quoted(&element.name)),
                "correct the XML",
            ));
        }
        match self.root {
            Some(root) => Ok(Document { text: self.text, root }),
            None => Err(fault_at(
                self.text,
                self.text.len(),
                "the document holds no element",
                "check that this is the file you meant",
            )),
        }
    }
}
