//! `self_check`: what follows when the surroundings are not as they should be.

use crate::config::reader::Table;

/// What follows from a finding of the self-check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFinding {
    /// `warn`: a line in the log, and a sign in metrics and probes.
    #[default]
    Warn,
    /// `refuse`: no start; and of what shows itself later, no traffic while it lasts.
    Refuse,
}

pub(super) fn read(root: &mut Table<'_>) -> OnFinding {
    let words = [("warn", OnFinding::Warn), ("refuse", OnFinding::Refuse)];
    root.or("self_check", OnFinding::Warn, |field| field.choice(&words))
}
