use super::*;
use crate::pdp::samples::system_user_id;

fn of_user(number: u32) -> Purge {
    Purge { system_user: Some(system_user_id(number)), ..Purge::default() }
}

#[tokio::test]
async fn an_answer_asked_for_before_a_purge_is_not_kept_after_it() {
    let point = Gated::new(0, &[answer(permit()), answer(Decision::Deny)]);
    let bench = bench(Arc::<Gated>::clone(&point));
    let request = question(system_user(1));
    let before = bench.start(&request, HELD);
    bench.settle().await;
    bench.decisions.purge(&Purge::default());
    // Asked after the purge: a call of its own, even though one is under way.
    let after = bench.start(&request, HELD);
    bench.settle().await;
    assert_eq!(point.calls(), 2);
    point.gate.add_permits(1);
    assert_eq!(before.await.unwrap().unwrap().decision, permit());
    let joined = bench.start(&request, HELD);
    bench.settle().await;
    point.gate.add_permits(1);
    assert_eq!(after.await.unwrap().unwrap().decision, Decision::Deny);
    assert_eq!(joined.await.unwrap().unwrap().source, DecisionSource::Coalesced);
    assert_eq!(bench.ask(&request).await, (Decision::Deny, DecisionSource::Cache));
    assert_eq!((point.calls(), bench.decisions.stats().in_flight), (2, 0));
}

#[tokio::test]
async fn a_purge_forgets_what_is_held() {
    let point = Gated::open(&[answer(permit())]);
    let bench = bench(point);
    let request = question(system_user(1));
    bench.ask(&request).await;
    assert_eq!(bench.ask(&request).await.1, DecisionSource::Cache);
    bench.decisions.purge(&Purge::default());
    assert_eq!(bench.ask(&request).await, (Decision::NotApplicable, DecisionSource::Embedded));
}

#[tokio::test]
async fn a_purge_forgets_what_it_concerns_and_says_how_much_and_no_more() {
    let bench = bench(Gated::open(&[]));
    let party = Party::Organization(organization("310329495"));
    let resource = ResourceId::parse("ske-mva").unwrap();
    let base = question(system_user(1));
    let requests = [
        base.clone(),
        AccessRequest { party, ..base.clone() },
        AccessRequest { resource: resource.clone(), ..base.clone() },
        question(system_user(2)),
    ];
    let by_party = Purge { party: Some(party), ..Purge::default() };
    let by_resource = Purge { resource: Some(resource), ..Purge::default() };
    let by_both = Purge { party: Some(party), ..by_resource.clone() };
    let cases = [
        (of_user(1), vec![0, 1, 2]),
        (of_user(3), vec![]),
        (by_party, vec![1]),
        (by_resource, vec![2]),
        (by_both, vec![]),
        (Purge::default(), vec![0, 1, 2, 3]),
    ];
    for (purge, concerned) in cases {
        for request in &requests {
            bench.ask(request).await;
        }
        assert_eq!(bench.decisions.purge(&purge), concerned.len() as u64, "{purge:?}");
        for (place, request) in requests.iter().enumerate() {
            let asked_anew = bench.ask(request).await.1 == DecisionSource::Embedded;
            assert_eq!(asked_anew, concerned.contains(&place), "{purge:?} {place}");
        }
    }
}

#[tokio::test]
async fn a_purge_ends_the_sharing_of_a_call_it_concerns_and_of_no_other() {
    let point = Gated::new(0, &[answer(permit()), answer(permit()), answer(Decision::Deny)]);
    let bench = bench(Arc::<Gated>::clone(&point));
    let [concerned, other] = [1, 2].map(|number| question(system_user(number)));
    let before = [&concerned, &other].map(|request| bench.start(request, HELD));
    bench.settle().await;
    assert_eq!(bench.decisions.purge(&of_user(1)), 0, "nothing was held yet");
    let after = [&concerned, &other].map(|request| bench.start(request, HELD));
    bench.settle().await;
    assert_eq!(point.calls(), 3);
    point.gate.add_permits(2);
    for caller in before {
        assert_eq!(caller.await.unwrap().unwrap().decision, permit());
    }
    let [anew, joined] = after;
    assert_eq!(joined.await.unwrap().unwrap().source, DecisionSource::Coalesced);
    assert_eq!(bench.ask(&other).await, (permit(), DecisionSource::Cache));
    point.gate.add_permits(1);
    assert_eq!(anew.await.unwrap().unwrap().decision, Decision::Deny);
    assert_eq!(bench.ask(&concerned).await, (Decision::Deny, DecisionSource::Cache));
    assert_eq!((point.calls(), bench.decisions.stats().in_flight), (3, 0));
}

#[tokio::test]
async fn a_renewal_under_way_at_a_purge_is_not_kept() {
    let point = Gated::new(1, &[answer(permit()), answer(permit()), answer(Decision::Deny)]);
    let bench = bench(Arc::<Gated>::clone(&point));
    let request = question(system_user(1));
    bench.ask(&request).await;
    bench.clock.advance(Duration::from_secs(55));
    assert_eq!(bench.ask(&request).await, (permit(), DecisionSource::Cache));
    bench.settle().await;
    assert_eq!((point.calls(), bench.decisions.stats().renewals), (2, 1));
    assert_eq!(bench.decisions.purge(&of_user(1)), 1);
    point.gate.add_permits(1);
    bench.calls_ended().await;
    point.gate.add_permits(1);
    assert_eq!(bench.ask(&request).await, (Decision::Deny, DecisionSource::Embedded));
    assert_eq!(bench.ask(&request).await, (Decision::Deny, DecisionSource::Cache));
}

#[tokio::test]
async fn a_hundred_purges_in_a_row_forget_nothing_that_they_do_not_concern() {
    let point = Gated::new(1, &[answer(permit())]);
    let bench = bench(Arc::<Gated>::clone(&point));
    let [kept, under_way] = [1, 2].map(|number| question(system_user(number)));
    bench.ask(&kept).await;
    let waiting = bench.start(&under_way, HELD);
    bench.settle().await;
    for number in 0..100 {
        assert_eq!(bench.decisions.purge(&of_user(100 + number)), 0);
    }
    assert_eq!(bench.ask(&kept).await, (permit(), DecisionSource::Cache));
    // A call of which nobody can say any more whether a purge concerned it reaches its waiter only.
    point.gate.add_permits(1);
    assert_eq!(waiting.await.unwrap().unwrap().decision, Decision::NotApplicable);
    point.gate.add_permits(1);
    assert_eq!(bench.ask(&under_way).await.1, DecisionSource::Embedded);
    assert_eq!(point.calls(), 3);
}

/// Permits, with what is true at this moment as the value of an obligation.
#[derive(Debug, Default)]
struct Changing(AtomicU64);

impl DecisionPoint for Changing {
    fn decide<'a>(&'a self, _: &'a AccessRequest) -> PendingDecision<'a> {
        Box::pin(async move {
            let now = self.0.load(Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(true_at(now))
        })
    }

    fn source(&self) -> DecisionSource {
        DecisionSource::Pdp
    }

    fn identity(&self) -> &'static str {
        "changing"
    }
}

fn true_at(now: u64) -> Decision {
    let truth = Obligation { id: "".into(), category: "".into(), value: now.to_string().into() };
    Decision::Permit(Obligations::new(vec![truth]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_asked_for_before_a_purge_is_seen_after_it_however_the_two_interleave() {
    let point = Arc::new(Changing::default());
    let bench = bench(Arc::<Changing>::clone(&point));
    for round in 1..200 {
        let request = question(system_user(round % 3));
        let callers: Vec<_> = (0..8).map(|_| bench.start(&request, HELD)).collect();
        tokio::task::yield_now().await;
        point.0.store(u64::from(round), Ordering::SeqCst);
        bench.decisions.purge(&of_user(round % 3));
        assert_eq!(bench.ask(&request).await.0, true_at(round.into()));
        for caller in callers {
            caller.await.unwrap().unwrap();
        }
    }
}

#[derive(Clone, Debug)]
enum Act {
    Ask(usize),
    Wait(u64),
    Purge(Purge),
}

/// Few enough questions that most acts meet another.
fn questions() -> Vec<AccessRequest> {
    let parties = ["312714051", "310329495"].map(|text| Party::Organization(organization(text)));
    let resources = ["ske-mva", "ske-mva-melding"].map(|text| ResourceId::parse(text).unwrap());
    let subjects = [1, 2].map(system_user);
    let all = subjects.into_iter().flat_map(|subject| parties.map(|party| (subject, party)));
    all.flat_map(|(subject, party)| {
        resources.clone().map(|resource| AccessRequest { resource, party, ..question(subject) })
    })
    .collect()
}

fn any_act() -> impl Strategy<Value = Act> {
    let party = || prop_oneof![Just("312714051"), Just("310329495"), Just("974760673")];
    let resource = || prop_oneof![Just("ske-mva"), Just("ske-mva-melding"), Just("other")];
    let purge = (
        proptest::option::of((1u32..4).prop_map(system_user_id)),
        proptest::option::of(party().prop_map(|text| Party::Organization(organization(text)))),
        proptest::option::of(resource().prop_map(|text| ResourceId::parse(text).unwrap())),
    );
    let purge = purge.prop_map(|(system_user, party, resource)| {
        Act::Purge(Purge { system_user, party, resource })
    });
    prop_oneof![8 => (0usize..8).prop_map(Act::Ask), 2 => (0u64..20).prop_map(Act::Wait), 3 => purge]
}

/// What the cache is to do, as a list: when each question was asked for, if the answer is still held.
async fn compare_with_a_list(acts: Vec<Act>) -> Result<(), TestCaseError> {
    const LIFETIME: u64 = 40;
    let lifetimes = Lifetimes::Held { permit: Duration::from_secs(LIFETIME), deny: ZERO };
    let bench = bench(Arc::new(Scripted::always(Ok(permit()))));
    let requests = questions();
    let mut held: Vec<Option<u64>> = vec![None; requests.len()];
    let mut now = 0;
    for act in acts {
        match act {
            Act::Wait(seconds) => {
                now += seconds;
                bench.clock.advance(Duration::from_secs(seconds));
            }
            Act::Ask(place) => {
                let renewals = bench.decisions.stats().renewals;
                let (_, source) = bench.ask_with(&requests[place], lifetimes).await;
                bench.calls_ended().await;
                let age = held[place].map(|asked| now - asked);
                let counts = age.is_some_and(|age| age < LIFETIME);
                prop_assert_eq!(source != DecisionSource::Pdp, counts);
                let renewed = bench.decisions.stats().renewals > renewals;
                prop_assert!(!renewed || age.is_some_and(|age| age * 10 > LIFETIME * 7));
                if renewed || !counts {
                    held[place] = Some(now);
                }
            }
            Act::Purge(purge) => {
                let concerned = requests.iter().zip(&mut held);
                let concerned = concerned.filter(|(request, _)| purge.concerns(request));
                let forgotten = concerned.filter_map(|(_, held)| held.take()).count();
                prop_assert_eq!(bench.decisions.purge(&purge), forgotten as u64);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_cache_does_what_a_list_would(acts in proptest::collection::vec(any_act(), 1..100)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(compare_with_a_list(acts))?;
    }
}
