use super::*;
use crate::pdp::PendingDecisions;
use crate::pdp::samples::system_user_id;
use tokio::task::JoinHandle;

/// Puts several questions into one exchange; lets go when its single calls may.
#[derive(Debug)]
struct Together {
    single: Arc<Gated>,
    exchanges: Mutex<Vec<usize>>,
    mischief: Mischief,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mischief {
    Nothing,
    OneOutcomeShort,
    OneOutcomeMore,
    Panic,
}

impl Together {
    fn new(single: &Arc<Gated>, mischief: Mischief) -> Arc<Self> {
        Arc::new(Self { single: Arc::clone(single), exchanges: Mutex::default(), mischief })
    }

    fn exchanges(&self) -> Vec<usize> {
        self.exchanges.lock().unwrap().clone()
    }
}

impl DecisionPoint for Together {
    fn decide<'a>(&'a self, request: &'a AccessRequest) -> PendingDecision<'a> {
        self.single.decide(request)
    }

    fn decide_many<'a>(&'a self, requests: &'a [Arc<AccessRequest>]) -> PendingDecisions<'a> {
        self.exchanges.lock().unwrap().push(requests.len());
        let all: Vec<_> = requests.iter().map(|request| self.single.decide(request)).collect();
        Box::pin(async move {
            let mut outcomes = futures_util::future::join_all(all).await;
            match self.mischief {
                Mischief::Nothing => {}
                Mischief::OneOutcomeShort => drop(outcomes.pop()),
                Mischief::OneOutcomeMore => outcomes.push(Ok(permit())),
                Mischief::Panic => panic!("scripted"),
            }
            outcomes
        })
    }

    fn puts_many_into_one(&self) -> bool {
        true
    }

    fn source(&self) -> DecisionSource {
        DecisionSource::Embedded
    }

    fn identity(&self) -> &'static str {
        "together"
    }
}

type Answers = Vec<Result<Answered, DecisionFault>>;

fn requests(numbers: &[u32]) -> Vec<AccessRequest> {
    numbers.iter().map(|number| question(system_user(*number))).collect()
}

impl Bench {
    fn start_all(&self, numbers: &[u32], lifetimes: Lifetimes) -> JoinHandle<Answers> {
        let (decisions, requests) = (self.decisions.clone(), requests(numbers));
        Tasks::new().spawn(async move { decisions.decide_all(&requests, lifetimes).await })
    }
}

fn sources(answers: &Answers) -> Vec<DecisionSource> {
    answers.iter().map(|answer| answer.as_ref().unwrap().source).collect()
}

fn decisions(answers: Answers) -> Vec<Decision> {
    answers.into_iter().map(|answer| answer.unwrap().decision).collect()
}

#[tokio::test]
async fn several_questions_are_answered_in_their_order_however_they_are_asked() {
    let script = [answer(permit()), answer(Decision::Deny), answer(permit())];
    for one_exchange in [true, false] {
        let single = Gated::open(&script);
        let together = Together::new(&single, Mischief::Nothing);
        let bench = if one_exchange {
            bench(Arc::<Together>::clone(&together))
        } else {
            bench(Arc::<Gated>::clone(&single))
        };
        // The second and the fourth are equal.
        let answers = bench.start_all(&[1, 2, 3, 2], HELD).await.unwrap();
        let expected = [permit(), Decision::Deny, permit(), Decision::Deny];
        assert_eq!(decisions(answers), expected);
        assert_eq!(single.asked.lock().unwrap().as_slice(), requests(&[1, 2, 3]));
        assert_eq!(together.exchanges(), if one_exchange { vec![3] } else { vec![] });
        let again = bench.start_all(&[3, 2, 1], HELD).await.unwrap();
        assert_eq!(sources(&again), [DecisionSource::Cache; 3]);
        assert_eq!(decisions(again), [permit(), Decision::Deny, permit()]);
        assert_eq!(bench.decisions.stats().calls, 3);
        assert!(bench.start_all(&[], HELD).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn only_what_is_neither_held_nor_under_way_goes_into_the_exchange() {
    let single = Gated::new(1, &[]);
    let point = Together::new(&single, Mischief::Nothing);
    let bench = bench(Arc::<Together>::clone(&point));
    bench.ask(&question(system_user(1))).await;
    let alone = bench.start(&question(system_user(2)), HELD);
    bench.settle().await;
    let batch = bench.start_all(&[1, 2, 3, 4], HELD);
    bench.settle().await;
    // Each question of the exchange can be joined by itself.
    let joins = bench.start(&question(system_user(4)), HELD);
    let overlaps = bench.start_all(&[3, 5], HELD);
    bench.settle().await;
    assert_eq!((point.exchanges(), single.calls()), (vec![2], 5));
    assert_eq!(bench.decisions.stats().in_flight, 4);
    single.gate.add_permits(10);
    let (cache, coalesced) = (DecisionSource::Cache, DecisionSource::Coalesced);
    let own = DecisionSource::Embedded;
    assert_eq!(sources(&batch.await.unwrap()), [cache, coalesced, own, own]);
    assert_eq!(sources(&overlaps.await.unwrap()), [coalesced, own]);
    assert_eq!(joins.await.unwrap().unwrap().source, coalesced);
    assert_eq!(alone.await.unwrap().unwrap().source, own);
    assert_eq!((point.exchanges(), bench.decisions.stats().in_flight), (vec![2], 0));
}

#[tokio::test]
async fn an_exchange_that_goes_wrong_as_a_whole_is_a_fault_of_every_question_and_leaves_nothing() {
    let miscounted = DecisionFault::Protocol("not as many outcomes as questions".into());
    let cases = [
        (Mischief::OneOutcomeShort, miscounted.clone()),
        (Mischief::OneOutcomeMore, miscounted),
        (Mischief::Panic, DecisionFault::Internal),
    ];
    for (mischief, fault) in cases {
        for lifetimes in [HELD, Lifetimes::Off] {
            let single = Gated::open(&[answer(permit()), answer(permit())]);
            let bench = bench(Together::new(&single, mischief));
            for answer in bench.start_all(&[1, 2], lifetimes).await.unwrap() {
                assert_eq!(answer.unwrap_err(), fault, "{mischief:?} {lifetimes:?}");
            }
            let stats = bench.decisions.stats();
            assert_eq!((stats.entries, stats.in_flight), (0, 0), "{mischief:?}");
            assert_eq!(bench.ask(&question(system_user(1))).await.1, DecisionSource::Embedded);
        }
    }
}

#[tokio::test]
async fn one_question_of_an_exchange_that_fails_leaves_the_others_their_answers() {
    let outage = DecisionFault::unavailable("x");
    let single = Gated::open(&[answer(permit()), Line::Answer(Err(outage.clone()))]);
    let bench = bench(Together::new(&single, Mischief::Nothing));
    let answers = bench.start_all(&[1, 2], HELD).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap().decision, permit());
    assert_eq!(answers[1].as_ref().unwrap_err(), &outage);
    assert_eq!((bench.decisions.stats().entries, bench.decisions.stats().faults), (1, 1));
}

#[tokio::test]
async fn with_lifetimes_off_the_questions_share_an_exchange_and_nothing_else() {
    let single = Gated::new(0, &[]);
    let point = Together::new(&single, Mischief::Nothing);
    let bench = bench(Arc::<Together>::clone(&point));
    let callers = [(); 2].map(|()| bench.start_all(&[1, 2, 1], Lifetimes::Off));
    bench.settle().await;
    assert_eq!((point.exchanges(), bench.decisions.stats().in_flight), (vec![2, 2], 0));
    single.gate.add_permits(10);
    for caller in callers {
        assert_eq!(sources(&caller.await.unwrap()), [DecisionSource::Embedded; 3]);
    }
    assert_eq!(bench.decisions.stats().entries, 0);
}

#[tokio::test]
async fn a_caller_of_several_that_leaves_ends_no_call_and_a_purge_meets_each_question_by_itself() {
    let single = Gated::new(0, &[answer(permit()), answer(permit())]);
    let point = Together::new(&single, Mischief::Nothing);
    let bench = bench(Arc::<Together>::clone(&point));
    let batch = bench.start_all(&[1, 2], HELD);
    bench.settle().await;
    bench.decisions.purge(&Purge { system_user: Some(system_user_id(1)), ..Purge::default() });
    batch.abort();
    single.gate.add_permits(10);
    bench.calls_ended().await;
    assert_eq!(bench.ask(&question(system_user(2))).await, (permit(), DecisionSource::Cache));
    let purged = bench.ask(&question(system_user(1))).await;
    assert_eq!(purged, (Decision::NotApplicable, DecisionSource::Embedded));
}
