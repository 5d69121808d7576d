//! Where finished records go: counted at once, written by a thread of their own, many at a time, and told to
//! those who look on.
//!
//! The queue is bounded and never waited for: a slow log delays no request. What does not fit is lost,
//! and counted.

use super::line::LineWriter;
use super::trace::Tracer;
use super::{DecisionRecord, Live, Metrics, ecs};
use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Counts and writes finished journeys.
pub struct Recorder {
    metrics: Metrics,
    live: Arc<Live>,
    tracer: Option<Tracer>,
    /// Whether records go anywhere even if nobody looks on.
    kept: bool,
    writer: Option<Writer>,
}

/// Where decision records are written, one JSON object a line.
pub enum RecordSink {
    /// Nowhere; they are still counted, and told to those who look on.
    Off,
    /// To this writer, some milliseconds after the first record since it was last written to.
    To(Box<dyn Write + Send>),
    /// The same, as documents of the Elastic Common Schema.
    Ecs(Box<dyn Write + Send>),
}

/// How a record looks where it is written. Who looks on sees Portvakt's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Own,
    Ecs,
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
/// Bytes that one call of the system writes at most, and that wait while the log takes none.
const WRITTEN_AT_ONCE: usize = 64 * 1024;

impl Recorder {
    /// Starts recording.
    #[must_use]
    pub fn new(metrics: Metrics, sink: RecordSink) -> Self {
        let (kept, form, output) = match sink {
            RecordSink::Off => (false, Form::Own, Box::new(std::io::sink()) as Box<_>),
            RecordSink::To(output) => (true, Form::Own, output),
            RecordSink::Ecs(output) => (true, Form::Ecs, output),
        };
        let live = Arc::<Live>::default();
        let (queue, records) = sync_channel(MAX_QUEUED_RECORDS);
        let started = std::thread::Builder::new()
            .name("records".to_owned())
            .spawn({
                let (metrics, live) = (metrics.clone(), Arc::clone(&live));
                move || write_all(&records, form, output, &metrics, &live)
            })
            .ok();
        Self {
            metrics,
            live,
            tracer: None,
            kept,
            writer: started.map(|thread| Writer { queue, thread }),
        }
    }

    /// The metrics, for the admin listener.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The same, with traces of requests.
    #[must_use]
    pub fn tracing(mut self, tracer: Option<Tracer>) -> Self {
        self.tracer = tracer;
        self
    }

    /// Who follows requests, if anybody does.
    #[must_use]
    pub fn tracer(&self) -> Option<&Tracer> {
        self.tracer.as_ref()
    }

    /// The way to look on.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.live
    }

    pub(super) fn finish(&self, record: Box<DecisionRecord>, now: Instant) {
        self.metrics.count(&record, now);
        if let Some(writer) = &self.writer
            && (self.kept || self.live.is_watched())
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
            Self::Ecs(_) => "Ecs(…)",
        })
    }
}

/// Lines are taken whole or not at all: one that a fault of the output leaves no room for is lost, and counted. What was
/// taken is tried again with the next.
// A function in profiles too, where its part of a request is counted (`benches/budgets`).
#[inline(never)]
fn write_all(
    records: &Receiver<Box<DecisionRecord>>,
    form: Form,
    output: Box<dyn Write + Send>,
    metrics: &Metrics,
    live: &Live,
) {
    let mut output = std::io::BufWriter::with_capacity(WRITTEN_AT_ONCE, output);
    let mut writer = LineWriter::default();
    let (mut line, mut document) = (Vec::new(), Vec::new());
    while let Ok(first) = records.recv() {
        // Whoever sends meanwhile wakes nobody.
        std::thread::sleep(GATHERING);
        let mut next = Some(first);
        while let Some(record) = next {
            line.clear();
            writer.write(&record, &mut line);
            let text = match form {
                Form::Own => &line,
                Form::Ecs => {
                    document.clear();
                    ecs::write(&record, &line, &mut document);
                    &document
                }
            };
            if output.write_all(text).is_err() {
                metrics.lost();
            }
            if live.is_watched() {
                live.tell(&record, &line);
            }
            next = records.try_recv().ok();
        }
        // A log that cannot be written must not take the gate down; the next line tries again.
        let _ = output.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Clock as _, RequestId, SystemClock};
    use std::io;
    use std::sync::{Arc, Mutex};

    /// Takes a part of what it is first given, the next time nothing, then all.
    struct Failing {
        calls: usize,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Failing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            let count = match self.calls {
                1 => 10,
                2 => return Err(io::ErrorKind::StorageFull.into()),
                _ => bytes.len(),
            };
            self.taken.lock().unwrap().extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_fails_for_a_while_loses_no_line_and_tears_none() {
        let taken = Arc::default();
        let output = Box::new(Failing { calls: 0, taken: Arc::clone(&taken) });
        let recorder = Recorder::new(Metrics::new().unwrap(), RecordSink::To(output));
        for number in 0..8 {
            let at = jiff::Timestamp::UNIX_EPOCH;
            let record = DecisionRecord::new(at, RequestId::fresh(), number, http::Method::GET);
            recorder.finish(Box::new(record), SystemClock.monotonic());
        }
        drop(recorder);
        let text = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        let numbers: Vec<u64> = text
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["generation"]
                    .as_u64()
                    .unwrap()
            })
            .collect();
        assert_eq!(numbers, (0..8).collect::<Vec<_>>());
    }
}
