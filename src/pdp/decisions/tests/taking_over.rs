use super::*;

/// Is who it says it is, and permits.
#[derive(Debug)]
struct Named(&'static str);

impl DecisionPoint for Named {
    fn decide<'a>(&'a self, _: &'a AccessRequest) -> PendingDecision<'a> {
        Box::pin(std::future::ready(Ok(permit())))
    }

    fn source(&self) -> DecisionSource {
        DecisionSource::Pdp
    }

    fn identity(&self) -> &str {
        self.0
    }
}

impl Bench {
    fn taken_over(&self, point: Arc<dyn DecisionPoint>, settings: CacheSettings) -> Self {
        let (clock, tasks) = (Arc::clone(&self.clock), self.tasks.clone());
        let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let before = &self.decisions;
        let decisions = Decisions::taking_over(before, point, settings, tasks.clone(), time);
        Self { decisions, clock, tasks }
    }
}

#[tokio::test]
async fn answers_outlive_a_reload_while_the_pdp_and_who_asks_it_stay_the_same() {
    let usual = CacheSettings::default();
    let larger = CacheSettings { max_entries: 200_000, ..usual };
    let longer = CacheSettings { longest_lifetime: Duration::from_mins(10), ..usual };
    let cases = [
        ("a", usual, DecisionSource::Cache),
        ("a", larger, DecisionSource::Cache),
        ("a", longer, DecisionSource::Cache),
        ("b", usual, DecisionSource::Pdp),
        ("b", larger, DecisionSource::Pdp),
    ];
    for (identity, settings, source) in cases {
        let before = bench(Arc::new(Named("a")));
        let request = question(system_user(1));
        before.ask(&request).await;
        before.ask(&request).await;
        let after = before.taken_over(Arc::new(Named(identity)), settings);
        assert_eq!(after.ask(&request).await.1, source, "{identity} {settings:?}");
        let stats = after.decisions.stats();
        let kept = source == DecisionSource::Cache;
        let expected = if kept { (1, 2, 1) } else { (2, 1, 1) };
        assert_eq!((stats.calls, stats.hits, stats.entries), expected, "{identity} {settings:?}");
        // No younger than they were.
        after.clock.advance(PERMIT_TTL);
        assert_eq!(after.ask(&request).await.1, DecisionSource::Pdp);
    }
}

#[tokio::test]
async fn a_call_under_way_at_a_reload_is_shared_only_with_the_same_pdp() {
    let settings = CacheSettings::default();
    let point = Gated::new(0, &[answer(permit())]);
    let before = bench(Arc::<Gated>::clone(&point));
    let request = question(system_user(1));
    let asked = before.start(&request, HELD);
    before.settle().await;
    let same = before.taken_over(Gated::open(&[answer(Decision::Deny)]), settings);
    let other = before.taken_over(Arc::new(Named("other")), settings);
    let joins = same.start(&request, HELD);
    assert_eq!(other.ask(&request).await.1, DecisionSource::Pdp);
    same.settle().await;
    point.gate.add_permits(1);
    assert_eq!(asked.await.unwrap().unwrap().decision, permit());
    assert_eq!(joins.await.unwrap().unwrap().source, DecisionSource::Coalesced);
    assert_eq!(same.ask(&request).await, (permit(), DecisionSource::Cache));
}

#[tokio::test]
async fn a_purge_after_a_reload_meets_what_was_asked_for_before_it() {
    let usual = CacheSettings::default();
    for settings in [usual, CacheSettings { max_entries: 200_000, ..usual }] {
        let point = Gated::new(1, &[answer(permit()), answer(permit()), answer(Decision::Deny)]);
        let before = bench(Arc::<Gated>::clone(&point));
        let [held, under_way] = [1, 2].map(|number| question(system_user(number)));
        before.ask(&held).await;
        let asked = before.start(&under_way, HELD);
        before.settle().await;
        let after = before.taken_over(Gated::open(&[]), settings);
        assert_eq!(after.decisions.purge(&Purge::default()), 1);
        point.gate.add_permits(10);
        assert_eq!(asked.await.unwrap().unwrap().decision, permit());
        for request in [&held, &under_way] {
            assert_eq!(after.ask(request).await.1, DecisionSource::Embedded);
        }
        // A request that still runs under the old configuration does not see it either.
        assert_ne!(before.ask(&held).await.0, permit());
    }
}
