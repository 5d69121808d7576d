//! Holds Portvakt's own token and has it renewed ahead of its end. Readers never wait while one counts; only
//! without one do they, for the one attempt that all of them share.
//!
//! **Invariant:** whatever the PDP, Maskinporten and callers do, attempts are made one at a time, and after
//! one that failed or was provoked none is made before its pause is over.

use super::{AccessToken, CredentialFault, FreshToken, TokenSource};
use crate::domain::Clock;
use crate::tasks::Tasks;
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// After the first attempt that failed; doubled after each that follows.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// What the doubling ends at.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Between attempts that refusals of the PDP provoke. A PDP, or a gateway before it, that refuses every token
/// must not make us storm Maskinporten.
const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// Between an attempt that succeeded and the next in the background: a source that says "renew at once" is
/// not believed.
const MIN_LIFE: Duration = Duration::from_secs(1);
/// One attempt is given up after this long: a source that hangs must not keep the next one off.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// Holds the token. Readers never wait while one is in hand.
#[derive(Debug)]
pub struct CredentialKeeper {
    source: Arc<dyn TokenSource>,
    tasks: Tasks,
    clock: Arc<dyn Clock>,
    held: ArcSwap<Held>,
    flight: Mutex<Flight>,
    /// An attempt has ended, so that the next is due at another time than was thought.
    settled: Arc<Notify>,
    started: AtomicBool,
    stopping: CancellationToken,
    // Ends the background task with the keeper: after a reload nobody else would.
    _end: DropGuard,
}

/// What is known now.
#[derive(Clone, Debug, Default)]
struct Held {
    token: Option<HeldToken>,
    /// The attempts since the last that succeeded, if there are any.
    failure: Option<Failure>,
}

#[derive(Clone, Debug)]
struct HeldToken {
    token: AccessToken,
    /// When the attempt began that gave it: it is no older.
    began: Instant,
    renew_at: Instant,
    ends: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Failure {
    fault: CredentialFault,
    /// How many attempts failed in a row.
    failures: u32,
    /// No attempt is made before; whoever asks gets the fault at once. Otherwise each of a thousand callers
    /// would make an attempt of its own, one after the other.
    until: Instant,
}

/// The attempt that is under way.
#[derive(Debug, Default)]
struct Flight {
    /// Ends when the attempt does.
    running: Option<watch::Receiver<()>>,
    /// When a refusal last provoked an attempt.
    provoked: Option<Instant>,
}

/// Why an attempt is asked for.
#[derive(Clone, Copy)]
enum Cause {
    Schedule,
    NoToken,
    Refusal,
}

/// What is said of the credential to operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialState {
    /// Since the attempt began that gave the token in hand; `None` without one.
    pub age: Option<Duration>,
    /// Until it no longer counts, if that is known; zero once it is over.
    pub expires_in: Option<Duration>,
    /// Why the latest attempt failed, if it did.
    pub last_fault: Option<CredentialFault>,
}

impl CredentialState {
    /// Whether there is a token that counts.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.age.is_some() && self.expires_in.is_none_or(|left| !left.is_zero())
    }
}

impl HeldToken {
    fn counts(&self, now: Instant) -> bool {
        self.ends.is_none_or(|ends| now < ends)
    }
}

impl CredentialKeeper {
    /// A keeper without a token; it touches nothing before [`Self::start`] or [`Self::token`].
    #[must_use]
    pub fn new(source: Arc<dyn TokenSource>, tasks: Tasks, clock: Arc<dyn Clock>) -> Arc<Self> {
        let stopping = tasks.stopping().child_token();
        Arc::new(Self {
            source,
            tasks,
            clock,
            held: ArcSwap::default(),
            flight: Mutex::default(),
            settled: Arc::default(),
            started: AtomicBool::new(false),
            _end: stopping.clone().drop_guard(),
            stopping,
        })
    }

    /// Begins to fetch and to renew in the background, until the keeper is dropped or tasks are to stop. A
    /// second call does nothing. A keeper that is not started renews no token before it is over or refused.
    pub fn start(self: &Arc<Self>) {
        if self.started.swap(true, Ordering::Relaxed) {
            return;
        }
        let (keeper, stopping) = (Arc::downgrade(self), self.stopping.clone());
        let settled = Arc::clone(&self.settled);
        drop(self.tasks.spawn(async move {
            loop {
                let Some(held) = keeper.upgrade() else { return };
                let pause = held.pause();
                let landed = if pause.is_zero() { held.take_off(Cause::Schedule) } else { None };
                // Nothing is held on to while waiting, or the keeper would never be dropped.
                drop(held);
                tokio::select! {
                    () = stopping.cancelled() => return,
                    // One that a refusal provoked and that failed is due again long before the renewal.
                    () = settled.notified() => {}
                    () = async {
                        tokio::time::sleep(pause).await;
                        wait(landed).await;
                    } => {}
                }
            }
        }));
    }

    /// The token in hand, or the one that is being fetched. Without either an attempt is made, unless the
    /// last one failed a moment ago: then its fault is given at once.
    pub async fn token(self: &Arc<Self>) -> Result<AccessToken, CredentialFault> {
        if let Some(token) = self.in_hand() {
            return Ok(token);
        }
        wait(self.take_off(Cause::NoToken)).await;
        self.in_hand().ok_or_else(|| self.fault().unwrap_or_else(interrupted))
    }

    /// Another token than `refused`, which the PDP did not accept: the one in hand if it is another
    /// already, else one fetched now, unless that was just done.
    ///
    /// The refused one stays in hand where there is no other, and is tried again by later calls: a refusal
    /// may come from a gateway's hiccup, and a credential that is given up would make an outage of it.
    pub async fn replace(
        self: &Arc<Self>,
        refused: &AccessToken,
    ) -> Result<AccessToken, CredentialFault> {
        let another = || self.in_hand().filter(|token| token.serial != refused.serial);
        if let Some(token) = another() {
            return Ok(token);
        }
        wait(self.take_off(Cause::Refusal)).await;
        another().ok_or_else(|| {
            self.fault().unwrap_or_else(|| CredentialFault {
                step: "the PDP",
                cause: "refuses our credential, and there is no other".into(),
                retry_after: None,
            })
        })
    }

    /// How the credential is.
    #[must_use]
    pub fn state(&self) -> CredentialState {
        let (held, now) = (self.held.load(), self.clock.monotonic());
        let token = held.token.as_ref();
        CredentialState {
            age: token.map(|token| now.saturating_duration_since(token.began)),
            expires_in: token
                .and_then(|token| token.ends)
                .map(|ends| ends.saturating_duration_since(now)),
            last_fault: held.failure.as_ref().map(|failure| failure.fault.clone()),
        }
    }

    /// The token, if it counts.
    fn in_hand(&self) -> Option<AccessToken> {
        let (held, now) = (self.held.load(), self.clock.monotonic());
        held.token.as_ref().filter(|held| held.counts(now)).map(|held| held.token.clone())
    }

    fn fault(&self) -> Option<CredentialFault> {
        self.held.load().failure.as_ref().map(|failure| failure.fault.clone())
    }

    /// Until the next attempt in the background.
    fn pause(&self) -> Duration {
        let (held, now) = (self.held.load(), self.clock.monotonic());
        let due = match (&held.failure, &held.token) {
            (Some(failure), _) => Some(failure.until),
            (None, Some(token)) => Some(token.renew_at),
            (None, None) => None,
        };
        due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }

    /// Joins the running attempt, or begins one if it is due.
    fn take_off(self: &Arc<Self>, cause: Cause) -> Option<watch::Receiver<()>> {
        let mut flight = self.flight();
        if let Some(running) = &flight.running {
            return Some(running.clone());
        }
        let (held, now) = (self.held.load(), self.clock.monotonic());
        let due = held.failure.as_ref().is_none_or(|failure| now >= failure.until)
            && match cause {
                Cause::Schedule => true,
                // One may have landed since the caller looked.
                Cause::NoToken => held.token.as_ref().is_none_or(|token| !token.counts(now)),
                Cause::Refusal => flight
                    .provoked
                    .is_none_or(|last| now.saturating_duration_since(last) >= MIN_INTERVAL),
            };
        if !due || self.stopping.is_cancelled() {
            return None;
        }
        if matches!(cause, Cause::Refusal) {
            flight.provoked = Some(now);
        }
        let (done, landed) = watch::channel(());
        flight.running = Some(landed.clone());
        // A runtime that is shutting down drops the task at once, and with it the landing, which takes the lock.
        drop(flight);
        let landing = Landing { keeper: Arc::clone(self), began: now, settled: false, _done: done };
        // A task of its own: a caller that leaves must not end the attempt that others wait for.
        drop(self.tasks.spawn(landing.fetch()));
        Some(landed)
    }

    /// Takes in what came of an attempt.
    fn settle(&self, began: Instant, fetched: Result<FreshToken, CredentialFault>) {
        let (old, now) = (self.held.load_full(), self.clock.monotonic());
        let taken = fetched.and_then(|fresh| held_token(&fresh, old.token.as_ref(), began, now));
        // At most one line an attempt, and attempts are paused: an operator should not have to look at
        // metrics first.
        match (&taken, &old.failure) {
            (Ok(_), Some(_)) => tracing::info!("our own token is fetched again"),
            (Ok(_), None) => tracing::debug!("our own token is fetched"),
            (Err(fault), _) => {
                let in_hand = old.token.as_ref().is_some_and(|token| token.counts(now));
                tracing::warn!(%fault, in_hand, "our own token cannot be fetched");
            }
        }
        self.held.store(Arc::new(match taken {
            Ok(token) => Held { token: Some(token), failure: None },
            Err(fault) => {
                let failures = old.failure.as_ref().map_or(0, |it| it.failures).saturating_add(1);
                let until = later(now, back_off(failures, fault.retry_after));
                Held { token: old.token.clone(), failure: Some(Failure { fault, failures, until }) }
            }
        }));
    }

    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn held_token(
    fresh: &FreshToken,
    old: Option<&HeldToken>,
    began: Instant,
    now: Instant,
) -> Result<HeldToken, CredentialFault> {
    let unusable =
        |cause: &str| CredentialFault { step: "the token", cause: cause.into(), retry_after: None };
    let next = old.map_or(0, |old| old.token.serial).saturating_add(1);
    let mut token = AccessToken::new(&fresh.token, next).ok_or_else(|| unusable("is none"))?;
    // The same token again is no other: whoever had it refused must not try it once more.
    if let Some(old) = old.filter(|old| old.token.has_text_of(&token)) {
        token = old.token.clone();
    }
    let held = HeldToken {
        token,
        began,
        renew_at: later(began, fresh.renew_after).max(later(now, MIN_LIFE)),
        ends: fresh.expires_after.map(|life| later(began, life)),
    };
    // Counted as a failure, so that callers do not fetch one such token after the other.
    if held.counts(now) { Ok(held) } else { Err(unusable("was over before it arrived")) }
}

/// How long to wait after so many failures in a row: doubled each time, and longer by up to a
/// quarter, so that many instances do not come back at the same moment.
fn back_off(failures: u32, asked: Option<Duration>) -> Duration {
    let doubled = 2_u32.checked_pow(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let pause = FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
    let pause = asked.map_or(pause, |asked| asked.max(pause));
    let [random, ..] = Uuid::new_v4().into_bytes();
    pause.saturating_add(pause.saturating_mul(u32::from(random)) / 1024)
}

/// An attempt. However it ends, its outcome is taken in and the way is clear for the next one; then its
/// waiters wake.
struct Landing {
    keeper: Arc<CredentialKeeper>,
    began: Instant,
    settled: bool,
    _done: watch::Sender<()>,
}

impl Landing {
    async fn fetch(mut self) {
        let keeper = Arc::clone(&self.keeper);
        let attempt = tokio::time::timeout(ATTEMPT_TIMEOUT, keeper.source.fetch());
        let fetched = tokio::select! {
            () = keeper.stopping.cancelled() => None,
            fetched = attempt => Some(fetched.unwrap_or_else(|_| Err(CredentialFault {
                step: "the attempt",
                cause: format!("did not end within {ATTEMPT_TIMEOUT:?}").into(),
                retry_after: None,
            }))),
        };
        self.settled = true;
        if let Some(fetched) = fetched {
            keeper.settle(self.began, fetched);
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if !self.settled {
            self.keeper.settle(self.began, Err(interrupted()));
        }
        self.keeper.flight().running = None;
        self.keeper.settled.notify_one();
    }
}

/// An attempt that panicked, or met the end of the process.
fn interrupted() -> CredentialFault {
    CredentialFault { step: "the attempt", cause: "was broken off".into(), retry_after: None }
}

/// Waits for the end of an attempt.
async fn wait(landed: Option<watch::Receiver<()>>) {
    if let Some(mut landed) = landed {
        // Nothing is ever sent: the end of the attempt drops the sender, a panic in it included.
        let _ = landed.changed().await;
    }
}

/// Stops at the end of time rather than overflow.
fn later(time: Instant, by: Duration) -> Instant {
    time.checked_add(by).unwrap_or(time)
}

#[cfg(test)]
mod tests;
