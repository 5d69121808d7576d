//! What is in force: the compiled rules and the long-lived parts they are judged with.
//!
//! One request sees one snapshot from its head to its record. A reload makes a new one, which shares the
//! parts whose settings did not change.

use crate::domain::{AuthenticationLevel, BodyBudget, CheckDigits, Clock, Host};
use crate::pdp::{Decisions, Lifetimes};
use crate::route::RouteTable;
use crate::token::TokenVerifier;
use std::sync::Arc;
use std::time::Duration;

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
