//! The tour: every user scenario, played end to end over real sockets as an end-user system would, with
//! what was expected and what came.
//!
//! A row is right only if status and code are as expected, the API behind received exactly what the rule
//! says of a permitted request, and nothing at all of a refused one.

mod forge;
mod guide;
mod negatives;
mod records;
mod report;
mod scenarios;

pub(super) use forge::unsigned_token;
pub use report::{Row, TourReport};

use super::embedded_files::EmbeddedFile;
use super::world::{Addresses, World, WorldFault, WorldSettings};
use crate::record::RecordSink;
use guide::Guide;
use records::Records;
use std::time::Duration;

/// What only the tour has.
const TOUR_FILES: &[EmbeddedFile] = &[
    ("policies/routes/tour.yaml", include_str!("routes.yaml")),
    ("policies/resources/tour-level-four.xml", include_str!("level_four.xml")),
];

/// A second issuer, for persons. It signs with the key of the first: what differs is what it may prove.
const PERSONS: &str = "    - kind: idporten
      issuer: https://idporten.tour.example
      jwks_url: http://{issuer}/jwk
";
/// Short lifetimes, so that what changes is seen to change, and a PDP that is asked however often it fails,
/// so that each of its faults is seen.
const CONFIGURATION: &str = "cache: { permit_ttl: 2s, deny_ttl: 500ms }
shutdown: { wait: 0s, grace: 5s }
pdp: { timeout: 1s, breaker: { failures: 1000 } }
";
/// As in the configuration.
const PDP_TIMEOUT: Duration = Duration::from_secs(1);
/// A change in the directory is seen after the longest lifetime, and a little more on a busy machine.
const SEEN_WITHIN: Duration = Duration::from_secs(6);

/// Plays the whole tour on free ports of loopback.
pub async fn play() -> Result<TourReport, WorldFault> {
    let records = Records::default();
    let world = World::begin(WorldSettings {
        addresses: Addresses::loopback(0),
        token_lifetime: Duration::from_mins(2),
        files: TOUR_FILES.to_vec(),
        issuers: PERSONS,
        configuration: CONFIGURATION,
        sink: RecordSink::To(Box::new(records.writer())),
    })
    .await?;
    let mut guide = Guide::new(&world, records);
    scenarios::play(&mut guide).await;
    negatives::play(&mut guide).await;
    guide.count_what_the_api_has_seen();
    let report = guide.report();
    world.end().await;
    Ok(report)
}
