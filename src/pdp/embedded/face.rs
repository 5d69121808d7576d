//! The question of the HTTP face, as the wire has it, and its answer.
//!
//! Categories beyond subject, resource, action and environment are passed over, as Altinn's engine
//! does.

use super::point::{EmbeddedPdp, decision, indeterminate};
use super::question::{Attribute, Question};
use super::reasons::Reasons;
use crate::domain::{Decision, Indeterminate};
use crate::pdp::wire::{WireCategory, WireResult, echo};
use crate::xacml::{Category, DataType, Evaluation, StatusCode};

/// Which of Altinn's two addresses was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `authorize`: for service owners.
    External,
    /// `decision`: for Altinn's own services. It takes no person numbers.
    Internal,
}

impl EmbeddedPdp {
    /// Answers one question of the HTTP face. An error is what an exception is in Altinn's PDP: a
    /// question that cannot be read, which spoils a multi-request as a whole. A resource without a
    /// policy is not one; it is an Indeterminate result of its own.
    pub fn answer_wire(
        &self,
        _api: Api,
        asked: &[&WireCategory],
    ) -> Result<WireResult, Indeterminate> {
        Self::on_the_wire(self.evaluation(&question(asked)), asked)
    }

    /// The same answer, and why it is as it is.
    pub fn answer_wire_explained(
        &self,
        _api: Api,
        asked: &[&WireCategory],
    ) -> (Result<WireResult, Indeterminate>, Box<Reasons>) {
        let (evaluation, reasons) = self.explained(&question(asked));
        (Self::on_the_wire(evaluation, asked), reasons)
    }

    fn on_the_wire(
        evaluation: Result<Evaluation, StatusCode>,
        asked: &[&WireCategory],
    ) -> Result<WireResult, Indeterminate> {
        let evaluation = evaluation.map_err(indeterminate)?;
        let decision = decision(&evaluation);
        let echoed = match &decision {
            Decision::Permit(_) | Decision::Deny | Decision::NotApplicable => echo(asked),
            Decision::Indeterminate(_) => Vec::new(),
        };
        Ok(WireResult { decision, echoed })
    }
}

fn question<'a>(asked: &[&'a WireCategory]) -> Question<'a> {
    let mut question = Question::default();
    for entry in asked {
        let bag = match Category::from_uri(&entry.category) {
            Category::AccessSubject => &mut question.subject,
            Category::Resource => &mut question.resource,
            Category::Action => &mut question.action,
            Category::Environment => &mut question.environment,
            Category::Named(_) => continue,
        };
        bag.extend(entry.attributes.iter().map(|one| Attribute {
            id: one.id.as_str().into(),
            value: one.value.as_str().into(),
            data_type: DataType::from_uri(one.data_type).unwrap_or(DataType::String),
        }));
    }
    question
}
