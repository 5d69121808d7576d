//! What is demanded, and what was seen.
//!
//! * Whoever receives a byte receives it from the other side of the same exchange, in its order.
//! * An exchange that nobody breaks is whole on both sides. One that the API breaks never looks whole.
//! * What ends on one side ends on the other.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

#[derive(Debug)]
pub(crate) struct Violation {
    kind: &'static str,
    what: String,
}

impl Violation {
    pub(crate) fn new(kind: &'static str, what: &str) -> Self {
        Self { kind, what: what.to_owned() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.what)
    }
}

/// Shared by clients and APIs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    counts: Mutex<BTreeMap<String, u64>>,
    violations: Mutex<Vec<Violation>>,
    /// The latest decision records.
    records: Mutex<VecDeque<String>>,
    /// Exchanges that the APIs are in.
    running: AtomicUsize,
}

/// More than this many would say nothing new.
const MAX_VIOLATIONS: usize = 20;
/// Enough for all that is under way.
const MAX_RECORDS: usize = 10_000;

impl Oracle {
    /// Something ended as it may.
    pub(crate) fn count(&self, what: &str) {
        *self.0.counts.lock().unwrap().entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn add(&self, what: &str, bytes: u64) {
        *self.0.counts.lock().unwrap().entry(what.to_owned()).or_default() += bytes;
    }

    pub(crate) fn violation(&self, kind: &'static str, what: &str) {
        let mut violations = self.0.violations.lock().unwrap();
        if violations.len() < MAX_VIOLATIONS {
            violations.push(Violation::new(kind, what));
        }
    }

    /// Keeps a decision record for a while.
    pub(crate) fn record(&self, line: &[u8]) {
        let mut records = self.0.records.lock().unwrap();
        if records.len() == MAX_RECORDS {
            records.pop_front();
        }
        records.push_back(String::from_utf8_lossy(line).into_owned());
    }

    /// What the record of a refused exchange gives as its cause, if it has come.
    pub(crate) fn recorded(&self, id: Uuid) -> String {
        let records = self.0.records.lock().unwrap();
        let found = records.iter().find(|line| line.contains(&id.to_string()));
        found.cloned().unwrap_or_default()
    }

    /// An exchange at an API, for as long as the guard lives.
    pub(crate) fn run(&self) -> Running {
        self.0.running.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }

    pub(crate) fn running(&self) -> usize {
        self.0.running.load(Ordering::Relaxed)
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.0.counts.lock().unwrap().clone()
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        std::mem::take(&mut self.0.violations.lock().unwrap())
    }
}

pub(crate) struct Running(Oracle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}
