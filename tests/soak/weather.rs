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
    /// When the pulse was last felt, and the spans in which it was not.
    pulse: Instant,
    standstills: Vec<(Instant, Instant)>,
}

/// How often the pulse is felt, and how long it may stay away before the machine is said to stand still.
const PULSE: Duration = Duration::from_millis(20);
const STANDSTILL: Duration = Duration::from_millis(250);

/// A fault that is active until this is dropped.
pub(crate) struct Fault {
    weather: Arc<Weather>,
    settles: Duration,
}

impl Weather {
    pub(crate) fn new() -> Arc<Self> {
        let (pulse, settled) = (now(), now() + BEGINNING);
        let (counts, standstills) = (BTreeMap::new(), Vec::new());
        let state = State { counts, active: 0, settled, pulse, standstills };
        let weather = Arc::new(Self(Mutex::new(state)));
        // A thread of its own: what holds up tasks must not pass for a machine that stands still.
        let felt = Arc::downgrade(&weather);
        std::thread::spawn(move || {
            while let Some(weather) = felt.upgrade() {
                weather.feel();
                drop(weather);
                std::thread::sleep(PULSE);
            }
        });
        weather
    }

    fn feel(&self) {
        let mut state = self.0.lock().unwrap();
        let (last, now) = (state.pulse, now());
        if now - last > STANDSTILL {
            state.standstills.push((last, now));
        }
        state.pulse = now;
    }

    /// Whether the machine stood still in this time, as shared machines do: nothing is late then by our doing.
    pub(crate) fn stood_still(&self, from: Instant, to: Instant) -> bool {
        self.feel();
        let state = self.0.lock().unwrap();
        state.standstills.iter().any(|(began, ended)| *began < to && from < *ended)
    }

    /// How often.
    pub(crate) fn standstills(&self) -> usize {
        self.0.lock().unwrap().standstills.len()
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
