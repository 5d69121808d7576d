use super::*;
use crate::domain::{Clock as _, SystemClock};
use proptest::prelude::*;

const PAUSE: Duration = Duration::from_secs(2);
const FAILING: Failure = Failure { strain: Strain::Failing, told: None };
const TOLD: Failure = Failure { strain: Strain::Throttling, told: Some(Duration::from_secs(30)) };

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn breaker() -> (Breaker, Instant) {
    (Breaker::new(BreakerSettings { failures: 3, pause: PAUSE }), SystemClock.monotonic())
}

/// Fails `times` calls, one after the other.
fn fail(breaker: &mut Breaker, times: u32, now: Instant) -> Vec<Option<Change>> {
    (0..times)
        .map(|_| {
            let leave = breaker.admit(now).unwrap();
            breaker.failed(leave, FAILING, now)
        })
        .collect()
}

#[test]
fn it_opens_after_failures_in_a_row_and_not_after_as_many_with_a_success_between() {
    let (mut breaker, now) = breaker();
    assert_eq!(fail(&mut breaker, 2, now), [None, None]);
    let leave = breaker.admit(now).unwrap();
    assert_eq!(breaker.succeeded(leave), None);
    assert_eq!(fail(&mut breaker, 2, now), [None, None]);
    assert_eq!(fail(&mut breaker, 1, now), [Some(Change::Opened(Strain::Failing, PAUSE))]);
    assert_eq!(breaker.circuit(now), Circuit::Open);
    let refusal = Refusal { strain: Strain::Failing, remaining: seconds(1) };
    assert_eq!(breaker.admit(now + seconds(1)).unwrap_err(), refusal);
}

#[test]
fn after_the_pause_one_probe_at_a_time_decides() {
    let (mut breaker, mut now) = breaker();
    fail(&mut breaker, 3, now);
    for _ in 0..3 {
        now += PAUSE;
        assert_eq!(breaker.circuit(now), Circuit::HalfOpen);
        let probe = breaker.admit(now).unwrap();
        assert!(breaker.admit(now).is_err());
        assert_eq!(breaker.failed(probe, FAILING, now), None, "it was open before");
        assert_eq!(breaker.admit(now).unwrap_err().remaining, PAUSE);
    }
    now += PAUSE;
    let given_up = breaker.admit(now).unwrap();
    breaker.abandoned(given_up);
    let probe = breaker.admit(now).unwrap();
    assert_eq!(breaker.succeeded(probe), Some(Change::Closed));
    assert_eq!(fail(&mut breaker, 2, now), [None, None], "the row begins anew");
}

#[test]
fn what_the_pdp_says_itself_opens_at_once_and_is_kept_to() {
    let (mut breaker, now) = breaker();
    let [first, straggler, late] = [(); 3].map(|()| breaker.admit(now).unwrap());
    assert_eq!(
        breaker.failed(first, TOLD, now),
        Some(Change::Opened(Strain::Throttling, seconds(30)))
    );
    let refusal = breaker.admit(now + seconds(29)).unwrap_err();
    assert_eq!(refusal, Refusal { strain: Strain::Throttling, remaining: seconds(1) });
    // One that set out before hears the same later: the later counts, and it is no news.
    assert_eq!(breaker.failed(straggler, TOLD, now + seconds(10)), None);
    assert_eq!(breaker.look(now + seconds(39)).unwrap_err().remaining, seconds(1));
    // A success of one that set out before is no reason to go against what the PDP said.
    assert_eq!(breaker.succeeded(late), None);
    assert!(breaker.look(now + seconds(39)).is_err());
    assert!(breaker.look(now + seconds(40)).is_ok());
}

#[test]
fn a_late_success_closes_and_a_late_failure_does_nothing() {
    let (mut breaker, now) = breaker();
    let [good, bad, worse] = [(); 3].map(|()| breaker.admit(now).unwrap());
    fail(&mut breaker, 3, now);
    // It does not prolong the pause,
    assert_eq!(breaker.failed(bad, FAILING, now + seconds(1)), None);
    assert_eq!(breaker.look(now + seconds(1)).unwrap_err().remaining, seconds(1));
    assert_eq!(breaker.succeeded(good), Some(Change::Closed));
    // nor does it count once it is closed again.
    assert_eq!(fail(&mut breaker, 2, now), [None, None]);
    assert_eq!(breaker.failed(worse, FAILING, now), None);
    assert_eq!(breaker.circuit(now), Circuit::Closed);
}

#[test]
fn a_late_success_leaves_the_verdict_to_the_probe_that_is_under_way() {
    let (mut breaker, now) = breaker();
    let late = breaker.admit(now).unwrap();
    fail(&mut breaker, 3, now);
    let probe = breaker.admit(now + PAUSE).unwrap();
    assert_eq!(breaker.succeeded(late), None);
    assert!(breaker.admit(now + PAUSE).is_err());
    assert_eq!(breaker.succeeded(probe), Some(Change::Closed));
}

#[derive(Clone, Debug)]
enum Event {
    Admit,
    Succeed(usize),
    Fail(usize, Option<u64>),
    Abandon(usize),
    Pass(u64),
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Admit),
        1 => (0usize..8).prop_map(Event::Succeed),
        3 => (0usize..8, proptest::option::weighted(0.2, 1u64..120))
            .prop_map(|(at, told)| Event::Fail(at, told)),
        1 => (0usize..8).prop_map(Event::Abandon),
        2 => (0u64..3000).prop_map(Event::Pass),
    ]
}

proptest! {
    #[test]
    fn no_row_of_events_wedges_it_or_lets_two_probes_out(
        events in proptest::collection::vec(any_event(), 0..200),
    ) {
        let (mut breaker, mut now) = breaker();
        let mut out: Vec<Leave> = Vec::new();
        for event in events {
            let take = |out: &mut Vec<Leave>, at: usize| {
                (!out.is_empty()).then(|| out.remove(at % out.len()))
            };
            match event {
                Event::Admit => {
                    let open = breaker.circuit(now) != Circuit::Closed;
                    if let Ok(leave) = breaker.admit(now) {
                        prop_assert_eq!(leave.probe, open);
                        out.push(leave);
                    }
                }
                Event::Succeed(at) => {
                    if let Some(leave) = take(&mut out, at) {
                        let probe = leave.probe;
                        breaker.succeeded(leave);
                        prop_assert!(!probe || breaker.circuit(now) == Circuit::Closed);
                    }
                }
                Event::Fail(at, told) => {
                    if let Some(leave) = take(&mut out, at) {
                        let probe = leave.probe;
                        let told = told.map(seconds);
                        breaker.failed(leave, Failure { strain: Strain::Failing, told }, now);
                        let refuses = told.is_some() || probe;
                        prop_assert!(!refuses || breaker.look(now).is_err());
                    }
                }
                Event::Abandon(at) => {
                    if let Some(leave) = take(&mut out, at) {
                        breaker.abandoned(leave);
                    }
                }
                Event::Pass(milliseconds) => now += Duration::from_millis(milliseconds),
            }
            prop_assert!(out.iter().filter(|leave| leave.probe).count() <= 1);
        }
        for leave in out {
            breaker.abandoned(leave);
        }
        let later = now + seconds(120);
        let leave = breaker.admit(later);
        prop_assert!(leave.is_ok());
        breaker.succeeded(leave.unwrap());
        prop_assert_eq!(breaker.circuit(later), Circuit::Closed);
    }
}
