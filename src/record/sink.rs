//! Where finished records go: counted at once, written by a thread of their own, many at a time.
//!
//! The queue is bounded and never waited for: a slow log delays no request. What does not fit is lost,
//! and counted.

use super::line::LineWriter;
use super::{DecisionRecord, Metrics};
use std::fmt;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
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
    queue: SyncSender<Box<DecisionRecord>>,
    thread: JoinHandle<()>,
}

/// Records that may wait to be written. Bounds memory against a log that nobody reads.
const MAX_QUEUED_RECORDS: usize = 8192;
/// How long records are gathered before they are written at once: waking a thread and calling the system for
/// each would cost more than the record.
const GATHERING: Duration = Duration::from_millis(10);
/// Bytes after which lines are written though there are more. Bounds memory.
const WRITTEN_AT_ONCE: usize = 64 * 1024;

impl Recorder {
    /// Starts recording.
    #[must_use]
    pub fn new(metrics: Metrics, sink: RecordSink) -> Self {
        let RecordSink::To(output) = sink else { return Self { metrics, writer: None } };
        let (queue, records) = sync_channel(MAX_QUEUED_RECORDS);
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

    pub(super) fn finish(&self, record: Box<DecisionRecord>, now: Instant) {
        self.metrics.count(&record, now);
        if let Some(writer) = &self.writer
            && writer.queue.try_send(record).is_err()
        {
            self.metrics.lost();
        }
    }
}

impl Drop for Recorder {
    /// Waits until every record that was queued is written.
    fn drop(&mut self) {
        if let Some(Writer { queue, thread }) = self.writer.take() {
            drop(queue);
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

fn write_all(records: &Receiver<Box<DecisionRecord>>, mut output: Box<dyn Write + Send>) {
    let mut writer = LineWriter::default();
    let mut lines = Vec::with_capacity(WRITTEN_AT_ONCE);
    while let Ok(first) = records.recv() {
        // Whoever sends meanwhile wakes nobody.
        std::thread::sleep(GATHERING);
        let mut next = Some(first);
        while let Some(record) = next {
            writer.write(&record, &mut lines);
            next = records.try_recv().ok();
            if next.is_none() || lines.len() >= WRITTEN_AT_ONCE {
                // A log that cannot be written must not take the gate down; the next lines try again.
                let _ = output.write_all(&lines).and_then(|()| output.flush());
                lines.clear();
            }
        }
    }
}
