//! Keys that are replaced while callers go on calling.

use super::{SLACK, Scene, assert_none, pace};
use crate::support::peers::{Pace, World};
use crate::support::{PERMITTED, eventually, whole_seconds};
use std::cell::{Cell, RefCell};
use std::time::Duration;
use tokio::time::Instant;

/// Only the refresh in the background brings keys in time.
fn strict() -> Pace {
    Pace { refresh: "1s", refresh_min_interval: "1s", ..pace() }
}

/// Calls with tokens that are made anew, and counted, without end; what is refused is put down.
async fn steady(scene: &Scene, calls: &Cell<usize>, refused: &RefCell<Vec<String>>) -> ! {
    loop {
        let reply = scene.read_with(PERMITTED, &scene.world.keys.token()).await;
        if reply.status != 200 {
            refused.borrow_mut().push(reply.verdict());
        }
        calls.set(calls.get() + 1);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_key_that_is_published_one_interval_before_its_use_costs_no_request() {
    let scene = Scene::open(World::start(), &strict()).await;
    let keys = &scene.world.keys;
    let began = Instant::now();
    let (calls, refused) = (Cell::new(0), RefCell::default());
    // The second fetch begins when the first has ended.
    let fetched = async |what: &str| {
        let enough = keys.jwks.asked() + 2;
        eventually(what, || keys.jwks.asked() >= enough).await;
    };
    let called = async |what: &str| {
        let enough = calls.get() + 10;
        eventually(what, || calls.get() >= enough).await;
    };
    let rotation = async {
        called("calls with the old key").await;
        keys.publish(4, "key-1");
        fetched("the new key").await;
        keys.sign_with("key-1");
        called("calls with the new key").await;
        keys.withdraw("key-0");
        fetched("the set without the old key").await;
        called("calls after the old key").await;
    };
    tokio::select! {
        never = steady(&scene, &calls, &refused) => never,
        () = rotation => {}
    }
    assert_none(&refused.borrow());
    let (fetches, most) = (keys.jwks.asked(), 2 + whole_seconds(began));
    assert!(fetches <= most, "{fetches} fetches instead of {most}");
}

#[tokio::test]
async fn a_key_that_is_used_at_once_waits_for_one_fetch() {
    let scene = Scene::open(World::start(), &Pace { refresh: "1h", ..pace() }).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    scene.world.keys.publish(4, "key-1");
    scene.world.keys.sign_with("key-1");
    let tokens = [scene.world.keys.token(), scene.world.keys.token()];
    let (one, two) = tokio::join!(
        scene.read_with(PERMITTED, &tokens[0]),
        scene.read_with(PERMITTED, &tokens[1])
    );
    assert_eq!((one.verdict().as_str(), two.verdict().as_str()), ("200", "200"));
    assert_eq!(scene.world.keys.jwks.asked(), 2);
}

#[tokio::test]
async fn tokens_of_a_withdrawn_key_end_with_the_next_refresh_remembered_or_not() {
    let scene = Scene::open(World::start(), &strict()).await;
    let keys = &scene.world.keys;
    let (remembered, fresh) = (keys.token(), keys.token());
    assert_eq!(scene.read_with(PERMITTED, &remembered).await.verdict(), "200");
    keys.publish(4, "key-1");
    keys.sign_with("key-1");
    keys.withdraw("key-0");
    let withdrawn = Instant::now();
    loop {
        let reply = scene.read_with(PERMITTED, &remembered).await;
        if reply.status != 200 {
            assert_eq!(reply.verdict(), "401 token-untrusted");
            break;
        }
        assert!(withdrawn.elapsed() < SLACK, "it still counts");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for token in [&remembered, &fresh, &remembered] {
        let reply = scene.read_with(PERMITTED, token).await;
        assert_eq!(reply.verdict(), "401 token-untrusted");
    }
    assert_eq!(scene.read_with(PERMITTED, &keys.token()).await.verdict(), "200");
}
