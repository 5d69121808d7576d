//! `pdp`: who decides, and how it is reached.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use url::Url;

use super::{AltinnEnvironment, Brought, Context, addresses, credential};
use crate::config::diagnostic::{Diagnostic, Origin};
use crate::config::field::Field;
use crate::config::reader::Table;
use crate::domain::AuthenticationLevel;
use crate::pdp::{BreakerSettings, Credential, InvalidRemote, RemoteSettings};
use crate::xacml::Mode;

/// Who decides, and at which level machines count as authenticated.
#[derive(Debug)]
pub(in crate::config) struct Pdp {
    /// `None` after an error, or if the decision point is brought along.
    pub(in crate::config) settings: Option<PdpSettings>,
    pub(in crate::config) machine_level: AuthenticationLevel,
    /// Where its settings begin.
    pub(in crate::config) origin: Origin,
    /// Where its subscription key is named.
    key_origin: Origin,
}

/// Who decides.
#[derive(Clone, Debug)]
pub(in crate::config) enum PdpSettings {
    /// `altinn`
    Altinn(RemoteSettings),
    /// `embedded`
    Embedded(EmbeddedSettings),
}

/// What the embedded PDP decides by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedSettings {
    /// As Altinn's engine evaluates, its peculiarities included, or strictly as XACML 3.0 says.
    pub mode: Mode,
    /// The folder of XACML policies.
    pub resources: PathBuf,
    /// The directory file.
    pub directory: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Altinn,
    Embedded,
}

/// Keys that only a PDP elsewhere heeds, and those that only the embedded one does.
const OF_ALTINN: [&str; 11] = [
    "url",
    "subscription_key",
    "subscription_key_file",
    "credential",
    "timeout",
    "max_in_flight",
    "max_in_flight_per_system_user",
    "max_queued",
    "max_answer",
    "multi_request",
    "breaker",
];
const OF_EMBEDDED: [&str; 3] = ["mode", "resources", "directory"];
/// Where the PDP is on the platform.
const ENDPOINT: &str = "/authorization/api/v1/authorize";

impl PdpSettings {
    /// Whether a decision point made from these would be the same.
    pub(in crate::config) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Altinn(one), Self::Altinn(other)) => is_same_remote(one, other),
            // The files it names may say something else by now.
            (Self::Altinn(_) | Self::Embedded(_), _) => false,
        }
    }
}

fn is_same_remote(one: &RemoteSettings, other: &RemoteSettings) -> bool {
    let RemoteSettings {
        url,
        subscription_key,
        credential,
        timeout,
        max_in_flight,
        max_in_flight_per_subject,
        max_queued,
        max_answer_bytes,
        multi_request,
        breaker,
    } = one;
    let key = |key: &Option<secrecy::SecretString>| {
        key.as_ref().map(|key| key.expose_secret().to_owned())
    };
    *url == other.url
        && key(subscription_key) == key(&other.subscription_key)
        && *credential == other.credential
        && *timeout == other.timeout
        && *max_in_flight == other.max_in_flight
        && *max_queued == other.max_queued
        && *max_answer_bytes == other.max_answer_bytes
        && *max_in_flight_per_subject == other.max_in_flight_per_subject
        && *multi_request == other.multi_request
        && *breaker == other.breaker
}

/// `None` if the decision point is brought along, or not asked, and nothing is written.
pub(super) fn read(
    root: &mut Table<'_>,
    context: Context<'_>,
    policies: Option<&Path>,
    brought: &Brought,
) -> Option<Pdp> {
    // Nobody asks the configured one.
    let unasked = brought.decision_point || brought.without_secrets;
    if unasked && !root.has("pdp") {
        return None;
    }
    let origin = root.origin_of("pdp");
    root.section("pdp", |table| {
        let key = if table.has("subscription_key") {
            "subscription_key"
        } else {
            "subscription_key_file"
        };
        let key_origin = table.origin_of(key);
        let machine_level = table.or(
            "system_user_authentication_level",
            AuthenticationLevel::SUBSTANTIAL,
            |field| field.text(AuthenticationLevel::parse),
        );
        let words = [("altinn", Kind::Altinn), ("embedded", Kind::Embedded)];
        let kind = table.stated("kind", |field| kind(field, &words, context.environment));
        let settings = match kind.map(|kind| kind.unwrap_or(Kind::Altinn)) {
            Some(Kind::Altinn) => {
                let reason = "only the embedded PDP heeds it (`kind: embedded`)";
                for key in OF_EMBEDDED {
                    table.unused(key, reason);
                }
                let settings = altinn(table, context, unasked);
                settings.filter(|_| !unasked).map(PdpSettings::Altinn)
            }
            Some(Kind::Embedded) => {
                let reason = "the embedded PDP is not called over the network";
                for key in OF_ALTINN {
                    table.unused(key, reason);
                }
                embedded(table, policies).map(PdpSettings::Embedded)
            }
            None => {
                // What the other keys are worth depends on the kind, which is wrong.
                for key in OF_ALTINN.iter().chain(&OF_EMBEDDED) {
                    table.optional(*key, |_| Some(()));
                }
                None
            }
        };
        let settings = settings.filter(|_| !brought.decision_point);
        Some(Pdp { settings, machine_level, origin, key_origin })
    })
}

fn kind(field: Field<'_>, words: &[(&str, Kind)], environment: AltinnEnvironment) -> Option<Kind> {
    if environment == AltinnEnvironment::Prod && field.is_text(|text| text == "embedded") {
        let message = "`prod` is not decided by the embedded PDP";
        return field.fail_with_help("prod-embedded-pdp", message, "write `kind: altinn`");
    }
    field.choice(words)
}

fn altinn(table: &mut Table<'_>, context: Context<'_>, unasked: bool) -> Option<RemoteSettings> {
    let variable = context.variables.platform("ALTINN_SUBSCRIPTION_KEY");
    table.fallback("subscription_key", variable);
    let url = match (context.environment.platform(), unasked) {
        (Some(preset), _) => table
            .stated("url", |field| address(field, context))
            .map(|written| written.unwrap_or(preset)),
        (None, true) => table.optional("url", |field| address(field, context)),
        (None, false) => table.required("url", |field| address(field, context)),
    };
    let names_key = table.has("subscription_key") || table.has("subscription_key_file");
    let subscription_key = table.secret("subscription_key");
    let read = |table: &mut Table<'_>| credential::read(table, context, url.as_ref());
    let credential = if unasked {
        table.optional("credential", |field| field.table(read))
    } else {
        table.section("credential", read)
    };
    // Who proves nothing to the PDP has a network between that does it all.
    let proves = credential.as_ref().is_some_and(|credential| *credential != Credential::None);
    if proves && !names_key && context.environment.has_gateway() {
        let message = "Altinn's gateway refuses questions without a subscription key";
        let found = Diagnostic::warning("no-subscription-key", message).at(table.origin());
        table.push(found.help("add `subscription_key_file:`, or set ALTINN_SUBSCRIPTION_KEY"));
    }
    let timeout = table.optional("timeout", |field| {
        field.duration(
            Duration::from_millis(10)..=Duration::from_mins(1),
            "callers wait for as long, and give up after a minute at the latest",
        )
    });
    let max_in_flight = table.optional("max_in_flight", |field| {
        field.number(1..=10_000, "each call takes a connection; with 0 nobody could be permitted")
    });
    let max_queued = table.optional("max_queued", |field| {
        field.number(0..=100_000, "each question that waits holds its request, and memory")
    });
    let max_answer = table.optional("max_answer", |field| {
        field.memory_bytes(
            1024..=16 * 1024 * 1024,
            "an answer has some KiB, and lies in memory while it is read",
        )
    });
    let per_system_user = table.optional("max_in_flight_per_system_user", |field| {
        field
            .number(1..=10_000, "with 0 nobody could be permitted; `max_in_flight` bounds them all")
    });
    let multi_request = table.optional("multi_request", multi_request);
    let breaker = table.section("breaker", |table| Some(breaker(table)));
    let mut settings = RemoteSettings::new(url?);
    settings.subscription_key = subscription_key;
    settings.credential = credential?;
    settings.timeout = timeout.unwrap_or(settings.timeout);
    settings.max_in_flight = max_in_flight.unwrap_or(settings.max_in_flight);
    settings.max_in_flight_per_subject =
        per_system_user.unwrap_or(settings.max_in_flight_per_subject);
    settings.max_queued = max_queued.unwrap_or(settings.max_queued);
    settings.max_answer_bytes = max_answer.unwrap_or(settings.max_answer_bytes);
    settings.multi_request = multi_request.unwrap_or(settings.multi_request);
    settings.breaker = breaker.unwrap_or(settings.breaker);
    Some(settings)
}

fn multi_request(mut field: Field<'_>) -> Option<bool> {
    let words = [("off", false), ("on", true), ("false", false), ("true", true)];
    if field.is_text(|text| matches!(text, "on" | "true")) {
        field.warn(
            "no-event-log",
            "Altinn writes no event log for questions that are asked together",
            "keep the decision record as long as Altinn keeps its events, or remove the key",
        );
    }
    field.choice(&words)
}

fn breaker(table: &mut Table<'_>) -> BreakerSettings {
    let preset = BreakerSettings::default();
    BreakerSettings {
        failures: table.or("failures", preset.failures, |field| {
            field.number(1..=1000, "after so many failures in a row the PDP is left alone for a while")
        }),
        pause: table.or("pause", preset.pause, |field| {
            field.duration(
                Duration::from_millis(100)..=Duration::from_mins(5),
                "a PDP that is down gets its rest; callers are refused for as long, even when it is back",
            )
        }),
    }
}

fn address(field: Field<'_>, context: Context<'_>) -> Option<Url> {
    let url = field.peek_url(&["https", "http"]);
    if url.as_ref().is_some_and(|url| url.query().is_some()) {
        return field.fail("invalid-value", "the PDP's address has no query");
    }
    // Answered with a 404 at the first question, which says nothing of the cause.
    if url.is_some_and(|url| url.path().trim_end_matches('/').ends_with(ENDPOINT)) {
        let message =
            "the path of the PDP is added to the platform's address, and stands here already";
        let help = format!("leave `{ENDPOINT}` out");
        return field.fail_with_help("invalid-value", message, &help);
    }
    addresses::remote(field, context)
}

fn embedded(table: &mut Table<'_>, policies: Option<&Path>) -> Option<EmbeddedSettings> {
    let words = [("altinn", Mode::Altinn), ("strict", Mode::Strict)];
    let mode = table.or("mode", Mode::Altinn, |field| field.choice(&words));
    let below = |field: Field<'_>| {
        field.text(
            |text| if text.is_empty() { Err("must not be empty") } else { Ok(PathBuf::from(text)) },
        )
    };
    let resources = table.or("resources", "resources".into(), below);
    let directory = table.or("directory", "directory.yaml".into(), below);
    let policies = policies?;
    Some(EmbeddedSettings {
        mode,
        resources: policies.join(resources),
        directory: policies.join(directory),
    })
}

impl Pdp {
    /// Reports what only the decision point itself can see of its settings.
    pub(in crate::config) fn fault(&self, fault: InvalidRemote) -> Diagnostic {
        let origin = match fault {
            InvalidRemote::Url => &self.origin,
            InvalidRemote::SubscriptionKey => &self.key_origin,
        };
        Diagnostic::error("invalid-value", fault.to_string()).at(origin)
    }
}
