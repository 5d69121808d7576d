//! Several questions of one request, put into one exchange where the point can do that.
//!
//! Each question keeps a call of its own in the list of flights, so that others share it as they share any
//! other; only the task behind those calls is one.

use super::{Decisions, Inner, Miss};
use crate::domain::{AccessRequest, Answered};
use crate::pdp::DecisionFault;
use crate::pdp::cache::Lifetimes;
use crate::pdp::flights::{Landing, Outcome};
use crate::pdp::held::Origin;
use futures_util::future::join_all;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::Ordering;

type Answer = Result<Answered, DecisionFault>;

impl Decisions {
    /// Decides the questions of one request, for a rule that believes answers for `lifetimes`: as many
    /// outcomes, in the same order. Equal questions are asked once.
    ///
    /// What [`Self::decide`] guarantees holds for each. A point that puts several questions into one
    /// exchange gets all those together that are neither held nor under way; any other gets each by itself,
    /// at the same time.
    pub async fn decide_all(
        &self,
        requests: &[AccessRequest],
        lifetimes: Lifetimes,
    ) -> Vec<Answer> {
        let mut places = HashMap::with_capacity(requests.len());
        let mut distinct = Vec::with_capacity(requests.len());
        for request in requests {
            if let Entry::Vacant(place) = places.entry(request) {
                place.insert(distinct.len());
                distinct.push(request);
            }
        }
        let answers = self.decide_distinct(&distinct, lifetimes).await;
        let answer = |request| places.get(request).and_then(|place| answers.get(*place)).cloned();
        requests.iter().map(|it| answer(it).unwrap_or(Err(DecisionFault::Internal))).collect()
    }

    async fn decide_distinct(
        &self,
        requests: &[&AccessRequest],
        lifetimes: Lifetimes,
    ) -> Vec<Answer> {
        if !self.inner.point.puts_many_into_one() {
            return join_all(requests.iter().map(|it| self.decide(it, lifetimes))).await;
        }
        if lifetimes.is_off() {
            return self.ask_alone_together(requests).await;
        }
        let served = self.serve(requests, lifetimes);
        let ends = requests.iter().zip(served);
        join_all(ends.map(|(request, miss)| self.end_of(miss, request, lifetimes))).await
    }

    /// Finds what is held and what is under way, and launches one call for the rest.
    fn serve(&self, requests: &[&AccessRequest], lifetimes: Lifetimes) -> Vec<Miss> {
        let held: Vec<_> = requests.iter().map(|request| self.held(request, lifetimes)).collect();
        if held.iter().all(Option::is_some) {
            return held.into_iter().flatten().map(Miss::Answered).collect();
        }
        let mut landings = Vec::new();
        let mut board = self.inner.flights.lock();
        let served = requests.iter().zip(held).map(|(request, hit)| {
            let known = hit.map(Miss::Answered);
            let known = known.or_else(|| self.served_by_others(&board, request, lifetimes));
            known.unwrap_or_else(|| {
                let (landing, waiting) = self.enter(&mut board, request);
                landings.push(landing);
                Miss::Launched(waiting)
            })
        });
        let served = served.collect();
        drop(board);
        self.launch_together(landings);
        served
    }

    fn launch_together(&self, mut landings: Vec<Landing>) {
        if landings.len() < 2 {
            // One question is asked as one: Altinn writes an event for it.
            if let Some(landing) = landings.pop() {
                self.launch(landing, Origin::Request);
            }
            return;
        }
        let inner = Arc::clone(&self.inner);
        drop(self.tasks.spawn(async move {
            let requests: Vec<_> = landings.iter().map(|it| Arc::clone(it.request())).collect();
            let outcomes = inner.ask_many(&requests).await;
            for (landing, outcome) in landings.into_iter().zip(outcomes) {
                inner.land(landing, outcome, Origin::Request);
            }
        }));
    }

    async fn ask_alone_together(&self, requests: &[&AccessRequest]) -> Vec<Answer> {
        let inner = Arc::clone(&self.inner);
        let owned: Vec<_> = requests.iter().map(|it| Arc::new(AccessRequest::clone(it))).collect();
        let outcomes = self.tasks.spawn(async move { inner.ask_many(&owned).await }).await;
        let outcomes = outcomes
            .unwrap_or_else(|_| requests.iter().map(|_| Err(DecisionFault::Internal)).collect());
        let source = self.inner.point.source();
        outcomes.into_iter().map(|outcome| self.inner.answered(outcome, source)).collect()
    }
}

impl Inner {
    /// As many outcomes as questions, whatever the point does.
    async fn ask_many(&self, requests: &[Arc<AccessRequest>]) -> Vec<Outcome> {
        let count = u64::try_from(requests.len()).unwrap_or(u64::MAX);
        self.counts.calls.fetch_add(count, Ordering::Relaxed);
        let asked = self.clock.monotonic();
        let mut answers = self.point.decide_many(requests).await;
        if answers.len() != requests.len() {
            // Which answer belongs to which question is anybody's guess.
            let fault = DecisionFault::Protocol("not as many outcomes as questions".into());
            answers = requests.iter().map(|_| Err(fault.clone())).collect();
        }
        answers.into_iter().map(|answer| self.outcome(answer, asked)).collect()
    }
}
