//! A proxy in a process of its own, so that its memory and its time on the processor are its own: Portvakt,
//! or the plain proxy that it is held against. What it protects and who calls it stay in the first process.

use crate::harness::Report;
use crate::plain_proxy::serve_plain_proxy;
use crate::setting::{CLIENT, FIRM, number};
use crate::usage::Process;
use portvakt::config::{self, Files, Inputs, Overrides, Runtime};
use portvakt::dev::{Life, SigningKey, organization, system_user};
use portvakt::domain::{
    CheckDigits, Clock as _, Decision, Obligations, OrganizationNumber, Party, SystemClock,
    SystemId, SystemUserId,
};
use portvakt::pdp::{QuestionPattern, Scripted};
use portvakt::record::RecordSink;
use portvakt::server::Gate;
use portvakt::tasks::Tasks;
use portvakt::token::{IssuerKind, IssuerSettings, KeyLocation};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The word by which a process learns that it is to be a proxy, and for which port of loopback.
pub(crate) const GATE: &str = "apart-gate";
pub(crate) const PLAIN: &str = "apart-plain";

pub(crate) const ISSUER: &str = "https://issuer.apart.example/";
pub(crate) const SCOPE: &str = "bench:stream";

/// The settings are those of a service owner who has set none.
pub(crate) const RULES: &str = r#"api: apart
defaults: { resource: bench-resource, scopes: ["bench:stream"] }
rules:
  - id: small
    match: { method: GET, path: "/small/{orgnr}" }
    action: read
    party: path:orgnr
  - id: down
    match: { method: GET, path: "/down/{orgnr}/{bytes}" }
    action: read
    party: path:orgnr
    object: upstream
  - id: up
    match: { method: POST, path: "/up/{orgnr}" }
    action: write
    party: path:orgnr
"#;

/// A running proxy; dropping it ends its process.
pub(crate) struct Apart {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    /// What to say in `Authorization`.
    pub(crate) token: String,
    child: Child,
    // Its end of the pipe tells the child to stop.
    _leash: ChildStdin,
}

impl Apart {
    /// Starts one in front of an API on loopback.
    pub(crate) fn start(word: &'static str, api: SocketAddr) -> Self {
        let own = std::env::current_exe().unwrap();
        let mut child = Command::new(own)
            .arg(format!("{word}={}", api.port()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let (address, token) = said.trim_end().split_once(' ').unwrap();
        let leash = child.stdin.take().unwrap();
        let name = if word == GATE { "Portvakt" } else { "plain proxy" };
        Self {
            name,
            address: address.parse().unwrap(),
            token: token.to_owned(),
            child,
            _leash: leash,
        }
    }

    /// Time on the processor so far.
    pub(crate) fn cpu(&self) -> Duration {
        self.process().cpu()
    }

    /// Resident bytes now.
    pub(crate) fn resident(&self) -> u64 {
        self.process().resident()
    }

    /// The most that was ever resident, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.process().peak()
    }

    fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// The request line and headers of a permitted request, without the empty line.
    pub(crate) fn head(&self, method: &str, rest: &str) -> String {
        let (place, more) = rest
            .split_once('/')
            .map_or((rest, String::new()), |(place, more)| (place, format!("/{more}")));
        format!(
            "{method} /{place}/{CLIENT}{more} HTTP/1.1\r\nhost: api.example\r\nauthorization: Bearer {}\r\n",
            self.token
        )
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this process is to be a proxy; then it is one until its starter lets go of it.
pub(crate) fn is_one(report: &Report) -> bool {
    let Some((port, gate)) = [(GATE, true), (PLAIN, false)]
        .into_iter()
        .find_map(|(word, gate)| Some((report.number(word)?, gate)))
    else {
        return false;
    };
    let api = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let tasks = Tasks::new();
    let _kept = if gate {
        let key = SigningKey::generate("apart").unwrap();
        let gate = runtime.block_on(open(api, &key, &tasks));
        println!("{} {}", gate.traffic().first().unwrap(), token(&key, 0));
        Some(gate)
    } else {
        println!("{} none", runtime.block_on(serve_plain_proxy(api, &tasks)));
        None
    };
    let mut rest = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut rest);
    runtime.shutdown_background();
    true
}

async fn open(api: SocketAddr, key: &SigningKey, tasks: &Tasks) -> Gate {
    let configuration = format!(
        "environment: custom
server: {{ listen: [\"127.0.0.1:0\"] }}
admin: {{ listen: \"127.0.0.1:0\" }}
upstream: {{ url: \"http://{api}\" }}
pdp: {{ url: \"http://127.0.0.1:9\", credential: {{ none: true }} }}
policies: policies
"
    );
    let keys = KeyLocation::Static(key.public_jwks().into());
    let party = OrganizationNumber::parse(CLIENT, CheckDigits::Strict).unwrap();
    let pattern =
        QuestionPattern { party: Some(Party::Organization(party)), ..QuestionPattern::default() };
    let permit = Decision::Permit(Obligations::default());
    let inputs = Inputs {
        config: vec!["apart.yaml".into()],
        files: Files::memory([
            ("apart.yaml", configuration),
            ("policies/routes/apart.yaml", RULES.to_owned()),
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
    assert!(outcome.compiled.is_some(), "{said}");
    let sink = RecordSink::To(Box::new(std::io::sink()));
    Gate::open(outcome.compiled.unwrap(), sink, tasks.clone()).await.unwrap()
}

/// A token of a system user, by its number; no two are the same.
pub(crate) fn token(key: &SigningKey, user: u32) -> String {
    let life = Life { issued: SystemClock.wall(), lifetime: Duration::from_mins(59) };
    let user = Uuid::from_u128(0xa000_0003_0000_4000_8000 << 48 | u128::from(user));
    let claims = system_user(
        organization(ISSUER, life, SCOPE, number(FIRM)),
        SystemUserId::parse(&user.to_string()).unwrap(),
        number(FIRM),
        &SystemId::parse("314242726_apart").unwrap(),
    );
    key.sign(&claims).unwrap()
}
