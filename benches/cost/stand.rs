//! The program between an API, a PDP and an issuer of this process, all on loopback: what `scale` and `junk`
//! measure it in. Its settings are those of a service owner who has set none, but for what a row is about.

use crate::apart::{ISSUER, RULES, SCOPE, token};
use crate::cores::Cores;
use crate::program::{Program, SETTINGS};
use crate::setting::{CLIENT, FIRM, number};
use crate::streaming_api::serve_streaming_api;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use portvakt::config::Limits;
use portvakt::dev::SigningKey;
use portvakt::dev::pdp_face::{Answer, PdpFace};
use portvakt::domain::{Decision, Obligations, OrganizationNumber, SystemClock};
use portvakt::pdp::wire::WireCategory;
use portvakt::server::Listeners;
use portvakt::tasks::Tasks;
use rcgen::CertifiedKey;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// The party that nobody may do anything for.
pub(crate) const DENIED: &str = FIRM;
/// The name in the proxy's certificate.
pub(crate) const NAME: &str = "localhost";
/// In one file; Portvakt reads at most 5 000.
const RULES_A_FILE: usize = 1000;

/// What a row is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Beside those that all rows have.
    pub(crate) more_rules: usize,
    pub(crate) max_decisions: usize,
    pub(crate) permit_lifetime: Duration,
    pub(crate) max_tokens: usize,
    pub(crate) tls: Tls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Plain,
    Encrypted,
}

impl Default for Settings {
    /// Those of Portvakt.
    fn default() -> Self {
        Self {
            more_rules: 0,
            max_decisions: 100_000,
            permit_lifetime: Duration::from_mins(1),
            max_tokens: 20_000,
            tls: Tls::Plain,
        }
    }
}

pub(crate) struct Stand {
    pub(crate) program: Program,
    pub(crate) key: SigningKey,
    /// What the proxy shows over TLS.
    pub(crate) certificate: CertificateDer<'static>,
    /// Where callers run.
    pub(crate) tasks: Tasks,
    asked: Arc<AtomicU32>,
}

impl Stand {
    pub(crate) async fn open(cores: &Cores, settings: Settings) -> Self {
        let tasks = Tasks::new();
        let key = SigningKey::generate("stand").unwrap();
        let asked = Arc::default();
        let api = serve_streaming_api(&tasks).await;
        let keys = serve_keys(&tasks, key.public_jwks().into()).await;
        let pdp = serve_pdp(&tasks, Arc::clone(&asked)).await;
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
        let mut files = vec![
            (SETTINGS.to_owned(), written(settings, api, keys, pdp)),
            ("certificate.pem".to_owned(), cert.pem()),
            ("key.pem".to_owned(), signing_key.serialize_pem()),
            ("policies/routes/apart.yaml".to_owned(), RULES.to_owned()),
        ];
        files.extend(more_rules(settings.more_rules));
        let program = Program::start(cores, &files).await;
        Self { program, key, certificate: cert.der().clone(), tasks, asked }
    }

    /// A token of a system user, by its number.
    pub(crate) fn token(&self, user: u32) -> String {
        token(&self.key, user)
    }

    /// How often the PDP was asked so far.
    pub(crate) fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    pub(crate) async fn end(self) {
        drop(self.program);
        let _ended = self.tasks.stop(Duration::from_secs(1)).await;
    }
}

fn written(settings: Settings, api: SocketAddr, keys: SocketAddr, pdp: SocketAddr) -> String {
    let Settings { max_decisions, max_tokens, tls, .. } = settings;
    let tls = match tls {
        Tls::Plain => "",
        Tls::Encrypted => ", tls: { certificate_file: certificate.pem, key_file: key.pem }",
    };
    format!(
        "environment: custom
server: {{ listen: [\"127.0.0.1:0\"]{tls} }}
admin: {{ listen: \"127.0.0.1:0\" }}
upstream: {{ url: \"http://{api}\" }}
tokens:
  issuers: [{{ kind: maskinporten, issuer: \"{ISSUER}\", jwks_url: \"http://{keys}/jwk\" }}]
  cache: {{ max_entries: {max_tokens} }}
pdp: {{ url: \"http://{pdp}\", credential: {{ none: true }} }}
cache: {{ permit_ttl: {}s, max_entries: {max_decisions} }}
policies: policies
",
        settings.permit_lifetime.as_secs()
    )
}

/// The path of a request that the rule in the middle of so many more finds, without its ends.
pub(crate) fn middle(more_rules: usize) -> (&'static str, String) {
    ("/flat/", format!("/{}", more_rules / 4 * 2 + 1))
}

/// As in `route`: half of them in services of their own, half beside each other behind one capture.
fn more_rules(count: usize) -> Vec<(String, String)> {
    let indices: Vec<usize> = (0..count).collect();
    let file = |(number, indices): (usize, &[usize])| {
        let mut text = format!(
            "api: more-{number}
defaults: {{ resource: bench-resource, scopes: [\"{SCOPE}\"] }}
rules:
"
        );
        for index in indices {
            let path = if index % 2 == 0 {
                format!("/service-{index}/parties/{{orgnr}}")
            } else {
                format!("/flat/{{orgnr}}/{index}")
            };
            let matching = format!("match: {{ method: GET, path: \"{path}\" }}");
            let rest = "action: read, party: \"path:orgnr\"";
            writeln!(text, "  - {{ id: more-{index}, {matching}, {rest} }}").unwrap();
        }
        (format!("policies/routes/more-{number}.yaml"), text)
    };
    indices.chunks(RULES_A_FILE).enumerate().map(file).collect()
}

async fn serve_keys(tasks: &Tasks, keys: Bytes) -> SocketAddr {
    let listeners = Listeners::bind(&[(Ipv4Addr::LOCALHOST, 0).into()]).await.unwrap();
    let address = *listeners.addresses().first().unwrap();
    let answer = move |_request: Request<Incoming>, _peer| {
        std::future::ready(Response::new(Full::new(keys.clone())))
    };
    listeners.serve(&answer, Limits::default(), tasks, &tasks.stopping());
    address
}

/// Permits at once, but for one party.
async fn serve_pdp(tasks: &Tasks, asked: Arc<AtomicU32>) -> SocketAddr {
    let answer: Answer = Arc::new(move |_, question| {
        asked.fetch_add(1, Ordering::Relaxed);
        let decision = if is_about(question, DENIED) {
            Decision::Deny
        } else {
            Decision::Permit(Obligations::default())
        };
        (Ok(decision.into()), None)
    });
    let face = PdpFace::new(answer, Arc::new(SystemClock));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _serving = tasks.spawn(Arc::new(face).serve(listener, tasks.clone()));
    address
}

fn is_about(question: &[&WireCategory], party: &str) -> bool {
    let mut attributes = question.iter().flat_map(|category| &category.attributes);
    attributes.any(|attribute| {
        attribute.id == "urn:altinn:organization:identifier-no" && attribute.value == party
    })
}

/// The party that everything is permitted for.
pub(crate) fn permitted() -> OrganizationNumber {
    number(CLIENT)
}
