//! What one party has given another: access packages, single rights, and delegations in the form in
//! which Altinn stores them.
//!
//! A single right is kept small, because there may be a hundred thousand: the policy that says the
//! same, as Altinn would store it, is made when the right is asked.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::attributes::{APP, ORG, RESOURCE, RESOURCE_INSTANCE, TASK};
use super::directory::PartyKey;
use super::names::{PackageCode, app_of};
use crate::domain::{Action, ResourceId, SystemUserId};
use crate::xacml::{AttributeIs, Policy, Right};

/// What one party has given another.
#[derive(Clone, Default)]
pub(super) struct Delegated {
    pub(super) packages: BTreeSet<PackageCode>,
    pub(super) rights: SingleRights,
}

/// Single rights of one receiver.
// Invariant: in the order of their resources; no two are to the same resource, instance and task.
#[derive(Clone, Debug, Default)]
pub(super) struct SingleRights(Vec<SingleRight>);

/// Actions on one resource, or on one instance of it, or in one task of its process.
#[derive(Clone, Debug)]
pub(super) struct SingleRight {
    pub(super) resource: ResourceId,
    pub(super) actions: Arc<[Action]>,
    pub(super) instance: Option<Uuid>,
    pub(super) task: Option<Arc<str>>,
    pub(super) place: Place,
}

/// Where a single right was given; its name in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Delegation {
        entry: usize,
        right: usize,
    },
    SystemUser {
        entry: usize,
        right: usize,
    },
    /// Not in the file.
    WhileRunning,
}

impl SingleRights {
    /// Those to a resource.
    pub(super) fn of(&self, resource: &ResourceId) -> &[SingleRight] {
        let start = self.0.partition_point(|one| one.resource < *resource);
        let from = self.0.get(start..).unwrap_or_default();
        let count = from.partition_point(|one| one.resource == *resource);
        from.get(..count).unwrap_or_default()
    }

    /// `false` if there is one to the same resource, instance and task already; then that one stays.
    pub(super) fn insert(&mut self, right: SingleRight) -> bool {
        let same = |one: &SingleRight| one.instance == right.instance && one.task == right.task;
        if self.of(&right.resource).iter().any(same) {
            return false;
        }
        let at = self.0.partition_point(|one| one.resource <= right.resource);
        self.0.insert(at, right);
        true
    }

    /// Adds actions to the right to the whole of a resource, or makes that right; the number of its
    /// actions then.
    pub(super) fn grant(&mut self, resource: &ResourceId, actions: &[Action]) -> usize {
        let mut all: Vec<Action> = Vec::new();
        let held = self.whole(resource).and_then(|at| self.0.get(at));
        let held = held.map(|right| right.actions.iter()).into_iter().flatten();
        for action in held.chain(actions) {
            if !all.contains(action) {
                all.push(action.clone());
            }
        }
        let count = all.len();
        self.set(resource, all);
        count
    }

    /// Takes actions from the right to the whole of a resource, or the first that it does not have: then
    /// nothing is changed.
    pub(super) fn revoke<'a>(
        &mut self,
        resource: &ResourceId,
        actions: &'a [Action],
    ) -> Result<(), &'a Action> {
        let right = self.whole(resource).and_then(|at| self.0.get(at));
        let mut left = right.map(|right| right.actions.to_vec()).unwrap_or_default();
        for action in actions {
            let at = left.iter().position(|one| one == action).ok_or(action)?;
            left.remove(at);
        }
        self.set(resource, left);
        Ok(())
    }

    /// Where the right to the whole of a resource stands.
    fn whole(&self, resource: &ResourceId) -> Option<usize> {
        self.0.iter().position(|one| {
            one.resource == *resource && one.instance.is_none() && one.task.is_none()
        })
    }

    fn set(&mut self, resource: &ResourceId, actions: Vec<Action>) {
        let at = self.whole(resource);
        match (at.and_then(|at| self.0.get_mut(at)), actions.is_empty()) {
            (Some(right), false) => right.actions = actions.into(),
            (Some(_), true) => self.0.retain(|one| {
                one.resource != *resource || one.instance.is_some() || one.task.is_some()
            }),
            (None, true) => {}
            (None, false) => {
                self.insert(SingleRight {
                    resource: resource.clone(),
                    actions: actions.into(),
                    instance: None,
                    task: None,
                    place: Place::WhileRunning,
                });
            }
        }
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, SingleRight> {
        self.0.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the memory of what is there, and no more.
    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }
}

impl SingleRight {
    /// Whether the right may count where this instance was asked for: one to an instance only there.
    pub(super) fn is_for(&self, instance: Option<Uuid>) -> bool {
        reaches(self.instance, instance)
    }

    /// The right as Altinn would store it.
    pub(super) fn policy(&self, subject: &AttributeIs) -> Policy {
        let is = |id: &str, value: &str| AttributeIs { id: id.to_owned(), value: value.to_owned() };
        let mut target = match app_of(self.resource.as_str()) {
            Some((org, app)) => vec![is(ORG, org), is(APP, app)],
            None => vec![is(RESOURCE, self.resource.as_str())],
        };
        target.extend(self.instance.map(|uuid| is(RESOURCE_INSTANCE, &uuid.to_string())));
        target.extend(self.task.as_deref().map(|task| is(TASK, task)));
        let rights = self.actions.iter().map(|action| Right {
            subject: subject.clone(),
            resource: target.clone(),
            action: action.as_str().to_owned(),
        });
        Policy::of_rights(self.place.to_string(), rights)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delegation { entry, right } => write!(f, "delegations[{entry}].rights[{right}]"),
            Self::SystemUser { entry, right } => write!(f, "system_users[{entry}].rights[{right}]"),
            Self::WhileRunning => f.write_str("given-while-running"),
        }
    }
}

/// Who may be given something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Receiver {
    Party(PartyKey),
    SystemUser(SystemUserId),
}

/// What the delegations in Altinn's own form are found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct StoredKey {
    pub(super) giver: PartyKey,
    pub(super) receiver: Receiver,
    pub(super) resource: ResourceId,
}

/// A delegation in Altinn's own form.
#[derive(Clone, Debug)]
pub(super) struct StoredDelegation {
    pub(super) instance: Option<Uuid>,
    pub(super) policy: Arc<Policy>,
}

impl StoredDelegation {
    /// Whether the delegation may count where this instance was asked for.
    pub(super) fn is_for(&self, instance: Option<Uuid>) -> bool {
        reaches(self.instance, instance)
    }
}

fn reaches(given: Option<Uuid>, asked: Option<Uuid>) -> bool {
    given.is_none_or(|given| Some(given) == asked)
}
