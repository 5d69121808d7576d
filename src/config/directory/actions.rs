//! Actions that a single right names and that no rule of the resource's policy is about: most often a slip of
//! the hand. A policy may be about any action, so this is a warning, and only where its rules name some.

use crate::domain::{ResourceId, nearest};
use crate::pdp::embedded::{DirectoryFault, DirectoryParts, PolicyStore, RightPart};
use crate::xacml::{ACTION_ID, Category};

/// Each such action, at each place where it is given.
pub(super) fn unknown(parts: &DirectoryParts, policies: &PolicyStore) -> Vec<DirectoryFault> {
    let mut unknown = Vec::new();
    for (section, index, rights) in rights(parts) {
        for (right, part) in rights.iter().enumerate() {
            // What is no id at all, and what has no policy, is reported as such.
            let resource = ResourceId::parse(&part.resource).ok();
            let Some(policy) = resource.and_then(|id| policies.policy(&id)) else { continue };
            let known = policy.compared_with(&Category::Action, ACTION_ID);
            let is_known = |action: &str| known.iter().any(|one| one.eq_ignore_ascii_case(action));
            for (at, action) in part.actions.iter().enumerate() {
                if known.is_empty() || is_known(action) {
                    continue;
                }
                let help = match nearest(action, known.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "correct the action, or the policy".to_owned(),
                };
                unknown.push(DirectoryFault {
                    path: format!("{section}[{index}].rights[{right}].actions[{at}]"),
                    message: format!(
                        "no rule of the policy of `{}` is about the action `{action}`",
                        part.resource
                    ),
                    help,
                });
            }
        }
    }
    unknown
}

/// Every list of single rights, and the entry that it stands in.
fn rights(parts: &DirectoryParts) -> impl Iterator<Item = (&'static str, usize, &[RightPart])> {
    let delegations = parts.delegations.iter().enumerate();
    let system_users = parts.system_users.iter().enumerate();
    delegations
        .map(|(index, one)| ("delegations", index, one.rights.as_slice()))
        .chain(system_users.map(|(index, one)| ("system_users", index, one.rights.as_slice())))
}
