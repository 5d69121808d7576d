//! A request's place among those under way, for as long as it holds anything.

use crate::in_flight::{Entered, InFlight};
use crate::record::{Counted, Recorder};

/// A request's place among those under way; given back when it is dropped, which is when the answer or the
/// WebSocket has ended.
#[derive(Debug)]
pub(super) struct Place {
    _entered: Entered,
    _counted: Counted,
}

impl Place {
    /// If there is one now: nobody waits.
    pub(super) fn take(in_flight: &InFlight, recorder: &Recorder) -> Option<Self> {
        let entered = in_flight.enter()?;
        Some(Self { _entered: entered, _counted: recorder.metrics().request_begun() })
    }
}
