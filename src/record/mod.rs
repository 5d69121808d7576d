//! What happened: the journey of a request, its decision record, and the metrics counted from it.
//!
//! Stages write to the [`Journey`], none reads it. When a journey ends, for whatever reason, exactly one
//! record is counted and written. Nothing here decides anything.

mod ages;
mod decision_record;
mod ecs;
mod journey;
mod line;
mod live;
mod metrics;
mod read;
mod rotate;
mod sink;
pub mod trace;

pub use decision_record::{DecisionRecord, Outcome};
pub use journey::{AwaitedEnd, Journey, Stage, Step, Steps, Why};
pub use live::{Live, MAX_ONLOOKERS, Onlooker, Seen, Wanted};
pub use metrics::{Counted, Latency, Metrics, OwnAnswer, Present, Sample, Verdict};
pub use read::{Recorded, Records};
pub use rotate::{RotatingFile, Rotation, append};
pub use sink::{RecordSink, Recorder};
