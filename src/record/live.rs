//! Decision records for those who look on: as they are written, to a few at a time, and only while somebody
//! does. Who is slow misses some and is told how many; nobody waits for them.

use super::{DecisionRecord, Outcome};
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// How many can look on at one time. Bounds memory and what each record costs.
pub const MAX_ONLOOKERS: usize = 8;
/// Lines that wait for one of them. Bounds memory, at some kilobyte each.
const MAX_WAITING: usize = 256;

/// Where onlookers are told.
#[derive(Debug, Default)]
pub struct Live {
    told: Mutex<Vec<Told>>,
    /// As many as are told: read for each record.
    count: AtomicUsize,
}

#[derive(Debug)]
struct Told {
    wanted: Wanted,
    lines: mpsc::Sender<Bytes>,
    missed: Arc<AtomicU64>,
}

/// Which records somebody wants to see; what is not named does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those that ended so.
    pub outcome: Option<Outcome>,
    /// Those of this rule.
    pub rule: Option<String>,
    /// Those with this in their line.
    pub text: Option<String>,
}

/// One who looks on, until it is dropped.
#[derive(Debug)]
pub struct Onlooker {
    lines: mpsc::Receiver<Bytes>,
    missed: Arc<AtomicU64>,
}

/// What an onlooker sees next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The line of a record, with its end.
    Line(Bytes),
    /// So many that there was no room for.
    Missed(u64),
}

impl Live {
    /// From now on whatever is wanted; `None` while too many look on.
    pub fn look_on(&self, wanted: Wanted) -> Option<Onlooker> {
        let mut told = self.told();
        told.retain(|one| !one.lines.is_closed());
        let room = told.len() < MAX_ONLOOKERS;
        let onlooker = room.then(|| {
            let (lines, receiver) = mpsc::channel(MAX_WAITING);
            let missed = Arc::new(AtomicU64::new(0));
            told.push(Told { wanted, lines, missed: Arc::clone(&missed) });
            Onlooker { lines: receiver, missed }
        });
        self.count.store(told.len(), Ordering::Relaxed);
        onlooker
    }

    /// Whether anybody looks on.
    pub(super) fn is_watched(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Tells a record to those who want it.
    pub(super) fn tell(&self, record: &DecisionRecord, line: &[u8]) {
        let mut told = self.told();
        told.retain(|one| !one.lines.is_closed());
        self.count.store(told.len(), Ordering::Relaxed);
        let mut shared = None;
        for one in told.iter().filter(|one| one.wanted.is(record, line)) {
            let line = shared.get_or_insert_with(|| Bytes::copy_from_slice(line)).clone();
            if one.lines.try_send(line).is_err() {
                one.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn told(&self) -> MutexGuard<'_, Vec<Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wanted {
    fn is(&self, record: &DecisionRecord, line: &[u8]) -> bool {
        let Self { outcome, rule, text } = self;
        outcome.is_none_or(|outcome| outcome == record.outcome)
            && rule.as_ref().is_none_or(|rule| record.rule.as_deref() == Some(rule))
            && text.as_ref().is_none_or(|text| {
                str::from_utf8(line).is_ok_and(|line| line.contains(text.as_str()))
            })
    }
}

impl Onlooker {
    /// What comes next. What was missed is told before what came after it.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Seen>> {
        match self.missed.swap(0, Ordering::Relaxed) {
            0 => self.lines.poll_recv(context).map(|line| line.map(Seen::Line)),
            missed => Poll::Ready(Some(Seen::Missed(missed))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RequestId;
    use std::task::Waker;

    fn record(outcome: Outcome, rule: Option<&str>) -> DecisionRecord {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let mut record = DecisionRecord::new(at, RequestId::fresh(), 1, http::Method::GET);
        record.outcome = outcome;
        record.rule = rule.map(Arc::from);
        record
    }

    fn next(onlooker: &mut Onlooker) -> Option<Seen> {
        match onlooker.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(seen) => seen,
            Poll::Pending => None,
        }
    }

    #[test]
    fn each_is_told_what_it_wants() {
        let live = Live::default();
        let wanted = |outcome, rule: Option<&str>, text: Option<&str>| Wanted {
            outcome,
            rule: rule.map(str::to_owned),
            text: text.map(str::to_owned),
        };
        for (wanted, expected) in [
            (wanted(None, None, None), true),
            (wanted(Some(Outcome::Refused), Some("vat"), Some("1234")), true),
            (wanted(Some(Outcome::Forwarded), None, None), false),
            (wanted(None, Some("other"), None), false),
            (wanted(None, None, Some("5678")), false),
        ] {
            let mut onlooker = live.look_on(wanted.clone()).unwrap();
            live.tell(&record(Outcome::Refused, Some("vat")), b"{\"id\":\"1234\"}\n");
            assert_eq!(next(&mut onlooker).is_some(), expected, "{wanted:?}");
        }
        assert_eq!(live.told().len(), 1, "who has left is forgotten");
        live.tell(&record(Outcome::Refused, None), b"");
        assert!(!live.is_watched());
    }

    #[test]
    fn who_is_slow_hears_of_what_it_missed_and_holds_nobody_up() {
        let live = Live::default();
        let mut onlooker = live.look_on(Wanted::default()).unwrap();
        for _ in 0..MAX_WAITING + 3 {
            live.tell(&record(Outcome::Forwarded, None), b"{}\n");
        }
        assert_eq!(next(&mut onlooker), Some(Seen::Missed(3)));
        let lines = std::iter::from_fn(|| next(&mut onlooker)).count();
        assert_eq!(lines, MAX_WAITING);
    }

    #[test]
    fn so_many_look_on_and_no_more_until_one_leaves() {
        let live = Live::default();
        let look = || live.look_on(Wanted::default());
        let mut looking: Vec<_> = (0..MAX_ONLOOKERS).map(|_| look().unwrap()).collect();
        assert!(look().is_none());
        looking.pop();
        assert!(look().is_some());
    }
}
