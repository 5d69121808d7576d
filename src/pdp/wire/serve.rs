//! The PDP's own side: a question read, as leniently as Altinn's PDP reads it and no more. For the
//! development PDP; the proxy itself only asks.

use super::category;
use super::json::{Json, JsonFault, Members, ShapeFault};
use crate::domain::Indeterminate;
use std::collections::HashMap;

/// Bounds the answers one question can ask for. Altinn states no number; its own callers ask for dozens.
pub(super) const MAX_REFERENCES: usize = 1000;
/// What the questions of one multi-request may have together. A reference may name a category that others
/// name too, and name it again and again: a document of a megabyte could ask for gigabytes, in what is
/// compared and in what is repeated. A thousand ordinary questions have a tenth of this.
const MAX_ASKED_BYTES: usize = 8 * 1024 * 1024;
/// What an attribute counts for beside its texts, so that many short ones count too.
const ATTRIBUTE_BYTES: usize = 64;
/// The data types Altinn's PDP knows, beside an absent one.
const DATA_TYPES: [(&str, &str); 5] = [
    ("string", super::STRING),
    (super::STRING, super::STRING),
    ("anyURI", super::ANY_URI),
    (super::ANY_URI, super::ANY_URI),
    // This one has no short form.
    (super::INTEGER, super::INTEGER),
];

/// A question as sent: categories in the order subject, action, resource, environment, then those of the
/// `Category` array, and the references of a multi-request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireRequest {
    /// The categories.
    pub categories: Vec<WireCategory>,
    /// For each question of a multi-request, the ids of its categories.
    pub references: Vec<Vec<String>>,
}

/// One category with its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireCategory {
    /// The category's URN.
    pub category: String,
    /// The id by which references name it.
    pub id: Option<String>,
    /// The attributes, in their order.
    pub attributes: Vec<WireAttribute>,
}

/// One attribute with one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireAttribute {
    /// The attribute's id.
    pub id: String,
    /// The value.
    pub value: String,
    /// The data type's URN.
    pub data_type: &'static str,
    /// Whether the asker wants it repeated in the result.
    pub include_in_result: bool,
    /// Another value of an attribute before it. It may match a rule, but it does not say who asks or about
    /// whom: that is an attribute's first value.
    pub is_further: bool,
}

/// Why a question is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestFault {
    /// Not JSON (or XML), or JSON of other types: answered by a status of 400.
    #[error("{0}")]
    Malformed(Box<str>),
    /// JSON of the right types that says nothing sensible: answered by an `Indeterminate` result.
    #[error("{cause}")]
    Content {
        /// The status code of the result.
        status: Indeterminate,
        /// What is wrong.
        cause: &'static str,
    },
}

impl From<JsonFault> for RequestFault {
    fn from(fault: JsonFault) -> Self {
        Self::Malformed(fault.to_string().into())
    }
}

impl From<ShapeFault> for RequestFault {
    fn from(fault: ShapeFault) -> Self {
        Self::Malformed(fault.to_string().into())
    }
}

/// Reads a question in either spelling of its members. JSON of wrong types is [`RequestFault::Malformed`]
/// whatever else is wrong: Altinn binds the whole question before it reads any of it.
pub fn decode_request(body: &[u8]) -> Result<WireRequest, RequestFault> {
    let mut document = Json::parse(body)?.object("the question")?;
    let mut request =
        document.take("request").members("Request")?.ok_or_else(|| syntax("no `Request`"))?;
    let mut content = None;
    let mut categories = Vec::new();
    for (member, lower, urn) in [
        ("AccessSubject", "accesssubject", Some(category::SUBJECT)),
        ("Action", "action", Some(category::ACTION)),
        ("Resource", "resource", Some(category::RESOURCE)),
        ("Environment", "environment", Some(category::ENVIRONMENT)),
        ("Category", "category", None),
    ] {
        for entry in request.take(lower).list(member)?.unwrap_or_default() {
            let entry = decode_category(entry.object(member)?, urn);
            categories.extend(unless_malformed(entry, &mut content)?);
        }
    }
    let references = decode_references(request.take("multirequests"));
    let references = unless_malformed(references, &mut content)?.unwrap_or_default();
    content.map_or(Ok(WireRequest { categories, references }), Err)
}

/// Keeps the first fault of content, so that what follows is read on.
fn unless_malformed<T>(
    read: Result<T, RequestFault>,
    content: &mut Option<RequestFault>,
) -> Result<Option<T>, RequestFault> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(fault @ RequestFault::Malformed(_)) => Err(fault),
        Err(fault @ RequestFault::Content { .. }) => {
            content.get_or_insert(fault);
            Ok(None)
        }
    }
}

fn decode_category(mut entry: Members, urn: Option<&str>) -> Result<WireCategory, RequestFault> {
    let stated = entry.take("categoryid").text("CategoryId")?.filter(|stated| !stated.is_empty());
    let id = entry.take("id").text("Id")?;
    let mut content = None;
    let mut attributes: Vec<WireAttribute> = Vec::new();
    for attribute in entry.take("attribute").list("Attribute")?.unwrap_or_default() {
        let attribute = decode_attribute(attribute.object("Attribute[]")?);
        if let Some(mut attribute) = unless_malformed(attribute, &mut content)? {
            attribute.is_further = attributes.iter().any(|one| one.id == attribute.id);
            attributes.push(attribute);
        }
    }
    let category = stated.as_deref().or(urn);
    match (category, content) {
        (_, Some(fault)) => Err(fault),
        (None, None) => Err(syntax("a category without `CategoryId`")),
        (Some(category), None) => {
            Ok(WireCategory { category: category.to_owned(), id, attributes })
        }
    }
}

fn decode_attribute(mut attribute: Members) -> Result<WireAttribute, RequestFault> {
    let id = attribute.take("attributeid").text("AttributeId")?;
    let value = attribute.take("value").text("Value")?;
    let stated = attribute.take("datatype").text("DataType")?;
    let include_in_result =
        attribute.take("includeinresult").truth("IncludeInResult")?.unwrap_or(false);
    let data_type = match stated.as_deref() {
        None | Some("") => super::STRING,
        Some(stated) => {
            DATA_TYPES.iter().find(|(written, _)| stated == *written).map(|it| it.1).ok_or(
                RequestFault::Content {
                    status: Indeterminate::ProcessingError,
                    cause: "an attribute of a data type that is not supported",
                },
            )?
        }
    };
    Ok(WireAttribute {
        id: id.ok_or_else(|| syntax("an attribute without `AttributeId`"))?,
        value: value.ok_or_else(|| syntax("an attribute without `Value`"))?,
        data_type,
        include_in_result,
        is_further: false,
    })
}

fn decode_references(multi: Json) -> Result<Vec<Vec<String>>, RequestFault> {
    let Some(mut multi) = multi.members("MultiRequests")? else { return Ok(Vec::new()) };
    let entries = multi.take("requestreference").list("RequestReference")?.unwrap_or_default();
    let mut content = (entries.len() > MAX_REFERENCES).then(|| syntax("too many references"));
    let mut references = Vec::new();
    for entry in entries {
        let ids = entry.object("RequestReference[]")?.take("referenceid").list("ReferenceId")?;
        let mut reference = Vec::new();
        for id in ids.unwrap_or_default() {
            let id = id.text("ReferenceId[]")?.ok_or_else(|| syntax("a null reference"));
            reference.extend(unless_malformed(id, &mut content)?);
        }
        references.push(reference);
    }
    content.map_or(Ok(references), Err)
}

fn kind(entry: &WireCategory) -> u8 {
    match entry.category.as_str() {
        category::SUBJECT => 0,
        category::ACTION => 1,
        category::RESOURCE => 2,
        _ => 3,
    }
}

fn syntax(cause: &'static str) -> RequestFault {
    RequestFault::Content { status: Indeterminate::SyntaxError, cause }
}

impl WireRequest {
    /// The questions, each with its categories. As Altinn does it, fewer than two references make one
    /// question of all categories together, and in a multi-request every subject, action and resource needs
    /// an id.
    pub fn questions(&self) -> Result<Vec<Vec<&WireCategory>>, RequestFault> {
        if self.references.len() < 2 {
            return Ok(vec![self.categories.iter().collect()]);
        }
        let must_be_named = |entry: &&WireCategory| {
            matches!(
                entry.category.as_str(),
                category::SUBJECT | category::ACTION | category::RESOURCE
            )
        };
        if self.categories.iter().filter(must_be_named).any(|entry| entry.id.is_none()) {
            return Err(syntax("a category of a multi-request without `Id`"));
        }
        let by_id = self.by_id();
        let mut left = MAX_ASKED_BYTES;
        self.references
            .iter()
            .map(|reference| {
                let mut question = Vec::new();
                for id in reference {
                    let named = by_id.get(id.as_str());
                    let named = named.ok_or_else(|| syntax("a reference to no category"))?;
                    for (entry, bytes) in named.others.iter().chain(&named.resource) {
                        left = left
                            .checked_sub(*bytes)
                            .ok_or_else(|| syntax("references that ask for too much together"))?;
                        question.push(*entry);
                    }
                }
                // They are read, and repeated, in the order of their kinds.
                question.sort_by_key(|entry| kind(entry));
                Ok(question)
            })
            .collect()
    }

    fn by_id(&self) -> HashMap<&str, Named<'_>> {
        let mut by_id: HashMap<&str, Named<'_>> = HashMap::new();
        for entry in &self.categories {
            let Some(id) = &entry.id else { continue };
            let named = by_id.entry(id).or_default();
            let weighed = (entry, entry.bytes());
            if entry.category == category::RESOURCE {
                named.resource = Some(weighed);
            } else {
                named.others.push(weighed);
            }
        }
        by_id
    }
}

/// The categories of one id, which several may have, each with what it costs. As at Altinn, of those that say
/// about what, only the last counts.
#[derive(Default)]
struct Named<'a> {
    others: Vec<(&'a WireCategory, usize)>,
    resource: Option<(&'a WireCategory, usize)>,
}

impl WireCategory {
    /// What it costs to ask with it once more.
    fn bytes(&self) -> usize {
        let attributes = self.attributes.iter();
        attributes.fold(ATTRIBUTE_BYTES, |sum, one| {
            let texts = one.id.len().saturating_add(one.value.len());
            sum.saturating_add(texts).saturating_add(ATTRIBUTE_BYTES)
        })
    }
}
