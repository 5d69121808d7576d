//! A question to show: one that the PDP permits, if there is one near at hand.

use super::live_pdp::LivePdp;
use crate::domain::{AccessRequest, Action, Party, PdpSubject, ResourceId};
use crate::pdp::embedded::{EmbeddedPdp, Question, SystemUserKind};
use crate::xacml::{ACTION_ID, Category, Decision};
use std::sync::Arc;

/// The most questions tried. Bounds the start over a large directory: a question takes microseconds.
const MAX_TRIES: usize = 10_000;

/// The first question about a system user that is permitted; else the first of all, if there is any.
#[must_use]
pub fn sample_question(pdp: &LivePdp) -> Option<AccessRequest> {
    let directory = pdp.directory().current();
    let clients = directory.system_users().flat_map(|user| {
        let subject = PdpSubject::SystemUser(user.id);
        let parties: Vec<_> = match user.kind {
            SystemUserKind::Standard => vec![user.owner],
            SystemUserKind::Agent => user.agent_clients().keys().copied().collect(),
        };
        parties.into_iter().map(move |party| (subject, Party::Organization(party)))
    });
    pdp.look(|pdp| {
        let asked = resources(pdp);
        let questions = clients.flat_map(|(subject, party)| {
            asked.iter().map(move |(resource, action)| AccessRequest {
                subject,
                resource: resource.clone(),
                action: action.clone(),
                party,
                instance: None,
                attributes: Arc::from([]),
            })
        });
        let mut first = None;
        for question in questions.take(MAX_TRIES) {
            if matches!(pdp.answer(&Question::from(&question)).decision, Decision::Permit) {
                return Some(question);
            }
            first.get_or_insert(question);
        }
        first
    })
}

/// Every resource with every action that its policy speaks of.
fn resources(pdp: &EmbeddedPdp) -> Vec<(ResourceId, Action)> {
    let store = pdp.policies();
    let mut found = Vec::new();
    for resource in store.resources() {
        let policy = store.policy(resource);
        let actions = policy.map(|policy| policy.compared_with(&Category::Action, ACTION_ID));
        let actions = actions.into_iter().flatten().filter_map(|text| Action::parse(text).ok());
        found.extend(actions.map(|action| (resource.clone(), action)));
    }
    found
}
