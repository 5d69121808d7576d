//! The parts of a running proxy that probes, metrics and the status page tell about. What each of them makes of
//! it is its own affair.

use super::readiness::Readiness;
use super::reload::Currency;
use super::self_check::SelfCheck;
use super::tls::LiveTls;
use crate::outbound::Healths;
use crate::record::Recorder;
use crate::snapshot::Snapshot;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Instant;

/// What can be told about. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) readiness: Readiness,
    pub(super) recorder: Arc<Recorder>,
    pub(super) healths: Arc<Healths>,
    pub(super) tls: Option<LiveTls>,
    pub(super) currency: Currency,
    pub(super) self_check: SelfCheck,
    pub(super) started: Instant,
}
