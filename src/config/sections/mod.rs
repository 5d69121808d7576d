//! The sections of the configuration, one file each: from a table to the settings of the room that
//! heeds them, with defaults where nobody said anything.
//!
//! Every section is read to its end, so that all of its problems are reported. What comes back may then
//! hold defaults in place of wrong values; `compile` uses nothing of it once an error was reported.

pub(super) mod addresses;
mod admin;
mod answers;
mod cache;
mod control;
mod credential;
mod environment;
mod listen;
mod log;
mod outbound;
mod pdp;
mod self_check;
mod server;
mod shutdown;
mod tokens;
mod traces;
mod upstream;

use std::path::PathBuf;
use std::sync::Arc;

pub use admin::AdminSettings;
pub(super) use cache::lifetime as cache_lifetime;
pub use control::ControlSettings;
pub use environment::AltinnEnvironment;
pub use listen::ListenAddress;
pub use log::{DecisionLog, LogFormat, LogSettings, RecordSchema};
pub use pdp::EmbeddedSettings;
pub(super) use pdp::{Pdp, PdpSettings};
pub use self_check::OnFinding;
pub use server::{Http2Limits, Limits, ServerSettings};
pub use shutdown::ShutdownSettings;

use super::diagnostic::Origin;
use super::field::{Field, Located, file_path};
use super::layers::Environment;
use super::reader::Table;
use crate::domain::{CheckDigits, Enforcement, UnixSeconds};
use crate::otlp::TraceSettings;
use crate::outbound::OutboundSettings;
use crate::pdp::CacheSettings;
use crate::token::{IssuerSettings, TokenSettings};
use crate::upstream::UpstreamSettings;

/// What sections need to know beyond their own table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) environment: AltinnEnvironment,
    pub(super) variables: &'a Environment,
}

/// Parts that the caller brings along; their settings may be absent.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) decision_point: bool,
    /// Nothing of how Altinn's PDP is asked.
    pub(super) without_secrets: bool,
    pub(super) issuers: Option<Vec<IssuerSettings>>,
}

/// Everything that files, variables and flags say, apart from the rules.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) environment: AltinnEnvironment,
    pub(super) server: ServerSettings,
    pub(super) admin: AdminSettings,
    /// `None` if there is to be no such listener.
    pub(super) control: Option<ControlSettings>,
    pub(super) shutdown: ShutdownSettings,
    /// `None` after an error.
    pub(super) upstream: Option<UpstreamSettings>,
    pub(super) outbound: OutboundSettings,
    pub(super) outbound_origin: Origin,
    pub(super) tokens: TokenSettings,
    /// `None` after an error, or if the decision point is brought along.
    pub(super) pdp: Option<Pdp>,
    pub(super) cache: CacheSettings,
    pub(super) check_digits: CheckDigits,
    /// `None` after an error.
    pub(super) policies: Option<Located<PathBuf>>,
    pub(super) help_url: Option<Arc<str>>,
    pub(super) log: LogSettings,
    pub(super) self_check: OnFinding,
    /// `None` if no requests are followed.
    pub(super) traces: Option<TraceSettings>,
    /// Whether refusals take effect where a rule does not say.
    pub(super) mode: Enforcement,
}

/// Reads every section.
pub(super) fn read(
    root: &mut Table<'_>,
    variables: &Environment,
    mut brought: Brought,
    now: UnixSeconds,
) -> Settings {
    let environment = environment::read(root, variables);
    let context = Context { environment, variables };
    let check_digits = check_digits(root, environment);
    let policies = root.required("policies", |field| field.located(file_path));
    let (server, trusted_proxies) = server::read(root, now);
    let admin = admin::read(root);
    let control = control::read(root);
    let shutdown = shutdown::read(root);
    let body_idle_timeout = server.body_idle_timeout;
    let from_server = upstream::FromServer { trusted_proxies, body_idle_timeout };
    let upstream = upstream::read(root, from_server);
    addresses::judge_listeners(root, &server, &admin, control.as_ref(), upstream.as_ref());
    let outbound_origin = root.origin_of("outbound");
    let outbound = outbound::read(root, context);
    let tokens = tokens::read(root, context, check_digits, brought.issuers.take());
    let folder = policies.as_ref().map(|policies| policies.value.as_path());
    let pdp = pdp::read(root, context, folder, &brought);
    let cache = cache::read(root);
    let help_url = answers::read(root);
    let log = log::read(root);
    let self_check = self_check::read(root);
    let traces = traces::read(root, variables);
    let mode = root.or("mode", Enforcement::Enforce, enforcement);
    Settings {
        environment,
        server,
        admin,
        control,
        shutdown,
        upstream,
        outbound,
        outbound_origin,
        tokens,
        pdp,
        cache,
        check_digits,
        policies,
        help_url,
        log,
        self_check,
        traces,
        mode,
    }
}

/// Whether refusals take effect. Where they do not, that is told each time.
pub(super) fn enforcement(mut field: Field<'_>) -> Option<Enforcement> {
    if field.is_text(|text| text == Enforcement::Shadow.as_str()) {
        let help = "what would be refused is forwarded, and recorded; `enforce` refuses it";
        field.warn("shadow", "Altinn's answers and every other check have no effect", help);
    }
    field.choice(&Enforcement::ALL.map(|mode| (mode.as_str(), mode)))
}

/// Accepts `now`, which is what happens anyway; other values are of a later version.
fn later(field: Field<'_>, now: &str) -> Option<()> {
    if field.is_text(|text| text == now) {
        return Some(());
    }
    let help = format!("write `{now}`, or remove the key");
    field.fail_with_help("not-supported-yet", &format!("only `{now}` is supported yet"), &help)
}

fn check_digits(root: &mut Table<'_>, environment: AltinnEnvironment) -> CheckDigits {
    let preset = environment.check_digits();
    let words = [("strict", CheckDigits::Strict), ("lenient", CheckDigits::Lenient)];
    root.section("identifiers", |table| {
        Some(table.or("check_digits", preset, |field| field.choice(&words)))
    })
    .unwrap_or(preset)
}
