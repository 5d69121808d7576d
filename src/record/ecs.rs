//! A decision record as a document of the Elastic Common Schema, for platforms whose searches and dashboards speak it.
//!
//! What the schema has a field for stands in that field, dotted as loggers write it; the record itself stands whole
//! under `portvakt`, so that nothing is lost and what reads records reads these as well.

use super::{DecisionRecord, Outcome};
use crate::domain::{DenialCode, Enforcement, OrganizationNumber, Subject};
use crate::members::{Members, key};

/// The version of the schema whose fields these are.
const VERSION: &str = "8.17.0";

/// Appends the document of a record, whose own line is `own`, as a line.
pub(super) fn write(record: &DecisionRecord, own: &[u8], lines: &mut Vec<u8>) {
    let mut line = Members::begin(lines);
    line.word(key!("@timestamp"), &record.at.to_string());
    line.word(key!("log.level"), "info");
    line.text(key!("message"), &message(record));
    line.word(key!("ecs.version"), VERSION);
    line.word(key!("event.dataset"), "portvakt.decision");
    line.word(key!("event.kind"), "event");
    line.list(key!("event.category"), ["api"].iter());
    line.list(key!("event.type"), types(record).iter());
    line.word(key!("event.action"), record.outcome.as_str());
    line.word(key!("event.outcome"), outcome(record.outcome));
    line.some_word(key!("event.code"), record.code.map(DenialCode::as_str));
    line.some_text(key!("event.reason"), record.cause.as_deref());
    line.number(key!("event.duration"), nanoseconds(record));
    line.word(key!("http.request.id"), &record.request_id.text());
    line.word(key!("http.request.method"), record.method.as_str());
    if let Some(status) = record.status {
        line.number(key!("http.response.status_code"), u64::from(status));
    }
    line.some_text(key!("trace.id"), record.trace_id.as_deref());
    line.some_text(key!("rule.id"), record.rule.as_deref());
    match record.caller.as_deref().map(|caller| &caller.subject) {
        Some(Subject::SystemUser(user)) => {
            line.word(key!("user.id"), &user.id.text());
            line.word(key!("organization.id"), &user.owner.text());
        }
        Some(Subject::Organization(organization)) => {
            line.word(key!("organization.id"), &OrganizationNumber::text(organization.consumer));
        }
        // A person's number is in no record.
        Some(Subject::Person(_)) | None => {}
    }
    line.object(key!("portvakt"), own.trim_ascii_end());
    line.end_line();
}

/// What a list of events shows of it: `GET /parties/{org} refused: access-denied`.
fn message(record: &DecisionRecord) -> String {
    let route = record.template.as_deref().unwrap_or("(no rule)");
    let (method, outcome) = (record.method.as_str(), record.outcome.as_str());
    let shadow = if record.mode == Enforcement::Shadow { " in shadow" } else { "" };
    let code = record.code.map(|code| format!(": {}", code.as_str())).unwrap_or_default();
    format!("{method} {route} {outcome}{shadow}{code}")
}

/// Below the category `api` the schema expects these; what fails by a fault on our side was neither allowed nor denied.
fn types(record: &DecisionRecord) -> &'static [&'static str] {
    match record.outcome {
        Outcome::Forwarded => &["access", "allowed"],
        Outcome::Refused if record.status.is_some_and(|status| status < 500) => {
            &["access", "denied"]
        }
        Outcome::Refused | Outcome::Aborted => &["access"],
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Forwarded => "success",
        Outcome::Refused => "failure",
        Outcome::Aborted => "unknown",
    }
}

fn nanoseconds(record: &DecisionRecord) -> u64 {
    u64::try_from(record.total.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RequestId;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn document(record: &DecisionRecord) -> Value {
        let (mut own, mut line) = (Vec::new(), Vec::new());
        crate::record::line::LineWriter::default().write(record, &mut own);
        write(record, &own, &mut line);
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        let document: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(document["portvakt"], serde_json::from_slice::<Value>(&own).unwrap());
        document
    }

    fn record() -> DecisionRecord {
        let at = jiff::Timestamp::from_second(1).unwrap();
        DecisionRecord::new(at, RequestId::fresh(), 7, http::Method::GET)
    }

    #[test]
    fn what_the_schema_has_a_field_for_stands_in_it() {
        let record = DecisionRecord {
            rule: Some("read".into()),
            template: Some("/parties/{org}".into()),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
            status: Some(403),
            code: Some(DenialCode::AccessDenied),
            cause: Some("\"why\"".into()),
            outcome: Outcome::Refused,
            total: Duration::from_micros(1_500),
            ..record()
        };
        let mut document = document(&record);
        let own = document.as_object_mut().unwrap().remove("portvakt").unwrap();
        let expected = json!({
            "@timestamp": "1970-01-01T00:00:01Z", "log.level": "info", "ecs.version": "8.17.0",
            "message": "GET /parties/{org} refused: access-denied", "event.dataset": "portvakt.decision",
            "event.kind": "event", "event.category": ["api"], "event.type": ["access", "denied"],
            "event.action": "refused", "event.outcome": "failure", "event.code": "access-denied",
            "event.reason": "\"why\"", "event.duration": 1_500_000, "http.request.id": own["requestId"],
            "http.request.method": "GET", "http.response.status_code": 403,
            "trace.id": "4bf92f3577b34da6a3ce929d0e0e4736", "rule.id": "read",
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn what_became_of_a_request_is_told_in_the_words_of_the_schema() {
        for (outcome, status, mode, expected) in [
            (
                Outcome::Forwarded,
                200,
                Enforcement::Enforce,
                json!([["access", "allowed"], "success", "GET (no rule) forwarded"]),
            ),
            (
                Outcome::Forwarded,
                200,
                Enforcement::Shadow,
                json!([["access", "allowed"], "success", "GET (no rule) forwarded in shadow"]),
            ),
            (
                Outcome::Refused,
                401,
                Enforcement::Enforce,
                json!([["access", "denied"], "failure", "GET (no rule) refused"]),
            ),
            (
                Outcome::Refused,
                503,
                Enforcement::Enforce,
                json!([["access"], "failure", "GET (no rule) refused"]),
            ),
            (
                Outcome::Aborted,
                200,
                Enforcement::Enforce,
                json!([["access"], "unknown", "GET (no rule) aborted"]),
            ),
        ] {
            let record = DecisionRecord { outcome, status: Some(status), mode, ..record() };
            let document = document(&record);
            let told =
                json!([document["event.type"], document["event.outcome"], document["message"]]);
            assert_eq!(told, expected);
        }
    }
}
