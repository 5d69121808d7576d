//! `portvakt issuer`: the development issuer alone.

use super::console::{self, Exit, Format};
use super::{FormatArgs, runtime};
use crate::config::{self, Diagnostics, Files};
use crate::dev::{
    self, Issuer as TokenIssuer, SigningKey, client_keys, issuer_directory, write_keys,
};
use crate::domain::{CheckDigits, SystemClock};
use crate::server::stop_signal;
use crate::tasks::Tasks;
use clap::Args;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use url::Url;

/// Its keys are made at start, and it never takes the name of a real issuer.
#[derive(Debug, Args)]
pub(super) struct Issuer {
    /// The folder with `directory.yaml`.
    #[arg(long, value_name = "FOLDER", default_value = "policies")]
    policies: PathBuf,
    /// Where to listen; loopback unless told otherwise.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7081")]
    listen: SocketAddr,
    /// Its name and public address, where that is not the address it listens on.
    #[arg(long, value_name = "URL")]
    name: Option<Url>,
    /// Where the clients' private keys are written.
    #[arg(long, value_name = "FOLDER", default_value = "portvakt-demo")]
    keys: PathBuf,
    /// How long its tokens live, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
    lifetime: u64,
    #[command(flatten)]
    format: FormatArgs,
}

impl Issuer {
    pub(super) fn run(self) -> Exit {
        runtime::block_on(self.serve())
    }

    async fn serve(self) -> Exit {
        let mut diagnostics = Diagnostics::new();
        let directory = config::load_directory(
            &Files::Disk,
            &self.policies.join("directory.yaml"),
            CheckDigits::Lenient,
            None,
            &mut diagnostics,
        );
        if !diagnostics.is_empty() {
            console::talk(&diagnostics.to_human(console::talk_colour()));
        }
        let Some(directory) = directory else { return Exit::Usage };
        let keys = match client_keys(&directory) {
            Ok(keys) => keys,
            Err(fault) => return console::failed(&fault),
        };
        let listener = match TcpListener::bind(self.listen).await {
            Ok(listener) => listener,
            Err(fault) => {
                return console::failed(&format!("cannot listen on `{}`: {fault}", self.listen));
            }
        };
        let issuer = match self.issuer(&listener, issuer_directory(&directory, &keys)) {
            Ok(issuer) => issuer,
            Err(fault) => return console::failed(&fault),
        };
        if let Err(fault) =
            write_keys(&self.keys, keys.iter().map(|(name, key)| (name.as_str(), key)))
        {
            return console::failed(&format!(
                "cannot write keys to `{}`: {fault}",
                self.keys.display()
            ));
        }
        let metadata = format!("{}.well-known/oauth-authorization-server", issuer.name());
        match self.format.format {
            Format::Human => console::talk(&format!(
                "issuer      {}\nmetadata    {metadata}\nclient keys {}/\n",
                issuer.name(),
                self.keys.display()
            )),
            Format::Json => {
                let line = json!({ "issuer": issuer.name().to_string(), "metadata": metadata, "keys": self.keys });
                console::data(&format!("{line}\n"));
            }
        }
        let tasks = Tasks::new();
        let _serving = dev::serve(listener, Arc::new(issuer), &tasks);
        if let Err(fault) = stop_signal().await {
            return console::failed(&fault);
        }
        tasks.stop(Duration::from_secs(1)).await;
        Exit::Ok
    }

    fn issuer(
        &self,
        listener: &TcpListener,
        directory: dev::IssuerDirectory,
    ) -> Result<TokenIssuer, String> {
        let bound = listener.local_addr().map_err(|fault| fault.to_string())?;
        let own = format!("http://{bound}/").parse().map_err(|fault| format!("{fault}"))?;
        let name = self.name.clone().unwrap_or(own);
        let key = SigningKey::generate("dev-1").map_err(|fault| fault.to_string())?;
        let issuer = TokenIssuer::new(&name, key, directory, Arc::new(SystemClock));
        let issuer = issuer.map_err(|fault| fault.to_string())?;
        Ok(issuer.with_lifetime(Duration::from_secs(self.lifetime)))
    }
}
