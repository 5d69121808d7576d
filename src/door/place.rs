//! The places of requests under way: a limit, and how many are taken.

use crate::record::{Counted, Recorder};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All places of one door. Cheap to clone; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Semaphore>);

/// A request's place among those under way; given back when it is dropped, which is when the answer or the
/// WebSocket has ended.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _counted: Counted,
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))))
    }

    /// A place, if there is one now.
    pub(super) fn take(&self, recorder: &Recorder) -> Option<Place> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(Place { _permit: permit, _counted: recorder.metrics().request_begun() })
    }
}
