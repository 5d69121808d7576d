//! Faults of Altinn's exchange.

use super::maskinporten::way_rows;
use super::{ASKED, Row, Scene, assert_none, outage, pace, play};
use crate::support::peers::{At, Fault, Trouble, World};
use crate::support::{PATIENCE, whole_seconds};
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn every_fault_of_the_exchange_is_an_outage_and_passes() {
    let trap = World::start();
    let mut rows = way_rows(&trap.trap.url());
    let further: [(&str, Fault); 4] = [
        ("JSON", Fault::Says(r#"{"token":"eyJ"}"#.to_owned())),
        ("a token of lines", Fault::alter(|token| token.replace('.', "\n"))),
        ("half in quotes", Fault::alter(|token| format!("\"{token}"))),
        ("two tokens", Fault::alter(|token| format!("{token} {token}"))),
    ];
    for (name, fault) in further {
        let verdict = "503 credential-unavailable";
        let like = rows.iter().find(|row| row.name == "HTML").unwrap().recovers;
        rows.push(
            Row::new(name, Trouble::Answers(fault), verdict).outcome("unusable").recovers(like),
        );
    }
    let found = play(rows, |row| outage(At::Exchange, row, World::start())).await;
    assert_eq!(trap.trap.accepted(), 0, "a redirect was followed");
    assert_none(&found);
}

/// The credential is renewed while callers ask: nobody ever waits for it, or meets one that is over.
#[tokio::test]
async fn a_token_that_lives_three_seconds_is_renewed_ahead_of_its_end() {
    let world = World::start();
    world.exchange.lifetime(Duration::from_secs(3));
    let uncached = |setup: crate::support::Setup| setup.settings("cache: { permit_ttl: 0s }\n");
    let scene = Scene::open_with(world, &pace(), uncached).await;
    let began = Instant::now();
    let fetched = || scene.world.exchange.exchange.asked();
    while began.elapsed() < Duration::from_secs(5) || fetched() < 3 {
        assert_eq!(scene.read(ASKED).await.verdict(), "200");
        assert!(began.elapsed() < PATIENCE, "it is not renewed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // One at the start, and one after each third of a life.
    let (fetched, most) = (fetched(), 2 + whole_seconds(began));
    assert!(fetched <= most, "{fetched} tokens instead of {most}");
    assert!(scene.exchanges(At::Authorize, "refused").await < 1.0);
}
