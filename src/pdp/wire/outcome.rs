//! An answer of the PDP, read. Exactly one result; what it says is one of four words or a fault.
//!
//! Nothing that restricts a permit may vanish here: an obligation without assignments, and an assignment
//! without a category, become obligations that [`crate::pdp::obligations::check`] does not understand.

use super::json::{Json, JsonFault, Members, ShapeFault};
use super::status;
use crate::domain::{Decision, Indeterminate, Obligation, Obligations};

/// Why an answer is not one. The texts hold nothing of the answer but counts and positions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireFault {
    /// Not a JSON document within the limits.
    #[error("not readable as JSON: {0}")]
    Json(#[from] JsonFault),
    /// A member of another type than the profile gives it.
    #[error(transparent)]
    Shape(#[from] ShapeFault),
    /// No member `Response`.
    #[error("there is no `Response`")]
    NoResponse,
    /// Another number of results than of questions, which was one.
    #[error("{0} results for one question")]
    ResultCount(usize),
    /// Not exactly one of the four words.
    #[error("`Decision` is none of the four decisions")]
    NotADecision,
    /// A permit whose status says that something went wrong.
    #[error("a permit whose status is not ok")]
    PermitNotOk,
}

/// Reads the answer to one question.
pub fn decode_response(body: &[u8]) -> Result<Decision, WireFault> {
    let mut document = Json::parse(body)?.object("the answer")?;
    let results = document.take("response").list("Response")?.ok_or(WireFault::NoResponse)?;
    let count = results.len();
    let mut results = results.into_iter();
    match (results.next(), results.next()) {
        (Some(result), None) => decode_result(result.object("Response[0]")?),
        (None, _) | (Some(_), Some(_)) => Err(WireFault::ResultCount(count)),
    }
}

fn decode_result(mut result: Members) -> Result<Decision, WireFault> {
    let decision = result.take("decision").text("Decision")?;
    let status = decode_status(result.take("status"))?;
    // Read whatever the decision, so that an answer is either sound as a whole or not at all.
    let obligations = decode_obligations(result.take("obligations"))?;
    match decision.as_deref() {
        Some("Permit") => match status.as_deref() {
            None | Some(status::OK) => Ok(Decision::Permit(obligations)),
            Some(_) => Err(WireFault::PermitNotOk),
        },
        Some("Deny") => Ok(Decision::Deny),
        Some("NotApplicable") => Ok(Decision::NotApplicable),
        Some("Indeterminate") => Ok(Decision::Indeterminate(match status.as_deref() {
            Some(status::MISSING_ATTRIBUTE) => Indeterminate::MissingAttribute,
            Some(status::SYNTAX_ERROR) => Indeterminate::SyntaxError,
            Some(status::PROCESSING_ERROR) => Indeterminate::ProcessingError,
            Some(_) | None => Indeterminate::Unstated,
        })),
        Some(_) | None => Err(WireFault::NotADecision),
    }
}

fn decode_status(status: Json) -> Result<Option<String>, ShapeFault> {
    let Some(mut status) = status.members("Status")? else { return Ok(None) };
    let Some(mut code) = status.take("statuscode").members("StatusCode")? else { return Ok(None) };
    code.take("value").text("StatusCode.Value")
}

fn decode_obligations(list: Json) -> Result<Obligations, ShapeFault> {
    let mut obligations = Vec::new();
    for obligation in list.list("Obligations")?.unwrap_or_default() {
        let mut obligation = obligation.object("Obligations[]")?;
        let id = obligation.take("id").text("Id")?.unwrap_or_default();
        let assignments =
            obligation.take("attributeassignment").list("AttributeAssignment")?.unwrap_or_default();
        if assignments.is_empty() {
            obligations.push(Obligation { id: id.into(), category: "".into(), value: "".into() });
            continue;
        }
        for assignment in assignments {
            let mut assignment = assignment.object("AttributeAssignment[]")?;
            obligations.push(Obligation {
                id: id.as_str().into(),
                category: assignment.take("category").text("Category")?.unwrap_or_default().into(),
                value: assignment.take("value").text("Value")?.unwrap_or_default().into(),
            });
        }
    }
    Ok(Obligations::new(obligations))
}
