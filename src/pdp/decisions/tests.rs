mod purging;
mod several;
mod taking_over;

use super::*;
use crate::domain::{
    Action, Decision, Indeterminate, Instance, ManualClock, Obligation, Obligations, Party,
    PartyId, PdpSubject, ResourceId, UnixSeconds,
};
use crate::pdp::samples::{any_question, attribute, organization, question, system_user};
use crate::pdp::{PendingDecision, Scripted};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Answers in the order of its script, `NotApplicable` once that is used up, each when let go.
#[derive(Debug)]
struct Gated {
    gate: Semaphore,
    script: Mutex<VecDeque<Line>>,
    asked: Mutex<Vec<AccessRequest>>,
}

#[derive(Clone, Debug)]
enum Line {
    Answer(Result<Decision, DecisionFault>),
    Panic,
}

impl Gated {
    fn new(gate: usize, script: &[Line]) -> Arc<Self> {
        let script = Mutex::new(script.iter().cloned().collect());
        Arc::new(Self { gate: Semaphore::new(gate), script, asked: Mutex::default() })
    }

    fn open(script: &[Line]) -> Arc<Self> {
        Self::new(1_000_000, script)
    }

    fn calls(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl DecisionPoint for Gated {
    fn decide<'a>(&'a self, request: &'a AccessRequest) -> PendingDecision<'a> {
        self.asked.lock().unwrap().push(request.clone());
        let line = self.script.lock().unwrap().pop_front();
        Box::pin(async move {
            self.gate.acquire().await.unwrap().forget();
            match line {
                Some(Line::Answer(answer)) => answer,
                Some(Line::Panic) => panic!("scripted"),
                None => Ok(Decision::NotApplicable),
            }
        })
    }

    fn source(&self) -> DecisionSource {
        DecisionSource::Embedded
    }

    fn identity(&self) -> &'static str {
        "gated"
    }
}

const PERMIT_TTL: Duration = Duration::from_mins(1);
const DENY_TTL: Duration = Duration::from_secs(10);
const HELD: Lifetimes = Lifetimes::Held { permit: PERMIT_TTL, deny: DENY_TTL };
const ZERO: Duration = Duration::ZERO;

fn permit() -> Decision {
    Decision::Permit(Obligations::default())
}

fn answer(decision: Decision) -> Line {
    Line::Answer(Ok(decision))
}

struct Bench {
    decisions: Decisions,
    clock: Arc<ManualClock>,
    tasks: Tasks,
}

fn bench(point: Arc<dyn DecisionPoint>) -> Bench {
    let clock = Arc::new(ManualClock::at(UnixSeconds(1_800_000_000)));
    let tasks = Tasks::new();
    let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let decisions = Decisions::new(point, CacheSettings::default(), tasks.clone(), time);
    Bench { decisions, clock, tasks }
}

impl Bench {
    async fn ask(&self, request: &AccessRequest) -> (Decision, DecisionSource) {
        self.ask_with(request, HELD).await
    }

    async fn ask_with(
        &self,
        request: &AccessRequest,
        lifetimes: Lifetimes,
    ) -> (Decision, DecisionSource) {
        let answered = self.decisions.decide(request, lifetimes).await.unwrap();
        (answered.decision, answered.source)
    }

    fn start(
        &self,
        request: &AccessRequest,
        lifetimes: Lifetimes,
    ) -> tokio::task::JoinHandle<Result<Answered, DecisionFault>> {
        let (decisions, request) = (self.decisions.clone(), request.clone());
        Tasks::new().spawn(async move { decisions.decide(&request, lifetimes).await })
    }

    /// Lets every task run until none can go on.
    async fn settle(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    async fn calls_ended(&self) {
        while self.tasks.running() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_hundred_concurrent_callers_make_one_call() {
    let point = Gated::new(0, &[answer(permit())]);
    let bench = bench(Arc::<Gated>::clone(&point));
    let request = question(system_user(1));
    let callers: Vec<_> = (0..100).map(|_| bench.start(&request, HELD)).collect();
    bench.settle().await;
    assert_eq!((point.calls(), bench.decisions.stats().in_flight), (1, 1));
    bench.clock.advance(Duration::from_secs(2));
    point.gate.add_permits(1000);
    let mut sources = Vec::new();
    for caller in callers {
        let answered = caller.await.unwrap().unwrap();
        assert_eq!((answered.decision, answered.age), (permit(), Duration::from_secs(2)));
        sources.push(answered.source);
    }
    let count = |source| sources.iter().filter(|it| **it == source).count();
    assert_eq!((count(DecisionSource::Embedded), count(DecisionSource::Coalesced)), (1, 99));
    assert_eq!(bench.ask(&request).await, (permit(), DecisionSource::Cache));
    let stats = bench.decisions.stats();
    assert_eq!((stats.calls, stats.in_flight, stats.hits), (1, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_also_when_callers_run_in_parallel() {
    for round in 0..50 {
        let point = Gated::open(&[answer(permit())]);
        let bench = bench(Arc::<Gated>::clone(&point));
        let request = question(system_user(round));
        let callers: Vec<_> = (0..50).map(|_| bench.start(&request, HELD)).collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap().unwrap().decision, permit());
        }
        assert_eq!(point.calls(), 1, "round {round}");
    }
}

#[tokio::test]
async fn questions_that_differ_in_one_field_are_two_calls_and_never_swapped() {
    let base = question(system_user(1));
    let party = Party::Organization(organization("310329495"));
    let id = Party::Id(PartyId::parse("312714051").unwrap());
    let variants = [
        AccessRequest { subject: system_user(2), ..base.clone() },
        AccessRequest {
            subject: PdpSubject::Organization(organization("312714051")),
            ..base.clone()
        },
        AccessRequest { resource: ResourceId::parse("ske-mva-meldinG").unwrap(), ..base.clone() },
        AccessRequest { action: Action::parse("Write").unwrap(), ..base.clone() },
        AccessRequest { party, ..base.clone() },
        AccessRequest { party: id, ..base.clone() },
        AccessRequest { instance: Some(Instance::of_resource("1").unwrap()), ..base.clone() },
        AccessRequest { attributes: [attribute("urn:altinn:task", "1")].into(), ..base.clone() },
    ];
    for other in variants {
        // The base is permitted, the other is not, whoever is asked first.
        for order in [[&base, &other], [&other, &base]] {
            let point = Gated::new(
                0,
                &order.map(|it| answer(if *it == base { permit() } else { Decision::Deny })),
            );
            let bench = bench(Arc::<Gated>::clone(&point));
            let first = bench.start(order[0], HELD);
            bench.settle().await;
            let second = bench.start(order[1], HELD);
            bench.settle().await;
            assert_eq!(point.calls(), 2, "{other:?}");
            point.gate.add_permits(10);
            for (request, caller) in order.iter().zip([first, second]) {
                let expected = if **request == base { permit() } else { Decision::Deny };
                assert_eq!(caller.await.unwrap().unwrap().decision, expected, "{request:?}");
                assert_eq!(bench.ask(request).await, (expected, DecisionSource::Cache));
            }
        }
    }
}

#[tokio::test]
async fn a_caller_that_leaves_ends_nobodys_call() {
    let point = Gated::new(0, &[answer(permit())]);
    let bench = bench(Arc::<Gated>::clone(&point));
    let request = question(system_user(1));
    let leader = bench.start(&request, HELD);
    bench.settle().await;
    let follower = bench.start(&request, HELD);
    bench.settle().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    point.gate.add_permits(1);
    assert_eq!(follower.await.unwrap().unwrap().decision, permit());
    // And if all leave, the answer is still kept.
    let other = question(system_user(2));
    let alone = bench.start(&other, HELD);
    bench.settle().await;
    alone.abort();
    point.gate.add_permits(1);
    bench.calls_ended().await;
    assert_eq!(bench.ask(&other).await, (Decision::NotApplicable, DecisionSource::Cache));
    assert_eq!(point.calls(), 2);
}

#[tokio::test]
async fn a_panic_is_internal_for_all_who_wait_and_poisons_nothing() {
    for lifetimes in [HELD, Lifetimes::Off] {
        let point = Gated::new(0, &[Line::Panic]);
        let bench = bench(Arc::<Gated>::clone(&point));
        let request = question(system_user(1));
        let first = bench.start(&request, lifetimes);
        let second = (lifetimes == HELD).then(|| bench.start(&request, lifetimes));
        bench.settle().await;
        point.gate.add_permits(10);
        assert_eq!(first.await.unwrap().unwrap_err(), DecisionFault::Internal);
        if let Some(second) = second {
            assert_eq!(second.await.unwrap().unwrap_err(), DecisionFault::Internal);
        }
        let again = bench.ask_with(&request, lifetimes).await;
        assert_eq!(again, (Decision::NotApplicable, DecisionSource::Embedded));
        assert_eq!((point.calls(), bench.decisions.stats().in_flight), (2, 0));
    }
}

#[tokio::test]
async fn each_reader_applies_its_own_lifetime() {
    let point = Gated::open(&[answer(permit()), answer(permit())]);
    let bench = bench(Arc::<Gated>::clone(&point));
    let request = question(system_user(1));
    let short = Lifetimes::Held { permit: Duration::from_secs(5), deny: ZERO };
    bench.ask(&request).await;
    // Seven tenths of the short lifetime: no renewal is due yet.
    bench.clock.advance(Duration::from_millis(3_500));
    assert_eq!(bench.ask_with(&request, short).await.1, DecisionSource::Cache);
    bench.clock.advance(Duration::from_millis(1_500));
    // Five seconds old: no longer for the short reader, still for the long one; then the short one's
    // new answer serves both.
    assert_eq!(bench.ask(&request).await.1, DecisionSource::Cache);
    assert_eq!(bench.ask_with(&request, short).await.1, DecisionSource::Embedded);
    assert_eq!(bench.ask(&request).await.1, DecisionSource::Cache);
    assert_eq!(point.calls(), 2);
}

#[tokio::test]
async fn a_permit_ends_with_its_lifetime_and_a_refusal_with_its_own() {
    let cases =
        [(permit(), PERMIT_TTL), (Decision::Deny, DENY_TTL), (Decision::NotApplicable, DENY_TTL)];
    for (decision, lifetime) in cases {
        let point = Gated::open(&[answer(decision.clone()), answer(Decision::Deny)]);
        let bench = bench(Arc::<Gated>::clone(&point));
        let request = question(system_user(1));
        bench.ask(&request).await;
        // Exactly seven tenths: not yet near enough to the end for a renewal.
        bench.clock.advance(lifetime / 10 * 7);
        assert_eq!(bench.ask(&request).await, (decision, DecisionSource::Cache));
        bench.clock.advance(lifetime / 10 * 3);
        assert_eq!(bench.ask(&request).await, (Decision::Deny, DecisionSource::Embedded));
        assert_eq!(point.calls(), 2);
    }
}

#[tokio::test]
async fn a_step_of_the_wall_clock_lengthens_and_shortens_nothing() {
    let point = Gated::open(&[answer(permit())]);
    let bench = bench(Arc::<Gated>::clone(&point));
    let request = question(system_user(1));
    bench.ask(&request).await;
    for wall in [1_700_000_000, 1_900_000_000] {
        bench.clock.set_wall(UnixSeconds(wall));
        assert_eq!(bench.ask(&request).await.1, DecisionSource::Cache);
    }
    bench.clock.advance(PERMIT_TTL);
    bench.clock.set_wall(UnixSeconds(1_700_000_000));
    assert_eq!(bench.ask(&request).await, (Decision::NotApplicable, DecisionSource::Embedded));
}

#[tokio::test]
async fn faults_and_indeterminate_answers_are_never_held() {
    let faults = [
        DecisionFault::unavailable("x"),
        DecisionFault::Timeout(ZERO),
        DecisionFault::Protocol("x".into()),
        DecisionFault::credential("x"),
        DecisionFault::overloaded("x"),
        DecisionFault::Internal,
    ];
    for fault in faults {
        let point = Gated::open(&[Line::Answer(Err(fault.clone())), answer(permit())]);
        let bench = bench(point);
        let request = question(system_user(1));
        assert_eq!(bench.decisions.decide(&request, HELD).await.unwrap_err(), fault);
        assert_eq!(bench.ask(&request).await, (permit(), DecisionSource::Embedded));
        assert_eq!(bench.decisions.stats().faults, 1);
    }
    let unsure = Decision::Indeterminate(Indeterminate::ProcessingError);
    let bench = bench(Gated::open(&[answer(unsure.clone()), answer(permit())]));
    let request = question(system_user(1));
    assert_eq!(bench.ask(&request).await, (unsure, DecisionSource::Embedded));
    assert_eq!(bench.ask(&request).await, (permit(), DecisionSource::Embedded));
}

#[tokio::test]
async fn an_outage_after_the_end_of_a_permit_is_an_outage() {
    let outage = DecisionFault::unavailable("x");
    let point = Gated::open(&[answer(permit()), Line::Answer(Err(outage.clone()))]);
    let bench = bench(point);
    let request = question(system_user(1));
    bench.ask(&request).await;
    bench.clock.advance(PERMIT_TTL);
    assert_eq!(bench.decisions.decide(&request, HELD).await.unwrap_err(), outage);
}

#[tokio::test]
async fn with_lifetimes_off_every_request_is_asked_alone() {
    for off in [Lifetimes::Off, Lifetimes::Held { permit: ZERO, deny: ZERO }] {
        let point = Gated::new(0, &[answer(permit()), answer(permit()), answer(Decision::Deny)]);
        let bench = bench(Arc::<Gated>::clone(&point));
        let request = question(system_user(1));
        let cached = bench.start(&request, HELD);
        bench.settle().await;
        let [one, two] = [(); 2].map(|()| bench.start(&request, off));
        bench.settle().await;
        assert_eq!(point.calls(), 3);
        point.gate.add_permits(10);
        for caller in [cached, one, two] {
            assert_eq!(caller.await.unwrap().unwrap().source, DecisionSource::Embedded);
        }
        // What they brought did not replace what is held.
        assert_eq!(bench.ask(&request).await, (permit(), DecisionSource::Cache));
        assert_eq!(bench.ask_with(&request, off).await.1, DecisionSource::Embedded);
    }
}

#[tokio::test]
async fn a_reader_that_holds_no_permits_does_not_share_one_either() {
    let point = Gated::new(0, &[answer(permit()), answer(permit())]);
    let bench = bench(Arc::<Gated>::clone(&point));
    let request = question(system_user(1));
    let refusals_only = Lifetimes::Held { permit: ZERO, deny: DENY_TTL };
    let first = bench.start(&request, HELD);
    bench.settle().await;
    let second = bench.start(&request, refusals_only);
    bench.settle().await;
    point.gate.add_permits(10);
    assert_eq!(first.await.unwrap().unwrap().source, DecisionSource::Embedded);
    assert_eq!(second.await.unwrap().unwrap().source, DecisionSource::Embedded);
    assert_eq!(point.calls(), 2);
}

#[tokio::test]
async fn a_hot_key_is_renewed_once_ahead_of_its_end_and_only_if_it_is_used() {
    let point = Gated::open(&[answer(permit()), answer(permit()), answer(permit())]);
    let bench = bench(Arc::<Gated>::clone(&point));
    let request = question(system_user(1));
    bench.ask(&request).await;
    bench.clock.advance(Duration::from_secs(55));
    for _ in 0..10 {
        assert_eq!(bench.ask(&request).await.0, permit());
    }
    bench.calls_ended().await;
    assert_eq!(point.calls(), 2);
    bench.clock.advance(Duration::from_secs(40));
    assert_eq!(bench.ask(&request).await, (permit(), DecisionSource::Refreshed));
    // Nobody asked near its end: it ends, and nothing renews it by itself.
    bench.clock.advance(Duration::from_secs(20));
    bench.settle().await;
    assert_eq!(point.calls(), 2);
    assert_eq!(bench.ask(&request).await, (permit(), DecisionSource::Embedded));
    let stats = bench.decisions.stats();
    assert_eq!((stats.calls, stats.renewals), (3, 1));
}

#[tokio::test]
async fn a_renewal_that_brings_a_refusal_counts_at_once_and_one_that_fails_changes_nothing() {
    let fails = Line::Answer(Err(DecisionFault::Internal));
    let cases = [
        (answer(Decision::Deny), Decision::Deny, DecisionSource::Refreshed),
        (fails, permit(), DecisionSource::Cache),
        (Line::Panic, permit(), DecisionSource::Cache),
    ];
    for (renewal, decision, source) in cases {
        let point = Gated::open(&[answer(permit()), renewal]);
        let bench = bench(Arc::<Gated>::clone(&point));
        let request = question(system_user(1));
        bench.ask(&request).await;
        bench.clock.advance(Duration::from_secs(55));
        assert_eq!(bench.ask(&request).await, (permit(), DecisionSource::Cache));
        bench.calls_ended().await;
        for _ in 0..3 {
            assert_eq!(bench.ask(&request).await, (decision.clone(), source));
        }
        bench.calls_ended().await;
        assert_eq!((point.calls(), bench.decisions.stats().in_flight), (2, 0));
    }
}

#[tokio::test]
async fn a_renewal_that_fails_is_tried_again_by_a_later_use_until_the_end_and_no_oftener_than_that()
{
    let fails = Line::Answer(Err(DecisionFault::unavailable("x")));
    let point = Gated::open(&[answer(permit()), fails.clone(), fails, answer(permit())]);
    let bench = bench(Arc::<Gated>::clone(&point));
    let request = question(system_user(1));
    bench.ask(&request).await;
    // A twentieth of the lifetime is three seconds: 54 and something, 57, and the end.
    bench.clock.advance(Duration::from_millis(54_500));
    let mut calls = Vec::new();
    for _ in 0..11 {
        for _ in 0..10 {
            assert_eq!(bench.ask(&request).await, (permit(), DecisionSource::Cache));
            bench.calls_ended().await;
        }
        calls.push(point.calls());
        bench.clock.advance(Duration::from_millis(500));
    }
    assert_eq!(calls, [2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3]);
    assert_eq!(bench.decisions.stats().renewals, 2);
    bench.clock.advance(Duration::from_millis(10));
    assert_eq!(bench.ask(&request).await, (permit(), DecisionSource::Embedded));
}

#[tokio::test]
async fn obligations_are_held_with_their_permit() {
    let level = Obligation { id: "o".into(), category: "c".into(), value: "4".into() };
    let decision = Decision::Permit(Obligations::new(vec![level]));
    let bench = bench(Gated::open(&[answer(decision.clone())]));
    let request = question(system_user(1));
    assert_eq!(bench.ask(&request).await, (decision.clone(), DecisionSource::Embedded));
    assert_eq!(bench.ask(&request).await, (decision, DecisionSource::Cache));
}

proptest! {
    #[test]
    fn two_questions_share_an_answer_only_if_they_are_equal(
        one in any_question(),
        other in any_question(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let point = Arc::new(Scripted::always(Ok(permit())));
            let bench = bench(Arc::<Scripted>::clone(&point));
            bench.ask(&one).await;
            let (_, source) = bench.ask(&other).await;
            prop_assert_eq!(source == DecisionSource::Cache, one == other);
            prop_assert_eq!(point.asked().len(), if one == other { 1 } else { 2 });
            Ok(())
        })?;
    }
}
