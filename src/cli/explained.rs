//! How a judged request is told: to people as lines, to programs as one document.

use crate::answer::{AnswerForm, answer};
use crate::authorize::{Basis, Permit, describe_denial};
use crate::domain::{Denial, Head, Host, RequestId};
use crate::record::{Journey, Stage};
use crate::snapshot::Snapshot;
use crate::upstream::told_of;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// All there is to tell of a request.
pub(super) struct Explained<'a> {
    journey: &'a Journey,
    verdict: &'a Result<Permit, Denial>,
    seen: SeenOutside,
    candidates: Vec<Near>,
    /// Each check of the token by itself; empty where none was sent.
    checks: Vec<(&'static str, Result<(), Denial>)>,
    notes: Vec<String>,
}

impl<'a> Explained<'a> {
    pub(super) fn of(
        journey: &'a Journey,
        verdict: &'a Result<Permit, Denial>,
        head: &Head,
        snapshot: &Snapshot,
        notes: Vec<String>,
    ) -> Self {
        let token = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let checks = token
            .and_then(|value| value.strip_prefix("Bearer "))
            .map(|token| snapshot.tokens.settings().inspect(token, snapshot.clock.wall()).checks);
        Self {
            journey,
            verdict,
            seen: seen_outside(verdict, head),
            candidates: candidates(snapshot, head, journey.rule()),
            checks: checks.unwrap_or_default(),
            notes,
        }
    }

    pub(super) fn to_human(&self) -> String {
        let Self { journey, verdict, seen, candidates, checks, notes } = self;
        let mut text = String::new();
        for step in journey.steps() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:>9}  {}", step.stage.as_str(), step.text);
            for line in step.why.iter().flat_map(|why| why.text.lines()) {
                let _ = writeln!(text, "{:>13}{line}", "");
            }
        }
        for line in told_checks(checks) {
            let _ = writeln!(text, "{:>9}  {line}", "checks");
        }
        let _ = match verdict {
            Ok(permit) => {
                writeln!(text, "\nforwarded under rule `{}`", permit.rule_id().unwrap_or("none"))
            }
            Err(denial) => writeln!(text, "\nrefused: {} {}", denial.code.status(), denial.code),
        };
        // Where a rule was found at once nobody asks for the others.
        if journey.rule().is_none() && !candidates.is_empty() {
            text.push_str("rules that come near:\n");
            for Near { rule, why } in candidates {
                let _ = writeln!(text, "  {rule}: {why}");
            }
        }
        text.push_str(&seen.to_human());
        for note in notes {
            let _ = writeln!(text, "{note}");
        }
        text
    }

    pub(super) fn to_json(&self) -> String {
        let Self { journey, verdict, seen, candidates, checks, notes } = self;
        let steps: Vec<Value> = journey
            .steps()
            .iter()
            .map(|step| {
                let mut written = json!({ "stage": step.stage.as_str(), "text": step.text });
                if let (Some(why), Some(members)) = (&step.why, written.as_object_mut()) {
                    let name = if step.stage == Stage::Question { "xacml" } else { "reasons" };
                    members.insert(name.to_owned(), why.data.clone());
                }
                written
            })
            .collect();
        let verdict = match verdict {
            Ok(permit) => {
                let basis = match permit.basis() {
                    Basis::Public => "public",
                    Basis::Token(_) => "token",
                    Basis::Decision(_) => "decision",
                    Basis::Shadow => "shadow",
                };
                json!({ "permitted": true, "rule": permit.rule_id(), "basis": basis })
            }
            Err(denial) => json!({
                "permitted": false, "status": denial.code.status(), "code": denial.code.as_str(),
                "cause": denial.cause.as_deref(),
            }),
        };
        let candidates: Vec<_> =
            candidates.iter().map(|near| json!({ "rule": near.rule, "why": near.why })).collect();
        let headers: Vec<_> =
            seen.headers.iter().map(|(name, value)| json!([name, value])).collect();
        let outside = match seen.status {
            Some(_) => {
                json!({ "status": seen.status, "headers": headers, "document": seen.document })
            }
            None => json!({ "headers": headers }),
        };
        let seen_by = if seen.status.is_some() { "answered" } else { "forwarded" };
        let mut written = json!({
            "steps": steps, "verdict": verdict, (seen_by): outside, "tokenChecks": checks_to_json(checks),
            "otherRules": candidates,
        });
        if let (false, Some(members)) = (notes.is_empty(), written.as_object_mut()) {
            members.insert("note".to_owned(), json!(notes.join("; ")));
        }
        format!("{written}\n")
    }
}

/// The checks of a token, for programs.
pub(super) fn checks_to_json(checks: &[(&'static str, Result<(), Denial>)]) -> Value {
    let written = |(check, outcome): &(&'static str, Result<(), Denial>)| {
        let denial = outcome.as_ref().err();
        json!({
            "check": check, "ok": outcome.is_ok(), "code": denial.map(|denial| denial.code.as_str()),
            "cause": denial.and_then(|denial| denial.cause.as_deref()),
        })
    };
    checks.iter().map(written).collect()
}

/// The checks of the token that are well, and those that are not.
fn told_checks(checks: &[(&'static str, Result<(), Denial>)]) -> Vec<String> {
    let well: Vec<_> =
        checks.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(check, _)| *check).collect();
    let mut lines = Vec::new();
    if !well.is_empty() {
        lines.push(format!("of the token are well: {}", well.join(", ")));
    }
    for (check, outcome) in checks {
        if let Err(denial) = outcome {
            lines.push(format!("{check}: {}", describe_denial(denial)));
        }
    }
    lines
}

/// What others see of a verdict: the caller a status, headers and a document; or the API what it is told.
struct SeenOutside {
    status: Option<u16>,
    headers: Vec<(String, String)>,
    document: Value,
}

fn seen_outside(verdict: &Result<Permit, Denial>, head: &Head) -> SeenOutside {
    let request_id = RequestId::fresh();
    match verdict {
        Ok(permit) => {
            let told = told_of(permit, request_id).into_iter();
            let headers = told.map(|(name, value)| (name.to_string(), value)).collect();
            SeenOutside { status: None, headers, document: Value::Null }
        }
        Err(denial) => {
            let form = AnswerForm::of(head.version, &head.headers, request_id);
            let (parts, body) = answer(denial, form).into_parts();
            let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            let headers = parts.headers.iter();
            SeenOutside {
                status: Some(parts.status.as_u16()),
                headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
                document: serde_json::from_slice(&body).unwrap_or_default(),
            }
        }
    }
}

impl SeenOutside {
    fn to_human(&self) -> String {
        let mut text = match self.status {
            Some(status) => format!("the caller gets {status}\n"),
            None => "the API is told, beside the request\n".to_owned(),
        };
        // Of an answer's headers those that say what to do.
        let tells = |name: &str| {
            self.status.is_none() || ["www-authenticate", "retry-after", "allow"].contains(&name)
        };
        for (name, value) in self.headers.iter().filter(|(name, _)| tells(name)) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name}: {value}");
        }
        if !self.document.is_null() {
            let _ = writeln!(text, "  {}", self.document);
        }
        text
    }
}

/// A rule that came near, and what became of it.
struct Near {
    rule: String,
    why: String,
}

/// Rules that are told beside the one that matched.
const MAX_CANDIDATES: usize = 5;

/// The rules that came near, other than the one that matched.
fn candidates(snapshot: &Snapshot, head: &Head, matched: Option<&str>) -> Vec<Near> {
    let (Ok(target), Ok(host)) = (&head.target, Host::of(&head.headers)) else { return Vec::new() };
    let max = MAX_CANDIDATES.saturating_add(1);
    let near = snapshot.routes.candidates(Some(&host), target, &head.method, max);
    let others = near.into_iter().filter(|near| Some(near.rule.id().as_ref()) != matched);
    let told = others.map(|near| Near {
        rule: near.rule.id().to_string(),
        why: near.differs.unwrap_or_else(|| "matches, and another is closer".to_owned()),
    });
    told.take(MAX_CANDIDATES).collect()
}
