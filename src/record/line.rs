//! A decision record as it is written: one JSON object a line.
//!
//! Absent facts are absent members. Durations are seconds, times RFC 3339 in UTC, persons masked.

use super::DecisionRecord;
use crate::domain::{Action, Caller, OrganizationNumber, ResourceId, Subject};
use crate::members::{Members, key};
use std::sync::Arc;

/// Writes records one after the other.
#[derive(Debug)]
pub(super) struct LineWriter {
    /// The latest time and its text, which is that of many records.
    time: Option<(jiff::Timestamp, String)>,
    /// Callers of late and their members: whoever calls once with a token does so again.
    callers: Vec<Option<Written>>,
}

/// A caller, and its members.
type Written = (Arc<Caller>, Vec<u8>);

/// Callers whose members are kept, of half a kibibyte each. Bounds memory.
const KEPT_CALLERS: usize = 64;

impl Default for LineWriter {
    fn default() -> Self {
        Self { time: None, callers: vec![None; KEPT_CALLERS] }
    }
}

impl LineWriter {
    /// Appends the line of a record.
    pub(super) fn write(&mut self, record: &DecisionRecord, lines: &mut Vec<u8>) {
        let mut line = Members::begin(lines);
        line.word(key!("schema"), "portvakt.decision/1");
        line.word(key!("time"), self.time(record.at));
        line.word(key!("requestId"), &record.request_id.text());
        line.some_text(key!("traceId"), record.trace_id.as_deref());
        line.word(key!("method"), record.method.as_str());
        line.some_text(key!("rule"), record.rule.as_deref());
        line.some_text(key!("route"), record.template.as_deref());
        if let Some(caller) = &record.caller {
            self.caller(caller, &mut line);
        }
        line.some_word(key!("resource"), record.resource.as_ref().map(ResourceId::as_str));
        line.some_word(key!("action"), record.action.as_ref().map(Action::as_str));
        if let Some(decision) = record.decision {
            line.word(key!("decision"), decision);
        }
        line.word(key!("source"), record.source.as_str());
        line.word(key!("outcome"), record.outcome.as_str());
        if let Some(code) = record.code {
            line.word(key!("code"), code.as_str());
        }
        line.some_text(key!("cause"), record.cause.as_deref());
        line.word(key!("mode"), record.mode.as_str());
        if !record.parties.is_empty() {
            line.words(key!("party"), &record.parties, |party, text| party.text_to(text));
        }
        if let Some(status) = record.status {
            line.number(key!("status"), u64::from(status));
        }
        line.seconds(key!("age"), record.age);
        line.seconds(key!("authorizeSeconds"), record.authorize);
        line.seconds(key!("upstreamSeconds"), record.upstream);
        line.seconds(key!("totalSeconds"), Some(record.total));
        line.number(key!("generation"), record.generation);
        line.end_line();
    }

    fn caller(&mut self, caller: &Arc<Caller>, line: &mut Members<'_>) {
        // By where it lies, which is one place for all requests of a token that is remembered.
        let place = (Arc::as_ptr(caller).addr() / size_of::<Caller>()) % KEPT_CALLERS;
        let Some(kept) = self.callers.get_mut(place) else { return write_caller(caller, line) };
        if let Some((known, members)) = kept
            && Arc::ptr_eq(known, caller)
        {
            return line.again(members);
        }
        let mut members = Vec::new();
        write_caller(caller, &mut Members::begin(&mut members));
        line.again(&members);
        *kept = Some((Arc::clone(caller), members));
    }

    fn time(&mut self, at: jiff::Timestamp) -> &str {
        let known = self.time.take().filter(|(time, _)| *time == at);
        &self.time.insert(known.unwrap_or_else(|| (at, at.to_string()))).1
    }
}

fn write_caller(caller: &Caller, line: &mut Members<'_>) {
    line.word(key!("subject"), caller.subject.kind().as_str());
    line.text(key!("issuer"), &caller.issuer);
    match &caller.subject {
        Subject::SystemUser(user) => {
            line.word(key!("systemUser"), &user.id.text());
            line.word(key!("owner"), &user.owner.text());
            line.text(key!("system"), user.system.as_str());
            line.word(key!("vendor"), &user.vendor.text());
            line.word(key!("consumer"), &user.consumer.text());
            line.some_word(key!("supplier"), user.supplier.map(OrganizationNumber::text).as_ref());
        }
        Subject::Organization(organization) => {
            line.word(key!("consumer"), &organization.consumer.text());
            let supplier = organization.supplier.map(OrganizationNumber::text);
            line.some_word(key!("supplier"), supplier.as_ref());
        }
        // A person's number is in no record.
        Subject::Person(_) => {}
    }
    line.some_text(key!("clientId"), caller.client_id.as_deref());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        CheckDigits, OrganizationCaller, ProvenLevel, RequestId, Scopes, TokenWindow, UnixSeconds,
    };
    use serde_json::{Value, json};

    fn written(records: &[DecisionRecord]) -> Vec<Value> {
        let (mut writer, mut lines) = (LineWriter::default(), Vec::new());
        for record in records {
            writer.write(record, &mut lines);
        }
        let lines = String::from_utf8(lines).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn record(second: i64) -> DecisionRecord {
        let at = jiff::Timestamp::from_second(second).unwrap();
        DecisionRecord::new(at, RequestId::fresh(), 7, http::Method::GET)
    }

    #[test]
    fn each_line_has_the_time_of_its_own_record() {
        let lines = written(&[0, 0, 1, 86_400, 1].map(record));
        let times: Vec<_> = lines.iter().map(|line| line["time"].as_str().unwrap()).collect();
        let one = "1970-01-01T00:00:01Z";
        let zero = "1970-01-01T00:00:00Z";
        assert_eq!(times, [zero, zero, one, "1970-01-02T00:00:00Z", one]);
    }

    #[test]
    fn each_line_has_its_own_caller() {
        let caller = |client: usize| {
            let consumer = OrganizationNumber::parse("314242726", CheckDigits::Lenient).unwrap();
            Arc::new(Caller {
                subject: Subject::Organization(OrganizationCaller { consumer, supplier: None }),
                scopes: Scopes::from_claim("x:y"),
                window: TokenWindow { not_before: None, expires: UnixSeconds(1) },
                issuer: Arc::from("https://issuer.example"),
                level: ProvenLevel::AsConfigured,
                service_owner: false,
                client_id: Some(client.to_string().into()),
            })
        };
        let callers: Vec<_> = (0..3 * KEPT_CALLERS).map(caller).collect();
        // Each once, then the first over and over beside the others.
        let order = (0..callers.len()).chain((0..callers.len()).flat_map(|other| [0, other, 0]));
        let (records, expected): (Vec<_>, Vec<_>) = order
            .map(|client| {
                let record =
                    DecisionRecord { caller: Some(Arc::clone(&callers[client])), ..record(0) };
                (record, json!(client.to_string()))
            })
            .unzip();
        let lines = written(&records);
        let told: Vec<_> = lines.iter().map(|line| line["clientId"].clone()).collect();
        assert_eq!(told, expected);
        assert!(lines.iter().all(|line| line["consumer"] == "314242726"));
    }

    #[test]
    fn what_is_not_known_is_not_there() {
        let record = record(0);
        let id = record.request_id.to_string();
        let expected = json!({
            "schema": "portvakt.decision/1", "time": "1970-01-01T00:00:00Z", "requestId": id, "method": "GET",
            "source": "local", "outcome": "aborted", "mode": "enforce", "totalSeconds": 0.0, "generation": 7,
        });
        assert_eq!(written(&[record]), [expected]);
    }
}
