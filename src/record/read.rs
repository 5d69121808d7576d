//! Decision records as they were written, read again: of a file, a line at a time. How they are written is `line`'s.

use crate::domain::{DenialCode, Enforcement};
use serde::Deserialize;
use std::io::{self, BufRead, Read as _};

/// What of a record is read again; further members are left.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recorded {
    /// `portvakt.decision/1`; other lines of a log have none.
    pub schema: String,
    /// Names the request.
    pub request_id: String,
    /// The method.
    pub method: String,
    /// The rule, if one matched.
    pub rule: Option<String>,
    /// The rule's template.
    pub route: Option<String>,
    /// What the token proved.
    pub subject: Option<String>,
    /// Who asked.
    pub system_user: Option<String>,
    /// Whose system user that is.
    pub owner: Option<String>,
    /// Which system it belongs to.
    pub system: Option<String>,
    /// Whose system that is.
    pub vendor: Option<String>,
    /// Whose client got the token.
    pub consumer: Option<String>,
    /// About what.
    pub resource: Option<String>,
    /// To do what.
    pub action: Option<String>,
    /// For whom, as URNs; persons are masked.
    #[serde(default)]
    pub party: Vec<String>,
    /// What the PDP said.
    pub decision: Option<String>,
    /// How the request ended.
    pub outcome: String,
    /// Why it was refused, or would have been.
    pub code: Option<String>,
    /// Whether refusals took effect.
    pub mode: String,
    /// What the client got.
    pub status: Option<u16>,
}

/// The only schema that is read.
const SCHEMA: &str = "portvakt.decision/1";
/// The longest line that is read. Bounds memory where a file is no log.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// Reads records one after the other. Lines that are none, such as those of the log beside them, are counted.
#[derive(Debug)]
pub struct Records<R> {
    from: R,
    line: Vec<u8>,
    others: u64,
}

impl<R: BufRead> Records<R> {
    /// From there.
    pub fn new(from: R) -> Self {
        Self { from, line: Vec::new(), others: 0 }
    }

    /// Lines so far that are no records.
    pub fn others(&self) -> u64 {
        self.others
    }

    /// The next record; `None` at the end. Fails if there is nothing to read from, or a line has no end.
    pub fn read(&mut self) -> io::Result<Option<Recorded>> {
        loop {
            self.line.clear();
            let read = self.from.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut self.line)?;
            if read == 0 {
                return Ok(None);
            }
            if self.line.len() as u64 == MAX_LINE_BYTES && !self.line.ends_with(b"\n") {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without an end"));
            }
            match record(&self.line) {
                Some(record) => return Ok(Some(record)),
                None => self.others = self.others.saturating_add(1),
            }
        }
    }
}

/// A record as it is, or within the document that `ecs` made of it.
fn record(line: &[u8]) -> Option<Recorded> {
    #[derive(Deserialize)]
    struct Document {
        portvakt: Recorded,
    }
    let own = serde_json::from_slice(line);
    let record = own.or_else(|_| serde_json::from_slice(line).map(|it: Document| it.portvakt));
    record.ok().filter(|record: &Recorded| record.schema == SCHEMA)
}

impl Recorded {
    /// Whether refusals had no effect on it.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.mode == Enforcement::Shadow.as_str()
    }

    /// Why it was refused, or would have been.
    #[must_use]
    pub fn denial(&self) -> Option<DenialCode> {
        self.code.as_deref().and_then(DenialCode::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"schema":"portvakt.decision/1","time":"2026-01-01T00:00:00Z","requestId":"r","method":"GET","rule":"read","source":"local","outcome":"forwarded","code":"access-denied","mode":"shadow","status":200,"totalSeconds":0.1,"generation":1}"#;

    #[test]
    fn records_are_found_among_other_lines() {
        let log = format!(
            "starting\n{ONE}\n{{\"level\":\"INFO\"}}\n\n{}\n{{\"message\":\"\",\"portvakt\":{ONE}}}",
            ONE.replace("/1", "/2")
        );
        let mut records = Records::new(log.as_bytes());
        let first = records.read().unwrap().unwrap();
        assert_eq!((first.rule.as_deref(), first.status), (Some("read"), Some(200)));
        assert_eq!((first.denial(), first.is_shadow()), (Some(DenialCode::AccessDenied), true));
        assert_eq!(records.read().unwrap(), Some(first));
        assert_eq!(records.read().unwrap(), None);
        assert_eq!(records.others(), 4);
    }

    #[test]
    fn what_has_no_lines_is_not_read_into_memory() {
        let mut records = Records::new(io::BufReader::new(io::repeat(b'x')));
        assert_eq!(records.read().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
