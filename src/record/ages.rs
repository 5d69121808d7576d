//! The age of the oldest decision by which a request was judged of late, without a lock: every request
//! passes here. Reading changes nothing, so that several scrapers do not disturb one another.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Two windows that take turns: the present one, and the one before it.
#[derive(Debug, Default)]
pub(super) struct Ages {
    /// When the first decision came.
    origin: OnceLock<Instant>,
    /// Number of the window and the greatest age in it, in one word, so that a later window always
    /// replaces an earlier one and within one window the greater age wins.
    oldest: [AtomicU64; 2],
}

/// How long a window lasts.
const WINDOW: Duration = Duration::from_mins(1);
/// The bits of a word that hold an age in milliseconds: 34 years.
const AGE_BITS: u32 = 40;
const MAX_AGE: u64 = (1 << AGE_BITS) - 1;

impl Ages {
    /// Notes that a decision of this age was used.
    pub(super) fn note(&self, age: Duration, now: Instant) {
        let window = self.window(now);
        let age = u64::try_from(age.as_millis()).unwrap_or(MAX_AGE).min(MAX_AGE);
        let [even, odd] = &self.oldest;
        let slot = if window.is_multiple_of(2) { even } else { odd };
        slot.fetch_max((window << AGE_BITS) | age, Ordering::Relaxed);
    }

    /// The age of the oldest decision used in this window and the one before; `None` if none was.
    pub(super) fn oldest(&self, now: Instant) -> Option<Duration> {
        let present = self.window(now);
        let recent = self.oldest.iter().filter_map(|slot| {
            let word = slot.load(Ordering::Relaxed);
            let (window, age) = (word >> AGE_BITS, word & MAX_AGE);
            (window > 0 && window + 1 >= present).then(|| Duration::from_millis(age))
        });
        recent.max()
    }

    /// Counts from 1, so that an empty slot is of no window.
    fn window(&self, now: Instant) -> u64 {
        let origin = *self.origin.get_or_init(|| now);
        now.saturating_duration_since(origin).as_secs() / WINDOW.as_secs() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Clock as _, SystemClock};

    #[test]
    fn the_oldest_of_one_to_two_minutes_is_told_and_then_forgotten() {
        let (ages, start) = (Ages::default(), SystemClock.monotonic());
        let at = |seconds| start + Duration::from_secs(seconds);
        let used = |age, second| ages.note(Duration::from_secs(age), at(second));
        let oldest = |second| ages.oldest(at(second)).map(|age| age.as_secs());
        assert_eq!(oldest(0), None);
        used(5, 0);
        used(50, 10);
        used(7, 59);
        assert_eq!((oldest(59), oldest(60), oldest(119)), (Some(50), Some(50), Some(50)));
        used(9, 61);
        assert_eq!((oldest(119), oldest(120), oldest(179)), (Some(50), Some(9), Some(9)));
        assert_eq!(oldest(180), None);
        used(1, 200);
        assert_eq!(oldest(200), Some(1));
    }

    #[test]
    fn a_decision_made_for_this_very_request_counts_as_one_without_age() {
        let (ages, now) = (Ages::default(), SystemClock.monotonic());
        ages.note(Duration::ZERO, now);
        assert_eq!(ages.oldest(now), Some(Duration::ZERO));
        ages.note(Duration::MAX, now);
        assert_eq!(ages.oldest(now), Some(Duration::from_millis(MAX_AGE)));
    }
}
