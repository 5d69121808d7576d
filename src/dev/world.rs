//! The world of the demo in one process: token issuer, PDP, sample API, and the proxy between them. All
//! speak over real sockets on loopback. The directory and the PDP's faults are changed through the control
//! listener, or through handles.

use super::control;
use super::embedded_files::{DEMO_FILES, EmbeddedFile};
use super::end_user_system::EndUserSystem;
use super::exchange::Exchange;
use super::issuer::{self, InvalidIssuer, Issuer};
use super::issuer_directory::{DirectorySystemUser, IssuerClient, IssuerDirectory, SystemUserKind};
use super::live_pdp::{LivePdp, PdpFiles};
use super::pdp_face::{Faults, PdpFace};
use super::sample_api::SampleApi;
use super::signer::{SigningFault, SigningKey};
use crate::config::{self, Diagnostics, Environment, Files, Inputs, Runtime};
use crate::domain::{Clock, SystemClock};
use crate::outbound::{InvalidOutbound, Outbound, OutboundSettings};
use crate::pdp::embedded::{self, Directory, DirectoryHandle};
use crate::record::RecordSink;
use crate::server::{BindFault, Gate, Listeners, Page, StartFault};
use crate::tasks::Tasks;
use crate::token::{IssuerKind, IssuerSettings, KeyLocation};
use crate::xacml::Mode;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use url::Url;

/// How the world is set up.
#[derive(Debug)]
pub struct WorldSettings {
    /// Where each part listens.
    pub addresses: Addresses,
    /// How long issued tokens live.
    pub token_lifetime: Duration,
    /// Further files, or other texts for the embedded ones.
    pub files: Vec<EmbeddedFile>,
    /// Further issuers, as YAML list items; `{issuer}` stands for the address of the world's own.
    pub issuers: &'static str,
    /// A further configuration file in YAML, over the others.
    pub configuration: &'static str,
    /// Where decision records go.
    pub sink: RecordSink,
}

/// The address of each part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// API traffic.
    pub proxy: SocketAddr,
    /// Maskinporten's stand-in.
    pub issuer: SocketAddr,
    /// Altinn's stand-in.
    pub pdp: SocketAddr,
    /// The API behind the proxy.
    pub api: SocketAddr,
    /// Probes and metrics.
    pub admin: SocketAddr,
    /// What operators change.
    pub control: SocketAddr,
}

impl Addresses {
    /// Loopback, from this port on: proxy, +1 issuer, +2 PDP, +3 sample API, +10 admin, +11 control.
    /// Port 0 is any free port for each.
    #[must_use]
    pub fn loopback(base: u16) -> Self {
        let at = |offset: u16| {
            let port = if base == 0 { 0 } else { base.saturating_add(offset) };
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        };
        Self { proxy: at(0), issuer: at(1), pdp: at(2), api: at(3), admin: at(10), control: at(11) }
    }
}

/// The running world.
#[derive(Debug)]
pub struct World {
    /// Where everything is, with the ports as bound.
    pub addresses: Addresses,
    /// The proxy.
    pub gate: Gate,
    /// What the API has seen.
    pub api: SampleApi,
    /// Changes who may do what.
    pub directory: DirectoryHandle,
    /// Makes the PDP misbehave.
    pub faults: Faults,
    /// The clients of the directory whose keys were made at start, by id.
    pub clients: BTreeMap<String, Arc<EndUserSystem>>,
    /// The issuer, for its name.
    pub issuer: Arc<Issuer>,
    /// The proxy's own client, with which it asks the PDP.
    pub own_client: EndUserSystem,
    /// What the PDP's gateway wants to see; made at start.
    pub subscription_key: SecretString,
    /// What a change through the control listener needs; made at start.
    pub control_token: SecretString,
    tasks: Tasks,
}

/// Why the world cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum WorldFault {
    /// A port is taken.
    #[error(transparent)]
    Bind(#[from] BindFault),
    /// A port is taken.
    #[error("cannot listen on `{0}`: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The embedded files are not what the program expects.
    #[error("the configuration of the demo has problems:\n{0}")]
    Configuration(String),
    /// The directory lacks the proxy's own client.
    #[error("the directory names no client `{OWN_CLIENT}` with a generated key")]
    NoClient,
    /// The issuer cannot be made.
    #[error(transparent)]
    Issuer(#[from] InvalidIssuer),
    /// A key cannot be made.
    #[error(transparent)]
    Key(#[from] SigningFault),
    /// The client to the issuer cannot be made.
    #[error(transparent)]
    Outbound(#[from] InvalidOutbound),
    /// The proxy cannot start.
    #[error(transparent)]
    Start(#[from] StartFault),
    /// The bound addresses cannot be told.
    #[error("an address is not an address: {0}")]
    Address(#[from] url::ParseError),
}

/// The client of the directory with which the proxy itself asks the PDP.
const OWN_CLIENT: &str = "portvakt";
/// Where the embedded files are, for diagnostics.
const ROOT: &str = "demo";
/// The layers of its configuration.
const CONFIGURATIONS: [&str; 3] =
    ["config/demo.yaml", "config/addresses.yaml", "config/further.yaml"];

impl World {
    /// Starts every part; returns when requests are answered.
    pub async fn begin(settings: WorldSettings) -> Result<Self, WorldFault> {
        let tasks = Tasks::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let files = files(&settings.files);
        let (pdp, directory) = embedded_pdp(&files)?;
        let mut addresses = settings.addresses;

        let api = SampleApi::new();
        addresses.api = serve_api(&api, addresses.api, &tasks).await?;

        let listener = bind(&mut addresses.issuer).await?;
        let base: Url = format!("http://{}/", addresses.issuer).parse()?;
        let mut keys = client_keys(&directory.current())?;
        let grants = issuer_directory(&directory.current(), &keys);
        let issuer =
            Issuer::new(&base, SigningKey::generate("demo-1")?, grants, Arc::clone(&clock))?;
        let issuer = Arc::new(issuer.with_lifetime(settings.token_lifetime));
        let _serving = issuer::serve(listener, Arc::clone(&issuer), &tasks);

        let [control_token, subscription_key] = [random_secret(), random_secret()];
        let listener = bind(&mut addresses.pdp).await?;
        let platform: Url = format!("http://{}/", addresses.pdp).parse()?;
        let outbound = Outbound::new(&OutboundSettings::default())?;
        let exchange = exchange(&issuer, &platform, &outbound, &tasks, &clock).await?;
        let face =
            PdpFace::new(Arc::new(move |api, asked| pdp.answer(api, asked)), Arc::clone(&clock))
                .with_exchange(Arc::new(exchange))
                .with_subscription_key(subscription_key.clone());
        let (faults, mut pages) = (face.faults(), face.recent().pages());
        let _serving = tasks.spawn(Arc::new(face).serve(listener, tasks.clone()));

        let mut files = files;
        let own_key = keys.remove(OWN_CLIENT).ok_or(WorldFault::NoClient)?;
        let own = own_settings(&addresses, &control_token, &subscription_key, &own_key);
        let own = own + &settings.issuers.replace("{issuer}", &addresses.issuer.to_string());
        insert(&mut files, &Path::new(ROOT).join(CONFIGURATIONS[1]), &own);
        insert(&mut files, &Path::new(ROOT).join(CONFIGURATIONS[2]), settings.configuration);
        pages.extend(control::pages(directory.clone(), faults.clone()));
        let gate = open_gate(files, settings.sink, pages, &tasks, &clock).await?;
        addresses.proxy = first(gate.traffic(), addresses.proxy);
        addresses.admin = first(gate.admin(), addresses.admin);
        addresses.control = gate.control().unwrap_or(addresses.control);

        let client = |client_id: &str, key| EndUserSystem {
            client_id: client_id.to_owned(),
            key,
            issuer: base.clone(),
            outbound: outbound.clone(),
            clock: Arc::clone(&clock),
        };
        let own_client = client(OWN_CLIENT, own_key);
        let clients = keys.into_iter().map(|(id, key)| (id.clone(), Arc::new(client(&id, key))));
        let clients = clients.collect();
        Ok(Self {
            addresses,
            gate,
            api,
            directory,
            faults,
            clients,
            issuer,
            own_client,
            subscription_key,
            control_token,
            tasks,
        })
    }

    /// Ends every part.
    pub async fn end(self) -> bool {
        let gate_ended = self.gate.close().await;
        self.tasks.stop(Duration::from_secs(1)).await && gate_ended
    }
}

fn files(further: &[EmbeddedFile]) -> BTreeMap<PathBuf, Bytes> {
    let mut files = BTreeMap::new();
    for (path, text) in DEMO_FILES.iter().chain(further) {
        insert(&mut files, &Path::new(ROOT).join(path), text);
    }
    files
}

fn insert(files: &mut BTreeMap<PathBuf, Bytes>, path: &Path, text: &str) {
    files.insert(path.to_owned(), Bytes::copy_from_slice(text.as_bytes()));
}

/// The PDP of the example.
#[cfg(test)]
pub(super) fn example_pdp() -> Result<(Arc<LivePdp>, DirectoryHandle), WorldFault> {
    embedded_pdp(&files(&[]))
}

/// The PDP behind the HTTP face, and the way to change its directory.
fn embedded_pdp(
    files: &BTreeMap<PathBuf, Bytes>,
) -> Result<(Arc<LivePdp>, DirectoryHandle), WorldFault> {
    let files = PdpFiles::new(Files::Memory(files.clone()), &Path::new(ROOT).join("policies"));
    let (pdp, diagnostics) = LivePdp::load(files, Mode::Altinn);
    let pdp = Arc::new(pdp.ok_or_else(|| problems(&diagnostics))?);
    let directory = pdp.directory();
    Ok((pdp, directory))
}

/// The platform's exchange, believing the world's own issuer.
async fn exchange(
    issuer: &Issuer,
    platform: &Url,
    outbound: &Outbound,
    tasks: &Tasks,
    clock: &Arc<dyn Clock>,
) -> Result<Exchange, SigningFault> {
    let keys = KeyLocation::Static(issuer.key().public_jwks().into());
    let issuer = IssuerSettings::new(IssuerKind::Maskinporten, issuer.name(), keys);
    let exchange = Exchange::new(issuer, platform, outbound, tasks, Arc::clone(clock))?;
    exchange.start().await;
    Ok(exchange)
}

async fn serve_api(
    api: &SampleApi,
    address: SocketAddr,
    tasks: &Tasks,
) -> Result<SocketAddr, WorldFault> {
    let listeners = Listeners::bind(&[address]).await?;
    let bound = first(&listeners.addresses(), address);
    let api = api.clone();
    let handler = move |request, _peer| {
        let api = api.clone();
        async move { api.handle(request).await }
    };
    listeners.serve(&handler, config::Limits::default(), tasks, &tasks.stopping());
    Ok(bound)
}

async fn bind(address: &mut SocketAddr) -> Result<TcpListener, WorldFault> {
    let fault = |cause| WorldFault::Listen(*address, cause);
    let listener = TcpListener::bind(*address).await.map_err(fault)?;
    *address = listener.local_addr().map_err(fault)?;
    Ok(listener)
}

fn first(bound: &[SocketAddr], otherwise: SocketAddr) -> SocketAddr {
    bound.first().copied().unwrap_or(otherwise)
}

/// One key for each client whose key is `generated`.
pub fn client_keys(directory: &Directory) -> Result<BTreeMap<String, SigningKey>, SigningFault> {
    let generated =
        directory.clients().filter(|client| client.key == embedded::ClientKey::Generated);
    generated
        .map(|client| Ok((client.id.clone(), SigningKey::generate(client.id.clone())?)))
        .collect()
}

/// What the issuer grants from: the clients whose keys are known, and every system user.
#[must_use]
pub fn issuer_directory(
    directory: &Directory,
    keys: &BTreeMap<String, SigningKey>,
) -> IssuerDirectory {
    let clients = directory.clients().filter_map(|client| {
        let key = keys.get(&client.id)?;
        Some(IssuerClient {
            client_id: client.id.clone(),
            organization: client.organization,
            scopes: client.scopes.clone(),
            jwks: key.public_jwks().into(),
            consumers: Vec::new(),
        })
    });
    let system_users = directory.system_users().map(|user| DirectorySystemUser {
        id: user.id,
        kind: match user.kind {
            embedded::SystemUserKind::Standard => SystemUserKind::Standard,
            embedded::SystemUserKind::Agent => SystemUserKind::Agent,
        },
        owner: user.owner,
        system: user.system_id.clone(),
        vendor: user.vendor,
        client_ids: user.client_ids.clone(),
        external_ref: Some(user.external_ref.clone()),
    });
    IssuerDirectory { clients: clients.collect(), system_users: system_users.collect() }
}

/// 122 random bits, for as long as this process lives.
#[must_use]
pub fn random_secret() -> SecretString {
    SecretString::from(uuid::Uuid::new_v4().simple().to_string())
}

/// The addresses, and the secrets that were made at start.
fn own_settings(
    addresses: &Addresses,
    control_token: &SecretString,
    subscription_key: &SecretString,
    key: &SigningKey,
) -> String {
    let Addresses { proxy, issuer, pdp, api, admin, control } = addresses;
    let [token, subscription_key] =
        [control_token, subscription_key].map(ExposeSecret::expose_secret);
    let key = key.private_jwk();
    format!(
        "server: {{ listen: [\"{proxy}\"] }}
admin: {{ listen: \"{admin}\" }}
control: {{ listen: \"{control}\", token: \"{token}\" }}
upstream: {{ url: \"http://{api}\" }}
pdp:
  url: http://{pdp}
  subscription_key: {subscription_key}
  credential:
    maskinporten:
      client_id: {OWN_CLIENT}
      key: '{key}'
      token_url: http://{issuer}/token
tokens:
  issuers:
    - kind: maskinporten
      issuer: http://{issuer}/
      metadata_url: http://{issuer}/.well-known/oauth-authorization-server
"
    )
}

async fn open_gate(
    files: BTreeMap<PathBuf, Bytes>,
    sink: RecordSink,
    pages: Vec<Page>,
    tasks: &Tasks,
    clock: &Arc<dyn Clock>,
) -> Result<Gate, WorldFault> {
    let inputs = Inputs {
        overrides: config::Overrides::default(),
        config: CONFIGURATIONS.iter().map(|path| Path::new(ROOT).join(path)).collect(),
        files: Files::Memory(files),
        // Nothing around the demo may change what it shows.
        environment: Environment::new(std::iter::empty()),
        flags: Vec::new(),
    };
    let outcome =
        config::compile(&inputs, None, &Runtime { tasks: tasks.clone(), clock: Arc::clone(clock) });
    let compiled = outcome.compiled.ok_or_else(|| problems(&outcome.diagnostics))?;
    Ok(Gate::open_with(compiled, sink, tasks.clone(), pages).await?)
}

fn problems(diagnostics: &Diagnostics) -> WorldFault {
    WorldFault::Configuration(diagnostics.to_human(config::Colour::Plain))
}
