//! The question of the HTTP face, as the wire has it, and its answer.
//!
//! Categories beyond subject, resource, action and environment are passed over, as Altinn's engine
//! does.

use super::attributes::PARTY_ID;
use super::pipeline::Answer;
use super::point::{EmbeddedPdp, decision, indeterminate};
use super::question::{Attribute, Question};
use super::reasons::{Reasons, Witness};
use crate::domain::{Indeterminate, PartyId};
use crate::pdp::wire::{
    WireAssignment, WireAttribute, WireCategory, WireObligation, WireResult, category, echo,
};
use crate::xacml::{Category, DataType, Obligation, StatusCode};

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
    /// question that cannot be read or a resource without a policy, and spoils a multi-request as a whole.
    pub fn answer_wire(
        &self,
        api: Api,
        asked: &[&WireCategory],
    ) -> Result<WireResult, Indeterminate> {
        let question = question(asked);
        let answer = self.answered(&question, api, &mut Witness::Absent);
        self.on_the_wire(answer, asked)
    }

    /// The same answer, and why it is as it is.
    pub fn answer_wire_explained(
        &self,
        api: Api,
        asked: &[&WireCategory],
    ) -> (Result<WireResult, Indeterminate>, Box<Reasons>) {
        let question = question(asked);
        let (answer, reasons) = self.answered_and_explained(&question, api);
        (self.on_the_wire(answer, asked), reasons)
    }

    fn on_the_wire(
        &self,
        answer: Result<Answer<'_>, StatusCode>,
        asked: &[&WireCategory],
    ) -> Result<WireResult, Indeterminate> {
        let answer = answer.map_err(indeterminate)?;
        if answer.is_without_policy() {
            return Err(indeterminate(answer.evaluation.status));
        }
        let mut echoed = echo(asked);
        if let Some(id) = answer.found_party {
            add_party(&mut echoed, id);
        }
        if !echoed.is_empty() && !answer.repeats(self.mode()) {
            echoed.clear();
        }
        let obligations = answer.evaluation.obligations.iter().map(|one| obligation(one));
        Ok(WireResult {
            decision: decision(&answer.evaluation),
            obligations: obligations.collect(),
            echoed,
        })
    }
}

fn obligation(one: &Obligation) -> WireObligation {
    let assignments = one.assignments.iter().map(|one| WireAssignment {
        id: one.attribute_id.clone(),
        value: one.value.clone(),
        category: one.category.clone(),
        data_type: one.data_type.uri(),
    });
    WireObligation { id: one.id.clone(), assignments: assignments.collect() }
}

/// Altinn tells a party that it had to look up, though nobody asked it to.
fn add_party(echoed: &mut Vec<WireCategory>, id: PartyId) {
    let found = WireAttribute {
        id: PARTY_ID.to_owned(),
        value: id.number().to_string(),
        data_type: DataType::String.uri(),
        include_in_result: true,
        is_further: false,
    };
    match echoed.iter_mut().find(|entry| entry.category == category::RESOURCE) {
        Some(entry) => entry.attributes.push(found),
        None => echoed.push(WireCategory {
            category: category::RESOURCE.to_owned(),
            id: None,
            attributes: vec![found],
        }),
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
        let before = bag.len();
        for one in &entry.attributes {
            // Of two categories of a kind Altinn reads the first, and lets rules look into both.
            let is_further =
                one.is_further || bag.iter().take(before).any(|other| other.id == one.id);
            bag.push(Attribute {
                id: one.id.as_str().into(),
                value: one.value.as_str().into(),
                data_type: DataType::from_uri(one.data_type).unwrap_or(DataType::String),
                is_further,
            });
        }
    }
    question
}
