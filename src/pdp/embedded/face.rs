//! The question of the HTTP face, as the wire has it, and its answer.
//!
//! Categories beyond subject, resource, action and environment are passed over, as Altinn's engine
//! does.

use super::point::{EmbeddedPdp, decision, indeterminate};
use super::question::{Attribute, Question};
use crate::domain::{Decision, Indeterminate};
use crate::pdp::wire::{WireCategory, WireResult, echo};
use crate::xacml::{Category, DataType};

impl EmbeddedPdp {
    /// Answers one question of the HTTP face. An error is what an exception is in Altinn's PDP: a
    /// question that cannot be read, which spoils a multi-request as a whole. A resource without a
    /// policy is not one; it is an Indeterminate result of its own.
    pub fn answer_wire(&self, asked: &[&WireCategory]) -> Result<WireResult, Indeterminate> {
        let evaluation = self.evaluation(&question(asked)).map_err(indeterminate)?;
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
