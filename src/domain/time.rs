//! Time, and the one door to it. Wall time judges `exp` and `nbf`; the monotonic clock judges
//! lifetimes, so that a step of the wall clock never lengthens a permit.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01T00:00:00Z, as in `NumericDate` (RFC 7519 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// Later by `duration`, whole seconds; stops at the end of time rather than wrap.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// Earlier by `duration`, whole seconds; stops at the epoch.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_secs()))
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where time comes from. Passed in everywhere, so that tests own it.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time of day, for what tokens say of themselves.
    fn wall(&self) -> UnixSeconds;
    /// The same in nanoseconds since 1970, for those who compare it with other machines'.
    fn wall_nanos(&self) -> u64 {
        self.wall().0.saturating_mul(1_000_000_000)
    }
    /// A clock that only goes forward, for lifetimes and durations.
    fn monotonic(&self) -> Instant;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door to time")]
    fn wall(&self) -> UnixSeconds {
        // A clock before 1970 reads as the epoch: every token is then not yet valid, and refused.
        UnixSeconds(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door to time")]
    fn wall_nanos(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door to time")]
    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that stands still until told otherwise: for tests and for rule tests that pin a time.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<(UnixSeconds, Instant)>,
}

impl ManualClock {
    /// Stands at `wall`.
    #[must_use]
    pub fn at(wall: UnixSeconds) -> Self {
        Self { now: Mutex::new((wall, SystemClock.monotonic())) }
    }

    /// Moves both clocks forward together.
    pub fn advance(&self, by: Duration) {
        let mut now = self.lock();
        now.0 = now.0.saturating_add(by);
        now.1 = now.1.checked_add(by).unwrap_or(now.1);
    }

    /// Steps the wall clock only, as an operator or NTP may.
    pub fn set_wall(&self, wall: UnixSeconds) {
        self.lock().0 = wall;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (UnixSeconds, Instant)> {
        self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> UnixSeconds {
        self.lock().0
    }

    fn monotonic(&self) -> Instant {
        self.lock().1
    }
}
