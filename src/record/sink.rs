//! Where finished records go: counted at once, written by a thread of their own.
//!
//! The queue is bounded and never waited for: a slow log delays no request. What does not fit is lost,
//! and counted.

use super::{DecisionRecord, Metrics};
use std::fmt;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// Counts and writes finished journeys.
pub struct Recorder {
    metrics: Metrics,
    writer: Mutex<Option<Writer>>,
    queue: Option<SyncSender<DecisionRecord>>,
}

/// Where decision records are written, one JSON object a line.
pub enum RecordSink {
    /// Nowhere; they are still counted.
    Off,
    /// To this writer, flushed whenever the queue runs empty.
    To(Box<dyn Write + Send>),
}

struct Writer {
    thread: JoinHandle<()>,
    stop: SyncSender<DecisionRecord>,
}

/// Records that may wait to be written. Bounds memory against a log that nobody reads.
const MAX_QUEUED_RECORDS: usize = 8192;

impl Recorder {
    /// Starts recording.
    #[must_use]
    pub fn new(metrics: Metrics, sink: RecordSink) -> Self {
        let RecordSink::To(output) = sink else {
            return Self { metrics, writer: Mutex::new(None), queue: None };
        };
        let (queue, records) = sync_channel(MAX_QUEUED_RECORDS);
        let started = std::thread::Builder::new()
            .name("records".to_owned())
            .spawn(move || write_all(&records, output))
            .ok();
        let writer = started.map(|thread| Writer { thread, stop: queue.clone() });
        Self { metrics, queue: writer.is_some().then_some(queue), writer: Mutex::new(writer) }
    }

    /// The metrics, for the admin listener.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) fn finish(&self, record: &DecisionRecord, now: Instant) {
        self.metrics.count(record, now);
        if let Some(queue) = &self.queue
            && queue.try_send(record.clone()).is_err()
        {
            self.metrics.lost();
        }
    }
}

impl Drop for Recorder {
    /// Waits until every record that was queued is written.
    fn drop(&mut self) {
        self.queue = None;
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Writer { thread, stop }) = writer {
            drop(stop);
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

fn write_all(records: &Receiver<DecisionRecord>, output: Box<dyn Write + Send>) {
    let mut output = std::io::BufWriter::new(output);
    while let Ok(record) = records.recv() {
        write_one(&mut output, &record);
        while let Ok(record) = records.try_recv() {
            write_one(&mut output, &record);
        }
        // A log that cannot be written must not take the gate down; the next line tries again.
        let _ = output.flush();
    }
}

fn write_one(output: &mut impl Write, record: &DecisionRecord) {
    if serde_json::to_writer(&mut *output, record).is_ok() {
        let _ = output.write_all(b"\n");
    }
}
