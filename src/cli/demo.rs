//! `portvakt demo`: everything in one process, and the tour through it.

use super::console::{self, Exit, Format};
use super::{FormatArgs, runtime};
use crate::dev::{Addresses, World, WorldSettings, tour, write_control_token, write_keys};
use crate::record::RecordSink;
use crate::server::stop_signal;
use clap::Args;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// Starts a token issuer, a PDP, a sample API and the proxy between them on loopback, and prints what to
/// try. Nothing outside the process is asked.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Play every user scenario on free ports, print a table, and exit with 0 only if all is right.
    #[arg(long)]
    tour: bool,
    /// The proxy's port; issuer, PDP and API take the three after it, probes the tenth and control the
    /// eleventh after it.
    #[arg(long, value_name = "PORT", default_value_t = 7080, conflicts_with = "tour")]
    port_base: u16,
    /// Where the clients' private keys and the control token are written.
    #[arg(long, value_name = "FOLDER", default_value = "portvakt-demo", conflicts_with = "tour")]
    keys: PathBuf,
    #[command(flatten)]
    format: FormatArgs,
}

impl Demo {
    pub(super) fn run(self) -> Exit {
        if self.tour {
            return runtime::block_on(play(self.format.format));
        }
        runtime::block_on(self.demonstrate())
    }

    async fn demonstrate(self) -> Exit {
        let world = World::begin(WorldSettings {
            addresses: Addresses::loopback(self.port_base),
            token_lifetime: Duration::from_mins(10),
            files: Vec::new(),
            issuers: "",
            configuration: "{}\n",
            sink: RecordSink::To(Box::new(std::io::stdout())),
        })
        .await;
        let world = match world {
            Ok(world) => world,
            Err(fault) => return console::failed(&fault),
        };
        let keys = world.clients.iter().map(|(name, client)| (name.as_str(), &client.key));
        let written = write_keys(&self.keys, keys).and_then(|folder| {
            Ok((folder, write_control_token(&self.keys, &world.control_token)?))
        });
        let (folder, token) = match written {
            Ok(written) => written,
            Err(fault) => {
                let fault = format!("cannot write secrets to `{}`: {fault}", self.keys.display());
                return console::failed(&fault);
            }
        };
        let [folder, token] = [folder, token].map(|path| path.display().to_string());
        console::talk(&welcome(&world.addresses, &folder, &token));
        if let Err(fault) = stop_signal().await {
            return console::failed(&fault);
        }
        console::talk("stopping\n");
        world.end().await;
        Exit::Ok
    }
}

async fn play(format: Format) -> Exit {
    let report = match tour::play().await {
        Ok(report) => report,
        Err(fault) => return console::failed(&fault),
    };
    match format {
        Format::Human => console::data(&report.to_human()),
        Format::Json => match serde_json::to_string_pretty(&report) {
            Ok(text) => console::data(&format!("{text}\n")),
            Err(fault) => return console::failed(&fault),
        },
    }
    if report.is_right() { Exit::Ok } else { Exit::Found }
}

fn welcome(addresses: &Addresses, keys: &str, token: &str) -> String {
    let Addresses { proxy, issuer, pdp, api, admin, control } = addresses;
    let program = std::env::args().next().unwrap_or_else(|| "portvakt".to_owned());
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\
proxy       http://{proxy}     where API calls go
issuer      http://{issuer}     stands in for Maskinporten
PDP         http://{pdp}     stands in for Altinn Authorization
sample API  http://{api}     what the proxy protects
probes      http://{admin}     /health/ready, /metrics
control     http://{control}     its status page, and what can be changed while all runs; its token is in {token}
client keys {keys}/

In another terminal, fetch a token as an accountant's system user:

  token=$({program} token mint --issuer http://{issuer}/ --client smartcloud --key {keys}/smartcloud.pem \\
    --owner 314242726 --external-ref regnskap --scope skatteetaten:mvameldinginnsending)

File for a client of the accountant (permitted), and for a stranger (refused):

  curl -i -X POST -H \"Authorization: Bearer $token\" http://{proxy}/mva/312714051/melding
  curl -i -X POST -H \"Authorization: Bearer $token\" http://{proxy}/mva/313750531/melding

Why the PDP answered as it did: its latest answers, the newest first, and one of them by its `id`:

  curl http://{control}/decisions
  curl http://{control}/decisions/ID

Make the proxy ask the PDP anew, whatever it has in hand:

  curl -X POST -H \"Authorization: Bearer $(cat {token})\" -H 'Content-Type: application/json' \\
    -d '{{\"all\":true}}' http://{control}/decisions/purge

Give the accountant's system user a new client, as the accountant does in Altinn:

  curl -X POST -H \"Authorization: Bearer $(cat {token})\" -H 'Content-Type: application/json' \\
    -d '{{\"systemUser\":\"a0000001-0000-4000-8000-000000000001\",\"client\":\"310329495\",\"packages\":[\"regnskapsforer-med-signeringsrettighet\"]}}' \\
    http://{control}/directory/clients/link

Make the PDP answer 503 to the next three questions it is asked (a decision in hand is none):

  curl -X POST -H \"Authorization: Bearer $(cat {token})\" -H 'Content-Type: application/json' \\
    -d '{{\"status\":503,\"times\":3}}' http://{control}/faults

Decision records follow, one for each call. Ctrl-C ends the demo.
"
    );
    text
}
