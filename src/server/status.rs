//! What the status page shows, as JSON: how the systems behind are, what is in force, what was decided. It is
//! made when it is asked for. The page itself is in `control/assets`.

use super::control::Page;
use super::observed::Observed;
use super::reload::LastReload;
use crate::config::Report;
use crate::domain::{Enforcement, UnixSeconds};
use crate::outbound::{Health, System};
use crate::pdp::Circuit;
use crate::pdp::credential::CredentialState;
use crate::record::Outcome;
use crate::snapshot::{Shadow, Snapshot};
use crate::token::KeyState;
use serde_json::{Map, Value, json};
use std::time::Instant;

/// The pages that a status page is made from: `GET /status` and `GET /rules`. Their forms may change with the
/// version; programs ask `/metrics`.
pub(super) fn pages(observed: &Observed) -> [Page; 2] {
    let (one, other) = (observed.clone(), observed.clone());
    [
        Page::get("/status", move |_| Ok(status(&one))),
        Page::get("/rules", move |_| Ok(rules(&other))),
    ]
}

fn status(observed: &Observed) -> Value {
    let snapshot = observed.snapshot.load();
    let now = snapshot.clock.monotonic();
    let condition = snapshot.decisions.condition();
    let metrics = observed.recorder.metrics();
    let (stats, present) = (snapshot.decisions.stats(), metrics.present());
    let unready = observed.readiness.unready(&snapshot);
    let systems = System::ALL.map(|system| (system, observed.healths.of(system)));
    let systems = systems.map(|(system, health)| system_state(system, health, now));
    let findings = observed.self_check.findings();
    let oldest = metrics.oldest_decision(now);
    let latency = metrics.latency();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "time": time(snapshot.clock.wall()),
        "upSeconds": now.saturating_duration_since(observed.started).as_secs(),
        "ready": unready.is_none(),
        "unready": unready,
        "mode": mode(&snapshot),
        "pdp": snapshot.decisions.identity(),
        "rules": snapshot.routes.rules().len(),
        "systems": systems,
        "circuit": circuit(condition.circuit),
        "keys": snapshot.tokens.key_states().iter().map(keys).collect::<Vec<_>>(),
        "credential": condition.credential.as_ref().map(credential),
        "config": {
            "generation": snapshot.generation,
            "current": observed.currency.is_current(),
            "restartNeeded": observed.currency.needs_restart(),
            "certificateCurrent": observed.tls.as_ref().map(super::tls::LiveTls::is_current),
            "lastReload": observed.currency.last().as_ref().map(reload),
        },
        "selfCheck": findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "cache": {
            "decisions": stats.entries,
            "tokens": snapshot.tokens.remembered(),
            "hits": stats.hits,
            "questions": stats.calls,
            "renewals": stats.renewals,
            "faults": stats.faults,
            "oldestDecisionSeconds": oldest.map(|age| age.as_secs_f64()),
        },
        "asking": { "inFlight": condition.in_flight, "queued": condition.queued },
        "requests": {
            "inFlight": present.in_flight,
            "webSockets": present.web_sockets,
            "recordsLost": present.records_lost,
            "bySource": metrics.decisions_by_source(),
            "byCode": metrics.denials_by_code(),
        },
        "latency": {
            "bounds": latency.bounds, "requests": latency.requests, "authorize": latency.authorize,
        },
    })
}

/// `enforce`, `shadow`, or both where rules differ.
fn mode(snapshot: &Snapshot) -> String {
    let rules = snapshot.routes.rules().iter();
    let in_shadow =
        rules.filter(|rule| snapshot.enforcement_of(rule) == Enforcement::Shadow).count();
    match &snapshot.shadow {
        None => Enforcement::Enforce.as_str().to_owned(),
        Some(Shadow { whole: true, .. }) => Enforcement::Shadow.as_str().to_owned(),
        Some(_) => format!("shadow for {in_shadow} rules"),
    }
}

/// Every rule, with what it protects by and how often it was used since the start.
fn rules(observed: &Observed) -> Value {
    let snapshot: &Snapshot = &observed.snapshot.load();
    let mut counts = observed.recorder.metrics().requests_by_rule();
    let mut shadow = observed.recorder.metrics().shadow_by_rule();
    let mut ends = |rule: &str| {
        let counts = counts.remove(rule).unwrap_or_default();
        let words = Outcome::ALL.iter().zip(counts);
        words.map(|(end, count)| (end.as_str().to_owned(), count.into())).collect::<Map<_, _>>()
    };
    let rules: Vec<_> = Report::of(snapshot)
        .rules
        .iter()
        .map(|rule| {
            let mut line = rule.to_json();
            if let Some(members) = line.as_object_mut() {
                members.insert("requests".to_owned(), ends(&rule.id).into());
                members.insert("shadow".to_owned(), shadow.remove(&rule.id).into());
            }
            line
        })
        .collect();
    let none = shadow.remove("none");
    json!({ "generation": snapshot.generation, "rules": rules, "none": ends("none"), "noneInShadow": none })
}

fn system_state(system: System, health: &Health, now: Instant) -> Value {
    let failing = health.failing(now);
    let counts: Vec<_> = health.counts().filter(|(_, count)| *count > 0).collect();
    let state = match (failing, counts.is_empty()) {
        (Some(_), _) => "failing",
        (None, false) => "ok",
        // Keys of a file, a PDP in this process: nobody was asked.
        (None, true) => "unused",
    };
    let counts =
        counts.into_iter().map(|(outcome, count)| (outcome.as_str().to_owned(), count.into()));
    json!({
        "system": system.as_str(),
        "state": state,
        "failingSeconds": failing.map(|(length, _)| length.as_secs()),
        "latest": failing.map(|(_, latest)| latest.as_str()),
        "exchanges": counts.collect::<Map<_, _>>(),
    })
}

fn circuit(circuit: Circuit) -> &'static str {
    match circuit {
        Circuit::Closed => "closed",
        Circuit::Open => "open",
        Circuit::HalfOpen => "half-open",
    }
}

fn keys(state: &KeyState) -> Value {
    json!({
        "issuer": &*state.issuer,
        "kind": state.kind.as_str(),
        "keys": state.keys,
        "skipped": state.skip_reasons,
        "ageSeconds": state.age.map(|age| age.as_secs()),
        "fault": state.last_fault,
        "clockAheadSeconds": state.clock_ahead,
    })
}

fn credential(state: &CredentialState) -> Value {
    json!({
        "ageSeconds": state.age.map(|age| age.as_secs()),
        "expiresInSeconds": state.expires_in.map(|left| left.as_secs()),
        "fault": state.last_fault.as_ref().map(ToString::to_string),
    })
}

fn reload(last: &LastReload) -> Value {
    json!({
        "time": time(last.at),
        "taken": last.taken,
        "generation": last.generation,
        "said": last.said,
        "findings": last.findings,
    })
}

/// RFC 3339, in UTC.
fn time(at: UnixSeconds) -> Option<String> {
    let seconds = i64::try_from(at.0).ok()?;
    jiff::Timestamp::from_second(seconds).ok().map(|at| at.to_string())
}
