//! The PDP's own side: answers, written as Altinn's PDP writes them, in camel case and with its nulls.

use super::serve::WireCategory;
use super::{INTEGER, status};
use crate::domain::{Decision, Indeterminate, Obligation, Obligations};
use serde::Serialize;

/// One result of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireResult {
    /// What was decided.
    pub decision: Decision,
    /// The obligations of a Permit as the policy writes them; with another decision they are not sent.
    pub obligations: Vec<WireObligation>,
    /// The attributes to be repeated, as asked for by `IncludeInResult`; Altinn repeats them only where
    /// a rule was evaluated.
    pub echoed: Vec<WireCategory>,
}

/// One obligation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireObligation {
    /// Its id.
    pub id: String,
    /// What it demands.
    pub assignments: Vec<WireAssignment>,
}

/// One attribute assignment of an obligation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireAssignment {
    /// The attribute's id.
    pub id: String,
    /// The value.
    pub value: String,
    /// What is demanded, if the policy says.
    pub category: Option<String>,
    /// The data type's URN.
    pub data_type: &'static str,
}

impl From<Decision> for WireResult {
    /// A decision that no policy stands behind: its obligations get the names that most policies give them.
    fn from(decision: Decision) -> Self {
        let obligations = match &decision {
            Decision::Permit(obligations) => written(obligations),
            Decision::Deny | Decision::NotApplicable | Decision::Indeterminate(_) => Vec::new(),
        };
        Self { decision, obligations, echoed: Vec::new() }
    }
}

fn written(obligations: &Obligations) -> Vec<WireObligation> {
    let written = |one: &Obligation| {
        let Obligation { id, category, value } = one;
        let assignment = WireAssignment {
            id: "urn:altinn:obligation-assignment:1".to_owned(),
            value: value.to_string(),
            category: (!category.is_empty()).then(|| category.to_string()),
            data_type: INTEGER,
        };
        let empty = category.is_empty() && value.is_empty();
        let assignments = if empty { Vec::new() } else { vec![assignment] };
        WireObligation { id: id.to_string(), assignments }
    };
    obligations.as_slice().iter().map(written).collect()
}

impl WireResult {
    /// The status code, and the obligations that are sent.
    pub(super) fn status_and_obligations(&self) -> (&'static str, &[WireObligation]) {
        match &self.decision {
            Decision::Permit(_) => (status::OK, &self.obligations),
            Decision::Deny | Decision::NotApplicable => (status::OK, &[]),
            Decision::Indeterminate(why) => (status_of(*why), &[]),
        }
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
    status_code: EncodedStatusCode,
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
    attribute_assignment: Option<Vec<EncodedAssignment<'a>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EncodedAssignment<'a> {
    attribute_id: &'a str,
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
        let (code, obligations) = result.status_and_obligations();
        let obligations: Vec<_> = obligations.iter().map(EncodedObligation::of).collect();
        let echoed: Vec<_> = result.echoed.iter().map(EncodedCategory::of).collect();
        Self {
            decision: result.decision.as_str(),
            status: EncodedStatus {
                status_message: (),
                status_details: (),
                status_code: EncodedStatusCode { value: code, status_code: () },
            },
            obligations: (!obligations.is_empty()).then_some(obligations),
            associate_advice: (),
            category: (!echoed.is_empty()).then_some(echoed),
            policy_identifier_list: (),
        }
    }
}

/// Altinn states a code with every result: where its engine has no other, `ok`.
fn status_of(why: Indeterminate) -> &'static str {
    match why {
        Indeterminate::MissingAttribute => status::MISSING_ATTRIBUTE,
        Indeterminate::SyntaxError => status::SYNTAX_ERROR,
        Indeterminate::ProcessingError => status::PROCESSING_ERROR,
        Indeterminate::Unstated => status::OK,
    }
}

impl<'a> EncodedObligation<'a> {
    fn of(obligation: &'a WireObligation) -> Self {
        let assignments: Vec<_> =
            obligation.assignments.iter().map(EncodedAssignment::of).collect();
        Self {
            id: &obligation.id,
            attribute_assignment: (!assignments.is_empty()).then_some(assignments),
        }
    }
}

impl<'a> EncodedAssignment<'a> {
    fn of(assignment: &'a WireAssignment) -> Self {
        Self {
            attribute_id: &assignment.id,
            value: &assignment.value,
            category: assignment.category.as_deref(),
            data_type: assignment.data_type,
            issuer: (),
        }
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
