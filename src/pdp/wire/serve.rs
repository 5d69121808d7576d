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
const DATA_TYPES: [(&str, &str); 3] = [
    ("string", super::STRING),
    ("anyURI", "http://www.w3.org/2001/XMLSchema#anyURI"),
    ("integer", super::INTEGER),
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

/// Reads a question in either spelling of its members.
pub fn decode_request(body: &[u8]) -> Result<WireRequest, RequestFault> {
    let mut document = Json::parse(body)?.object("the question")?;
    let mut request =
        document.take("request").members("Request")?.ok_or_else(|| syntax("no `Request`"))?;
    let mut categories = Vec::new();
    for (member, lower, urn) in [
        ("AccessSubject", "accesssubject", category::SUBJECT),
        ("Action", "action", category::ACTION),
        ("Resource", "resource", category::RESOURCE),
        ("Environment", "environment", category::ENVIRONMENT),
    ] {
        for entry in request.take(lower).list(member)?.unwrap_or_default() {
            categories.push(decode_category(entry.object(member)?, Some(urn))?);
        }
    }
    for entry in request.take("category").list("Category")?.unwrap_or_default() {
        categories.push(decode_category(entry.object("Category")?, None)?);
    }
    let references = decode_references(request.take("multirequests"))?;
    Ok(WireRequest { categories, references })
}

fn decode_category(mut entry: Members, urn: Option<&str>) -> Result<WireCategory, RequestFault> {
    let stated = entry.take("categoryid").text("CategoryId")?;
    let category = match urn {
        Some(urn) => urn.to_owned(),
        None => stated.ok_or_else(|| syntax("a category without `CategoryId`"))?,
    };
    let id = entry.take("id").text("Id")?;
    let attributes = entry
        .take("attribute")
        .list("Attribute")?
        .unwrap_or_default()
        .into_iter()
        .map(|attribute| decode_attribute(attribute.object("Attribute[]")?))
        .collect::<Result<_, _>>()?;
    Ok(WireCategory { category, id, attributes })
}

fn decode_attribute(mut attribute: Members) -> Result<WireAttribute, RequestFault> {
    let id = attribute.take("attributeid").text("AttributeId")?;
    let value = attribute.take("value").text("Value")?;
    let stated = attribute.take("datatype").text("DataType")?;
    let include_in_result =
        attribute.take("includeinresult").truth("IncludeInResult")?.unwrap_or(false);
    let data_type = match stated.as_deref() {
        None => super::STRING,
        Some(stated) => DATA_TYPES
            .iter()
            .find(|(short, urn)| stated == *short || stated == *urn)
            .map(|(_, urn)| *urn)
            .ok_or(RequestFault::Content {
                status: Indeterminate::ProcessingError,
                cause: "an attribute of a data type that is not supported",
            })?,
    };
    Ok(WireAttribute {
        id: id.ok_or_else(|| syntax("an attribute without `AttributeId`"))?,
        value: value.ok_or_else(|| syntax("an attribute without `Value`"))?,
        data_type,
        include_in_result,
    })
}

fn decode_references(multi: Json) -> Result<Vec<Vec<String>>, RequestFault> {
    let Some(mut multi) = multi.members("MultiRequests")? else { return Ok(Vec::new()) };
    let entries = multi.take("requestreference").list("RequestReference")?.unwrap_or_default();
    if entries.len() > MAX_REFERENCES {
        return Err(syntax("too many references"));
    }
    entries
        .into_iter()
        .map(|entry| {
            entry
                .object("RequestReference[]")?
                .take("referenceid")
                .list("ReferenceId")?
                .unwrap_or_default()
                .into_iter()
                .map(|id| id.text("ReferenceId[]")?.ok_or_else(|| syntax("a null reference")))
                .collect()
        })
        .collect()
}

fn syntax(cause: &'static str) -> RequestFault {
    RequestFault::Content { status: Indeterminate::SyntaxError, cause }
}

impl WireRequest {
    /// The questions, each with its categories. As Altinn does it, fewer than two references make one
    /// question of all categories together, and in a multi-request every subject and action needs an id.
    pub fn questions(&self) -> Result<Vec<Vec<&WireCategory>>, RequestFault> {
        if self.references.len() < 2 {
            return Ok(vec![self.categories.iter().collect()]);
        }
        let must_be_named = |entry: &&WireCategory| {
            matches!(entry.category.as_str(), category::SUBJECT | category::ACTION)
        };
        if self.categories.iter().filter(must_be_named).any(|entry| entry.id.is_none()) {
            return Err(syntax("a category of a multi-request without `Id`"));
        }
        // Where an id stands twice, the first counts.
        let mut by_id: HashMap<&str, (&WireCategory, usize)> = HashMap::new();
        for entry in &self.categories {
            if let Some(id) = &entry.id {
                by_id.entry(id).or_insert_with(|| (entry, entry.bytes()));
            }
        }
        let mut left = MAX_ASKED_BYTES;
        let mut named = |id: &String| {
            let found = by_id.get(id.as_str()).ok_or_else(|| syntax("a reference to no category"));
            let (entry, bytes) = *found?;
            left = left
                .checked_sub(bytes)
                .ok_or_else(|| syntax("references that ask for too much together"))?;
            Ok(entry)
        };
        self.references.iter().map(|reference| reference.iter().map(&mut named).collect()).collect()
    }
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
