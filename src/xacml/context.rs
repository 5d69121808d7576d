//! The `Request` document of XACML 3.0 (§5.42 to §5.48), for whoever asks in XML. It is read into
//! what it says, and nothing is made of it here: no data type is judged, no reference looked up.
//!
//! Read as Altinn's reader does: in the order of the schema, every attribute the schema requires must
//! be there, and `Content` is passed over unread.

use super::xml::{self, Element};

/// A question, or several of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextRequest {
    pub attributes: Vec<ContextAttributes>,
    /// For each question of a multi-request, the ids of its `Attributes` (§5.44).
    pub references: Vec<Vec<String>>,
}

/// The attributes of one category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextAttributes {
    pub category: String,
    /// `xml:id`, or a plain `id`.
    pub id: Option<String>,
    pub attributes: Vec<ContextAttribute>,
}

/// One attribute. It has at least one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextAttribute {
    pub id: String,
    pub include_in_result: bool,
    pub values: Vec<ContextValue>,
}

/// One value, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextValue {
    /// The identifier of its data type.
    pub data_type: String,
    pub text: String,
}

/// Why a document is not a `Request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextFault {
    /// Not XML, or XML with what no request needs: a document type, an entity, elements of another
    /// namespace, more than the limits of the room allow.
    NotXml { line: usize, column: usize, message: String },
    /// XML that is not a request.
    NotRequest(&'static str),
}

impl ContextRequest {
    /// Reads a document in UTF-8.
    pub fn parse(document: &[u8]) -> Result<Self, ContextFault> {
        let document = xml::read(document).map_err(|fault| ContextFault::NotXml {
            line: fault.line,
            column: fault.column,
            message: fault.message,
        })?;
        let root = &document.root;
        if &*root.name != "Request" {
            return Err(ContextFault::NotRequest("the document is not a `Request`"));
        }
        truth(root, "ReturnPolicyIdList", "a `Request` without `ReturnPolicyIdList`")?;
        if truth(root, "CombinedDecision", "a `Request` without `CombinedDecision`")? {
            return Err(ContextFault::NotRequest("combined decisions are not supported"));
        }
        no_text(root)?;
        let (_, rest) = take(&root.children, "RequestDefaults");
        let (attributes, rest) = take(rest, "Attributes");
        let (multi, rest) = take(rest, "MultiRequests");
        if attributes.is_empty() {
            return Err(ContextFault::NotRequest("a `Request` without `Attributes`"));
        }
        if !rest.is_empty() || multi.len() > 1 {
            return Err(ContextFault::NotRequest("an element where a `Request` has none"));
        }
        Ok(Self {
            attributes: attributes.iter().map(category).collect::<Result<_, _>>()?,
            references: match multi.first() {
                None => Vec::new(),
                Some(multi) => only(multi, "RequestReference")?
                    .iter()
                    .map(reference)
                    .collect::<Result<_, _>>()?,
            },
        })
    }
}

fn category(element: &Element) -> Result<ContextAttributes, ContextFault> {
    no_text(element)?;
    let (_, rest) = take(&element.children, "Content");
    let (attributes, rest) = take(rest, "Attribute");
    if !rest.is_empty() {
        return Err(ContextFault::NotRequest("an element where `Attributes` has none"));
    }
    let id = element.xml_id.as_deref().or_else(|| element.attribute("id"));
    Ok(ContextAttributes {
        category: required(element, "Category", "`Attributes` without `Category`")?,
        id: id.map(str::to_owned),
        attributes: attributes.iter().map(attribute).collect::<Result<_, _>>()?,
    })
}

fn attribute(element: &Element) -> Result<ContextAttribute, ContextFault> {
    let id = required(element, "AttributeId", "an attribute without `AttributeId`")?;
    let include_in_result =
        truth(element, "IncludeInResult", "an attribute without `IncludeInResult`")?;
    let values: Vec<_> =
        only(element, "AttributeValue")?.iter().map(value).collect::<Result<_, _>>()?;
    if values.is_empty() {
        return Err(ContextFault::NotRequest("an attribute without `AttributeValue`"));
    }
    Ok(ContextAttribute { id, include_in_result, values })
}

fn value(element: &Element) -> Result<ContextValue, ContextFault> {
    if !element.children.is_empty() {
        return Err(ContextFault::NotRequest("an `AttributeValue` of elements"));
    }
    Ok(ContextValue {
        data_type: required(element, "DataType", "an `AttributeValue` without `DataType`")?,
        text: element.text.clone(),
    })
}

fn reference(element: &Element) -> Result<Vec<String>, ContextFault> {
    let id = |one| required(one, "ReferenceId", "a reference without `ReferenceId`");
    only(element, "AttributesReference")?.iter().map(id).collect()
}

/// The elements of this name at the front, and the others.
fn take<'e>(children: &'e [Element], name: &str) -> (&'e [Element], &'e [Element]) {
    let other = children.iter().position(|child| &*child.name != name);
    children.split_at(other.unwrap_or(children.len()))
}

/// The children of an element that may hold nothing but elements of this name.
fn only<'e>(element: &'e Element, name: &str) -> Result<&'e [Element], ContextFault> {
    no_text(element)?;
    match take(&element.children, name) {
        (all, []) => Ok(all),
        (_, _) => Err(ContextFault::NotRequest("an element that does not belong where it stands")),
    }
}

fn no_text(element: &Element) -> Result<(), ContextFault> {
    if element.text.chars().all(xml::is_white_space) {
        Ok(())
    } else {
        Err(ContextFault::NotRequest("text outside an `AttributeValue`"))
    }
}

fn required(element: &Element, name: &str, lacks: &'static str) -> Result<String, ContextFault> {
    match element.attribute(name) {
        Some(value) if !value.is_empty() => Ok(value.to_owned()),
        Some(_) | None => Err(ContextFault::NotRequest(lacks)),
    }
}

fn truth(element: &Element, name: &str, lacks: &'static str) -> Result<bool, ContextFault> {
    match element.attribute(name) {
        Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(_) => Err(ContextFault::NotRequest("a truth value that is neither true nor false")),
        None => Err(ContextFault::NotRequest(lacks)),
    }
}
