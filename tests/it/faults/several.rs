//! Several issuers: one that is down does not disturb the others.

use super::{AT_ONCE, Scene, pace, timed};
use crate::support::peers::{Keys, World};
use crate::support::{PERMITTED, Setup, soon};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

fn both(world: &World, other: &Keys) -> impl FnOnce(Setup) -> Setup + use<> {
    let issuer = |keys: &Keys| {
        json!({
            "kind": "maskinporten",
            "issuer": keys.issuer(),
            "metadata_url": keys.metadata_url(),
        })
    };
    let issuers = json!({ "tokens": { "issuers": [issuer(&world.keys), issuer(other)] } });
    move |setup| setup.settings(&issuers.to_string())
}

#[tokio::test]
async fn an_issuer_that_is_down_disturbs_no_other() {
    let (world, mut other) = (World::start(), Keys::start(None));
    other.peer.refuse().await;
    let further = both(&world, &other);
    let scene = Scene::open_with(world, &pace(), further).await;
    let theirs = other.token();
    let mine = async |what: &str| {
        let (reply, waited) = timed(scene.read_with(PERMITTED, &scene.world.keys.token())).await;
        assert_eq!(reply.verdict(), "200", "{what}");
        assert!(waited < AT_ONCE, "{what}: {waited:?}");
    };
    mine("the other is not there yet").await;
    let reply = scene.read_with(PERMITTED, &theirs).await;
    assert_eq!(reply.verdict(), "503 keys-unavailable");
    assert!(scene.ready().await.1.contains(&other.issuer()));

    other.peer.heal().await;
    let healed = async {
        while scene.read_with(PERMITTED, &theirs).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the other's keys", healed).await;
    other.peer.mute().await;
    // Over a refresh that hangs.
    let muted = Instant::now();
    while muted.elapsed() < Duration::from_secs(2) {
        mine("the other is mute").await;
        assert_eq!(scene.read_with(PERMITTED, &theirs).await.verdict(), "200");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_key_of_one_issuer_proves_nothing_for_another() {
    let (world, other) = (World::start(), Keys::start(None));
    other.publish(4, "key-1");
    other.sign_with("key-1");
    let further = both(&world, &other);
    let scene = Scene::open_with(world, &pace(), further).await;
    let forged = other.sign(&scene.world.keys.claims());
    let reply = scene.read_with(PERMITTED, &forged).await;
    assert_eq!(reply.verdict(), "401 token-untrusted");
    assert_eq!(scene.upstream.accepted(), 0);
}
