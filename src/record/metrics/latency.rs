//! How long requests have taken since the start, for who looks on. The histograms themselves are for a scrape.

use super::{BUCKETS, Metrics};
use prometheus::Histogram;
use prometheus::core::Collector as _;
use prometheus::proto::Bucket;

/// Durations that were counted, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// Up to where each count goes.
    pub bounds: &'static [f64],
    /// Of whole requests, to the last byte of the answer, how many took no longer than each bound; the last counts all.
    pub requests: Vec<u64>,
    /// The same of the time to the verdict.
    pub authorize: Vec<u64>,
}

impl Metrics {
    /// How long requests have taken.
    #[must_use]
    pub fn latency(&self) -> Latency {
        Latency {
            bounds: &BUCKETS,
            requests: together(&self.durations),
            authorize: together(&self.authorize),
        }
    }
}

/// The counts of all of them.
fn together(histograms: &[Histogram]) -> Vec<u64> {
    let mut counts = vec![0; BUCKETS.len().saturating_add(1)];
    for family in histograms.iter().flat_map(Histogram::collect) {
        for series in family.get_metric() {
            let histogram = series.get_histogram();
            let within = histogram.get_bucket().iter().map(Bucket::cumulative_count);
            // Beyond the last bound are those that are in the count of all alone.
            let found = within.take(BUCKETS.len()).chain([histogram.get_sample_count()]);
            for (count, found) in counts.iter_mut().zip(found) {
                *count += found;
            }
        }
    }
    counts
}
