//! May they: the question to the Policy Decision Point, its answer, and how long the answer is believed.
//!
//! [`Decisions`] is what the rest of the program asks; behind it stands one [`DecisionPoint`]. What this
//! room does not do: find out what to ask (the route room), or conclude anything from the answer
//! (`authorize`), except for saying whether the obligations of a permit are met.
//!
//! Invariant: only an answer with exactly one result whose decision reads exactly `Permit` becomes
//! [`Decision::Permit`](crate::domain::Decision); whatever else is not one of the other three words is a
//! [`DecisionFault`], and a fault is never stored.

mod cache;
pub mod credential;
mod decisions;
pub mod embedded;
mod flights;
mod held;
pub mod obligations;
mod point;
mod purge;
mod remote;
#[cfg(test)]
mod samples;
mod scripted;
pub mod wire;

pub use cache::{CacheSettings, Lifetimes};
pub use credential::{ClientKey, Credential, GrantSettings, InvalidClientKey};
pub use decisions::{DecisionStats, Decisions};
pub use embedded::Reasons;
pub use obligations::ObligationFault;
pub use point::{
    Circuit, DecisionFault, DecisionPoint, PendingDecision, PendingDecisions, PointCondition,
};
pub use purge::Purge;
pub use remote::{BreakerSettings, InvalidRemote, RemotePdp, RemoteSettings};
pub use scripted::{QuestionPattern, Scripted};
