//! `portvakt doctor`: asks every system that decisions depend on, once, and says which step fails and what to do.

use super::console::{self, Exit, Format};
use super::{ConfigArgs, FormatArgs, runtime};
use crate::config::{self, Compiled, Environment, Files, Inputs, Overrides, Runtime};
use crate::domain::{
    AccessRequest, Action, CheckDigits, Decision, OrganizationNumber, Party, PdpSubject,
    ResourceId, SystemClock, SystemUserId,
};
use crate::outbound::{Exchanged, Health, System};
use crate::pdp::Lifetimes;
use crate::route::{ResourceRule, RouteRule};
use crate::snapshot::Snapshot;
use crate::tasks::Tasks;
use crate::token::KeyState;
use clap::Args;
use serde_json::json;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Fetches the issuers' keys and Portvakt's own token, and asks the PDP a question that cannot be permitted. Changes nothing,
/// and serves nobody. Exits with 1 if a step fails.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// One thing that must work, and whether it does.
struct Step {
    name: String,
    outcome: Outcome,
    said: String,
    /// What to do about it.
    help: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Works,
    Fails,
    /// Not tried, since what comes before it fails.
    NotReached,
}

/// Nobody: a system user that no register has made.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
/// Synthetic.
const PARTY: &str = "312714051";
/// What is asked about where no rule names a resource.
const RESOURCE: &str = "portvakt-doctor";
/// For background tasks to end.
const GRACE: Duration = Duration::from_secs(1);

impl Doctor {
    pub(super) fn run(self) -> Exit {
        runtime::block_on(self.examine())
    }

    async fn examine(self) -> Exit {
        let inputs = Inputs {
            config: self.config.config,
            files: Files::Disk,
            environment: Environment::of_process(),
            flags: Vec::new(),
            overrides: Overrides::default(),
        };
        let tasks = Tasks::new();
        let runtime = Runtime { tasks: tasks.clone(), clock: Arc::new(SystemClock) };
        let outcome = config::compile(&inputs, None, &runtime);
        if !outcome.diagnostics.is_empty() {
            console::talk(&outcome.diagnostics.to_human(console::talk_colour()));
        }
        let Some(compiled) = outcome.compiled else { return Exit::Usage };
        let mut steps = keys(&compiled.snapshot).await;
        steps.extend(point(&compiled, self.format.format).await);
        for step in &steps {
            console::data(&step.line(self.format.format));
        }
        let _ended = tasks.stop(GRACE).await;
        let works = steps.iter().all(|step| step.outcome == Outcome::Works);
        if works { Exit::Ok } else { Exit::Found }
    }
}

/// The keys of each issuer, by its metadata where it has some.
async fn keys(snapshot: &Snapshot) -> Vec<Step> {
    snapshot.tokens.start().await;
    snapshot.tokens.key_states().iter().map(step_of_keys).collect()
}

fn step_of_keys(state: &KeyState) -> Step {
    let name = format!("keys of {}", state.issuer);
    let (outcome, said, help) = match (state.keys, &state.last_fault) {
        (0, Some(fault)) => (Outcome::Fails, fault.clone(), Some(way_to("the issuer"))),
        (0, None) => {
            let reason = state.skip_reasons.first().copied().unwrap_or("it publishes none");
            let help =
                "the issuer's key set, or `algorithms` of this issuer, is not what it should be";
            (Outcome::Fails, format!("no key can be used: {reason}"), Some(help.to_owned()))
        }
        (count, _) => (Outcome::Works, format!("{count} can verify tokens"), None),
    };
    Step { name, outcome, said, help }
}

/// Our own token and the PDP, by one question, which passes through all of them.
async fn point(compiled: &Compiled, format: Format) -> Vec<Step> {
    let snapshot = &compiled.snapshot;
    let Some((question, resource)) = question(snapshot) else { return Vec::new() };
    if format == Format::Human {
        console::talk(&format!("the PDP asked is {}\n", snapshot.decisions.identity()));
    }
    let answer = snapshot.decisions.decide(&question, Lifetimes::Off).await;
    let (outcome, said, help) = match answer.map(|answered| answered.decision) {
        Ok(Decision::NotApplicable | Decision::Deny) => {
            (Outcome::Works, "it refuses whom nobody knows, as it should".to_owned(), None)
        }
        Ok(Decision::Permit(_)) => {
            let help = "something answers in its place, or its policy permits everybody: do not serve by it";
            (Outcome::Fails, "it permits whom nobody knows".to_owned(), Some(help.to_owned()))
        }
        Ok(Decision::Indeterminate(_)) => {
            let help = format!("see whether Altinn knows the resource `{resource}` of your rules");
            (Outcome::Fails, "it answers, and could not decide".to_owned(), Some(help))
        }
        Err(fault) => (Outcome::Fails, fault.to_string(), None),
    };
    let mut steps = Vec::new();
    let now = compiled.snapshot.clock.monotonic();
    let failing = |system| compiled.healths.of(system).failing(now).map(|(_, latest)| latest);
    let credential = snapshot.decisions.condition().credential;
    let credential_fault = credential.and_then(|it| it.last_fault).map(|fault| fault.to_string());
    for (system, name) in [
        (System::Maskinporten, "our own token from Maskinporten"),
        (System::Exchange, "its exchange at Altinn"),
    ] {
        if let Some(latest) = failing(system) {
            let said = credential_fault.clone().unwrap_or_else(|| latest.as_str().to_owned());
            let help = Some(advice(system, latest).to_owned());
            steps.push(Step { name: name.to_owned(), outcome: Outcome::Fails, said, help });
        } else if asked(compiled.healths.of(system)) {
            let said = "it is given".to_owned();
            steps.push(Step { name: name.to_owned(), outcome: Outcome::Works, said, help: None });
        }
    }
    let reached = failing(System::Pdp).is_some() || asked(compiled.healths.of(System::Pdp));
    let is_remote = compiled.embedded.is_none();
    let outcome = match outcome {
        Outcome::Fails if is_remote && !reached => Outcome::NotReached,
        other @ (Outcome::Works | Outcome::Fails | Outcome::NotReached) => other,
    };
    let help =
        help.or_else(|| failing(System::Pdp).map(|latest| advice(System::Pdp, latest).into()));
    steps.push(Step { name: "the PDP".to_owned(), outcome, said, help });
    steps
}

/// A question that nothing can permit, about a resource of the rules if there is one.
fn question(snapshot: &Snapshot) -> Option<(AccessRequest, ResourceId)> {
    let named = snapshot.routes.rules().iter().find_map(resource_of);
    let resource = named.or_else(|| ResourceId::parse(RESOURCE).ok())?;
    let party = OrganizationNumber::parse(PARTY, CheckDigits::Strict).ok()?;
    let question = AccessRequest {
        subject: PdpSubject::SystemUser(SystemUserId::parse(NOBODY)?),
        resource: resource.clone(),
        action: Action::parse("read").ok()?,
        party: Party::Organization(party),
        instance: None,
        attributes: Arc::from([]),
    };
    Some((question, resource))
}

fn resource_of(rule: &Arc<RouteRule>) -> Option<ResourceId> {
    match rule.resource()? {
        ResourceRule::Const(resource) => Some(resource.clone()),
        ResourceRule::Allow { allow, .. } => allow.first().cloned(),
        ResourceRule::Map { map, .. } => map.iter().map(|(_, resource)| resource.clone()).next(),
    }
}

fn asked(health: &Health) -> bool {
    health.counts().any(|(outcome, count)| outcome == Exchanged::Ok && count > 0)
}

fn way_to(whom: &str) -> String {
    format!(
        "check the way to {whom}: its address in the configuration, egress rules, `outbound.proxy`, `outbound.ca_file`"
    )
}

/// What to do about a failure, by whose turn it is.
fn advice(system: System, outcome: Exchanged) -> &'static str {
    match (outcome, system) {
        (Exchanged::Ok, _) => "nothing",
        (Exchanged::Connect | Exchanged::Timeout | Exchanged::Broken, _) => {
            "check the way there: the address in the configuration, egress rules, `outbound.proxy`, `outbound.ca_file`"
        }
        (Exchanged::Refused, System::Maskinporten) => {
            "it does not accept our client: check `client_id`, that the key (and its `kid`) is registered for it, that it has been given the scope `altinn:authorization/authorize`, and this machine's clock"
        }
        (Exchanged::Refused, System::Exchange) => {
            "Altinn does not take Maskinporten's token: check that both are of the same environment, test or production"
        }
        (Exchanged::Refused, System::Pdp | System::Keys) => {
            "it does not accept us: check the subscription key, and the scope of our client; with `token_file`, the token in it"
        }
        (Exchanged::Throttled, _) => {
            "it asks us to come back later: wait, or ask for a higher limit"
        }
        (Exchanged::Failed, _) => "it says itself that it is broken: see its status page",
        (Exchanged::Unusable, _) => {
            "something else answers in its place: check the names and addresses in the configuration, and gateways and proxies between"
        }
    }
}

impl Step {
    fn line(&self, format: Format) -> String {
        let word = match self.outcome {
            Outcome::Works => "ok",
            Outcome::Fails => "fails",
            Outcome::NotReached => "not-reached",
        };
        match format {
            Format::Json => {
                let Self { name, said, help, .. } = self;
                let document = json!({ "step": name, "outcome": word, "said": said, "help": help });
                format!("{document}\n")
            }
            Format::Human => {
                let mut text =
                    format!("{:<12}{}: {}\n", word.replace('-', " "), self.name, self.said);
                if let Some(help) = &self.help {
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "            = help: {help}");
                }
                text
            }
        }
    }
}
