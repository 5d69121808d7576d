//! Access packages that are given and that no policy asks for: most often a slip of the hand. The catalogue
//! of packages is Altinn's, so this is a warning; packages of a role are left out, for a role gives many.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::domain::nearest;
use crate::pdp::embedded::{DirectoryFault, DirectoryParts, PackageCode, PolicyStore};
use crate::xacml::Category;

/// Each package that `parts` give and none of `policies` asks for, where it stands first.
pub(super) fn unknown(parts: &DirectoryParts, policies: &PolicyStore) -> Vec<DirectoryFault> {
    let asked_for: BTreeSet<String> = policies
        .resources()
        .filter_map(|resource| policies.policy(resource))
        .flat_map(|policy| {
            policy.compared_with(&Category::AccessSubject, PackageCode::ATTRIBUTE_ID)
        })
        .map(str::to_ascii_lowercase)
        .collect();
    let mut unknown = BTreeMap::new();
    let mut look = |texts: &[String], place: Place| {
        for (index, text) in texts.iter().enumerate() {
            // What is no code at all is reported as such.
            let Ok(package) = PackageCode::parse(text) else { continue };
            if !asked_for.contains(package.as_str()) {
                unknown.entry(package).or_insert_with(|| format!("{place}.packages[{index}]"));
            }
        }
    };
    for (index, one) in parts.delegations.iter().enumerate() {
        look(&one.packages, Place::Delegation(index));
    }
    for (user, one) in parts.system_users.iter().enumerate() {
        look(&one.packages, Place::SystemUser(user));
        for (index, one) in one.clients.iter().enumerate() {
            look(&one.packages, Place::Client(user, index));
        }
    }
    let fault = |(package, path): (PackageCode, String)| {
        let help = match nearest(package.as_str(), asked_for.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "correct the code, or add the policy that asks for it".to_owned(),
        };
        DirectoryFault {
            path,
            message: format!("no policy asks for the package `{package}`"),
            help,
        }
    };
    unknown.into_iter().map(fault).collect()
}

/// The entry that a list of packages stands in. Written out only where something is wrong with it.
#[derive(Clone, Copy)]
enum Place {
    Delegation(usize),
    SystemUser(usize),
    Client(usize, usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delegation(index) => write!(f, "delegations[{index}]"),
            Self::SystemUser(index) => write!(f, "system_users[{index}]"),
            Self::Client(user, index) => write!(f, "system_users[{user}].clients[{index}]"),
        }
    }
}
