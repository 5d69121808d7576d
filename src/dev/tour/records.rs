//! The decision records of the tour, kept to say where each decision came from.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Records by request id. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    written: Arc<Mutex<BTreeMap<String, Value>>>,
    news: Arc<Notify>,
}

/// How long a record may take to be written after its answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Records {
    /// Where the recorder writes to.
    pub(super) fn writer(&self) -> RecordWriter {
        RecordWriter { records: self.clone(), line: Vec::new() }
    }

    /// The record of a request; waits for it a little.
    pub(super) async fn of(&self, request_id: &str) -> Option<Value> {
        let found = async {
            loop {
                let news = self.news.notified();
                if let Some(record) = self.lock().get(request_id) {
                    return record.clone();
                }
                news.await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Value>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes lines of JSON.
pub(super) struct RecordWriter {
    records: Records,
    line: Vec<u8>,
}

impl Write for RecordWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let record: Option<Value> = serde_json::from_slice(&self.line).ok();
            self.line.clear();
            let id = record
                .as_ref()
                .and_then(|record| record.get("requestId"))
                .and_then(Value::as_str)
                .map(str::to_owned);
            if let (Some(id), Some(record)) = (id, record) {
                self.records.lock().insert(id, record);
            }
        }
        self.records.news.notify_waiters();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
