//! The proxy, in this process, with its sockets and its decision records.

use super::{ISSUER, PERMITTED, RULES, Server, eventually, jwks};
use portvakt::config::{self, Compiled, Files, Inputs, ListenAddress, Outcome, Overrides, Runtime};
use portvakt::domain::{
    CheckDigits, Decision, Obligations, OrganizationNumber, Party, SystemClock,
};
use portvakt::pdp::{DecisionPoint, QuestionPattern, Scripted};
use portvakt::record::RecordSink;
use portvakt::server::Gate;
use portvakt::tasks::Tasks;
use portvakt::token::{IssuerKind, IssuerSettings, KeyLocation};
use serde_json::Value;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// A running proxy.
pub(crate) struct Sidecar {
    pub(crate) traffic: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) control: Option<SocketAddr>,
    pub(crate) listening: Vec<ListenAddress>,
    pub(crate) records: Records,
    gate: Gate,
}

/// What is to be started.
pub(crate) struct Setup {
    upstream: String,
    rules: String,
    /// Of the world around, before further ones.
    world: String,
    settings: String,
    point: Option<Arc<dyn DecisionPoint>>,
    /// `None`: the settings say whose tokens count.
    keys: Option<KeyLocation>,
    variables: Vec<(String, String)>,
}

impl Sidecar {
    /// In front of this API, with the usual rules; the PDP permits what concerns [`PERMITTED`].
    pub(crate) fn before(upstream: &Server) -> Setup {
        Self::at(&upstream.url())
    }

    /// The same, in front of whatever this is the address of.
    pub(crate) fn at(upstream: &str) -> Setup {
        Setup {
            upstream: upstream.to_owned(),
            rules: RULES.to_owned(),
            world: String::new(),
            settings: String::new(),
            point: Some(permits()),
            keys: Some(KeyLocation::Static(jwks().into())),
            variables: Vec::new(),
        }
    }

    /// Ends it in order; fails if something would not end.
    pub(crate) async fn end(self) -> Records {
        assert!(self.gate.close().await, "something still runs");
        self.records
    }

    /// The text of its metrics.
    pub(crate) async fn metrics(&self) -> String {
        super::exchange(self.admin, super::ask("GET", "/metrics").bytes()).await.text()
    }

    /// Begins to end it; for tests of the end.
    pub(crate) fn close(self) -> impl Future<Output = bool> {
        self.gate.close()
    }
}

impl Setup {
    /// In front of this API, among systems that these settings name.
    pub(crate) fn among(upstream: &Server, world: &str) -> Self {
        let world = world.to_owned();
        Self { world, point: None, keys: None, ..Sidecar::before(upstream) }
    }

    pub(crate) fn rules(mut self, rules: &str) -> Self {
        rules.clone_into(&mut self.rules);
        self
    }

    /// A further configuration file.
    pub(crate) fn settings(mut self, yaml: &str) -> Self {
        yaml.clone_into(&mut self.settings);
        self
    }

    pub(crate) fn point(mut self, point: Arc<dyn DecisionPoint>) -> Self {
        self.point = Some(point);
        self
    }

    /// With the real client to a PDP there, which has this long to answer.
    pub(crate) fn pdp(mut self, pdp: &Server, timeout: &str) -> Self {
        self.point = None;
        let url = pdp.url();
        let pdp = format!(
            "pdp: {{ url: \"{url}\", timeout: {timeout}, credential: {{ none: true }} }}\n"
        );
        self.settings.push_str(&pdp);
        self
    }

    pub(crate) fn keys(mut self, keys: KeyLocation) -> Self {
        self.keys = Some(keys);
        self
    }

    /// A variable of the environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What comes of the configuration, and the tasks that it would begin.
    pub(crate) fn compile(self) -> (Outcome, Tasks) {
        let tasks = Tasks::new();
        (self.compile_after(None, &tasks), tasks)
    }

    /// What comes of it where another one is in force, of which it may keep parts.
    pub(crate) fn compile_after(self, previous: Option<&Compiled>, tasks: &Tasks) -> Outcome {
        let Self { upstream, rules, world, settings, point, keys, variables } = self;
        let base = format!(
            "environment: custom
server: {{ listen: [\"127.0.0.1:0\"] }}
admin: {{ listen: \"127.0.0.1:0\" }}
shutdown: {{ wait: 0s, grace: 10s }}
upstream: {{ url: \"{upstream}\" }}
cache: {{ permit_ttl: 60s, deny_ttl: 0s }}
tokens: {{ keys: {{ refresh_min_interval: 10ms }} }}
identifiers: {{ check_digits: strict }}
policies: policies
"
        );
        let issuers =
            keys.map(|keys| vec![IssuerSettings::new(IssuerKind::Maskinporten, ISSUER, keys)]);
        let inputs = Inputs {
            config: vec!["base.yaml".into(), "world.yaml".into(), "further.yaml".into()],
            files: Files::memory([
                ("base.yaml", base),
                ("world.yaml", world),
                ("further.yaml", settings),
                ("policies/routes/it.yaml", rules),
            ]),
            environment: variables.into_iter().collect(),
            overrides: Overrides { point, issuers, without_secrets: false },
            ..Inputs::default()
        };
        let runtime = Runtime { tasks: tasks.clone(), clock: Arc::new(SystemClock) };
        config::compile(&inputs, previous, &runtime)
    }

    /// Why it cannot start.
    pub(crate) async fn refused(self) -> String {
        let (outcome, tasks) = self.compile();
        let said = outcome.diagnostics.to_human(config::Colour::Plain);
        let compiled = outcome.compiled.unwrap_or_else(|| panic!("{said}"));
        let fault = Gate::open(compiled, RecordSink::Off, tasks).await.unwrap_err();
        fault.to_string()
    }

    pub(crate) async fn open(self) -> Sidecar {
        let (outcome, tasks) = self.compile();
        let said = outcome.diagnostics.to_human(config::Colour::Plain);
        let compiled = outcome.compiled.unwrap_or_else(|| panic!("{said}"));
        let records = Records::default();
        let sink = RecordSink::To(Box::new(records.clone()));
        let gate = Gate::open(compiled, sink, tasks).await.unwrap();
        let (admin, control) = (gate.admin()[0], gate.control());
        let listening = gate.listening().to_vec();
        // Where it listens on sockets of the file system only, nobody connects to this.
        let traffic = gate.traffic().first().copied().unwrap_or(admin);
        Sidecar { traffic, admin, control, listening, records, gate }
    }
}

/// A PDP that permits what concerns [`PERMITTED`].
pub(crate) fn permits() -> Arc<Scripted> {
    Arc::new(Scripted::new(vec![(pattern(PERMITTED), Ok(permit()))]))
}

pub(crate) fn permit() -> Decision {
    Decision::Permit(Obligations::default())
}

/// Every question about this organization.
pub(crate) fn pattern(organization: &str) -> QuestionPattern {
    let number = OrganizationNumber::parse(organization, CheckDigits::Strict).unwrap();
    QuestionPattern { party: Some(Party::Organization(number)), ..QuestionPattern::default() }
}

/// The decision records written so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records(Arc<Mutex<Vec<u8>>>);

impl Records {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The whole ones behind so many bytes.
    pub(crate) fn since(&self, read: usize) -> String {
        let text = self.0.lock().unwrap()[read..].to_vec();
        let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        String::from_utf8(text[..end].to_vec()).unwrap()
    }

    pub(crate) fn all(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits for this many, and gives them.
    pub(crate) async fn when(&self, count: usize) -> Vec<Value> {
        let whole = || self.text().matches('\n').count();
        eventually(&format!("{count} decision records"), || whole() >= count).await;
        self.all()
    }
}

impl Write for Records {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
