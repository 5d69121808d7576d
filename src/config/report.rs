//! What `check` says beyond diagnostics: what each rule protects with, what Altinn does not decide, and who
//! is asked as whom.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::authorize::lifetimes_of;
use crate::domain::{DecisionSource, Enforcement, ScopeRequirement};
use crate::pdp::Lifetimes;
use crate::route::{Methods, PartyRule, Protection, ResourceRule, RouteRule};
use crate::snapshot::Snapshot;

/// The rules of a snapshot, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Every rule, in the order of the files.
    pub rules: Vec<RuleLine>,
    /// Which PDP is asked, and as whom; `None` if it is the embedded one.
    pub pdp: Option<String>,
}

/// One rule in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleLine {
    /// Its name.
    pub id: String,
    /// Its API.
    pub api: String,
    /// The methods, comma-separated, or `any`.
    pub method: String,
    /// The path.
    pub template: String,
    /// What it protects with.
    pub protection: Protection,
    /// What is asked about: an id, or the source with the list that bounds it.
    pub resource: Option<String>,
    /// What the caller wants to do.
    pub action: Option<String>,
    /// Where the party is.
    pub party: Option<String>,
    /// `a, b`, `any of a, b` or `none`.
    pub scopes: Option<String>,
    /// Whether `scopes: none` is stated.
    pub scopes_waived: bool,
    /// Whether its refusals take effect.
    pub mode: Enforcement,
    /// The longest that a right may be used here after Altinn has stopped to permit it; `None` where Altinn is not asked.
    pub revoked_after: Option<Duration>,
    /// Whether whatever it lets through was permitted by Altinn for exactly its object.
    pub decided_by_altinn: bool,
}

impl Report {
    /// What there is to say about a snapshot.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        let decisions = &snapshot.decisions;
        let is_elsewhere = decisions.source() == DecisionSource::Pdp;
        Self {
            rules: snapshot
                .routes
                .rules()
                .iter()
                .map(|rule| RuleLine::of(rule, snapshot))
                .collect(),
            pdp: is_elsewhere.then(|| decisions.identity().to_owned()),
        }
    }

    /// Rules that let something through which Altinn was not asked about; public ones apart.
    pub fn not_decided(&self) -> impl Iterator<Item = &RuleLine> {
        self.rules
            .iter()
            .filter(|rule| !rule.decided_by_altinn && rule.protection != Protection::Public)
    }

    /// Rules that let everybody through.
    pub fn public(&self) -> impl Iterator<Item = &RuleLine> {
        self.rules.iter().filter(|rule| rule.protection == Protection::Public)
    }

    /// Rules that a token made for any other API would do for.
    pub fn scopes_waived(&self) -> impl Iterator<Item = &RuleLine> {
        self.rules.iter().filter(|rule| rule.scopes_waived)
    }

    /// Rules of which refusals have no effect.
    pub fn in_shadow(&self) -> impl Iterator<Item = &RuleLine> {
        self.rules.iter().filter(|rule| rule.mode == Enforcement::Shadow)
    }

    /// For people.
    #[must_use]
    pub fn to_human(&self) -> String {
        let id = width(self.rules.iter().map(|rule| &rule.id));
        let method = width(self.rules.iter().map(|rule| &rule.method));
        let template = width(self.rules.iter().map(|rule| &rule.template));
        let mut text = match self.rules.len() {
            1 => "1 rule\n".to_owned(),
            count => format!("{count} rules\n"),
        };
        for rule in &self.rules {
            let line = format!(
                "  {:id$}  {:method$}  {:template$}  {}",
                rule.id,
                rule.method,
                rule.template,
                rule.question()
            );
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", line.trim_end());
        }
        section(&mut text, "not decided by Altinn", self.not_decided());
        section(&mut text, "public", self.public());
        section(&mut text, "any scope will do", self.scopes_waived());
        self.tell_revocation(&mut text);
        if self.in_shadow().count() == self.rules.len() && !self.rules.is_empty() {
            text.push_str("in shadow, nothing is refused: every rule\n");
        } else {
            section(&mut text, "in shadow, nothing is refused", self.in_shadow());
        }
        if let Some(pdp) = &self.pdp {
            let _ = writeln!(text, "asked for decisions: {pdp}");
        }
        text
    }

    /// How long a right outlives its withdrawal: of most rules, and of those that differ.
    fn tell_revocation(&self, text: &mut String) {
        let mut delays = BTreeMap::<Duration, Vec<&str>>::new();
        for rule in &self.rules {
            if let Some(delay) = rule.revoked_after {
                delays.entry(delay).or_default().push(&rule.id);
            }
        }
        let most = delays.iter().max_by_key(|(_, rules)| rules.len()).map(|(delay, _)| *delay);
        let Some(most) = most else { return };
        let differing: Vec<_> = delays.iter().filter(|(delay, _)| **delay != most).collect();
        let others = if differing.is_empty() { "" } else { ", but for" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "a right that Altinn no longer gives is refused within {most:?}{others}{}",
            differing
                .iter()
                .map(|(delay, rules)| format!(" {} ({delay:?})", rules.join(", ")))
                .collect::<Vec<_>>()
                .join(",")
        );
    }

    /// For programs: one object in one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        let ids = |rules: &mut dyn Iterator<Item = &RuleLine>| -> Vec<Value> {
            rules.map(|rule| Value::from(rule.id.as_str())).collect()
        };
        json!({
            "rules": self.rules.iter().map(RuleLine::to_json).collect::<Vec<_>>(),
            "notDecided": ids(&mut self.not_decided()),
            "public": ids(&mut self.public()),
            "scopesWaived": ids(&mut self.scopes_waived()),
            "inShadow": ids(&mut self.in_shadow()),
            "pdp": self.pdp,
        })
        .to_string()
    }
}

impl RuleLine {
    fn of(rule: &RouteRule, snapshot: &Snapshot) -> Self {
        Self {
            id: rule.id().to_string(),
            api: rule.api().to_string(),
            method: methods(&rule.matching().methods),
            template: rule.template().as_str().to_owned(),
            protection: rule.protection(),
            resource: rule.resource().map(resource),
            action: rule.action().map(|action| action.as_str().to_owned()),
            party: rule.party().map(party),
            scopes: rule.scopes().map(scopes),
            mode: snapshot.enforcement_of(rule),
            revoked_after: revoked_after(rule, snapshot),
            scopes_waived: rule.scopes() == Some(&ScopeRequirement::Waived),
            decided_by_altinn: rule.is_decided_by_altinn(),
        }
    }

    /// What is asked, or why nothing is.
    fn question(&self) -> String {
        match (&self.action, &self.resource, &self.party) {
            (Some(action), Some(resource), Some(party)) => {
                format!("{action} {resource} for {party}")
            }
            (Some(_) | None, _, _) => self.protection.as_str().to_owned(),
        }
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "api": self.api,
            "method": self.method,
            "template": self.template,
            "protection": self.protection.as_str(),
            "resource": self.resource,
            "action": self.action,
            "party": self.party,
            "scopes": self.scopes,
            "decidedByAltinn": self.decided_by_altinn,
            "mode": self.mode.as_str(),
            "revokedAfterSeconds": self.revoked_after.map(|delay| delay.as_secs_f64()),
        })
    }
}

/// As long as a permit is believed; and a WebSocket that was opened at its end is open for as long again as it may be.
fn revoked_after(rule: &RouteRule, snapshot: &Snapshot) -> Option<Duration> {
    if rule.protection() != Protection::Required {
        return None;
    }
    let believed = match lifetimes_of(rule, &snapshot.judging) {
        Lifetimes::Held { permit, .. } => permit,
        Lifetimes::Off => Duration::ZERO,
    };
    let open = rule.web_socket().map_or(Duration::ZERO, |rule| rule.max_duration);
    Some(believed.saturating_add(open))
}

fn section<'a>(text: &mut String, title: &str, rules: impl Iterator<Item = &'a RuleLine>) {
    let rules: Vec<_> = rules.map(|rule| rule.id.as_str()).collect();
    if !rules.is_empty() {
        let _ = writeln!(text, "{title}: {}", rules.join(", "));
    }
}

fn width<'a>(texts: impl Iterator<Item = &'a String>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or_default()
}

fn methods(methods: &Methods) -> String {
    match methods {
        Methods::One(method) => method.to_string(),
        Methods::List(methods) => {
            methods.iter().map(http::Method::as_str).collect::<Vec<_>>().join(",")
        }
        Methods::Any => "any".to_owned(),
    }
}

fn resource(resource: &ResourceRule) -> String {
    let bounded =
        |from: &crate::route::Source, ids: Vec<&str>| format!("{from} of {}", ids.join(", "));
    match resource {
        ResourceRule::Const(id) => id.as_str().to_owned(),
        ResourceRule::Allow { from, allow } => {
            bounded(from, allow.iter().map(crate::domain::ResourceId::as_str).collect())
        }
        ResourceRule::Map { from, map } => {
            bounded(from, map.iter().map(|(_, id)| id.as_str()).collect())
        }
    }
}

fn party(party: &PartyRule) -> String {
    let sources: Vec<_> = party.sources().iter().map(crate::route::Source::as_str).collect();
    let sources = sources.join(" or ");
    match party {
        PartyRule::Many { max, .. } => format!("{sources} (at most {max})"),
        PartyRule::One { .. } | PartyRule::OneOf(_) => sources,
    }
}

fn scopes(scopes: &ScopeRequirement) -> String {
    let named: Vec<_> = scopes.named().iter().map(crate::domain::Scope::as_str).collect();
    match scopes {
        ScopeRequirement::All(_) => named.join(", "),
        ScopeRequirement::Any(_) => format!("any of {}", named.join(", ")),
        ScopeRequirement::Waived => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{Inputs, Runtime, compile};
    use crate::domain::SystemClock;
    use crate::tasks::Tasks;

    #[test]
    fn the_rules_of_the_examples_are_listed_with_what_altinn_does_not_decide() {
        let config = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/local.yaml");
        let inputs = Inputs { config: vec![config], ..Inputs::default() };
        let runtime = Runtime { tasks: Tasks::new(), clock: Arc::new(SystemClock) };
        let compiled = compile(&inputs, None, &runtime).compiled.unwrap();
        let report = Report::of(&compiled.snapshot);
        insta::assert_snapshot!(report.to_human());
        let json: Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["notDecided"], json!(["upload-file", "read-dialog"]));
        assert_eq!(json["public"], json!(["health"]));
        assert!(!report.to_json().contains('\n'));
        assert_eq!(report.pdp, None);
    }

    #[test]
    fn a_pdp_elsewhere_is_named_with_whom_we_are_to_it() {
        let path = std::env::temp_dir().join(format!("portvakt-{}.yaml", uuid::Uuid::new_v4()));
        let policies = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        let config = format!(
            "environment: tt02\nupstream: {{ url: 'http://127.0.0.1:8080' }}\npolicies: {}\n\
             pdp: {{ credential: {{ token_file: /nowhere }} }}\n",
            policies.display()
        );
        std::fs::write(&path, config).unwrap();
        let inputs = Inputs { config: vec![path.clone()], ..Inputs::default() };
        let runtime = Runtime { tasks: Tasks::new(), clock: Arc::new(SystemClock) };
        let compiled = compile(&inputs, None, &runtime).compiled.unwrap();
        let text = Report::of(&compiled.snapshot).to_human();
        let expected = "asked for decisions: \
            https://platform.tt02.altinn.no/authorization/api/v1/authorize as the token in /nowhere\n";
        assert!(text.ends_with(expected), "{text}");
        std::fs::remove_file(path).unwrap();
    }
}
