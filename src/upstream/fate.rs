//! What became of a request body, and how its exchange is going. What the body is, is not known here.

use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// What became of a request body, and how its exchange is going: known to both of its directions.
#[derive(Clone, Debug)]
pub(super) struct BodyFate(Arc<Told>);

#[derive(Debug)]
struct Told {
    state: AtomicU8,
    began: Instant,
    /// Milliseconds from `began` to the latest byte taken from the client, asked for by the API, or, once
    /// the answer has begun, received from it.
    moved: AtomicU64,
    /// Whether the API wants more than the client has sent.
    wanting: AtomicBool,
    /// Whether the head of the answer has come.
    answered: AtomicBool,
    /// Whether the answer is over, and with it the interest in the rest of the request.
    abandoned: AtomicBool,
    /// Whether nobody holds the body any more, sent or not.
    dropped: AtomicBool,
    waker: AtomicWaker,
}

/// The states of a body's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not all of it has been sent.
    Open,
    /// All of it has been sent.
    Complete,
    /// It grew past the limit.
    TooLarge,
    /// The client broke it off.
    ClientBroke,
    /// The client stopped sending it.
    Stalled,
}

impl BodyFate {
    pub(super) fn new() -> Self {
        Self(Arc::new(Told {
            state: AtomicU8::new(0),
            began: Instant::now(),
            moved: AtomicU64::new(0),
            wanting: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }))
    }

    pub(super) fn state(&self) -> Fate {
        match self.0.state.load(Ordering::Acquire) {
            0 => Fate::Open,
            1 => Fate::Complete,
            2 => Fate::TooLarge,
            3 => Fate::ClientBroke,
            _ => Fate::Stalled,
        }
    }

    /// When the exchange last moved: from then on, whoever is waited for has been silent.
    pub(super) fn last_moved(&self) -> Instant {
        let moved = Duration::from_millis(self.0.moved.load(Ordering::Relaxed));
        self.0.began.checked_add(moved).unwrap_or(self.0.began)
    }

    /// Whether it is the client whose bytes are waited for.
    pub(super) fn wants_client(&self) -> bool {
        self.state() == Fate::Open && self.0.wanting.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, fate: Fate) {
        let state = match fate {
            Fate::Open => 0,
            Fate::Complete => 1,
            Fate::TooLarge => 2,
            Fate::ClientBroke => 3,
            Fate::Stalled => 4,
        };
        self.0.state.store(state, Ordering::Release);
    }

    /// Whether a part of the body waits for the API to read it, and cannot be called back.
    pub(super) fn is_stuck(&self) -> bool {
        self.state() == Fate::Open
            && !self.0.wanting.load(Ordering::Relaxed)
            && !self.0.dropped.load(Ordering::Acquire)
    }

    /// A part of the answer has come.
    pub(super) fn answer_moved(&self) {
        let elapsed = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.moved.store(elapsed, Ordering::Relaxed);
    }

    /// The head of the answer has come: from now on either side may speak.
    pub(super) fn answered(&self) {
        self.0.answered.store(true, Ordering::Relaxed);
        self.answer_moved();
    }

    /// The answer is over. What the client still sends is of no interest.
    pub(super) fn abandon(&self) {
        self.0.abandoned.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    /// Ready when the body is abandoned; whoever sends it is woken then.
    pub(super) fn poll_abandoned(&self, context: &Context<'_>) -> Poll<()> {
        self.0.waker.register(context.waker());
        if self.0.abandoned.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    pub(super) fn is_answered(&self) -> bool {
        self.0.answered.load(Ordering::Relaxed)
    }

    /// A part of the body was taken from the client.
    pub(super) fn moved(&self) {
        self.answer_moved();
        self.0.wanting.store(false, Ordering::Relaxed);
    }

    /// The API wants more than the client has sent.
    pub(super) fn wanting(&self) {
        self.0.wanting.store(true, Ordering::Relaxed);
    }

    /// The API does not take what was sent, and so wants no more of it.
    pub(super) fn held_back(&self) {
        self.0.wanting.store(false, Ordering::Relaxed);
    }

    /// Nobody holds the body any more.
    pub(super) fn dropped(&self) {
        self.0.dropped.store(true, Ordering::Release);
    }
}
