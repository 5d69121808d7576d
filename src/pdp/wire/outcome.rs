//! An answer of the PDP, read. Exactly one result for each question; what it says is one of four words or a
//! fault.
//!
//! Nothing that restricts a permit may vanish here: an obligation without assignments, and an assignment
//! without a category, become obligations that [`crate::pdp::obligations::check`] does not understand.

use super::json::{Json, JsonFault, Members, ShapeFault};
use super::{category, status};
use crate::domain::{AccessRequest, Decision, Indeterminate, Obligation, Obligations};
use std::sync::Arc;

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
    /// Another number of results than of questions.
    #[error("{results} results for {questions} questions")]
    ResultCount {
        /// Results in the answer.
        results: usize,
        /// Questions asked.
        questions: usize,
    },
    /// A result that repeats its question, and it is not the one asked at its place.
    #[error("a result concerns another party than was asked for")]
    OtherParty,
    /// Not exactly one of the four words.
    #[error("`Decision` is none of the four decisions")]
    NotADecision,
    /// A permit whose status says that something went wrong.
    #[error("a permit whose status is not ok")]
    PermitNotOk,
}

/// One result of an answer to several questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it says.
    pub decision: Decision,
    /// What it repeats of its question.
    pub echoed: Vec<Echoed>,
}

/// An attribute of a question, repeated in its result.
#[derive(Clone, PartialEq, Eq)]
pub struct Echoed {
    /// The category's URN.
    pub category: String,
    /// The attribute's id.
    pub id: String,
    /// The attribute's value.
    pub value: String,
}

impl std::fmt::Debug for Echoed {
    /// The value may be a person's number; it is not printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}=…", self.category, self.id)
    }
}

/// Reads the answer to one question.
pub fn decode_response(body: &[u8]) -> Result<Decision, WireFault> {
    let mut results = results(body, 1)?;
    match results.pop() {
        Some(mut result) => decode_result(&mut result),
        None => Err(WireFault::ResultCount { results: 0, questions: 1 }),
    }
}

/// Reads the answer to as many questions: a result for each, in their order, or nothing at all. An
/// exception in one makes the whole answer of Altinn's PDP a single `Indeterminate`.
pub fn decode_responses(body: &[u8], questions: usize) -> Result<Vec<Part>, WireFault> {
    let decode = |mut result: Members| {
        let decision = decode_result(&mut result)?;
        Ok(Part { decision, echoed: decode_echo(result.take("category"))? })
    };
    results(body, questions)?.into_iter().map(decode).collect()
}

/// Reads the decisions on these questions, in their order. The order says which result is whose, and a
/// result that repeats something of its question must repeat its party.
pub fn decode_answers(
    body: &[u8],
    requests: &[Arc<AccessRequest>],
) -> Result<Vec<Decision>, WireFault> {
    let parts = decode_responses(body, requests.len())?;
    let checked = parts.into_iter().zip(requests).map(|(part, request)| {
        if part.is_of(request) { Ok(part.decision) } else { Err(WireFault::OtherParty) }
    });
    checked.collect()
}

impl Part {
    fn is_of(&self, request: &AccessRequest) -> bool {
        let party = request.party.attribute_id();
        let value = request.party.expose_value();
        let mut parties =
            self.echoed.iter().filter(|it| it.category == category::RESOURCE && it.id == party);
        match parties.next() {
            Some(first) => first.value == *value && parties.all(|it| it.value == *value),
            None => self.echoed.is_empty(),
        }
    }
}

fn results(body: &[u8], questions: usize) -> Result<Vec<Members>, WireFault> {
    let mut document = Json::parse(body)?.object("the answer")?;
    let list = document.take("response").list("Response")?.ok_or(WireFault::NoResponse)?;
    if list.len() != questions {
        return Err(WireFault::ResultCount { results: list.len(), questions });
    }
    Ok(list.into_iter().map(|result| result.object("Response[]")).collect::<Result<_, _>>()?)
}

fn decode_result(result: &mut Members) -> Result<Decision, WireFault> {
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

fn decode_echo(list: Json) -> Result<Vec<Echoed>, ShapeFault> {
    let mut echoed = Vec::new();
    for entry in list.list("Category")?.unwrap_or_default() {
        let mut entry = entry.object("Category[]")?;
        let category = entry.take("categoryid").text("CategoryId")?.unwrap_or_default();
        for attribute in entry.take("attribute").list("Attribute")?.unwrap_or_default() {
            let mut attribute = attribute.object("Attribute[]")?;
            echoed.push(Echoed {
                category: category.clone(),
                id: attribute.take("attributeid").text("AttributeId")?.unwrap_or_default(),
                value: attribute.take("value").text("Value")?.unwrap_or_default(),
            });
        }
    }
    Ok(echoed)
}
