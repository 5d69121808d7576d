//! The embedded PDP as a decision point.

use std::sync::Arc;

use super::directory::Directory;
use super::face::Api;
use super::handle::DirectoryHandle;
use super::pipeline::{self, Answer};
use super::policies::PolicyStore;
use super::question::Question;
use super::reasons::{Reasons, Scene, Witness};
use crate::domain::{
    AccessRequest, Decision, DecisionSource, Indeterminate, Obligation, Obligations,
};
use crate::pdp::{DecisionPoint, PendingDecision};
use crate::xacml::{self, Evaluation, Mode, StatusCode};

/// Decides from policies and a directory, in this process and at once.
#[derive(Debug)]
pub struct EmbeddedPdp {
    policies: Arc<PolicyStore>,
    directory: DirectoryHandle,
    mode: Mode,
    identity: String,
}

impl EmbeddedPdp {
    pub fn new(policies: PolicyStore, directory: Directory, mode: Mode) -> Self {
        let identity = identity(mode, &policies);
        let policies = Arc::new(policies);
        let directory = DirectoryHandle::new(directory, Arc::clone(&policies));
        Self { policies, directory, mode, identity }
    }

    /// Decides by these policies from the same directory: whoever holds a way to it keeps it.
    #[must_use]
    pub fn with_policies(&self, policies: PolicyStore) -> Self {
        let identity = identity(self.mode, &policies);
        let policies = Arc::new(policies);
        self.directory.use_policies(Arc::clone(&policies));
        Self { policies, directory: self.directory.clone(), mode: self.mode, identity }
    }

    /// A way to look at the directory and to change it.
    pub fn directory(&self) -> DirectoryHandle {
        self.directory.clone()
    }

    pub fn policies(&self) -> &PolicyStore {
        &self.policies
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// Answers a question of any form, as the external address does. What Altinn answers with an error
    /// status inside a result, this does too; there is no other failure.
    pub fn answer(&self, question: &Question<'_>) -> Evaluation {
        self.answered(question, Api::External, &mut Witness::Absent)
            .map_or_else(Evaluation::indeterminate, |answer| answer.evaluation)
    }

    /// The same answer, and why it is as it is.
    pub fn explained(
        &self,
        question: &Question<'_>,
    ) -> (Result<Evaluation, StatusCode>, Box<Reasons>) {
        let (answer, reasons) = self.answered_and_explained(question, Api::External);
        (answer.map(|answer| answer.evaluation), reasons)
    }

    pub(super) fn answered_and_explained<'q>(
        &'q self,
        question: &'q Question<'_>,
        api: Api,
    ) -> (Result<Answer<'q>, StatusCode>, Box<Reasons>) {
        let directory = self.directory.current();
        let mut witness = Witness::present();
        let (policies, mode) = (&self.policies, self.mode);
        let answer = pipeline::answer(policies, &directory, mode, (question, api), &mut witness);
        let scene = Scene { policies, directory: &directory, question, api };
        let evaluation = answer.as_ref().map(|answer| &answer.evaluation).map_err(|one| *one);
        let reasons = Box::new(scene.reasons(witness.into_heard(), evaluation));
        (answer, reasons)
    }

    /// The same, where a question that cannot be read is told from one without a policy.
    pub(super) fn answered<'q>(
        &'q self,
        question: &'q Question<'_>,
        api: Api,
        witness: &mut Witness,
    ) -> Result<Answer<'q>, StatusCode> {
        let directory = self.directory.current();
        pipeline::answer(&self.policies, &directory, self.mode, (question, api), witness)
    }
}

impl DecisionPoint for EmbeddedPdp {
    fn decide<'a>(&'a self, request: &'a AccessRequest) -> PendingDecision<'a> {
        Box::pin(async move { Ok(decision(&self.answer(&Question::from(request)))) })
    }

    fn reasons(&self, request: &AccessRequest) -> Option<Box<Reasons>> {
        Some(self.explained(&Question::from(request)).1)
    }

    fn source(&self) -> DecisionSource {
        DecisionSource::Embedded
    }

    fn identity(&self) -> &str {
        &self.identity
    }
}

/// The directory is left out on purpose: it changes while it is used, as Altinn's registers do, and
/// remembered answers outlive such a change by their lifetime only.
fn identity(mode: Mode, policies: &PolicyStore) -> String {
    let word = match mode {
        Mode::Altinn => "altinn",
        Mode::Strict => "strict",
    };
    format!("embedded:{word}:{}", policies.fingerprint())
}

pub(super) fn decision(evaluation: &Evaluation) -> Decision {
    match evaluation.decision {
        xacml::Decision::Permit => Decision::Permit(obligations(evaluation)),
        xacml::Decision::Deny => Decision::Deny,
        xacml::Decision::NotApplicable => Decision::NotApplicable,
        xacml::Decision::Indeterminate => Decision::Indeterminate(indeterminate(evaluation.status)),
    }
}

pub(super) fn indeterminate(status: StatusCode) -> Indeterminate {
    match status {
        StatusCode::Ok => Indeterminate::Unstated,
        StatusCode::MissingAttribute => Indeterminate::MissingAttribute,
        StatusCode::SyntaxError => Indeterminate::SyntaxError,
        StatusCode::ProcessingError => Indeterminate::ProcessingError,
    }
}

/// One entry for each assignment; an obligation without any still stands there, with an empty
/// category that nobody can meet.
fn obligations(evaluation: &Evaluation) -> Obligations {
    let mut list = Vec::new();
    for one in &evaluation.obligations {
        let id: Box<str> = one.id.as_str().into();
        if one.assignments.is_empty() {
            list.push(Obligation { id: id.clone(), category: "".into(), value: "".into() });
        }
        list.extend(one.assignments.iter().map(|assignment| Obligation {
            id: id.clone(),
            category: assignment.category.as_deref().unwrap_or_default().into(),
            value: assignment.value.as_str().into(),
        }));
    }
    Obligations::new(list)
}
