//! Listens to the pipeline. What the pipeline does with a witness and without one is the same, and
//! without one nothing is kept.

use crate::xacml::{Decision, Evaluation, Mode, Policy, Request, Trace, evaluate, evaluate_traced};

/// Stands beside the pipeline.
#[derive(Debug)]
pub(in crate::pdp::embedded) enum Witness {
    /// Nobody asks why.
    Absent,
    /// Somebody does.
    Present(Box<Heard>),
}

/// What only the pipeline knows.
#[derive(Debug, Default)]
pub(in crate::pdp::embedded) struct Heard {
    /// What the policy of the resource said, if it was asked.
    pub(super) policy: Option<(Decision, Trace)>,
    /// The id of the delegation that permitted: where in the directory it stands.
    pub(super) delegation: Option<String>,
}

impl Witness {
    pub(in crate::pdp::embedded) fn present() -> Self {
        Self::Present(Box::default())
    }

    /// What it heard.
    pub(in crate::pdp::embedded) fn into_heard(self) -> Heard {
        match self {
            Self::Absent => Heard::default(),
            Self::Present(heard) => *heard,
        }
    }

    /// Asks the policy of the resource.
    pub(in crate::pdp::embedded) fn evaluate_policy(
        &mut self,
        policy: &Policy,
        request: &Request<'_>,
        mode: Mode,
    ) -> Evaluation {
        match self {
            Self::Absent => evaluate(policy, request, mode),
            Self::Present(heard) => {
                let (evaluation, trace) = evaluate_traced(policy, request, mode);
                heard.policy = Some((evaluation.decision, trace));
                evaluation
            }
        }
    }

    /// Asks a delegation.
    pub(in crate::pdp::embedded) fn evaluate_rights(
        &mut self,
        rights: &Policy,
        request: &Request<'_>,
        mode: Mode,
    ) -> Evaluation {
        let evaluation = evaluate(rights, request, mode);
        if let Self::Present(heard) = self
            && evaluation.decision == Decision::Permit
            && heard.delegation.is_none()
        {
            heard.delegation = Some(rights.id().to_owned());
        }
        evaluation
    }
}
