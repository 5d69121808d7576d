//! What is in force: the compiled rules and the long-lived parts they are judged with.
//!
//! One request sees one snapshot from its head to its record. A reload makes a new one, which shares the
//! parts whose settings did not change.

use crate::domain::{
    Action, AuthenticationLevel, BodyBudget, BufferBudget, CheckDigits, Clock, Enforcement, Host,
    ResourceId,
};
use crate::pdp::{Decisions, Lifetimes};
use crate::route::{RouteRule, RouteTable};
use crate::tasks::Tasks;
use crate::token::TokenVerifier;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Everything `authorize` needs, immutable.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts configurations since the start, from 1.
    pub generation: u64,
    /// The rules.
    pub routes: RouteTable,
    /// The hosts answered for; empty for any.
    pub hosts: Box<[Host]>,
    /// Verifies tokens, and remembers them.
    pub tokens: Arc<TokenVerifier>,
    /// Asks the PDP, and remembers its answers.
    pub decisions: Arc<Decisions>,
    /// The memory that bodies read to find a source in them share.
    pub buffers: BodyBudget,
    /// How values are read and judged.
    pub judging: Judging,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// What would grant what rules ask for, as far as that is known.
    pub grants: Grants,
    /// What is judged beside requests that are forwarded all the same; `None` where every rule is enforced.
    pub shadow: Option<Shadow>,
}

/// The access packages that would grant an action on a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(HashMap<(ResourceId, Action), Arc<[Box<str>]>>);

impl Grants {
    /// Any of these would grant it, as URNs; `None` where that is not known.
    #[must_use]
    pub fn of(&self, resource: &ResourceId, action: &Action) -> Option<&Arc<[Box<str>]>> {
        // Only refusals ask.
        self.0.get(&(resource.clone(), action.clone()))
    }
}

impl FromIterator<((ResourceId, Action), Arc<[Box<str>]>)> for Grants {
    fn from_iter<I: IntoIterator<Item = ((ResourceId, Action), Arc<[Box<str>]>)>>(
        known: I,
    ) -> Self {
        Self(known.into_iter().collect())
    }
}

/// `mode: shadow`, of all rules or of some.
#[derive(Clone, Debug)]
pub struct Shadow {
    /// Whether of all that do not say otherwise, and of requests without one.
    pub whole: bool,
    /// Who judges.
    pub tasks: Tasks,
    /// How many may be judged at once, or wait for the end of their requests. Bounds memory: judging may outlast the
    /// request.
    pub places: Arc<Semaphore>,
    /// The memory for copies of bodies that are judged while they are sent.
    pub copies: BufferBudget,
}

impl Snapshot {
    /// Whether what a rule refuses is refused.
    #[must_use]
    pub fn enforcement_of(&self, rule: &RouteRule) -> Enforcement {
        rule.mode().unwrap_or(match &self.shadow {
            Some(Shadow { whole: true, .. }) => Enforcement::Shadow,
            Some(_) | None => Enforcement::Enforce,
        })
    }
}

/// Settings that requests are judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judging {
    /// Whether organization numbers in requests need a right check digit.
    pub check_digits: CheckDigits,
    /// The authentication level of system users and organizations.
    pub machine_level: AuthenticationLevel,
    /// How long decisions count where a rule says nothing else.
    pub lifetimes: Lifetimes,
    /// The longest request target. Bounds what matching one request costs.
    pub max_target_bytes: usize,
    /// The largest body read into memory to find a source in it. Bounds memory per request.
    pub max_buffered_body: usize,
    /// How long a body that is read into memory may stand still. Bounds how long memory is held.
    pub body_idle_timeout: Duration,
    /// Where a vendor gets help, if the rule names no place of its own; may contain `{code}`.
    pub help_url: Option<Arc<str>>,
}
