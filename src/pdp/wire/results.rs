//! The PDP's own side: answers, written as Altinn's PDP writes them, in camel case and with its nulls.

use super::serve::WireCategory;
use super::{INTEGER, status};
use crate::domain::{Decision, Indeterminate, Obligation};
use serde::Serialize;

/// One result of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireResult {
    /// What was decided.
    pub decision: Decision,
    /// The attributes to be repeated, as asked for by `IncludeInResult`; Altinn repeats them only where
    /// a rule was evaluated.
    pub echoed: Vec<WireCategory>,
}

impl From<Decision> for WireResult {
    fn from(decision: Decision) -> Self {
        Self { decision, echoed: Vec::new() }
    }
}

/// The attributes of a question that its asker wants repeated in the result.
#[must_use]
pub fn echo(question: &[&WireCategory]) -> Vec<WireCategory> {
    question
        .iter()
        .map(|entry| WireCategory {
            category: entry.category.clone(),
            id: None,
            attributes: entry
                .attributes
                .iter()
                .filter(|it| it.include_in_result)
                .cloned()
                .collect(),
        })
        .filter(|entry| !entry.attributes.is_empty())
        .collect()
}

/// An answer in the camel case and with the nulls of Altinn's wire form.
#[must_use]
pub fn encode_response(results: &[WireResult]) -> Vec<u8> {
    let response = results.iter().map(EncodedResult::of).collect();
    super::to_bytes(&EncodedResponse { response })
}

#[derive(Serialize)]
struct EncodedResponse<'a> {
    response: Vec<EncodedResult<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EncodedResult<'a> {
    decision: &'static str,
    status: EncodedStatus,
    obligations: Option<Vec<EncodedObligation<'a>>>,
    associate_advice: (),
    category: Option<Vec<EncodedCategory<'a>>>,
    policy_identifier_list: (),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are those of the wire")]
struct EncodedStatus {
    status_message: (),
    status_details: (),
    status_code: Option<EncodedStatusCode>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EncodedStatusCode {
    value: &'static str,
    status_code: (),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EncodedObligation<'a> {
    id: &'a str,
    attribute_assignment: Vec<EncodedAssignment<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EncodedAssignment<'a> {
    attribute_id: &'static str,
    value: &'a str,
    category: Option<&'a str>,
    data_type: &'static str,
    issuer: (),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EncodedCategory<'a> {
    category_id: &'a str,
    id: (),
    content: (),
    attribute: Vec<EncodedAttribute<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EncodedAttribute<'a> {
    attribute_id: &'a str,
    value: &'a str,
    issuer: (),
    data_type: &'a str,
    include_in_result: bool,
}

impl<'a> EncodedResult<'a> {
    fn of(result: &'a WireResult) -> Self {
        let (code, obligations) = match &result.decision {
            Decision::Permit(obligations) => (Some(status::OK), obligations.as_slice()),
            Decision::Deny | Decision::NotApplicable => (Some(status::OK), [].as_slice()),
            Decision::Indeterminate(why) => (status_of(*why), [].as_slice()),
        };
        let obligations: Vec<_> = obligations.iter().map(EncodedObligation::of).collect();
        let echoed: Vec<_> = result.echoed.iter().map(EncodedCategory::of).collect();
        Self {
            decision: result.decision.as_str(),
            status: EncodedStatus {
                status_message: (),
                status_details: (),
                status_code: code.map(|value| EncodedStatusCode { value, status_code: () }),
            },
            obligations: (!obligations.is_empty()).then_some(obligations),
            associate_advice: (),
            category: (!echoed.is_empty()).then_some(echoed),
            policy_identifier_list: (),
        }
    }
}

pub(super) fn status_of(why: Indeterminate) -> Option<&'static str> {
    match why {
        Indeterminate::MissingAttribute => Some(status::MISSING_ATTRIBUTE),
        Indeterminate::SyntaxError => Some(status::SYNTAX_ERROR),
        Indeterminate::ProcessingError => Some(status::PROCESSING_ERROR),
        Indeterminate::Unstated => None,
    }
}

impl<'a> EncodedObligation<'a> {
    fn of(obligation: &'a Obligation) -> Self {
        let Obligation { id, category, value } = obligation;
        let assignment = EncodedAssignment {
            attribute_id: "urn:altinn:obligation-assignment:1",
            value,
            category: (!category.is_empty()).then_some(category),
            data_type: INTEGER,
            issuer: (),
        };
        let empty = category.is_empty() && value.is_empty();
        Self { id, attribute_assignment: if empty { Vec::new() } else { vec![assignment] } }
    }
}

impl<'a> EncodedCategory<'a> {
    fn of(entry: &'a WireCategory) -> Self {
        let attribute = entry
            .attributes
            .iter()
            .map(|attribute| EncodedAttribute {
                attribute_id: &attribute.id,
                value: &attribute.value,
                issuer: (),
                data_type: attribute.data_type,
                include_in_result: false,
            })
            .collect();
        // Altinn does not repeat the id: results are told apart by their order.
        Self { category_id: &entry.category, id: (), content: (), attribute }
    }
}
