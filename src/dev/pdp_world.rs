//! `portvakt pdp` as parts that run: the embedded PDP behind Altinn's HTTP API, and the control listener
//! beside it. It prints nothing.

use super::control;
use super::exchange::Exchange;
use super::live_pdp::{Changes, LivePdp, Reloaded, Size};
use super::pdp_face::PdpFace;
use super::signer::SigningFault;
use crate::config::{Colour, Limits};
use crate::domain::{Clock, SystemClock};
use crate::outbound::{InvalidOutbound, Outbound, OutboundSettings};
use crate::server::{BindFault, Control, Listeners, Page, Refusal};
use crate::tasks::Tasks;
use crate::token::IssuerSettings;
use http::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use url::Url;

/// How the PDP is set up.
#[derive(Debug)]
pub struct PdpWorldSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it is controlled, if anywhere.
    pub control: Option<ControlAt>,
    /// Whose tokens are exchanged for those that the PDP demands; without one it demands none.
    pub issuer: Option<IssuerSettings>,
    /// What the gateway demands, if anything.
    pub subscription_key: Option<SecretString>,
}

/// Where it is controlled.
#[derive(Debug)]
pub struct ControlAt {
    /// The address: loopback.
    pub listen: SocketAddr,
    /// What a change needs.
    pub token: SecretString,
}

/// The running PDP.
#[derive(Debug)]
pub struct PdpWorld {
    /// Where it listens, with the port as bound.
    pub address: SocketAddr,
    /// Where it is controlled, likewise.
    pub control: Option<SocketAddr>,
    /// Why the issuer's keys are not there, if they are not.
    pub key_fault: Option<String>,
    pdp: Arc<LivePdp>,
    tasks: Tasks,
}

/// Why the PDP cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum PdpWorldFault {
    /// The address of the control listener is taken.
    #[error(transparent)]
    Bind(#[from] BindFault),
    /// The address is taken.
    #[error("cannot listen on `{0}`: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// A key cannot be made.
    #[error(transparent)]
    Key(#[from] SigningFault),
    /// The client to the issuer cannot be made.
    #[error(transparent)]
    Outbound(#[from] InvalidOutbound),
    /// The bound address cannot be told.
    #[error("an address is not an address: {0}")]
    Address(#[from] url::ParseError),
}

/// Operators and their tools. Bounds sockets.
const MAX_CONTROL_CONNECTIONS: usize = 64;
/// For exchanges that are under way at the end.
const GRACE: Duration = Duration::from_secs(5);

impl PdpWorld {
    /// Starts every part; returns when questions are answered.
    pub async fn begin(pdp: LivePdp, settings: PdpWorldSettings) -> Result<Self, PdpWorldFault> {
        let (tasks, clock): (_, Arc<dyn Clock>) = (Tasks::new(), Arc::new(SystemClock));
        let pdp = Arc::new(pdp);
        let PdpWorldSettings { listen, control, issuer, subscription_key } = settings;
        let fault = |cause| PdpWorldFault::Listen(listen, cause);
        let listener = TcpListener::bind(listen).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;

        let answering = Arc::clone(&pdp);
        let mut face = PdpFace::new(
            Arc::new(move |api, asked| answering.answer(api, asked)),
            Arc::clone(&clock),
        );
        if let Some(key) = subscription_key {
            face = face.with_subscription_key(key);
        }
        let mut key_fault = None;
        if let Some(issuer) = issuer {
            let platform: Url = format!("http://{}/", reached_at(address)).parse()?;
            let outbound = Outbound::new(&OutboundSettings::default())?;
            let exchange = Exchange::new(issuer, &platform, &outbound, &tasks, clock)?;
            key_fault = exchange.start().await;
            face = face.with_exchange(Arc::new(exchange));
        }
        let mut pages = face.recent().pages();
        pages.push(reload_page(Arc::clone(&pdp)));
        pages.extend(control::pages(pdp.directory(), face.faults()));
        let control = match control {
            Some(control) => Some(serve_control(control, pages, &tasks).await?),
            None => None,
        };
        let _serving = tasks.spawn(Arc::new(face).serve(listener, tasks.clone()));
        Ok(Self { address, control, key_fault, pdp, tasks })
    }

    /// Where a client on this machine reaches the PDP.
    #[must_use]
    pub fn reached_at(&self) -> SocketAddr {
        reached_at(self.address)
    }

    /// How much it decides by now.
    #[must_use]
    pub fn size(&self) -> Size {
        self.pdp.size()
    }

    /// Reads the files again. Nothing only if the reading itself fell over, which changes nothing.
    pub async fn reload(&self) -> Option<Reloaded> {
        let pdp = Arc::clone(&self.pdp);
        self.tasks.spawn_blocking(move || pdp.reload()).await.ok()
    }

    /// The same, if they have changed since they were last read.
    pub async fn reload_if_changed(&self) -> Option<Reloaded> {
        let pdp = Arc::clone(&self.pdp);
        self.tasks.spawn_blocking(move || pdp.reload_if_changed()).await.ok()?
    }

    /// Ends every part; `false` if something was cut off.
    pub async fn end(self) -> bool {
        self.tasks.stop(GRACE).await
    }
}

/// Reads the files again on command.
fn reload_page(pdp: Arc<LivePdp>) -> Page {
    Page::post("/reload", move |_| match pdp.reload() {
        Reloaded::Taken { changes, .. } => {
            tracing::info!("reloaded by the control listener");
            Ok(reload_document(pdp.size(), changes))
        }
        Reloaded::Refused(diagnostics) => {
            let found = diagnostics.to_human(Colour::Plain);
            let detail = format!("the PDP answers as before:\n{found}");
            Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, detail))
        }
    })
}

/// A reload that was taken into use, for programs.
#[must_use]
pub fn reload_document(size: Size, changes: Changes) -> Value {
    json!({
        "reloaded": true,
        "policies": size.policies,
        "resources": size.resources,
        "systemUsers": size.system_users,
        "changesReplaced": changes == Changes::Replaced,
    })
}

async fn serve_control(
    control: ControlAt,
    pages: Vec<Page>,
    tasks: &Tasks,
) -> Result<SocketAddr, PdpWorldFault> {
    let listeners = Listeners::bind(&[control.listen]).await?;
    let bound = listeners.addresses().first().copied().unwrap_or(control.listen);
    let pages = Control::new(pages, Some(&control.token), tasks.clone());
    let answer = move |request, _peer| {
        let pages = pages.clone();
        async move { pages.handle(request).await }
    };
    let limits = Limits { max_connections: MAX_CONTROL_CONNECTIONS, ..Limits::default() };
    listeners.serve(&answer, limits, tasks, &tasks.stopping());
    Ok(bound)
}

/// Loopback in place of every address of this machine.
fn reached_at(bound: SocketAddr) -> SocketAddr {
    let loopback: IpAddr = match bound {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let ip = if bound.ip().is_unspecified() { loopback } else { bound.ip() };
    SocketAddr::new(ip, bound.port())
}
