//! Actions that a single right names and that no rule of the resource's policy is about: most often a slip of
//! the hand. A policy may be about any action, so this is a warning, and only where its rules name some.

use std::collections::{BTreeSet, HashMap};

use crate::domain::{ResourceId, nearest};
use crate::pdp::embedded::{DirectoryFault, DirectoryParts, PolicyStore, RightPart};
use crate::xacml::{ACTION_ID, Category};

/// Each such action of a resource once, where it is given first: a generated file would say it a hundred
/// thousand times.
pub(super) fn unknown(parts: &DirectoryParts, policies: &PolicyStore) -> Vec<DirectoryFault> {
    let mut unknown = Vec::new();
    let mut told = BTreeSet::new();
    // What the policy of a resource is about is looked up once.
    let mut known_of = HashMap::new();
    for (section, index, rights) in rights(parts) {
        for (right, part) in rights.iter().enumerate() {
            // What is no id at all, and what has no policy, is reported as such.
            let known = known_of.entry(part.resource.as_str()).or_insert_with(|| {
                let resource = ResourceId::parse(&part.resource).ok()?;
                Some(policies.policy(&resource)?.compared_with(&Category::Action, ACTION_ID))
            });
            let Some(known) = known else { continue };
            let is_known = |action: &str| known.iter().any(|one| one.eq_ignore_ascii_case(action));
            for (at, action) in part.actions.iter().enumerate() {
                let mut is_new = || told.insert((part.resource.as_str(), action.as_str()));
                if known.is_empty() || is_known(action) || !is_new() {
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
