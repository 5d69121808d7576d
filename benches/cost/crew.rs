//! Callers that ask at the same time without a pause, each over connections of its own that take turns.

use crate::harness::now;
use crate::line::{Asks, Request};
use crate::memory::Random;
use portvakt::domain::OrganizationNumber;
use portvakt::tasks::Tasks;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The requests of a row: one for each token and each party.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Before the party in the path, and after it.
    pub(crate) path: (&'static str, String),
    pub(crate) parties: Vec<OrganizationNumber>,
    pub(crate) tokens: Vec<String>,
    pub(crate) sent_bytes: Option<u64>,
    pub(crate) expected_bytes: Option<u64>,
}

impl Asked {
    fn count(&self) -> usize {
        self.parties.len() * self.tokens.len()
    }

    pub(crate) fn numbered(&self, index: usize) -> Request<'_> {
        let (before, after) = &self.path;
        let (user, party) = (index / self.parties.len(), index % self.parties.len());
        let party = self.parties.get(party).unwrap();
        Request {
            path: format!("{before}{party}{after}"),
            token: self.tokens.get(user).unwrap(),
            sent_bytes: self.sent_bytes,
            expected_bytes: self.expected_bytes,
        }
    }
}

pub(crate) struct Crew<A> {
    callers: Vec<Caller<A>>,
    tasks: Tasks,
}

struct Caller<A> {
    lines: Vec<A>,
    next: usize,
    random: Random,
}

/// How a caller chooses.
#[derive(Clone, Copy, Debug)]
enum Choice {
    /// At random, at least once, until then.
    Until(Instant),
    /// Each once, from one on in such steps.
    Each { first: usize, step: usize },
}

impl<A: Asks> Crew<A> {
    /// Deals the connections out to at most so many callers.
    pub(crate) fn of(lines: Vec<A>, callers: usize, tasks: &Tasks) -> Self {
        let caller = |seed| Caller { lines: Vec::new(), next: 0, random: Random(seed) };
        let count = u64::try_from(callers.min(lines.len())).unwrap();
        let mut callers: Vec<_> = (1..=count).map(caller).collect();
        let places = callers.len();
        for (number, line) in lines.into_iter().enumerate() {
            callers[number % places].lines.push(line);
        }
        Self { callers, tasks: tasks.clone() }
    }

    /// Asks each once.
    pub(crate) async fn ask_each(&mut self, asked: &Arc<Asked>) {
        let step = self.callers.len();
        let count = self.ask(asked, |first| Choice::Each { first, step }).await;
        assert!(count as usize == asked.count(), "{count} were asked");
    }

    /// Asks until then, and somewhat longer for what has begun; how many were answered.
    pub(crate) async fn ask_for(&mut self, asked: &Arc<Asked>, turn: Duration) -> u32 {
        let end = now() + turn;
        self.ask(asked, |_| Choice::Until(end)).await
    }

    async fn ask(&mut self, asked: &Arc<Asked>, choice: impl Fn(usize) -> Choice) -> u32 {
        let asking: Vec<_> = std::mem::take(&mut self.callers)
            .into_iter()
            .enumerate()
            .map(|(number, caller)| self.tasks.spawn(caller.ask(Arc::clone(asked), choice(number))))
            .collect();
        let mut count = 0;
        for caller in asking {
            let (caller, answered) = caller.await.unwrap();
            self.callers.push(caller);
            count += answered;
        }
        count
    }
}

impl<A: Asks> Caller<A> {
    async fn ask(mut self, asked: Arc<Asked>, choice: Choice) -> (Self, u32) {
        let mut answered = 0;
        loop {
            let index = match choice {
                Choice::Until(end) if answered > 0 && now() >= end => break,
                Choice::Until(_) => {
                    usize::try_from(self.random.next() % asked.count() as u64).unwrap()
                }
                Choice::Each { first, step } => first + step * answered as usize,
            };
            if index >= asked.count() {
                break;
            }
            let line = self.next;
            self.next = (line + 1) % self.lines.len();
            self.lines[line].ask(&asked.numbered(index)).await;
            answered += 1;
        }
        (self, answered)
    }
}
