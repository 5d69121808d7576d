//! `portvakt pdp`: the embedded PDP behind Altinn's own HTTP API. What it prints is in `pdp_text`.

use super::console::{self, Exit, Format};
use super::pdp_text::{Started, Why};
use super::{FormatArgs, log, runtime};
use crate::config::scalars::parse_socket_address;
use crate::config::secret::read_secret;
use crate::config::{Diagnostics, Files, LogFormat};
use crate::dev::{
    Changes, ControlAt, LivePdp, PdpFiles, PdpWorld, PdpWorldSettings, Reloaded, issuer_at,
    random_secret, reload_document, sample_question, write_control_token,
};
use crate::server::stop_signal;
use crate::token::BearerToken;
use crate::xacml;
use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;
use tracing::Level;
use url::Url;

/// What `portvakt help pdp` says of it stands at `Command::Pdp`.
#[derive(Debug, Args)]
pub(super) struct Pdp {
    /// The folder with `directory.yaml` and `resources/*.xml`.
    #[arg(long, value_name = "FOLDER", default_value = "policies")]
    policies: PathBuf,
    /// Where to listen; loopback unless told otherwise.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7082", value_parser = address)]
    listen: SocketAddr,
    /// Where decisions are explained and the PDP is changed: an address of loopback, or `none`.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7091", value_parser = control)]
    control: ControlArgument,
    /// Decide as Altinn's engine does, or as XACML says where the two differ.
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    /// The issuer whose tokens are exchanged for those that the PDP then demands, as Altinn does.
    #[arg(long, value_name = "URL", value_parser = issuer, conflicts_with = "open")]
    issuer: Option<Url>,
    /// Demand no token, which is so without an issuer too, and do not warn of it.
    #[arg(long)]
    open: bool,
    /// A file with the subscription key to demand.
    #[arg(long, value_name = "FILE")]
    subscription_key_file: Option<PathBuf>,
    /// A file with the control token; without one it is made at start.
    #[arg(long, value_name = "FILE")]
    control_token_file: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
}

/// `--control`.
#[derive(Clone, Copy, Debug)]
enum ControlArgument {
    None,
    At(SocketAddr),
}

/// `--mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// As Altinn's engine.
    #[default]
    Altinn,
    /// As XACML 3.0 says.
    Strict,
}

/// How often the files are looked at. What that costs is bounded by their number and sizes, which are those
/// of the readers.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Where the control token is written if it is made at start.
const TOKEN_FOLDER: &str = "portvakt-pdp";
/// The shortest control token: what is shorter can be guessed.
const MIN_TOKEN_CHARACTERS: usize = 16;

impl Pdp {
    pub(super) fn run(self) -> Exit {
        runtime::block_on(self.serve())
    }

    async fn serve(self) -> Exit {
        let format = self.format.format;
        log::start(
            match format {
                Format::Human => LogFormat::Human,
                Format::Json => LogFormat::Json,
            },
            Level::INFO,
        );
        if !self.policies.is_dir() {
            return console::misused(&format!(
                "`{}` is no folder: name the one with `directory.yaml` and `resources/` by `--policies`",
                self.policies.display()
            ));
        }
        let (control, token_file) = match self.control_at() {
            Ok(control) => control,
            Err(fault) => return console::misused(&fault),
        };
        let subscription_key = match self.subscription_key_file.as_deref().map(secret).transpose() {
            Ok(key) => key,
            Err(fault) => return console::misused(&fault),
        };
        let mode = match self.mode {
            Mode::Altinn => xacml::Mode::Altinn,
            Mode::Strict => xacml::Mode::Strict,
        };
        let (pdp, diagnostics) = LivePdp::load(PdpFiles::new(Files::Disk, &self.policies), mode);
        show(&diagnostics, format);
        let Some(pdp) = pdp else { return Exit::Usage };
        let sample = sample_question(&pdp);
        let settings = PdpWorldSettings {
            listen: self.listen,
            control,
            issuer: self.issuer.as_ref().map(issuer_at),
            subscription_key,
        };
        let world = match PdpWorld::begin(pdp, settings).await {
            Ok(world) => world,
            Err(fault) => return console::failed(&fault),
        };
        let started = Started {
            world: &world,
            policies: &self.policies,
            mode: self.mode.word(),
            issuer: self.issuer.as_ref(),
            open: if self.open { Why::Asked } else { Why::NoIssuer },
            subscription_key_file: self.subscription_key_file.as_deref(),
            token_file: token_file.as_deref(),
            sample,
        };
        let served = keep_serving(&world, format, &started).await;
        if let Err(fault) = served {
            return console::failed(&fault);
        }
        world.end().await;
        Exit::Ok
    }

    /// Where it is controlled, and the file that holds the token.
    fn control_at(&self) -> Result<(Option<ControlAt>, Option<PathBuf>), String> {
        let ControlArgument::At(listen) = self.control else { return Ok((None, None)) };
        let (token, file) = match &self.control_token_file {
            Some(file) => (secret(file)?, file.clone()),
            None => {
                let token = random_secret();
                let written = write_control_token(Path::new(TOKEN_FOLDER), &token);
                let fault = |fault| format!("cannot write a secret to `{TOKEN_FOLDER}`: {fault}");
                (token, written.map_err(fault)?)
            }
        };
        let text = token.expose_secret();
        if text.len() < MIN_TOKEN_CHARACTERS || BearerToken::parse(text).is_err() {
            return Err(format!(
                "`{}` holds no control token: {MIN_TOKEN_CHARACTERS} characters at least, of those \
                 that `Authorization: Bearer` can carry",
                file.display()
            ));
        }
        Ok((Some(ControlAt { listen, token }), Some(file)))
    }
}

/// Until a signal ends it: reads the files again when they change, and when told to.
async fn keep_serving(
    world: &PdpWorld,
    format: Format,
    started: &Started<'_>,
) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut stop = std::pin::pin!(stop_signal());
    // Signals are caught from here on: whoever reads that the PDP runs may end it at once.
    tokio::select! {
        biased;
        ended = &mut stop => return ended,
        () = std::future::ready(()) => {}
    }
    match format {
        Format::Human => console::talk(&started.to_human()),
        Format::Json => console::data(&format!("{}\n", started.to_json())),
    }
    let mut polls = tokio::time::interval(POLL_INTERVAL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let reloaded = tokio::select! {
            ended = &mut stop => return ended,
            _ = hangup.recv() => world.reload().await,
            _ = polls.tick() => world.reload_if_changed().await,
        };
        if let Some(reloaded) = reloaded {
            report(world, &reloaded, format);
        }
    }
}

fn report(world: &PdpWorld, reloaded: &Reloaded, format: Format) {
    let size = world.size();
    match reloaded {
        Reloaded::Refused(diagnostics) => {
            show(diagnostics, format);
            console::talk("not reloaded: the PDP answers as before\n");
        }
        Reloaded::Taken { diagnostics, changes } => {
            show(diagnostics, format);
            match format {
                Format::Json => {
                    console::data(&format!("{}\n", reload_document(size, *changes)));
                }
                Format::Human => {
                    console::talk(&format!("reloaded: {}\n", super::pdp_text::size(size)));
                    if *changes == Changes::Replaced {
                        console::talk(
                            "what was changed through the control listener is as in the files again\n",
                        );
                    }
                }
            }
        }
    }
}

fn show(diagnostics: &Diagnostics, format: Format) {
    if diagnostics.is_empty() {
        return;
    }
    match format {
        Format::Human => console::talk(&diagnostics.to_human(console::talk_colour())),
        Format::Json => console::data(&diagnostics.to_json_lines()),
    }
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Self::Altinn => "altinn",
            Self::Strict => "strict",
        }
    }
}

fn secret(file: &Path) -> Result<SecretString, String> {
    read_secret(file).map_err(|fault| format!("`{}`: {fault}", file.display()))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    parse_socket_address(text).map_err(|fault| fault.to_string())
}

fn control(text: &str) -> Result<ControlArgument, String> {
    if text == "none" {
        return Ok(ControlArgument::None);
    }
    let at = address(text)?;
    if !at.ip().to_canonical().is_loopback() {
        return Err("it changes what callers get: it listens on loopback only".to_owned());
    }
    Ok(ControlArgument::At(at))
}

fn issuer(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|fault: url::ParseError| fault.to_string())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if plain { Ok(url) } else { Err("an issuer is an http(s) address and no more".to_owned()) }
}
