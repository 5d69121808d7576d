//! The guard's reading of bytes that are all there: for tests and fuzzing, which hold it against that of the
//! HTTP library.

use super::GuardLimits;
use super::body::Progress;
use super::head::HeadReader;
use crate::config::Limits;
use crate::domain::FramingFault;
use std::ops::Range;

/// One request among the bytes of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighted {
    /// Where its head stands.
    pub head: Range<usize>,
    /// Where its body stands, with its framing, as far as it came.
    pub body: Range<usize>,
    /// Whether all of it came.
    pub whole: bool,
}

/// Reads requests one behind the other, up to the first fault or the end of the bytes.
pub fn sight(bytes: &[u8], limits: &Limits) -> (Vec<Sighted>, Result<(), FramingFault>) {
    let limits = GuardLimits::from(limits);
    let mut seen = Vec::new();
    let mut at = 0_usize;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let mut head = match HeadReader::default().read(rest, &limits) {
            Ok(Some(head)) => head,
            Ok(None) => return (seen, Ok(())),
            Err(fault) => return (seen, Err(fault)),
        };
        let behind = at.saturating_add(head.bytes);
        let (followed, progress) =
            head.body.follow(bytes.get(behind..).unwrap_or_default(), &limits);
        let end = behind.saturating_add(followed);
        let whole = progress == Ok(Progress::Ended);
        seen.push(Sighted { head: at..behind, body: behind..end, whole });
        match progress {
            Ok(Progress::Ended) => at = end,
            Ok(Progress::Unfinished) => return (seen, Ok(())),
            Err(fault) => return (seen, Err(fault)),
        }
    }
}
