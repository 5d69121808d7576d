//! The proxies under test, in this process: one before an API that speaks HTTP/1.1, one before an API that
//! speaks HTTP/2.

use crate::api::{self, Speaks};
use crate::oracle::{Oracle, Violation};
use portvakt::config::{self, Files, Inputs, Overrides, Runtime};
use portvakt::dev::{Life, SigningKey, organization, system_user};
use portvakt::domain::{
    CheckDigits, Clock as _, Decision, Obligations, OrganizationNumber, Party, SystemClock,
    SystemId, SystemUserId,
};
use portvakt::pdp::{QuestionPattern, Scripted};
use portvakt::record::RecordSink;
use portvakt::server;
use portvakt::tasks::Tasks;
use portvakt::token::{IssuerKind, IssuerSettings, KeyLocation};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const ISSUER: &str = "https://issuer.streams.example/";
const OWNER: &str = "314242726";
const PARTY: &str = "312714051";
const RULES: &str = r#"api: streams
defaults: { resource: streams-resource, scopes: ["streams:all"] }
rules:
  - id: streams
    match: { method: POST, path: "/streams/{orgnr}" }
    action: write
    party: path:orgnr
  - id: tunnel
    match: { method: GET, path: "/tunnel/{orgnr}" }
    action: read
    party: path:orgnr
    upgrade: [websocket]
"#;

/// What a client needs to know of a proxy.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) party: &'static str,
    pub(crate) bearer: String,
    /// Whether the API behind takes upgrades.
    pub(crate) tunnels: bool,
}

pub(crate) struct Gate {
    pub(crate) doors: Vec<Arc<Door>>,
    serving: Vec<server::Gate>,
    /// Of each proxy.
    tasks: Vec<Tasks>,
    at_rest: usize,
}

/// Tasks beyond those before the first caller: a pooled connection towards each API has one.
const SPARE_TASKS: usize = 24;

pub(crate) async fn open(oracle: &Oracle, apis: &Tasks) -> Gate {
    let key = SigningKey::generate("streams").unwrap();
    let bearer = format!("Bearer {}", token(&key));
    let (mut doors, mut serving, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
    for (speaks, scheme) in [(Speaks::Http1, "http"), (Speaks::Http2, "h2c")] {
        let api = api::serve(speaks, oracle.clone(), apis).await;
        tasks.push(Tasks::new());
        let gate = before(&format!("{scheme}://{api}"), &key, oracle, tasks.last().unwrap()).await;
        doors.push(Arc::new(Door {
            name: scheme,
            address: *gate.traffic().first().unwrap(),
            party: PARTY,
            bearer: bearer.clone(),
            tunnels: speaks == Speaks::Http1,
        }));
        serving.push(gate);
    }
    let mut gate = Gate { doors, serving, tasks, at_rest: 0 };
    gate.at_rest = gate.tasks();
    gate
}

async fn before(upstream: &str, key: &SigningKey, oracle: &Oracle, tasks: &Tasks) -> server::Gate {
    let base = format!(
        "environment: custom
server: {{ listen: [\"127.0.0.1:0\"] }}
admin: {{ listen: \"127.0.0.1:0\" }}
shutdown: {{ wait: 0s, grace: 10s }}
upstream: {{ url: \"{upstream}\" }}
pdp: {{ url: \"http://127.0.0.1:9\", credential: {{ none: true }} }}
policies: policies
"
    );
    let keys = KeyLocation::Static(key.public_jwks().into());
    let party = OrganizationNumber::parse(PARTY, CheckDigits::Strict).unwrap();
    let pattern =
        QuestionPattern { party: Some(Party::Organization(party)), ..QuestionPattern::default() };
    let permit = Decision::Permit(Obligations::default());
    let inputs = Inputs {
        config: vec!["base.yaml".into()],
        files: Files::memory([
            ("base.yaml", base),
            ("policies/routes/streams.yaml", RULES.to_owned()),
        ]),
        overrides: Overrides {
            point: Some(Arc::new(Scripted::new(vec![(pattern, Ok(permit))]))),
            issuers: Some(vec![IssuerSettings::new(IssuerKind::Maskinporten, ISSUER, keys)]),
            without_secrets: false,
        },
        ..Inputs::default()
    };
    let runtime = Runtime { tasks: tasks.clone(), clock: Arc::new(SystemClock) };
    let outcome = config::compile(&inputs, None, &runtime);
    let said = outcome.diagnostics.to_human(config::Colour::Plain);
    let compiled = outcome.compiled.unwrap_or_else(|| panic!("{said}"));
    let sink = RecordSink::To(Box::new(Records(oracle.clone())));
    server::Gate::open(compiled, sink, tasks.clone()).await.unwrap()
}

/// Takes decision records, each written whole.
struct Records(Oracle);

impl Write for Records {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.record(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn token(key: &SigningKey) -> String {
    let life = Life { issued: SystemClock.wall(), lifetime: Duration::from_mins(59) };
    let owner = OrganizationNumber::parse(OWNER, CheckDigits::Strict).unwrap();
    let user = Uuid::from_u128(0xa000_0004_0000_4000_8000 << 48);
    let claims = system_user(
        organization(ISSUER, life, "streams:all", owner),
        SystemUserId::parse(&user.to_string()).unwrap(),
        owner,
        &SystemId::parse("314242726_streams").unwrap(),
    );
    key.sign(&claims).unwrap()
}

impl Gate {
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.iter().map(Tasks::running).sum()
    }

    /// Ends the proxies, after what their callers left behind has ended.
    pub(crate) async fn end(self, oracle: &Oracle) -> Result<(), Violation> {
        let most = self.at_rest + SPARE_TASKS;
        let (mut left, mut running) = (0, 0);
        for _ in 0..100 {
            (left, running) = (self.tasks(), oracle.running());
            if left <= most && running == 0 {
                for (gate, tasks) in self.serving.into_iter().zip(&self.tasks) {
                    if !gate.close().await {
                        let what = format!("{} tasks outlasted the grace", tasks.running());
                        return Err(Violation::new("drain", &what));
                    }
                }
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let what = format!(
            "{left} tasks ({} before) and {running} exchanges run without callers",
            self.at_rest
        );
        Err(Violation::new("left-behind", &what))
    }
}
