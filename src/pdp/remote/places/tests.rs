use super::*;
use crate::pdp::samples::system_user;
use futures_util::future::FutureExt as _;
use std::pin::Pin;

type Entering<'a> = Pin<Box<dyn Future<Output = Result<Place<'a>, Full>> + Send + 'a>>;

fn ask(places: &Places, subject: u32) -> Entering<'_> {
    Box::pin(places.enter(system_user(subject)))
}

/// What it comes to without waiting.
fn now<'a>(entering: &mut Entering<'a>) -> Option<Result<Place<'a>, Full>> {
    entering.now_or_never()
}

/// Who waits, having been polled once.
fn waiting(places: &Places, subject: u32) -> Entering<'_> {
    let mut entering = ask(places, subject);
    assert!(now(&mut entering).is_none());
    entering
}

fn place(places: &Places, subject: u32) -> Place<'_> {
    now(&mut ask(places, subject)).unwrap().unwrap()
}

fn turned_away(places: &Places, subject: u32) -> bool {
    matches!(now(&mut ask(places, subject)), Some(Err(Full)))
}

#[test]
fn one_subject_waits_for_its_own_places_without_holding_others() {
    let places = Places::new(4, 2, 100);
    let held = [place(&places, 1), place(&places, 1)];
    let mut third = waiting(&places, 1);
    assert_eq!((places.in_flight(), places.queued()), (2, 1));
    let others = [place(&places, 2), place(&places, 3)];
    drop(others);
    assert!(now(&mut third).is_none());
    drop(held);
    let third = now(&mut third).unwrap().unwrap();
    assert_eq!((places.in_flight(), places.queued(), places.subjects()), (1, 0, 1));
    drop(third);
    assert_eq!((places.in_flight(), places.subjects()), (0, 0));
}

#[test]
fn a_quarter_of_the_queue_is_the_most_for_one() {
    for (max_queued, own) in [(0, 0), (1, 1), (3, 1), (4, 1), (8, 2)] {
        let places = Places::new(1, 1, max_queued);
        let held = place(&places, 1);
        let queue: Vec<_> = (0..own).map(|_| waiting(&places, 1)).collect();
        assert!(turned_away(&places, 1), "{max_queued}");
        let others: Vec<_> = (own..max_queued)
            .map(|number| waiting(&places, 2 + u32::try_from(number).unwrap()))
            .collect();
        assert!(turned_away(&places, 1000), "{max_queued}");
        assert_eq!(places.queued(), max_queued);
        drop((queue, others));
        assert_eq!((places.queued(), places.subjects()), (0, 1));
        drop(held);
        assert_eq!(places.subjects(), 0);
    }
}

#[test]
fn places_are_given_in_the_order_of_asking() {
    let places = Places::new(1, 1, 100);
    let held = place(&places, 0);
    let mut queue: Vec<_> = (1..=3).map(|subject| waiting(&places, subject)).collect();
    drop(held);
    // Freed for the first who waits, not for whoever comes along.
    let mut passer_by = waiting(&places, 9);
    for entering in &mut queue {
        assert!(now(&mut passer_by).is_none());
        drop(now(entering).unwrap().unwrap());
    }
    assert!(now(&mut passer_by).unwrap().is_ok());
}

#[test]
fn whoever_goes_away_leaves_nothing_behind() {
    let places = Places::new(1, 1, 4);
    let held = place(&places, 1);
    let mut mine = waiting(&places, 1);
    let gone = waiting(&places, 2);
    let mut next = waiting(&places, 3);
    drop(gone);
    assert_eq!((places.queued(), places.subjects()), (2, 2));
    drop(held);
    // Given a place and gone before it noticed.
    drop(now(&mut next));
    drop(next);
    assert!(now(&mut mine).unwrap().is_ok());
    drop(mine);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _held = place(&places, 1);
        panic!("in the middle of a call");
    }));
    assert!(panicked.is_err());
    assert_eq!((places.in_flight(), places.queued(), places.subjects()), (0, 0, 0));
    drop(place(&places, 1));
}
