//! The parts of a snapshot that are made, or kept, apart from the rules.

use super::super::sections::{self, PdpSettings, ServerSettings};
use super::{Compiled, Diagnostics, Runtime};
use crate::domain::{BodyBudget, BufferBudget, Enforcement};
use crate::outbound::Outbound;
use crate::pdp::credential::CredentialKeeper;
use crate::pdp::{CacheSettings, DecisionPoint, Lifetimes, RemotePdp};
use crate::route::{CacheRule, RouteTable};
use crate::snapshot::Shadow;
use crate::tasks::Tasks;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What is judged beside requests, where any rule is in shadow.
pub(super) fn shadow(
    mode: Enforcement,
    routes: &RouteTable,
    server: &ServerSettings,
    tasks: &Tasks,
) -> Option<Shadow> {
    let whole = mode == Enforcement::Shadow;
    let some = || routes.rules().iter().any(|rule| rule.mode() == Some(Enforcement::Shadow));
    if !whole && !some() {
        return None;
    }
    // One for each request under way, and as many whose judging outlasts them.
    let places = server.limits.max_requests_in_flight.saturating_mul(2);
    Some(Shadow {
        whole,
        tasks: tasks.clone(),
        places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
        copies: BufferBudget::new(server.max_buffered_total),
    })
}

/// The memory for bodies: that of before, where it is as large, so that what its requests hold still counts.
pub(super) fn buffers(server: &ServerSettings, previous: Option<&Compiled>) -> BodyBudget {
    let buffers = BodyBudget::new(server.max_buffered_total, server.max_buffered_body);
    let same_budget = previous
        .map(|previous| &previous.snapshot.buffers)
        .filter(|former| (former.total(), former.share()) == (buffers.total(), buffers.share()));
    same_budget.cloned().unwrap_or(buffers)
}

/// Who holds the token that the PDP is asked with: the one of before, with the token, where it would be made from the
/// same.
pub(super) fn keeper(
    pdp: Option<&PdpSettings>,
    alike: Option<&Compiled>,
    outbound: &Outbound,
    runtime: &Runtime,
) -> Option<Arc<CredentialKeeper>> {
    let credential = |pdp: Option<&PdpSettings>| match pdp {
        Some(PdpSettings::Altinn(settings)) => Some(settings.credential.clone()),
        Some(PdpSettings::Embedded(_)) | None => None,
    };
    let ours = credential(pdp)?;
    let same = alike.filter(|former| credential(former.basis.pdp.as_ref()).as_ref() == Some(&ours));
    match same {
        Some(former) => former.keeper.clone(),
        None => ours.keeper(outbound, &runtime.tasks, &runtime.clock),
    }
}

pub(super) fn decision_point(
    pdp: &sections::Pdp,
    outbound: Outbound,
    keeper: Option<Arc<CredentialKeeper>>,
    runtime: &Runtime,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn DecisionPoint>> {
    match pdp.settings.as_ref()? {
        PdpSettings::Altinn(settings) => {
            match RemotePdp::with_keeper(outbound, settings, keeper, Arc::clone(&runtime.clock)) {
                Ok(point) => Some(Arc::new(point)),
                Err(fault) => {
                    diagnostics.push(pdp.fault(fault));
                    None
                }
            }
        }
        // Put together before, from its files.
        PdpSettings::Embedded(_) => None,
    }
}

/// The longest that any rule, or the general setting, believes an answer.
pub(super) fn longest_lifetime(routes: &RouteTable, general: &CacheSettings) -> Duration {
    let own = routes.rules().iter().flat_map(|rule| match rule.cache() {
        Some(CacheRule::Lifetimes { permit, deny }) => [permit, deny],
        Some(CacheRule::Off) | None => [None, None],
    });
    let general = match general.lifetimes() {
        Lifetimes::Held { permit, deny } => permit.max(deny),
        Lifetimes::Off => Duration::ZERO,
    };
    own.flatten().max().map_or(general, |longest| longest.max(general))
}
