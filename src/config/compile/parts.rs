//! The parts of a snapshot that are made, or kept, apart from the rules.

use super::super::diagnostic::{Diagnostic, Origin};
use super::super::directory::load_policies;
use super::super::files::Files;
use super::super::sections::{self, PdpSettings, ServerSettings};
use super::{Compiled, Diagnostics, Runtime};
use crate::domain::{Action, BodyBudget, BufferBudget, Enforcement, ResourceId};
use crate::outbound::Outbound;
use crate::pdp::credential::CredentialKeeper;
use crate::pdp::embedded::PolicyStore;
use crate::pdp::{CacheSettings, DecisionPoint, Lifetimes, RemotePdp};
use crate::route::{CacheRule, RouteTable};
use crate::snapshot::{Grants, Shadow};
use crate::tasks::Tasks;
use crate::token::{TokenSettings, TokenVerifier};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The resource policies beside the rules, where the PDP is elsewhere: they decide nothing, and tell what would grant an
/// action. One that cannot be read is so far no reason not to start.
pub(super) fn policies_beside(
    files: &Files,
    policies: &Path,
    named_at: &Origin,
    diagnostics: &mut Diagnostics,
) -> Option<PolicyStore> {
    let folder = policies.join("resources");
    if files.list(&folder, "xml").map_or(true, |paths| paths.is_empty()) {
        return None;
    }
    let mut found = Diagnostics::new();
    let store = load_policies(files, &folder, named_at, &mut found);
    if store.is_none() {
        let message = format!("the resource policies in `{}` cannot be read", folder.display());
        let found = Diagnostic::warning("unread-policies", message).at(named_at);
        let help = "refusals name no access packages; `portvakt pdp` shows what is wrong with them";
        diagnostics.push(found.help(help));
    }
    store
}

/// What would grant what the rules ask for.
pub(super) fn grants(routes: &RouteTable, policies: &PolicyStore) -> Grants {
    let asked: HashSet<_> = routes
        .rules()
        .iter()
        .filter_map(|rule| Some((rule.resource()?, rule.action()?)))
        .flat_map(|(resource, action)| resource.ids().map(move |id| (id.clone(), action.clone())))
        .collect();
    let known = |asked: (ResourceId, Action)| {
        let packages = policies.packages_granting(&asked.0, &asked.1)?;
        Some((asked, packages))
    };
    asked.into_iter().filter_map(known).collect()
}

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

/// Who verifies tokens; it takes over from the one `before` what it can.
pub(super) fn tokens(
    settings: TokenSettings,
    before: Option<&Compiled>,
    outbound: &Outbound,
    runtime: &Runtime,
) -> Arc<TokenVerifier> {
    let (tasks, clock) = (&runtime.tasks, Arc::clone(&runtime.clock));
    let former = before.map(|previous| &*previous.snapshot.tokens);
    Arc::new(TokenVerifier::taking_over(former, settings, outbound, tasks, clock))
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
