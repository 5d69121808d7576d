//! Callers that ask at a steady rate, however long the answers take: a time counts from when the request was
//! to be sent, so that one that had to wait for another's answer is not told as quick.
//!
//! Each connection has a thread of its own, which sleeps to the microsecond; timers of the runtime are as
//! coarse as what is measured.

use crate::client::micros;
use crate::harness::now;
use crate::line::{AnswerHead, HEAD_BYTES};
use crate::memory::Random;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// What is asked, how often, and what is to come of it.
#[derive(Debug)]
pub(crate) struct Steady {
    /// Whole requests, which take turns.
    pub(crate) requests: Vec<Vec<u8>>,
    /// The only status that is right.
    pub(crate) status: u16,
    /// A second, by all connections together.
    pub(crate) rate: u32,
    pub(crate) connections: u32,
}

/// Callers that are connected.
pub(crate) struct Callers<'s>(Vec<Caller<'s>>);

/// Callers at work.
pub(crate) struct Asking<'scope>(Vec<ScopedJoinHandle<'scope, Vec<f64>>>);

impl Steady {
    pub(crate) fn connect(&self, address: SocketAddr) -> Callers<'_> {
        Callers((0..self.connections).map(|number| Caller::new(self, address, number)).collect())
    }
}

impl<'scope> Callers<'scope> {
    /// Asks from one time to another.
    pub(crate) fn ask(
        self,
        scope: &'scope Scope<'scope, '_>,
        begin: Instant,
        end: Instant,
    ) -> Asking<'scope> {
        let caller = |mut caller: Caller<'scope>| scope.spawn(move || caller.ask(begin, end));
        Asking(self.0.into_iter().map(caller).collect())
    }
}

impl Asking<'_> {
    /// The sorted times of all that was answered, in microseconds.
    pub(crate) fn times(self) -> Vec<f64> {
        let times = self.0.into_iter().map(|caller| caller.join().unwrap());
        let mut times = times.collect::<Vec<_>>().concat();
        times.sort_by(f64::total_cmp);
        times
    }
}

struct Caller<'s> {
    steady: &'s Steady,
    address: SocketAddr,
    stream: TcpStream,
    number: u32,
    random: Random,
    answer: Vec<u8>,
}

impl<'s> Caller<'s> {
    fn new(steady: &'s Steady, address: SocketAddr, number: u32) -> Self {
        let stream = connect(address);
        // Neighbours differ from the first number on.
        let random = Random((u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self { steady, address, stream, number, random, answer: vec![0; HEAD_BYTES] }
    }

    fn ask(&mut self, begin: Instant, end: Instant) -> Vec<f64> {
        let period = Duration::from_secs(1) * self.steady.connections / self.steady.rate;
        let steady = self.steady;
        let own = usize::try_from(self.number).unwrap();
        let requests = steady.requests.iter().cycle().skip(own * 7 % steady.requests.len());
        let mut times = Vec::new();
        for (turn, request) in (0..).zip(requests) {
            // Somewhere in each period: callers that keep step with each other would measure their step.
            let due = begin + period * turn + period.mul_f64(self.chance());
            // What was due before is asked even later: what had to wait longest is not to be left out.
            if due >= end {
                break;
            }
            thread::sleep(due.saturating_duration_since(now()));
            self.exchange(request);
            times.push(micros(now() - due));
        }
        times
    }

    /// From nothing up to one.
    fn chance(&mut self) -> f64 {
        f64::from(u32::try_from(self.random.next() >> 32).unwrap()) / f64::from(u32::MAX)
    }

    fn exchange(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
        let mut begun = 0;
        loop {
            let read = self.stream.read(self.answer.get_mut(begun..).unwrap()).unwrap();
            assert!(read > 0, "the connection ended");
            begun += read;
            let Some(head) = AnswerHead::read(self.answer.get(..begun).unwrap()) else { continue };
            if begun as u64 == head.head_bytes as u64 + head.body_bytes {
                assert!(head.status == self.steady.status, "not {}: {head:?}", self.steady.status);
                if head.closes {
                    self.stream = connect(self.address);
                }
                return;
            }
        }
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}
