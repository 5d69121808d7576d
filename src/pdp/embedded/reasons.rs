//! Why the embedded PDP answered as it did: kept beside an answer for those who ask for it.
//!
//! It listens and cannot change an answer: what the pipeline does with a witness and without one is the
//! same, and without one nothing is kept.

use std::fmt;

use serde::Serialize;

use crate::xacml::{Evaluation, Mode, Policy, Request, evaluate};

/// Listens to the pipeline.
#[derive(Debug)]
pub(super) enum Witness {
    /// Nobody asks why.
    Absent,
    /// Somebody does.
    Present(Box<Reasons>),
}

/// Why an answer is as it is. Persons are masked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reasons {}

impl Witness {
    /// What it heard.
    pub(super) fn into_reasons(self) -> Box<Reasons> {
        match self {
            Self::Absent => Box::default(),
            Self::Present(reasons) => reasons,
        }
    }

    /// Asks the policy of the resource.
    pub(super) fn evaluate_policy(
        &mut self,
        policy: &Policy,
        request: &Request<'_>,
        mode: Mode,
    ) -> Evaluation {
        evaluate(policy, request, mode)
    }

    /// Asks a delegation.
    pub(super) fn evaluate_rights(
        &mut self,
        rights: &Policy,
        request: &Request<'_>,
        mode: Mode,
    ) -> Evaluation {
        evaluate(rights, request, mode)
    }
}

impl fmt::Display for Reasons {
    /// Lines for people.
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
