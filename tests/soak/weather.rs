//! What is wrong at the moment, and what has been.

use crate::now;
use crate::oracle::Violation;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Until the first credential has come and everybody has asked once.
const BEGINNING: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct Weather(Mutex<State>);

#[derive(Debug)]
struct State {
    counts: BTreeMap<&'static str, usize>,
    active: usize,
    /// When the traces of all that ended are gone.
    settled: Instant,
}

/// A fault that is active until this is dropped.
pub(crate) struct Fault {
    weather: Arc<Weather>,
    settles: Duration,
}

impl Weather {
    pub(crate) fn new() -> Self {
        let settled = now() + BEGINNING;
        Self(Mutex::new(State { counts: BTreeMap::new(), active: 0, settled }))
    }

    /// A fault begins whose traces may show for so long after its end.
    pub(crate) fn begin(self: &Arc<Self>, kind: &'static str, settles: Duration) -> Fault {
        let mut state = self.0.lock().unwrap();
        *state.counts.entry(kind).or_default() += 1;
        state.active += 1;
        Fault { weather: Arc::clone(self), settles }
    }

    /// Counts what is no outage.
    pub(crate) fn note(&self, kind: &'static str) {
        *self.0.lock().unwrap().counts.entry(kind).or_default() += 1;
    }

    /// Whether nothing was wrong at this moment, and for long enough before.
    pub(crate) fn was_calm(&self, at: Instant) -> bool {
        let state = self.0.lock().unwrap();
        state.active == 0 && state.settled < at
    }

    pub(crate) fn counts(&self) -> String {
        let state = self.0.lock().unwrap();
        let counts: Vec<String> =
            state.counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        counts.join(", ")
    }

    /// Each kind came often: twenty times in ten minutes.
    pub(crate) fn judge(&self, length: Duration) -> Result<(), Violation> {
        let state = self.0.lock().unwrap();
        let Some((kind, count)) = state.counts.iter().min_by_key(|(_, count)| **count) else {
            return Ok(());
        };
        if length < Duration::from_mins(2) || *count as u64 * 30 >= length.as_secs() {
            return Ok(());
        }
        Err(Violation::new("coverage", &format!("{kind} came {count} times in {length:?}")))
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let mut state = self.weather.0.lock().unwrap();
        state.active -= 1;
        state.settled = state.settled.max(now() + self.settles);
    }
}
