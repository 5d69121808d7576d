//! `portvakt token inspect`: what a token says, for whom, and which checks of a configuration it would fail.

use super::FormatArgs;
use super::console::{self, Exit, Format};
use super::explained::checks_to_json;
use crate::authorize::{admits, describe_caller, describe_denial};
use crate::config::scalars::format_duration;
use crate::config::{self, Environment, Files, Inputs, Overrides, Runtime};
use crate::domain::{Clock, Denial, SystemClock, UnixSeconds};
use crate::route::Protection;
use crate::snapshot::Snapshot;
use crate::tasks::Tasks;
use crate::token::{Inspection, IssuerKind, TokenSettings};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Says what a token says and for whom; with a configuration, which of its checks the token would fail, and which rules would
/// let it in.
///
/// Nothing is fetched, no secret is needed, and the signature is not verified. Exits with 1 if a check of the configuration
/// fails.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// A file with the token, or with claims in JSON; standard input if absent.
    file: Option<PathBuf>,
    /// A configuration whose checks are made; may be given several times, later ones override.
    #[arg(long = "config", short = 'c', value_name = "FILE")]
    config: Vec<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
}

/// The largest file read. Far above any token.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Rules that are named to people for one outcome.
const MAX_NAMED: usize = 20;

/// What was read: a token, or claims alone.
struct Read {
    text: String,
    header: Option<Value>,
    claims: Value,
}

/// What a configuration makes of it.
struct Judged {
    checks: Vec<(&'static str, Result<(), Denial>)>,
    /// Of rules that want a token, what becomes of it there; empty if nobody knows whom it would prove.
    rules: Vec<(String, Result<&'static str, Denial>)>,
}

impl Inspect {
    pub(super) fn run(self) -> Exit {
        let read = match self.read().and_then(|text| Read::parse(&text)) {
            Ok(read) => read,
            Err(fault) => return console::misused(&fault),
        };
        let judged = if self.config.is_empty() {
            None
        } else {
            match self.snapshot() {
                Ok(snapshot) => Some(Judged::by(&snapshot, &read)),
                Err(exit) => return exit,
            }
        };
        let now = SystemClock.wall();
        console::data(&match self.format.format {
            Format::Human => read.to_human(judged.as_ref(), now),
            Format::Json => read.to_json(judged.as_ref(), now),
        });
        let fails = judged.is_some_and(|it| it.checks.iter().any(|(_, outcome)| outcome.is_err()));
        if fails { Exit::Found } else { Exit::Ok }
    }

    fn read(&self) -> Result<String, String> {
        let mut text = String::new();
        let read = match &self.file {
            Some(path) => {
                let file = std::fs::File::open(path)
                    .map_err(|fault| format!("cannot open `{}`: {fault}", path.display()))?;
                file.take(MAX_FILE_BYTES).read_to_string(&mut text)
            }
            None => std::io::stdin().lock().take(MAX_FILE_BYTES).read_to_string(&mut text),
        };
        read.map_err(|fault| format!("cannot read the token: {fault}"))?;
        Ok(text)
    }

    fn snapshot(&self) -> Result<Arc<Snapshot>, Exit> {
        let inputs = Inputs {
            config: self.config.clone(),
            files: Files::Disk,
            environment: Environment::of_process(),
            flags: Vec::new(),
            overrides: Overrides { without_secrets: true, ..Overrides::default() },
        };
        let runtime = Runtime { tasks: Tasks::new(), clock: Arc::new(SystemClock) };
        let outcome = config::compile(&inputs, None, &runtime);
        let Some(compiled) = outcome.compiled else {
            console::talk(&outcome.diagnostics.to_human(console::talk_colour()));
            return Err(Exit::Usage);
        };
        Ok(compiled.snapshot)
    }
}

impl Read {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with('{') {
            let claims: Value = serde_json::from_str(text)
                .map_err(|fault| format!("the claims are not JSON: {fault}"))?;
            // As a token endpoint answers (RFC 6749 §5.1).
            return match claims.get("access_token").and_then(Value::as_str) {
                Some(token) => Self::parse_token(token),
                None => Ok(Self { text: text.to_owned(), header: None, claims }),
            };
        }
        // As it stands in the header, with its name or without.
        let text = text.strip_prefix("Authorization:").unwrap_or(text).trim_start();
        Self::parse_token(text.strip_prefix("Bearer ").unwrap_or(text))
    }

    fn parse_token(text: &str) -> Result<Self, String> {
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(
                "this is not a signed token: three parts between dots are expected".to_owned()
            );
        };
        let (header, claims) = (Some(part(header)?), part(claims)?);
        Ok(Self { text: text.to_owned(), header, claims })
    }

    fn inspect(&self, settings: &TokenSettings, now: UnixSeconds) -> Inspection {
        match self.header {
            Some(_) => settings.inspect(&self.text, now),
            None => settings.inspect_only_claims(self.text.as_bytes(), now),
        }
    }

    /// Whom it is for, where nobody has said what its issuer may vouch for.
    fn says(&self, now: UnixSeconds) -> Result<String, String> {
        let issuer = self.word("iss").unwrap_or_default();
        let inspection = self.inspect(&TokenSettings::taking(self.likely_kind(), issuer), now);
        let fault = inspection.checks.iter().find(|(check, outcome)| {
            outcome.is_err() && ["form", "claims", "subject"].contains(check)
        });
        match (inspection.if_verified(describe_caller), fault) {
            (Some(who), _) => Ok(who),
            (None, Some((_, Err(denial)))) => Err(describe_denial(denial)),
            (None, _) => Err("nobody knows".to_owned()),
        }
    }

    fn word(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    fn likely_kind(&self) -> IssuerKind {
        let has = |name: &str| self.claims.get(name).is_some();
        let names = self.claims.as_object().into_iter().flatten();
        if names.into_iter().any(|(name, _)| name.starts_with("urn:altinn:")) {
            IssuerKind::Altinn
        } else if has("consumer") || has("authorization_details") || !has("pid") {
            IssuerKind::Maskinporten
        } else {
            IssuerKind::IdPorten
        }
    }

    fn to_human(&self, judged: Option<&Judged>, now: UnixSeconds) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "{name:<10}{value}");
        };
        match self.says(now) {
            Ok(who) => line("for", &who),
            Err(fault) => line("for", &format!("nobody: {fault}")),
        }
        for (name, claim) in [("client", "client_id"), ("scopes", "scope"), ("issuer", "iss")] {
            if let Some(value) = self.word(claim) {
                line(name, value);
            }
        }
        for (name, claim) in [("issued", "iat"), ("not before", "nbf"), ("expires", "exp")] {
            if let Some(at) = self.claims.get(claim).and_then(Value::as_u64) {
                line(name, &moment(at, now));
            }
        }
        if let Some(header) = &self.header {
            let word = |name: &str| header.get(name).and_then(Value::as_str).unwrap_or("none");
            let signed = format!("{} by the key `{}`; not verified", word("alg"), word("kid"));
            line("signed", &signed);
        }
        if let Some(judged) = judged {
            judged.tell(&mut text);
        }
        let document = match &self.header {
            Some(header) => json!({ "header": header, "claims": self.claims }),
            None => json!({ "claims": self.claims }),
        };
        let _ = writeln!(text, "\n{document:#}");
        text
    }

    fn to_json(&self, judged: Option<&Judged>, now: UnixSeconds) -> String {
        let mut document = json!({ "header": self.header, "claims": self.claims });
        if let Some(members) = document.as_object_mut() {
            members.insert("for".to_owned(), json!(self.says(now).ok()));
            if let Some(judged) = judged {
                members.insert("checks".to_owned(), checks_to_json(&judged.checks));
                members.insert("rules".to_owned(), judged.rules_json());
            }
        }
        format!("{document}\n")
    }
}

impl Judged {
    fn by(snapshot: &Snapshot, read: &Read) -> Self {
        let inspection = read.inspect(snapshot.tokens.settings(), snapshot.clock.wall());
        let level = snapshot.judging.machine_level;
        let rules = inspection.if_verified(|caller| {
            let rules = snapshot.routes.rules().iter();
            let rules = rules.filter_map(|rule| {
                let then = match rule.protection() {
                    Protection::Required => "let in, and Altinn is asked",
                    Protection::Token => "let in",
                    Protection::Public | Protection::Closed => return None,
                };
                Some((rule.id().to_string(), admits(rule, caller, level).map(|()| then)))
            });
            rules.collect()
        });
        Self { checks: inspection.checks, rules: rules.unwrap_or_default() }
    }

    fn tell(&self, text: &mut String) {
        let _ = writeln!(text, "\nchecks, but for the signature");
        for (check, outcome) in &self.checks {
            let told = match outcome {
                Ok(()) => "ok".to_owned(),
                Err(denial) => describe_denial(denial),
            };
            let _ = writeln!(text, "  {check:<10}{told}");
        }
        let mut groups = BTreeMap::<String, Vec<&str>>::new();
        for (rule, outcome) in &self.rules {
            let told = match outcome {
                Ok(then) => (*then).to_owned(),
                Err(denial) => describe_denial(denial),
            };
            groups.entry(told).or_default().push(rule);
        }
        if !groups.is_empty() {
            text.push_str("\nrules, if it is as it says\n");
        }
        for (told, rules) in groups {
            let more = rules.len().saturating_sub(MAX_NAMED);
            let named = rules.get(..MAX_NAMED).unwrap_or(&rules).join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let _ = writeln!(text, "  {told}: {named}{more}");
        }
    }

    fn rules_json(&self) -> Value {
        let written = |(rule, outcome): &(String, Result<&str, Denial>)| {
            let code = outcome.as_ref().err().map(|denial| denial.code.as_str());
            json!({ "rule": rule, "letIn": outcome.is_ok(), "code": code })
        };
        self.rules.iter().map(written).collect()
    }
}

/// A time, and how far it is.
fn moment(at: u64, now: UnixSeconds) -> String {
    let UnixSeconds(now) = now;
    let away = |seconds: u64| format_duration(Duration::from_secs(seconds));
    let far = if at > now {
        format!("in {}", away(at.saturating_sub(now)))
    } else {
        format!("{} ago", away(now.saturating_sub(at)))
    };
    let at = i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    at.map_or_else(|| "at no time".to_owned(), |at| format!("{at}, {far}"))
}

fn part(text: &str) -> Result<Value, String> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|fault| format!("a part is not base64url: {fault}"))?;
    serde_json::from_slice(&bytes).map_err(|fault| format!("a part is not JSON: {fault}"))
}
