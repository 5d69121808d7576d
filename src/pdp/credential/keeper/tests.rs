use super::super::FetchingToken;
use super::*;
use crate::domain::{Clock, UnixSeconds};
use futures_util::future::join_all;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::VecDeque;
use tokio::sync::Semaphore;

/// The clock of the paused runtime, so that timers and lifetimes agree.
#[derive(Debug)]
struct PausedClock;

impl Clock for PausedClock {
    fn wall(&self) -> UnixSeconds {
        UnixSeconds(0)
    }

    fn monotonic(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

#[derive(Clone, Debug)]
enum Act {
    /// This token, with this life in seconds; renewed at two thirds.
    Give(&'static str, u64),
    /// This token, of which nobody knows when it ends.
    Lend(&'static str),
    Fail,
    FailFor(u64),
    Panic,
    Hang,
}

/// Does as it is told, then repeats the last; each attempt waits for a permit.
#[derive(Debug)]
struct Scripted {
    acts: Mutex<VecDeque<Act>>,
    begun: Mutex<Vec<Instant>>,
    gate: Semaphore,
}

impl Scripted {
    fn begun(&self) -> usize {
        self.begun.lock().unwrap().len()
    }

    /// Seconds between attempts.
    fn pauses(&self) -> Vec<f64> {
        let begun = self.begun.lock().unwrap();
        begun.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect()
    }

    fn next(&self, act: Act) {
        *self.acts.lock().unwrap() = [act].into();
    }
}

impl TokenSource for Scripted {
    fn fetch(&self) -> FetchingToken<'_> {
        self.begun.lock().unwrap().push(PausedClock.monotonic());
        let act = {
            let mut acts = self.acts.lock().unwrap();
            if acts.len() > 1 { acts.pop_front().unwrap() } else { acts[0].clone() }
        };
        let fault = |retry_after| CredentialFault {
            step: "Maskinporten",
            cause: "answered 500".into(),
            retry_after,
        };
        let fresh = |token: &str, life: Option<u64>| FreshToken {
            token: SecretString::from(token),
            renew_after: Duration::from_secs(life.unwrap_or(30) * 2 / 3),
            expires_after: life.map(Duration::from_secs),
        };
        Box::pin(async move {
            self.gate.acquire().await.unwrap().forget();
            match act {
                Act::Give(token, life) => Ok(fresh(token, Some(life))),
                Act::Lend(token) => Ok(fresh(token, None)),
                Act::Fail => Err(fault(None)),
                Act::FailFor(seconds) => Err(fault(Some(Duration::from_secs(seconds)))),
                Act::Panic => panic!("as told"),
                Act::Hang => std::future::pending().await,
            }
        })
    }
}

fn keeper(acts: &[Act]) -> (Arc<Scripted>, Arc<CredentialKeeper>, Tasks) {
    let source = Arc::new(Scripted {
        acts: Mutex::new(acts.iter().cloned().collect()),
        begun: Mutex::default(),
        gate: Semaphore::new(Semaphore::MAX_PERMITS),
    });
    let tasks = Tasks::new();
    let keeper = CredentialKeeper::new(
        Arc::clone(&source) as Arc<dyn TokenSource>,
        tasks.clone(),
        Arc::new(PausedClock),
    );
    (source, keeper, tasks)
}

fn text(token: &AccessToken) -> String {
    token.header().to_str().unwrap().trim_start_matches("Bearer ").to_owned()
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_ahead_of_its_end_without_anyone_asking() {
    let (source, keeper, _tasks) = keeper(&[Act::Give("a", 90), Act::Give("b", 90)]);
    keeper.start();
    keeper.start();
    seconds(1).await;
    assert_eq!((source.begun(), text(&keeper.token().await.unwrap())), (1, "a".into()));
    seconds(58).await;
    assert_eq!(source.begun(), 1);
    seconds(2).await;
    assert_eq!((source.begun(), text(&keeper.token().await.unwrap())), (2, "b".into()));
    let state = keeper.state();
    assert_eq!(state.age.zip(state.expires_in).map(|(age, left)| (age + left).as_secs()), Some(90));
    assert!(state.age < Some(Duration::from_secs(2)), "{state:?}");
    assert_eq!(state.last_fault, None);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_without_a_token_share_one_attempt_and_its_fault() {
    for (act, succeeds) in [(Act::Give("a", 90), true), (Act::Fail, false)] {
        let (source, keeper, _tasks) = keeper(&[act]);
        let outcomes = join_all((0..1000).map(|_| keeper.token())).await;
        assert!(outcomes.iter().all(|outcome| outcome.is_ok() == succeeds));
        assert_eq!(source.begun(), 1);
        // Nor does anyone who comes a little later begin one.
        seconds(0).await;
        assert_eq!(keeper.token().await.is_ok(), succeeds);
        assert_eq!(source.begun(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_does_not_end_the_attempt_of_the_others() {
    let (source, keeper, tasks) = keeper(&[Act::Give("a", 90)]);
    source.gate.forget_permits(Semaphore::MAX_PERMITS);
    let callers: Vec<_> = (0..2)
        .map(|_| {
            let keeper = Arc::clone(&keeper);
            tasks.spawn(async move { keeper.token().await })
        })
        .collect();
    seconds(1).await;
    callers[0].abort();
    source.gate.add_permits(1);
    for caller in callers.into_iter().skip(1) {
        assert!(caller.await.unwrap().is_ok());
    }
    assert_eq!(source.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn failing_renewals_are_paced_and_the_old_token_counts_until_its_end() {
    let (source, keeper, _tasks) = keeper(&[Act::Give("a", 90), Act::Fail]);
    keeper.start();
    seconds(89).await;
    assert_eq!(text(&keeper.token().await.unwrap()), "a");
    assert_eq!(keeper.state().last_fault.unwrap().to_string(), "Maskinporten: answered 500");
    seconds(2).await;
    // Over: the fault that is held, at once.
    let asked = PausedClock.monotonic();
    assert_eq!(keeper.token().await.unwrap_err().step, "Maskinporten");
    assert_eq!(PausedClock.monotonic(), asked);
    assert_eq!(keeper.state().expires_in, Some(Duration::ZERO));
    seconds(200).await;
    let pauses = source.pauses();
    for (pause, least) in pauses.iter().zip([60.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]) {
        assert!((least..=least * 1.25 + 0.01).contains(pause), "{pauses:?}");
    }
    assert!((9..=13).contains(&source.begun()), "{pauses:?}");
    source.next(Act::Give("b", 90));
    seconds(40).await;
    assert_eq!(text(&keeper.token().await.unwrap()), "b");
    assert_eq!(keeper.state().last_fault, None);
}

#[tokio::test(start_paused = true)]
async fn no_attempt_is_made_before_the_other_side_wants_one() {
    let (source, keeper, _tasks) = keeper(&[Act::FailFor(50)]);
    keeper.start();
    seconds(49).await;
    assert!(keeper.token().await.is_err());
    assert_eq!(source.begun(), 1);
    seconds(15).await;
    assert_eq!(source.begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn callers_do_not_storm_a_source_that_fails() {
    let (source, keeper, _tasks) = keeper(&[Act::Fail]);
    for _ in 0..1000 {
        assert!(keeper.token().await.is_err());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Twenty seconds: after 0, 1, 3, 7 and 15 of them at the soonest.
    assert!((4..=5).contains(&source.begun()), "{:?}", source.pauses());
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_by_the_one_in_hand_or_by_one_attempt() {
    let (source, keeper, _tasks) =
        keeper(&[Act::Give("a", 900), Act::Give("b", 900), Act::Give("c", 900)]);
    let first = keeper.token().await.unwrap();
    let replaced = join_all((0..100).map(|_| keeper.replace(&first))).await;
    assert!(replaced.iter().all(|token| text(token.as_ref().unwrap()) == "b"));
    assert_eq!(source.begun(), 2);
    let second = keeper.token().await.unwrap();
    // A PDP that refuses everything provokes one attempt in ten seconds.
    for _ in 0..9 {
        let fault = keeper.replace(&second).await.unwrap_err();
        assert_eq!(fault.to_string(), "the PDP: refuses our credential, and there is no other");
        // It may have been a hiccup: the token is tried again.
        assert_eq!(text(&keeper.token().await.unwrap()), "b");
        seconds(1).await;
    }
    assert_eq!(source.begun(), 2);
    seconds(1).await;
    assert_eq!(text(&keeper.replace(&second).await.unwrap()), "c");
    // Someone late, who had the first refused.
    assert_eq!(text(&keeper.replace(&first).await.unwrap()), "c");
    assert_eq!(source.begun(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_same_token_again_is_no_other() {
    let (source, keeper, _tasks) = keeper(&[Act::Lend("a"), Act::Lend("a"), Act::Lend("b")]);
    keeper.start();
    let refused = keeper.token().await.unwrap();
    assert_eq!(keeper.replace(&refused).await.unwrap_err().step, "the PDP");
    assert_eq!(source.begun(), 2);
    seconds(21).await;
    assert_eq!(text(&keeper.replace(&refused).await.unwrap()), "b");
    assert_eq!(source.begun(), 3, "by the background");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_that_cannot_be_replaced_names_the_fault_and_stays() {
    let (_source, keeper, _tasks) = keeper(&[Act::Give("a", 900), Act::Fail]);
    let refused = keeper.token().await.unwrap();
    assert_eq!(keeper.replace(&refused).await.unwrap_err().step, "Maskinporten");
    assert_eq!(text(&keeper.token().await.unwrap()), "a");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_or_hangs_wedges_nobody() {
    for (act, cause) in [(Act::Panic, "was broken off"), (Act::Hang, "did not end within 15s")] {
        let (source, keeper, _tasks) = keeper(&[act]);
        keeper.start();
        let outcomes = join_all((0..10).map(|_| keeper.token())).await;
        for outcome in outcomes {
            assert_eq!(&*outcome.unwrap_err().cause, cause);
        }
        source.next(Act::Give("a", 90));
        seconds(2).await;
        assert_eq!(text(&keeper.token().await.unwrap()), "a");
        assert_eq!(source.begun(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_over_when_it_arrives_or_is_none_counts_as_a_failure() {
    for (act, fault) in [
        (Act::Give("a", 0), "the token: was over before it arrived"),
        (Act::Give("a b", 90), "the token: is none"),
    ] {
        let (source, keeper, _tasks) = keeper(&[act]);
        for _ in 0..10 {
            assert_eq!(keeper.token().await.unwrap_err().to_string(), fault);
        }
        assert_eq!(source.begun(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_life_is_counted_from_before_the_attempt_and_a_short_one_is_paced() {
    let (source, keeper, _tasks) = keeper(&[Act::Give("a", 10)]);
    source.gate.forget_permits(Semaphore::MAX_PERMITS);
    keeper.start();
    seconds(9).await;
    source.gate.add_permits(1);
    assert_eq!(text(&keeper.token().await.unwrap()), "a");
    assert_eq!(keeper.state().expires_in, Some(Duration::from_secs(1)));
    source.gate.add_permits(1000);
    source.next(Act::Give("b", 1));
    seconds(20).await;
    assert!(source.begun() <= 22, "{:?}", source.pauses());
}

#[tokio::test(start_paused = true)]
async fn the_background_ends_with_the_keeper_and_with_the_process() {
    let (_source, first, tasks) = keeper(&[Act::Give("a", 90)]);
    first.start();
    seconds(1).await;
    assert_eq!(tasks.running(), 1);
    drop(first);
    seconds(1).await;
    assert_eq!(tasks.running(), 0);

    let (_source, second, tasks) = keeper(&[Act::Hang]);
    second.start();
    let asking = {
        let second = Arc::clone(&second);
        tasks.spawn(async move { second.token().await })
    };
    seconds(1).await;
    assert!(tasks.stop(Duration::from_secs(1)).await);
    assert_eq!(asking.await.unwrap().unwrap_err().step, "the attempt");
    assert!(second.token().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_token_is_nowhere_to_be_seen() {
    let (_source, keeper, _tasks) = keeper(&[Act::Give("hemmelig", 90)]);
    let token = keeper.token().await.unwrap();
    assert_eq!(format!("{token:?}"), "token 1");
    let fresh = FreshToken {
        token: SecretString::from("hemmelig"),
        renew_after: Duration::ZERO,
        expires_after: None,
    };
    assert_eq!(fresh.token.expose_secret(), "hemmelig");
    for text in
        [format!("{fresh:?}"), format!("{:?}", keeper.held), format!("{:?}", token.header())]
    {
        assert!(!text.contains("hemmelig"), "{text}");
    }
}

#[test]
fn an_attempt_that_the_end_of_the_runtime_swallows_leaves_the_way_clear() {
    let (told, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let _inside = handle.enter();
        let (_source, keeper, _tasks) = keeper(&[Act::Give("a", 60)]);
        // The task is dropped before it is begun.
        drop(keeper.take_off(Cause::NoToken));
        let running = keeper.flight().running.is_some();
        told.send((running, keeper.fault())).unwrap();
    });
    let ended = ended.recv_timeout(Duration::from_secs(10)).expect("it hangs");
    assert_eq!(ended, (false, Some(interrupted())));
}
