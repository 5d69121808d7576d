//! The running proxy: from a compiled configuration to bound sockets, and to its end.

use super::accept::Terms;
use super::admin::Admin;
use super::control::{Control, ControlToken, Page, purge};
use super::listener::{BindFault, Listeners};
use super::observed::Observed;
use super::readiness::Readiness;
use super::reload::{Currency, InForce, Reloader};
use super::self_check::SelfCheck;
use super::shutdown;
use super::status;
use super::tls::LiveTls;
use crate::config::{
    Compiled, Inputs, Limits, ListenAddress, Notes, Runtime, ShutdownSettings, TlsFault,
};
use crate::domain::Enforcement;
use crate::door::Proxy;
use crate::in_flight::InFlight;
use crate::otlp;
use crate::record::trace::{Address, Tracer};
use crate::record::{Metrics, RecordSink, Recorder};
use crate::snapshot::Snapshot;
use crate::tasks::Tasks;
use crate::upstream::{Upstream, UpstreamAddress};
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long one who looks on may take nothing. Bounds how long it can hold up a drain.
const ONLOOKER_PATIENCE: Duration = Duration::from_secs(5);

/// A proxy that serves. Dropping it leaves its tasks running; [`Gate::close`] ends them in order.
#[derive(Debug)]
pub struct Gate {
    listening: Vec<ListenAddress>,
    traffic: Vec<SocketAddr>,
    admin: Vec<SocketAddr>,
    control: Vec<SocketAddr>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    recorder: Arc<Recorder>,
    readiness: Readiness,
    draining: CancellationToken,
    currency: Currency,
    control_token: ControlToken,
    shutdown: ShutdownSettings,
    tasks: Tasks,
    /// What sends traces, until after the last request.
    exporting: Tasks,
}

/// Why the proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// A socket cannot be had.
    #[error(transparent)]
    Bind(#[from] BindFault),
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The surroundings are not as they should be, and `self_check` is `refuse`.
    #[error("`self_check` is `refuse`, and finds:\n- {0}")]
    SelfCheck(String),
    /// The metrics contradict each other: our own fault.
    #[error("the metrics cannot be set up: {0}")]
    Metrics(String),
}

impl Gate {
    /// Binds every socket, serves, and fetches the issuers' keys; returns when the keys have come or
    /// failed to. Until they have, the readiness probe says no and tokens are answered 503.
    pub async fn open(
        compiled: Compiled,
        sink: RecordSink,
        tasks: Tasks,
    ) -> Result<Self, StartFault> {
        Self::open_with(compiled, sink, tasks, Vec::new()).await
    }

    /// The same, with further pages on the control listener.
    pub async fn open_with(
        compiled: Compiled,
        sink: RecordSink,
        tasks: Tasks,
        mut pages: Vec<Page>,
    ) -> Result<Self, StartFault> {
        let readiness = Readiness::default();
        let self_check = SelfCheck::new(&compiled, readiness.clone());
        self_check.refusal().map_or(Ok(()), |found| Err(StartFault::SelfCheck(found)))?;
        let metrics = Metrics::new().map_err(|fault| StartFault::Metrics(fault.to_string()))?;
        let tls = compiled.server.tls.clone().map(LiveTls::open).transpose()?;
        let traffic = Listeners::bind_all(&compiled.server.listen).await?;
        let admin = Listeners::bind(&[compiled.admin.listen]).await?;
        let control: Vec<_> =
            compiled.control.iter().map(|control| control.listen.clone()).collect();
        let control = Listeners::bind_all(&control).await?;
        let exporting = Tasks::new();
        let tracer = tracer(&compiled, &metrics, &exporting);
        let recorder = Arc::new(Recorder::new(metrics, sink).tracing(tracer));
        warn_of_shadow(&compiled.snapshot);
        let snapshot = Arc::new(ArcSwap::new(compiled.snapshot));
        let observed = Observed {
            readiness,
            snapshot: Arc::clone(&snapshot),
            recorder: Arc::clone(&recorder),
            healths: compiled.healths,
            tls: tls.clone(),
            currency: Currency::default(),
            self_check: self_check.clone(),
            started: snapshot.load().clock.monotonic(),
        };
        let token = compiled.control.as_ref().and_then(|control| control.token.as_ref());
        pages.push(purge::page(Arc::clone(&snapshot)));
        pages.extend(status::pages(&observed));
        let changes = Control::new(pages, token, tasks.clone()).showing(Arc::clone(&recorder));
        let gate = Self {
            listening: traffic.listening(),
            traffic: traffic.addresses(),
            admin: admin.addresses(),
            control: control.addresses(),
            snapshot: Arc::clone(&snapshot),
            recorder: Arc::clone(&recorder),
            readiness: observed.readiness.clone(),
            draining: CancellationToken::new(),
            currency: observed.currency.clone(),
            control_token: changes.token(),
            shutdown: compiled.shutdown,
            tasks: tasks.clone(),
            exporting,
        };
        let limits = compiled.server.limits;
        let probes = Arc::new(Admin(observed));
        let probed = move |request, _peer| Arc::clone(&probes).answer(request);
        admin.serve(&probed, limits, &tasks, &gate.draining);
        let changed = move |request, _peer| {
            let changes = changes.clone();
            async move { changes.handle(request).await }
        };
        let patient = Limits { write_timeout: ONLOOKER_PATIENCE, ..limits };
        control.serve(&changed, patient, &tasks, &gate.draining);
        let in_flight = InFlight::new(limits.max_requests_in_flight);
        let upstream = Upstream::new(compiled.upstream, &in_flight, &tasks);
        let proxy = Proxy::new(Arc::clone(&snapshot), upstream, recorder, in_flight.clone());
        // On the heap, and so gone when the answer begins: it is far larger than what is left to do.
        let proxied = move |arrival| Box::pin(proxy.handle(arrival));
        if let Some(tls) = &tls {
            tls.follow(&tasks);
        }
        let terms = Terms::new(limits, tls.clone(), in_flight, &tasks, &gate.draining)
            .leaving_with(gate.readiness.clone());
        traffic.serve_arrivals(&proxied, terms);
        let began = snapshot.load_full();
        began.decisions.start();
        began.tokens.start().await;
        self_check.leave_out([&gate.traffic[..], &gate.admin, &gate.control].concat());
        self_check.follow(&snapshot, &tasks);
        Ok(gate)
    }

    /// Puts changed files in force: those that `compiled` was read from by [`config::compile_noted`].
    ///
    /// [`config::compile_noted`]: crate::config::compile_noted
    #[must_use]
    pub fn reloader(
        &self,
        compiled: Compiled,
        inputs: Inputs,
        notes: Notes,
        runtime: Runtime,
    ) -> Reloader {
        let in_force = InForce {
            snapshot: Arc::clone(&self.snapshot),
            control_token: self.control_token.clone(),
            currency: self.currency.clone(),
            recorder: Arc::clone(&self.recorder),
        };
        Reloader::new(in_force, compiled, inputs, notes, runtime)
    }

    /// Where API traffic is taken, on the network and in the file system.
    #[must_use]
    pub fn listening(&self) -> &[ListenAddress] {
        &self.listening
    }

    /// Where API traffic is taken on the network.
    #[must_use]
    pub fn traffic(&self) -> &[SocketAddr] {
        &self.traffic
    }

    /// Where probes and metrics are.
    #[must_use]
    pub fn admin(&self) -> &[SocketAddr] {
        &self.admin
    }

    /// Where control requests are answered on the network, if anywhere.
    #[must_use]
    pub fn control(&self) -> Option<SocketAddr> {
        self.control.first().copied()
    }

    /// What is in force.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        self.recorder.metrics()
    }

    /// Unready, the wait, then the end of every exchange within the grace; `false` if some were cut off.
    pub async fn close(self) -> bool {
        let Self { readiness, draining, .. } = &self;
        let ended = shutdown::drain(self.shutdown, readiness, draining, &self.tasks).await;
        self.exporting.stop(otlp::LAST_ATTEMPT).await;
        ended
    }
}

/// Says that refusals have no effect, whenever a configuration with such rules is put in force.
pub(super) fn warn_of_shadow(snapshot: &Snapshot) {
    let Some(shadow) = &snapshot.shadow else { return };
    let rules = snapshot.routes.rules().iter();
    let rules = rules.filter(|rule| snapshot.enforcement_of(rule) == Enforcement::Shadow).count();
    tracing::warn!(rules, whole = shadow.whole, "mode: shadow: what would be refused is forwarded");
}

/// Who follows requests, if anybody is to. Without it there are no traces, and all else is as it would be.
fn tracer(compiled: &Compiled, metrics: &Metrics, tasks: &Tasks) -> Option<Tracer> {
    let settings = compiled.traces.as_ref()?;
    let address = &compiled.upstream.address;
    let api = match address {
        UpstreamAddress::Unix(path) => Address { host: path.display().to_string(), port: None },
        UpstreamAddress::Http(at) | UpstreamAddress::Https(at, _) | UpstreamAddress::H2c(at) => {
            Address { host: at.host.to_string(), port: Some(at.port) }
        }
    };
    match otlp::start(settings, Some(api), metrics, tasks) {
        Ok(tracer) => {
            tracing::info!(collector = %settings.collector(), "requests are traced");
            Some(tracer)
        }
        Err(fault) => {
            tracing::warn!(%fault, "requests are not traced");
            None
        }
    }
}
