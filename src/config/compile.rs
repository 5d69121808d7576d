//! From files, variables and flags to what is in force. No network is touched.
//!
//! Invariant: a configuration with an error compiles to nothing, so that whoever reloads keeps what was
//! in force before.

mod parts;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Diagnostics, Origin};
use super::directory::{load_directory, load_policies};
use super::files::{Files, Notes};
use super::layers::{self, Environment, Flag};
use super::reader::read_table;
use super::routes::{self, Around, RulePlaces};
use super::sections::{self, Brought, PdpSettings, Settings};
use super::tree::{Node, Value};
use super::{
    AdminSettings, AltinnEnvironment, ControlSettings, EmbeddedSettings, Limits, ListenAddress,
    LogSettings, OnFinding, ServerSettings, ShutdownSettings, TlsFiles,
};
use crate::domain::{AuthenticationLevel, CheckDigits, Clock};
use crate::otlp::TraceSettings;
use crate::outbound::{Healths, Outbound, OutboundSettings};
use crate::pdp::credential::CredentialKeeper;
use crate::pdp::embedded::EmbeddedPdp;
use crate::pdp::{CacheSettings, DecisionPoint, Decisions, Scripted};
use crate::route::RouteTable;
use crate::snapshot::{Grants, Judging, Snapshot};
use crate::tasks::Tasks;
use crate::token::IssuerSettings;
use crate::upstream::UpstreamSettings;
use parts::{
    buffers, decision_point, grants, keeper, longest_lifetime, policies_beside, shadow, tokens,
};

/// What is compiled.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Configuration files; later ones override earlier ones.
    pub config: Vec<PathBuf>,
    /// Where they, the rules and the policies are read from.
    pub files: Files,
    /// The variables.
    pub environment: Environment,
    /// The flags.
    pub flags: Vec<Flag>,
    /// Parts that replace configured ones.
    pub overrides: Overrides,
}

/// Parts that the caller brings along, for commands that run in one process. Nothing here weakens a
/// check: tokens are still verified, and the point still decides.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Who decides, in place of `pdp`, which may then be absent.
    pub point: Option<Arc<dyn DecisionPoint>>,
    /// Whose tokens count, in place of `tokens.issuers`, which may then be absent.
    pub issuers: Option<Vec<IssuerSettings>>,
    /// Leaves out the files that are there only where the proxy runs: secrets, and its certificates. Where Altinn's PDP
    /// decides, nobody is asked then, and nothing is permitted.
    pub without_secrets: bool,
}

/// What the parts live on.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// Owns their background tasks.
    pub tasks: Tasks,
    /// Where they have time from.
    pub clock: Arc<dyn Clock>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// There is one exactly if there is no error.
    pub compiled: Option<Compiled>,
    /// Where each rule is written.
    pub places: RulePlaces,
    /// Everything there is to say.
    pub diagnostics: Diagnostics,
}

/// A configuration, ready to be put in force.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What requests are judged by.
    pub snapshot: Arc<Snapshot>,
    /// Which Altinn this is about.
    pub environment: AltinnEnvironment,
    /// Where traffic comes in.
    pub server: ServerSettings,
    /// Where probes and metrics are answered.
    pub admin: AdminSettings,
    /// Where operators change something, if anywhere.
    pub control: Option<ControlSettings>,
    /// The API behind.
    pub upstream: UpstreamSettings,
    /// How a drain takes its time.
    pub shutdown: ShutdownSettings,
    /// What is written.
    pub log: LogSettings,
    /// What follows where the surroundings are not as they should be.
    pub self_check: OnFinding,
    /// Where traces go, if requests are followed. Of variables, and so the same until a new start.
    pub traces: Option<TraceSettings>,
    /// The folder with rules, their tests and the policies of the embedded PDP.
    pub policies: PathBuf,
    /// The embedded PDP, if that is who decides.
    pub embedded: Option<Arc<EmbeddedPdp>>,
    /// How the systems are doing that are asked; counted on from the previous configuration.
    pub healths: Arc<Healths>,
    /// Whether the verifier is that of the previous configuration, and so has been started.
    pub keeps_tokens: bool,
    pub(super) basis: Basis,
    /// Who holds the token that the PDP is asked with, if one is needed.
    keeper: Option<Arc<CredentialKeeper>>,
}

/// What the parts were built from.
#[derive(Clone, Debug)]
pub(super) struct Basis {
    outbound: OutboundSettings,
    /// `None` if the decision point was brought along.
    pdp: Option<PdpSettings>,
    pub(super) cache: CacheSettings,
}

/// Compiles `inputs`. Parts of `previous` whose settings are unchanged are kept, with what they hold.
pub fn compile(inputs: &Inputs, previous: Option<&Compiled>, runtime: &Runtime) -> Outcome {
    let mut diagnostics = Diagnostics::new();
    let mut places = RulePlaces::default();
    let compiled = compile_into(inputs, previous, runtime, &mut places, &mut diagnostics);
    let compiled = compiled.filter(|_| !diagnostics.has_errors());
    Outcome { compiled, places, diagnostics }
}

/// [`compile`], with a note of every file that was read for it.
pub fn compile_noted(
    inputs: &Inputs,
    previous: Option<&Compiled>,
    runtime: &Runtime,
) -> (Outcome, Notes) {
    let notes = Notes::default();
    let files = Files::Noted(Box::new(inputs.files.clone()), notes.clone());
    let outcome = compile(&Inputs { files, ..inputs.clone() }, previous, runtime);
    (outcome, notes)
}

/// How often files are read that change while they are read.
const READINGS: usize = 3;

/// [`compile_noted`], of files as they were at one time, so that a swap of a ConfigMap in the midst of reading them
/// does not mix two of its versions. `None` for the outcome if they change again and again.
pub fn compile_steady(
    inputs: &Inputs,
    previous: Option<&Compiled>,
    runtime: &Runtime,
) -> (Option<Outcome>, Notes) {
    let mut notes = Notes::default();
    for _ in 0..READINGS {
        let outcome;
        (outcome, notes) = compile_noted(inputs, previous, runtime);
        if notes.hold(&inputs.files) {
            return (Some(outcome), notes);
        }
    }
    (None, notes)
}

/// The settings that sockets, connections and the end of the process are made from, once.
///
/// Nothing else of a configuration is in it: who compares with what the process was started from must not keep its keys and
/// tokens alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    listen: Vec<ListenAddress>,
    tls: Option<TlsFiles>,
    limits: Limits,
    upstream: UpstreamSettings,
    admin: AdminSettings,
    control: Option<ListenAddress>,
    shutdown: ShutdownSettings,
    log: LogSettings,
    self_check: OnFinding,
}

impl Compiled {
    /// Who holds the token that the PDP is asked with, unless it is the one that `former` has.
    #[must_use]
    pub fn keeper_of_its_own(&self, former: &Self) -> Option<&Arc<CredentialKeeper>> {
        let theirs = former.keeper.as_ref();
        self.keeper.as_ref().filter(|ours| !theirs.is_some_and(|it| Arc::ptr_eq(it, ours)))
    }

    /// The way to Maskinporten and Altinn.
    #[must_use]
    pub fn outbound(&self) -> &OutboundSettings {
        &self.basis.outbound
    }

    /// What cannot change while the process runs.
    #[must_use]
    pub fn fixed(&self) -> Fixed {
        let ServerSettings { listen, tls, limits, .. } = self.server.clone();
        Fixed {
            listen,
            tls,
            limits,
            upstream: self.upstream.clone(),
            admin: self.admin,
            control: self.control.as_ref().map(|control| control.listen.clone()),
            shutdown: self.shutdown,
            log: self.log.clone(),
            self_check: self.self_check,
        }
    }
}

impl Fixed {
    /// Others of these settings decide what rules mean: where requests come from, and where they go. Rules that were
    /// written for one API must not guard another.
    #[must_use]
    pub fn changed_around_rules(&self, next: &Self) -> Vec<&'static str> {
        let (ours, theirs) = (&self.upstream, &next.upstream);
        names([
            ("server.listen", self.listen != next.listen),
            ("server.tls", self.tls != next.tls),
            ("server.trusted_proxies", ours.trusted_proxies != theirs.trusted_proxies),
            ("upstream.url", ours.address != theirs.address),
            ("upstream.authorization", ours.forward_authorization != theirs.forward_authorization),
        ])
    }

    /// The rest of what is another in `next`.
    #[must_use]
    pub fn changed_besides(&self, next: &Self) -> Vec<&'static str> {
        names([
            ("server.limits", self.limits != next.limits),
            ("upstream", self.upstream != next.upstream),
            ("admin", self.admin != next.admin),
            ("control.listen", self.control != next.control),
            ("shutdown", self.shutdown != next.shutdown),
            ("log", self.log != next.log),
            ("self_check", self.self_check != next.self_check),
        ])
    }
}

fn names<const N: usize>(settings: [(&'static str, bool); N]) -> Vec<&'static str> {
    settings.into_iter().filter_map(|(name, changed)| changed.then_some(name)).collect()
}

/// Notes the files that settings name and that are not read through `files`: secrets, keys and certificates.
/// Those that are followed by whoever uses them are left to them.
fn note_named(files: &Files, path: &mut Vec<String>, node: &Node) {
    let Value::Table(entries) = &node.value else { return };
    for entry in entries {
        path.push(entry.key.clone());
        let followed = FOLLOWED.iter().any(|followed| path.iter().eq(followed.iter()));
        match &entry.node.value {
            _ if followed => {}
            Value::Scalar(scalar) if entry.key.ends_with("_file") => {
                let folder = entry.node.origin.path().and_then(Path::parent);
                files.note(
                    &folder.map_or_else(|| scalar.text().into(), |it| it.join(scalar.text())),
                );
            }
            Value::Table(_) => note_named(files, path, &entry.node),
            // The keys of issuers (`jwks_file`) are read again by whoever keeps them.
            Value::Scalar(_) | Value::List(_) | Value::Refused => {}
        }
        path.pop();
    }
}

/// Settings whose files take effect without a reload.
const FOLLOWED: [&[&str]; 3] =
    [&["server", "tls"], &["upstream", "ca_file"], &["pdp", "credential", "token_file"]];

/// What names files that are there only where the proxy runs.
const MOUNTED: [&[&str]; 6] = [
    &["server", "tls"],
    &["upstream", "ca_file"],
    &["pdp", "credential"],
    &["pdp", "subscription_key"],
    &["pdp", "subscription_key_file"],
    &["control"],
];

fn compile_into(
    inputs: &Inputs,
    previous: Option<&Compiled>,
    runtime: &Runtime,
    places: &mut RulePlaces,
    diagnostics: &mut Diagnostics,
) -> Option<Compiled> {
    let Inputs { config, files, environment, flags, overrides } = inputs;
    let mut root = layers::load(files, config, environment, flags, diagnostics)?;
    if overrides.without_secrets {
        for path in MOUNTED {
            root.forget(path);
        }
    }
    note_named(files, &mut Vec::new(), &root);
    let brought = Brought {
        decision_point: overrides.point.is_some(),
        issuers: overrides.issuers.clone(),
        without_secrets: overrides.without_secrets,
    };
    let now = runtime.clock.wall();
    let settings = read_table(&root, diagnostics, |table| {
        Some(sections::read(table, environment, brought, now))
    })?;
    let embedded = match settings.pdp.as_ref().and_then(|pdp| pdp.settings.as_ref()) {
        Some(PdpSettings::Embedded(embedded)) => {
            let origin = settings.pdp.as_ref().map_or(&Origin::Nowhere, |pdp| &pdp.origin);
            embedded_pdp(files, embedded, origin, settings.check_digits, diagnostics).map(Arc::new)
        }
        Some(PdpSettings::Altinn(_)) | None => None,
    };
    let beside = match (&embedded, &settings.policies) {
        (None, Some(folder)) => policies_beside(files, &folder.value, &folder.origin, diagnostics),
        (Some(_), _) | (None, None) => None,
    };
    let known = embedded.as_deref().map(EmbeddedPdp::policies).or(beside.as_ref());
    let around = Around {
        issuers: &settings.tokens.issuers,
        check_digits: settings.check_digits,
        policies: known,
        decides_by_policies: embedded.is_some(),
        upstream: settings.upstream.as_ref().map(|upstream| &upstream.address),
    };
    let found = settings
        .policies
        .as_ref()
        .map(|policies| routes::read(files, policies, around, diagnostics));
    if diagnostics.has_errors() {
        return None;
    }
    let routes;
    (routes, *places) = found?;
    let grants = known.map(|policies| grants(&routes, policies)).unwrap_or_default();
    let parts = Parts { routes, grants, embedded };
    put_together(settings, parts, overrides, previous, runtime, diagnostics)
}

/// Reads what the embedded PDP decides by.
fn embedded_pdp(
    files: &Files,
    settings: &EmbeddedSettings,
    origin: &Origin,
    check_digits: CheckDigits,
    diagnostics: &mut Diagnostics,
) -> Option<EmbeddedPdp> {
    let EmbeddedSettings { mode, resources, directory } = settings;
    let policies = load_policies(files, resources, origin, diagnostics);
    let directory = load_directory(files, directory, check_digits, policies.as_ref(), diagnostics);
    Some(EmbeddedPdp::new(policies?, directory?, *mode))
}

/// What is made of the files of rules and policies.
struct Parts {
    routes: RouteTable,
    grants: Grants,
    embedded: Option<Arc<EmbeddedPdp>>,
}

fn put_together(
    settings: Settings,
    Parts { routes, grants, embedded }: Parts,
    overrides: &Overrides,
    previous: Option<&Compiled>,
    runtime: &Runtime,
    diagnostics: &mut Diagnostics,
) -> Option<Compiled> {
    let healths = previous.map(|previous| Arc::clone(&previous.healths)).unwrap_or_default();
    let outbound = match Outbound::with_healths(&settings.outbound, Arc::clone(&healths)) {
        Ok(outbound) => outbound,
        Err(fault) => {
            let found = Diagnostic::error("invalid-value", fault.to_string());
            diagnostics.push(found.at(&settings.outbound_origin));
            return None;
        }
    };
    let machine_level =
        settings.pdp.as_ref().map_or(AuthenticationLevel::SUBSTANTIAL, |pdp| pdp.machine_level);
    let mut cache = settings.cache;
    cache.longest_lifetime = longest_lifetime(&routes, &cache);
    let generation = previous.map_or(0, |previous| previous.snapshot.generation).saturating_add(1);
    let same_way = |previous: &&Compiled| previous.basis.outbound == settings.outbound;
    let alike = previous.filter(same_way);

    let kept = alike.filter(|previous| *previous.snapshot.tokens.settings() == settings.tokens);
    let tokens = match kept {
        Some(previous) => Arc::clone(&previous.snapshot.tokens),
        None => tokens(settings.tokens, alike, &outbound, runtime),
    };
    let pdp = settings.pdp.as_ref().and_then(|pdp| pdp.settings.clone());
    let unchanged = alike.filter(|previous| {
        let same = |one: &PdpSettings, other: &PdpSettings| one.is_same(other);
        previous.basis.cache == cache
            && previous
                .basis
                .pdp
                .as_ref()
                .zip(pdp.as_ref())
                .is_some_and(|(one, other)| same(one, other))
    });
    let keeper = keeper(pdp.as_ref(), alike, &outbound, runtime);
    let decisions = match (unchanged, &overrides.point) {
        (Some(previous), None) => Arc::clone(&previous.snapshot.decisions),
        (Some(_) | None, point) => {
            let point = match point {
                Some(point) => Arc::clone(point),
                None => match &embedded {
                    Some(embedded) => Arc::clone(embedded) as Arc<dyn DecisionPoint>,
                    None if overrides.without_secrets => Arc::new(Scripted::absent()),
                    None => {
                        let (pdp, keeper) = (settings.pdp.as_ref()?, keeper.clone());
                        decision_point(pdp, outbound, keeper, runtime, diagnostics)?
                    }
                },
            };
            let (tasks, clock) = (runtime.tasks.clone(), Arc::clone(&runtime.clock));
            Arc::new(match previous {
                Some(previous) => {
                    let before = &previous.snapshot.decisions;
                    Decisions::taking_over(before, point, cache, tasks, clock)
                }
                None => Decisions::new(point, cache, tasks, clock),
            })
        }
    };
    let buffers = buffers(&settings.server, previous);
    let shadow = shadow(settings.mode, &routes, &settings.server, &runtime.tasks);
    let judging = Judging {
        check_digits: settings.check_digits,
        machine_level,
        lifetimes: cache.lifetimes(),
        max_target_bytes: settings.server.limits.max_target_bytes,
        max_buffered_body: settings.server.max_buffered_body,
        body_idle_timeout: settings.server.body_idle_timeout,
        help_url: settings.help_url,
    };
    let snapshot = Snapshot {
        generation,
        routes,
        hosts: settings.server.hosts.clone().into(),
        tokens,
        decisions,
        buffers,
        judging,
        clock: Arc::clone(&runtime.clock),
        grants,
        shadow,
    };
    Some(Compiled {
        snapshot: Arc::new(snapshot),
        environment: settings.environment,
        server: settings.server,
        admin: settings.admin,
        control: settings.control,
        healths,
        upstream: settings.upstream?,
        shutdown: settings.shutdown,
        log: settings.log,
        self_check: settings.self_check,
        traces: settings.traces,
        policies: settings.policies?.value,
        embedded,
        keeps_tokens: kept.is_some(),
        basis: Basis { outbound: settings.outbound, pdp, cache },
        keeper,
    })
}

#[cfg(test)]
mod tests;
