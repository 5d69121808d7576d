//! `portvakt replay`: decision records of yesterday under another configuration.
//!
//! A record holds no target, header, body or scope: what is looked up is its route, and what is compared is what it
//! says. Nothing is asked of a PDP.

use super::console::{self, Exit, Format};
use super::{ConfigArgs, FormatArgs};
use crate::config::{self, Environment, Files, Inputs, Overrides, Runtime};
use crate::domain::{DenialCode, Enforcement, RequestTarget, SubjectKind, SystemClock};
use crate::record::{Recorded, Records};
use crate::route::{Protection, ResourceRule, RouteRule, Template};
use crate::snapshot::Snapshot;
use crate::tasks::Tasks;
use clap::Args;
use http::Method;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

/// Puts decision records under another configuration, and lists what would come of them that did not; nothing is asked of a
/// PDP.
///
/// Each record's route is looked up among the rules as they are now; its method, subject, system, vendor, resource and
/// action are compared with what the rule demands. Exits with 1 if an outcome or a question would be another. Records hold
/// no targets, hosts, queries or scopes: what depends on these alone is not seen, nor are requests that no rule matched.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// Files with decision records.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// Changes that are told apart. Bounds memory; further ones are counted as the last.
const MAX_CHANGES: usize = 10_000;
/// What became of a request, or would.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Forwarded,
    /// Forwarded in shadow, and refused otherwise.
    Overlooked(String),
    Refused(String),
    /// Altinn would be asked this, which it was not.
    Asked(String),
}

/// A change of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    rule: String,
    request: String,
    from: End,
    to: End,
}

/// How many records, and the first of them.
type Seen = (u64, String);

/// What all records come to.
#[derive(Debug, Default)]
struct Tally {
    records: u64,
    /// Without a route, or of a route that cannot be looked up.
    unseen: u64,
    changes: BTreeMap<Change, Seen>,
}

impl End {
    fn text(&self) -> String {
        match self {
            Self::Forwarded => "forwarded".to_owned(),
            Self::Overlooked(code) => format!("forwarded in shadow ({code})"),
            Self::Refused(code) => code.clone(),
            Self::Asked(question) => format!("asks {question}"),
        }
    }
}

impl End {
    /// What comes of this verdict where refusals have no effect.
    fn overlooked(self) -> Self {
        match self {
            Self::Refused(code) => Self::Overlooked(code),
            Self::Forwarded | Self::Overlooked(_) | Self::Asked(_) => self,
        }
    }
}

impl Replay {
    pub(super) fn run(self) -> Exit {
        let inputs = Inputs {
            config: self.config.config.clone(),
            files: Files::Disk,
            environment: Environment::of_process(),
            flags: Vec::new(),
            overrides: Overrides { without_secrets: true, ..Overrides::default() },
        };
        let runtime = Runtime { tasks: Tasks::new(), clock: Arc::new(SystemClock) };
        let outcome = config::compile(&inputs, None, &runtime);
        let Some(compiled) = outcome.compiled else {
            console::talk(&outcome.diagnostics.to_human(console::talk_colour()));
            return Exit::Usage;
        };
        let mut tally = Tally::default();
        for path in &self.files {
            let read = File::open(path).and_then(|file| {
                tally.read(Records::new(BufReader::new(file)), &compiled.snapshot)
            });
            if let Err(fault) = read {
                return console::failed(&format!("cannot read `{}`: {fault}", path.display()));
            }
        }
        if tally.records == 0 {
            return console::failed(&"there is no decision record");
        }
        console::data(&match self.format.format {
            Format::Human => tally.to_human(),
            Format::Json => tally.to_json(),
        });
        if tally.changes.is_empty() { Exit::Ok } else { Exit::Found }
    }
}

impl Tally {
    fn read<R: io::BufRead>(
        &mut self,
        mut records: Records<R>,
        snapshot: &Snapshot,
    ) -> io::Result<()> {
        while let Some(record) = records.read()? {
            self.records = self.records.saturating_add(1);
            match replayed(&record, snapshot) {
                None => self.unseen = self.unseen.saturating_add(1),
                Some(change) if change.from != change.to => self.add(change, &record),
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn add(&mut self, change: Change, record: &Recorded) {
        if self.changes.len() >= MAX_CHANGES && !self.changes.contains_key(&change) {
            self.unseen = self.unseen.saturating_add(1);
            return;
        }
        let seen = self.changes.entry(change).or_insert_with(|| (0, record.request_id.clone()));
        seen.0 = seen.0.saturating_add(1);
    }

    fn to_human(&self) -> String {
        let changed: u64 = self.changes.values().map(|(count, _)| count).sum();
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{} records: {changed} would end otherwise, {} could not be looked up",
            self.records, self.unseen
        );
        for (Change { rule, request, from, to }, (count, first)) in &self.changes {
            let _ = writeln!(
                text,
                "  {rule}  {request}: {count} {}, now {}, such as {first}",
                from.text(),
                to.text()
            );
        }
        text
    }

    fn to_json(&self) -> String {
        let changes: Vec<_> = self
            .changes
            .iter()
            .map(|(Change { rule, request, from, to }, (count, first))| {
                json!({
                    "rule": rule, "request": request, "from": from.text(), "to": to.text(), "count": count,
                    "requestId": first,
                })
            })
            .collect();
        let line = json!({ "records": self.records, "unseen": self.unseen, "changes": changes });
        format!("{line}\n")
    }
}

/// What became of a request beside what would; `None` if it cannot be looked up.
fn replayed(record: &Recorded, snapshot: &Snapshot) -> Option<Change> {
    let template = Template::parse(record.route.as_deref()?).ok()?;
    let method = Method::from_bytes(record.method.as_bytes()).ok()?;
    let target = RequestTarget::parse(&template.sample(), usize::MAX).ok()?;
    let from = match &record.code {
        Some(code) => End::Refused(code.clone()),
        None => End::Forwarded,
    };
    // By host and query it was told apart, of which the record says nothing.
    let told_apart = snapshot.routes.rules().iter().find(|rule| {
        let asks = rule.matching();
        Some(&**rule.id()) == record.rule.as_deref()
            && rule.template() == &template
            && (asks.host.is_some() || !asks.query.is_empty())
    });
    let found = match told_apart {
        Some(rule) => Ok(rule),
        None => snapshot.routes.find(None, &target, &method).map(|matched| matched.rule()),
    };
    let (rule, to, is_shadow) = match found {
        Ok(rule) => {
            let is_shadow = snapshot.enforcement_of(rule) == Enforcement::Shadow
                && rule.protection() != Protection::Closed;
            (rule.id().to_string(), end(record, rule, &from), is_shadow)
        }
        Err(denial) => {
            let is_shadow = snapshot.shadow.as_ref().is_some_and(|shadow| shadow.whole);
            (record.rule.clone()?, End::Refused(denial.code.as_str().to_owned()), is_shadow)
        }
    };
    // Verdicts were compared; what callers get goes by the mode too.
    let from = if record.is_shadow() { from.overlooked() } else { from };
    let to = if is_shadow { to.overlooked() } else { to };
    Some(Change { rule, request: format!("{method} {}", template.text()), from, to })
}

/// What would become of the request under this rule, as far as its record tells.
fn end(record: &Recorded, rule: &RouteRule, from: &End) -> End {
    let refused = |code: DenialCode| End::Refused(code.as_str().to_owned());
    // A fault of the request, the token or a system comes as it came, whatever the rules.
    let by_rule = |code: &String| {
        DenialCode::parse(code).is_some_and(|code| {
            [
                DenialCode::RouteClosed,
                DenialCode::RouteUnknown,
                DenialCode::MethodNotAllowed,
                DenialCode::NotASystemUser,
                DenialCode::SubjectNotAllowed,
                DenialCode::SystemNotAllowed,
                DenialCode::VendorNotAllowed,
                DenialCode::AccessDenied,
            ]
            .contains(&code)
        })
    };
    if let End::Refused(code) = from
        && !by_rule(code)
        && rule.protection() != Protection::Public
    {
        return from.clone();
    }
    match rule.protection() {
        Protection::Closed => return refused(DenialCode::RouteClosed),
        Protection::Public => return End::Forwarded,
        Protection::Token | Protection::Required => {}
    }
    let kind =
        SubjectKind::ALL.into_iter().find(|kind| Some(kind.as_str()) == record.subject.as_deref());
    let Some(kind) = kind else { return refused(DenialCode::TokenMissing) };
    if !rule.subjects().contains(&kind) {
        return refused(if rule.subjects() == [SubjectKind::SystemUser] {
            DenialCode::NotASystemUser
        } else {
            DenialCode::SubjectNotAllowed
        });
    }
    let system = record.system.as_deref();
    if rule.systems().is_some_and(|list| !list.iter().any(|one| Some(one.as_str()) == system)) {
        return refused(DenialCode::SystemNotAllowed);
    }
    let vendor = record.vendor.as_deref();
    if rule.vendors().is_some_and(|list| !list.iter().any(|one| Some(&*one.text()) == vendor)) {
        return refused(DenialCode::VendorNotAllowed);
    }
    if rule.protection() == Protection::Token {
        return End::Forwarded;
    }
    let (Some(action), Some(resources)) = (rule.action(), rule.resource()) else {
        return from.clone();
    };
    let same = record.action.as_deref() == Some(action.as_str())
        && resources.ids().any(|id| Some(id.as_str()) == record.resource.as_deref());
    match (same, record.decision.as_deref()) {
        (true, Some("Permit")) => match from {
            // It was permitted, and refused for what this rule no longer says.
            End::Refused(code) if code == DenialCode::AccessDenied.as_str() => from.clone(),
            End::Refused(_) | End::Forwarded | End::Overlooked(_) | End::Asked(_) => End::Forwarded,
        },
        (true, Some(_)) => refused(DenialCode::AccessDenied),
        (true, None) | (false, _) => End::Asked(question(action.as_str(), resources)),
    }
}

fn question(action: &str, resources: &ResourceRule) -> String {
    let ids: Vec<_> = resources.ids().map(crate::domain::ResourceId::as_str).collect();
    format!("`{action}` on `{}`", ids.join("` or `"))
}
