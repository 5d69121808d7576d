//! Sends traces to a collector by OTLP, over HTTP or gRPC (OpenTelemetry Protocol 1.x), a batch at a time.
//!
//! A collector that is slow, refuses or is not there costs traces, which are counted, and nothing else: requests
//! never wait for it. What spans say is not known here.

mod encode;
mod send;
mod settings;

pub use settings::{Protocol, TraceSettings};

use crate::outbound::{InvalidOutbound, Outbound, OutboundSettings};
use crate::record::Metrics;
use crate::record::trace::{Address, Spans, Tracer};
use crate::tasks::Tasks;
use send::{Refused, Sender};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

/// How often a batch is tried that a collector may take later.
const ATTEMPTS: u32 = 3;
/// Before the second attempt; then twice as long each time.
const PAUSE: Duration = Duration::from_millis(500);
/// For what is sent at the end. Bounds how long a collector can hold up the end of the process.
pub const LAST_ATTEMPT: Duration = Duration::from_secs(1);
/// How often it is told that traces are lost. Bounds the log.
const TOLD_AGAIN: Duration = Duration::from_mins(1);

/// Begins to send; gives what requests are followed by. `api` is the API behind. The end of `tasks` is to come after
/// that of all requests: what they left by then is tried once more.
pub fn start(
    settings: &TraceSettings,
    api: Option<Address>,
    metrics: &Metrics,
    tasks: &Tasks,
) -> Result<Tracer, InvalidOutbound> {
    let outbound = Outbound::new(&OutboundSettings {
        ca_pem: settings.ca_pem.clone(),
        http2: settings.protocol == Protocol::Grpc,
        ..OutboundSettings::default()
    })?;
    let (tracer, queue) = Tracer::new(settings.sampler, api, metrics.clone(), settings.max_queue);
    let exporter = Exporter {
        sender: Sender::new(settings, outbound),
        settings: settings.clone(),
        metrics: metrics.clone(),
        tasks: tasks.clone(),
        told: None,
    };
    drop(tasks.spawn(exporter.run(queue)));
    Ok(tracer)
}

struct Exporter {
    settings: TraceSettings,
    sender: Sender,
    metrics: Metrics,
    tasks: Tasks,
    /// When it was last told that traces are lost.
    told: Option<Instant>,
}

impl Exporter {
    async fn run(mut self, mut queue: Receiver<Spans>) {
        let stopping = self.tasks.stopping();
        let mut batch = Vec::new();
        loop {
            let gathered = self.gather(&mut queue, &mut batch);
            if stopping.run_until_cancelled(gathered).await.is_none() {
                break;
            }
            if stopping.run_until_cancelled(self.send(&batch)).await.is_none() {
                break;
            }
            batch.clear();
        }
        // What has come by the end is tried once.
        while let Ok(spans) = queue.try_recv() {
            batch.push(spans);
        }
        if !batch.is_empty() {
            let sent = tokio::time::timeout(LAST_ATTEMPT, self.sender.send(&batch)).await;
            let sent = sent.unwrap_or_else(|_| Err(Refused::too_late()));
            self.count(&batch, sent.err());
        }
    }

    /// Waits for the first trace, and then for as many as go into a batch, but not for long.
    async fn gather(&self, queue: &mut Receiver<Spans>, batch: &mut Vec<Spans>) {
        let Some(first) = queue.recv().await else { return std::future::pending().await };
        batch.push(first);
        let until = Instant::now().checked_add(self.settings.delay);
        let until = until.unwrap_or_else(Instant::now);
        while batch.len() < self.settings.max_batch {
            match tokio::time::timeout_at(until, queue.recv()).await {
                Ok(Some(spans)) => batch.push(spans),
                Ok(None) | Err(_) => return,
            }
        }
    }

    async fn send(&mut self, batch: &[Spans]) {
        let mut pause = PAUSE;
        for attempt in 1.. {
            match self.sender.send(batch).await {
                Err(refused) if refused.may_pass && attempt < ATTEMPTS => {
                    tokio::time::sleep(refused.retry_after.unwrap_or(pause)).await;
                    pause *= 2;
                }
                sent => return self.count(batch, sent.err()),
            }
        }
    }

    fn count(&mut self, batch: &[Spans], refused: Option<Refused>) {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let Some(refused) = refused else {
            self.metrics.traces_sent(count);
            if self.told.take().is_some() {
                tracing::info!("the collector takes traces again");
            }
            return;
        };
        self.metrics.traces_lost(count);
        if self.told.is_none_or(|told| told.elapsed() >= TOLD_AGAIN) {
            let (collector, fault) = (self.settings.collector(), refused.cause);
            tracing::warn!(%collector, fault, "traces are lost: the collector does not take them");
            self.told = Some(Instant::now());
        }
    }
}
