//! Keys that are replaced while callers go on calling.

use super::{Scene, assert_none, pace};
use crate::support::PERMITTED;
use crate::support::peers::{Pace, World};
use std::time::Duration;
use tokio::time::Instant;

/// Only the refresh in the background brings keys in time.
fn strict() -> Pace {
    Pace { refresh: "1s", refresh_min_interval: "1s", ..pace() }
}

/// Calls with tokens that are made anew, until then; gives what was refused.
async fn steady(scene: &Scene, until: Instant) -> Vec<String> {
    let mut refused = Vec::new();
    while Instant::now() < until {
        let reply = scene.read_with(PERMITTED, &scene.world.keys.token()).await;
        if reply.status != 200 {
            refused.push(reply.verdict());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    refused
}

#[tokio::test]
async fn a_key_that_is_published_one_interval_before_its_use_costs_no_request() {
    let scene = Scene::open(World::start(), &strict()).await;
    let keys = &scene.world.keys;
    let began = Instant::now();
    let calls = steady(&scene, began + Duration::from_millis(3500));
    let rotation = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        keys.publish(4, "key-1");
        // One interval, and what a fetch takes on a busy machine.
        tokio::time::sleep(Duration::from_secs(2)).await;
        keys.sign_with("key-1");
        tokio::time::sleep(Duration::from_millis(500)).await;
        keys.withdraw("key-0");
    };
    let (refused, ()) = tokio::join!(calls, rotation);
    assert_none(&refused);
    assert!(keys.jwks.asked() <= 6, "{} fetches", keys.jwks.asked());
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
        assert!(withdrawn.elapsed() < Duration::from_secs(4), "it still counts");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for token in [&remembered, &fresh, &remembered] {
        let reply = scene.read_with(PERMITTED, token).await;
        assert_eq!(reply.verdict(), "401 token-untrusted");
    }
    assert_eq!(scene.read_with(PERMITTED, &keys.token()).await.verdict(), "200");
}
