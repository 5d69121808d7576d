//! What the readiness probe says: whether traffic should come, and in words for people what is missing or
//! failing, and why. The texts are those of logs: they hold nothing secret.
//!
//! The PDP and our own credential make nobody unready: when they fail, every replica would leave at once,
//! and callers would get no answer instead of a telling one.

use super::self_check::SelfCheck;
use crate::outbound::{Healths, System};
use crate::pdp::{Circuit, PointCondition};
use crate::snapshot::Snapshot;
use crate::token::KeyState;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Whether this process should get traffic. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Readiness(Arc<State>);

#[derive(Debug, Default)]
struct State {
    draining: AtomicBool,
    unfit: AtomicBool,
}

impl Readiness {
    /// From now on the process is leaving.
    pub(super) fn start_draining(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Whether the process is leaving.
    #[must_use]
    pub(super) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// Whether the surroundings are such that no traffic should come.
    pub(super) fn set_unfit(&self, unfit: bool) {
        self.0.unfit.store(unfit, Ordering::Release);
    }

    pub(super) fn is_unfit(&self) -> bool {
        self.0.unfit.load(Ordering::Acquire)
    }

    /// Why no traffic should come, if so.
    pub(super) fn unready(&self, snapshot: &Snapshot) -> Option<&'static str> {
        if self.is_draining() {
            return Some("draining");
        }
        if self.is_unfit() {
            return Some("the self-check refuses");
        }
        (!snapshot.tokens.is_ready()).then_some("no keys to verify tokens with")
    }
}

/// The longest line, in characters. What others say is quoted in it; a kubelet keeps 10 KiB of an answer.
const MAX_LINE: usize = 300;
/// The most lines about one kind of thing. Issuers are as many as the configuration names.
const MAX_LINES: usize = 16;

/// One line for each thing that is missing or failing.
pub(super) fn troubles(snapshot: &Snapshot, healths: &Healths, checked: &SelfCheck) -> String {
    let now = snapshot.clock.monotonic();
    let keys = snapshot.tokens.key_states();
    let mut text = String::new();
    let lines = keys.iter().filter_map(about_keys).take(MAX_LINES);
    for line in
        lines.chain(failing(healths, now)).chain(about_point(&snapshot.decisions.condition()))
    {
        push(&mut text, &line);
    }
    for finding in checked.findings().iter().take(MAX_LINES) {
        push(&mut text, &format!("self-check: {finding}"));
    }
    text
}

fn about_keys(state: &KeyState) -> Option<String> {
    let KeyState { issuer, keys, skipped, age, last_fault, .. } = state;
    match (*keys, last_fault) {
        (0, Some(fault)) => Some(format!("no keys of {issuer}: {fault}")),
        (0, None) if *skipped > 0 => {
            let reason = state.skip_reasons.first().copied().unwrap_or_default();
            Some(format!(
                "no keys of {issuer}: none of the {skipped} published is usable: {reason}"
            ))
        }
        (0, None) if age.is_some() => Some(format!("no keys of {issuer}: it publishes none")),
        (0, None) => Some(format!("no keys of {issuer}: not fetched yet")),
        (_, Some(fault)) => {
            let age = age.unwrap_or_default().as_secs();
            Some(format!("keys of {issuer} are {age} s old and cannot be renewed: {fault}"))
        }
        (_, None) => None,
    }
}

fn failing(healths: &Healths, now: Instant) -> impl Iterator<Item = String> {
    System::ALL.into_iter().filter_map(move |system| {
        let (length, latest) = healths.of(system).failing(now)?;
        let (word, length, latest) = (system.as_str(), length.as_secs(), latest.as_str());
        Some(format!("{word}: failing for {length} s ({latest})"))
    })
}

fn about_point(condition: &PointCondition) -> Vec<String> {
    let mut lines = Vec::new();
    match condition.circuit {
        Circuit::Closed => {}
        Circuit::Open => lines.push("pdp: not asked for a while (circuit open)".to_owned()),
        Circuit::HalfOpen => {
            lines.push("pdp: asked by way of trial (circuit half-open)".to_owned());
        }
    }
    if let Some(credential) = &condition.credential {
        let over = credential.expires_in.is_some_and(|left| left == Duration::ZERO);
        match &credential.last_fault {
            Some(fault) => lines.push(format!("credential: {fault}")),
            None if over => lines.push("credential: expired".to_owned()),
            None => {}
        }
    }
    lines
}

/// Adds one line, cut where it is too long and without what would make it several.
fn push(text: &mut String, line: &str) {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let cut: String = line.chars().take(MAX_LINE).map(visible).collect();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{cut}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::Exchanged;
    use crate::pdp::credential::{CredentialFault, CredentialState};
    use crate::token::IssuerKind;

    fn keys(keys: usize, skipped: usize, age: Option<u64>, last_fault: Option<&str>) -> KeyState {
        KeyState {
            issuer: "https://issuer.example.no/".into(),
            kind: IssuerKind::Maskinporten,
            keys,
            skipped,
            skip_reasons: vec!["an algorithm that is not allowed"; skipped],
            age: age.map(Duration::from_secs),
            last_fault: last_fault.map(str::to_owned),
            clock_ahead: None,
        }
    }

    #[test]
    fn an_issuer_is_named_when_its_keys_are_missing_or_cannot_be_renewed() {
        let fault = Some("the key set answered with status 503 Service Unavailable");
        let cases = [
            (keys(2, 1, Some(5), None), None),
            (keys(0, 0, None, None), Some("no keys of I: not fetched yet")),
            (keys(0, 0, None, fault), Some("no keys of I: the key set answered with status 503 …")),
            (keys(0, 0, Some(5), None), Some("no keys of I: it publishes none")),
            (keys(0, 2, Some(5), None), Some("no keys of I: none of the 2 published is usable: …")),
            (keys(2, 0, Some(90), fault), Some("keys of I are 90 s old and cannot be renewed: …")),
        ];
        for (state, expected) in cases {
            let line =
                about_keys(&state).map(|line| line.replace("https://issuer.example.no/", "I"));
            let beginning = expected.map(|expected| expected.trim_end_matches('…'));
            let right = match (&line, beginning) {
                (Some(line), Some(beginning)) => line.starts_with(beginning),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            assert!(right, "{line:?} is not {expected:?}");
        }
    }

    #[test]
    fn what_fails_is_told_in_the_order_of_the_systems() {
        use crate::domain::{Clock as _, SystemClock};
        let (healths, now) = (Healths::default(), SystemClock.monotonic());
        healths.of(System::Pdp).note(Exchanged::Timeout, now);
        healths.of(System::Keys).note(Exchanged::Failed, now);
        let lines: Vec<String> = failing(&healths, now + Duration::from_secs(12)).collect();
        assert_eq!(lines, ["keys: failing for 12 s (failed)", "pdp: failing for 12 s (timeout)"]);
    }

    #[test]
    fn the_credential_is_told_by_its_fault_or_its_end() {
        let fault = CredentialFault { step: "Maskinporten", cause: "x".into(), retry_after: None };
        let state = |expires_in: u64, last_fault| CredentialState {
            age: None,
            expires_in: Some(Duration::from_secs(expires_in)),
            last_fault,
        };
        for (credential, expected) in [
            (state(1, None), None),
            (state(0, None), Some("credential: expired")),
            (state(0, Some(fault.clone())), Some("credential: Maskinporten: x")),
            (state(9, Some(fault)), Some("credential: Maskinporten: x")),
        ] {
            let condition =
                PointCondition { credential: Some(credential), ..PointCondition::default() };
            assert_eq!(about_point(&condition).first().map(String::as_str), expected);
        }
    }

    #[test]
    fn a_quoted_fault_stays_one_line_of_bounded_length() {
        let mut text = String::new();
        push(&mut text, &format!("a\r\nready\n{}", "å".repeat(MAX_LINE)));
        assert_eq!((text.lines().count(), text.chars().count()), (1, MAX_LINE + 1));
    }
}
