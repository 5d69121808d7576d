//! Maskinporten, Altinn's exchange and the PDP as servers on loopback, right by default and wrong on command.
//!
//! Each system has a port of its own, so that it can be gone by itself; each endpoint counts what it is asked.
//! What a fault does is in `fault`; a whole world of them, and the settings to live in it, in `world`.

mod endpoint;
mod exchange;
mod fault;
mod keys;
mod maskinporten;
mod pdp;
mod proxy;
mod tls;
mod world;

pub(crate) use endpoint::Endpoint;
pub(crate) use exchange::Exchange;
pub(crate) use fault::{Fault, Place};
pub(crate) use keys::Keys;
pub(crate) use maskinporten::{CLIENT_ID, Maskinporten};
pub(crate) use pdp::{Decided, Pdp, Question, SUBSCRIPTION_KEY};
pub(crate) use proxy::ConnectProxy;
pub(crate) use tls::{Authority, Flaw};
pub(crate) use world::{At, Pace, Trouble, World};

use portvakt::dev::SigningKey;
use portvakt::domain::{Clock, SystemClock, UnixSeconds};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// A clock that is wrong by a number of seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct SkewedClock(Arc<AtomicI64>);

impl SkewedClock {
    /// Ahead by so many seconds; behind if there are less than none.
    pub(crate) fn skew(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for SkewedClock {
    fn wall(&self) -> UnixSeconds {
        let skew = self.0.load(Ordering::SeqCst);
        let by = Duration::from_secs(skew.unsigned_abs());
        let now = SystemClock.wall();
        if skew < 0 { now.saturating_sub(by) } else { now.saturating_add(by) }
    }

    fn monotonic(&self) -> Instant {
        SystemClock.monotonic()
    }
}

/// A signing key of this name. Names share a few keys, made once in a process, because making one takes long.
pub(crate) fn signing_key(number: usize, kid: &str) -> SigningKey {
    static POOL: OnceLock<Mutex<Vec<String>>> = OnceLock::new();
    let mut pool = POOL.get_or_init(Mutex::default).lock().unwrap();
    while pool.len() <= number {
        pool.push(SigningKey::generate("pool").unwrap().private_pem().to_owned());
    }
    SigningKey::from_pem(kid, &pool[number]).unwrap()
}
