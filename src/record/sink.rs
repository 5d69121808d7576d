//! Where finished records go: counted at once, written by a thread of their own, many at a time.
//!
//! The queue is bounded and never waited for: a slow log delays no request. What does not fit is lost,
//! and counted.

use super::{DecisionRecord, Metrics};
use std::fmt;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Counts and writes finished journeys.
pub struct Recorder {
    metrics: Metrics,
    writer: Option<Writer>,
}

/// Where decision records are written, one JSON object a line.
pub enum RecordSink {
    /// Nowhere; they are still counted.
    Off,
    /// To this writer, some milliseconds after the first record since it was last written to.
    To(Box<dyn Write + Send>),
}

struct Writer {
    queue: Arc<Queue>,
    thread: JoinHandle<()>,
}

/// Records that wait to be written.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// The first has come, half of the room is taken, or it is closed.
    look: Condvar,
}

#[derive(Default)]
struct Waiting {
    records: Vec<DecisionRecord>,
    closed: bool,
}

/// Records that may wait. Bounds memory against a log that nobody reads.
const MAX_QUEUED_RECORDS: usize = 8192;
/// How long records are gathered before they are written at once: waking a thread and calling the system for
/// each would cost more than the record.
const GATHERING: Duration = Duration::from_millis(10);
/// Bytes that one call of the system writes at most.
const WRITTEN_AT_ONCE: usize = 64 * 1024;
/// More room than this is given back when it has been used.
const KEPT_ROOM: usize = 1024;

impl Recorder {
    /// Starts recording.
    #[must_use]
    pub fn new(metrics: Metrics, sink: RecordSink) -> Self {
        let RecordSink::To(output) = sink else { return Self { metrics, writer: None } };
        let queue: Arc<Queue> = Arc::default();
        let records = Arc::clone(&queue);
        let started = std::thread::Builder::new()
            .name("records".to_owned())
            .spawn(move || write_all(&records, output))
            .ok();
        Self { metrics, writer: started.map(|thread| Writer { queue, thread }) }
    }

    /// The metrics, for the admin listener.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) fn finish(&self, record: DecisionRecord, now: Instant) {
        self.metrics.count(&record, now);
        if let Some(writer) = &self.writer
            && !writer.queue.put(record)
        {
            self.metrics.lost();
        }
    }
}

impl Queue {
    /// Whether there was room.
    fn put(&self, record: DecisionRecord) -> bool {
        let mut waiting = self.lock();
        if waiting.records.len() >= MAX_QUEUED_RECORDS {
            return false;
        }
        waiting.records.push(record);
        let count = waiting.records.len();
        drop(waiting);
        if count == 1 || count == MAX_QUEUED_RECORDS / 2 {
            self.look.notify_one();
        }
        true
    }

    fn close(&self) {
        self.lock().closed = true;
        self.look.notify_one();
    }

    /// Waits for records, and takes all that have come in the meantime in exchange for the room of `taken`,
    /// which is empty. `false` when there will be no more.
    fn take(&self, taken: &mut Vec<DecisionRecord>) -> bool {
        let unpoisoned = PoisonError::into_inner;
        let idle = |waiting: &mut Waiting| waiting.records.is_empty() && !waiting.closed;
        let few = |waiting: &mut Waiting| {
            waiting.records.len() < MAX_QUEUED_RECORDS / 2 && !waiting.closed
        };
        let waiting = self.look.wait_while(self.lock(), idle).unwrap_or_else(unpoisoned);
        let gathered = self.look.wait_timeout_while(waiting, GATHERING, few);
        let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut waiting.records, taken);
        !waiting.closed || !taken.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Recorder {
    /// Waits until every record that was queued is written.
    fn drop(&mut self) {
        if let Some(Writer { queue, thread }) = self.writer.take() {
            queue.close();
            // A writer that panicked has nothing left to write.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl fmt::Debug for RecordSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::To(_) => "To(…)",
        })
    }
}

fn write_all(queue: &Queue, output: Box<dyn Write + Send>) {
    let mut output = std::io::BufWriter::with_capacity(WRITTEN_AT_ONCE, output);
    let mut records = Vec::new();
    while queue.take(&mut records) {
        for record in records.drain(..) {
            write_one(&mut output, &record);
        }
        // A log that cannot be written must not take the gate down; the next line tries again.
        let _ = output.flush();
        records.shrink_to(KEPT_ROOM);
    }
}

fn write_one(output: &mut impl Write, record: &DecisionRecord) {
    if serde_json::to_writer(&mut *output, record).is_ok() {
        let _ = output.write_all(b"\n");
    }
}
