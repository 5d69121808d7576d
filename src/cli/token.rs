//! `portvakt token`: fetch one as an end-user system does, or read one.

use super::console::{self, Exit, Format};
use super::token_inspect::Inspect;
use super::{FormatArgs, runtime};
use crate::dev::{EndUserSystem, NoToken, OnBehalf, SigningKey};
use crate::domain::{CheckDigits, OrganizationNumber, SystemClock};
use crate::outbound::{Outbound, OutboundSettings};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Fetch a token from an issuer by JWT grant, and print it.
    Mint(Mint),
    /// Say what a token says, for whom, and which checks it would fail.
    Inspect(Inspect),
}

/// Proves the client with its key, as Maskinporten demands, and prints the token that it is granted.
#[derive(Debug, Args)]
pub(super) struct Mint {
    /// The issuer.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7081/")]
    issuer: Url,
    /// The client's id.
    #[arg(long, value_name = "ID")]
    client: String,
    /// The client's private key in PEM (PKCS#8).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The key's id at the issuer, where that is not the client's id.
    #[arg(long, value_name = "KID")]
    kid: Option<String>,
    /// What the token is for; may be given several times.
    #[arg(long, value_name = "SCOPE", required = true)]
    scope: Vec<String>,
    /// The organization that owns the system user; without it the client's own organization calls.
    #[arg(long, value_name = "NUMBER", value_parser = organization)]
    owner: Option<OrganizationNumber>,
    /// Tells several system users of one owner apart.
    #[arg(long, value_name = "REFERENCE", requires = "owner")]
    external_ref: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
}

impl Token {
    pub(super) fn run(self) -> Exit {
        match self {
            Self::Mint(mint) => runtime::block_on(mint.fetch()),
            Self::Inspect(inspect) => inspect.run(),
        }
    }
}

impl Mint {
    async fn fetch(self) -> Exit {
        let pem = match std::fs::read_to_string(&self.key) {
            Ok(pem) => pem,
            Err(fault) => {
                return console::misused(&format!("cannot read `{}`: {fault}", self.key.display()));
            }
        };
        let key = match SigningKey::from_pem(self.kid.unwrap_or_else(|| self.client.clone()), &pem)
        {
            Ok(key) => key,
            Err(fault) => return console::misused(&format!("`{}`: {fault}", self.key.display())),
        };
        let outbound = match Outbound::new(&OutboundSettings::default()) {
            Ok(outbound) => outbound,
            Err(fault) => return console::failed(&fault),
        };
        let clock = Arc::new(SystemClock);
        let issuer = self.issuer.clone();
        let system =
            EndUserSystem { client_id: self.client, key, issuer: self.issuer, outbound, clock };
        let external_ref = self.external_ref.as_deref();
        let on_behalf = self.owner.map(|owner| OnBehalf { owner, external_ref });
        match system.token(&self.scope.join(" "), on_behalf).await {
            Ok(token) => {
                console::data(&match self.format.format {
                    Format::Human => format!("{token}\n"),
                    Format::Json => format!("{}\n", json!({ "token": token })),
                });
                Exit::Ok
            }
            Err(fault @ NoToken::Refused { .. }) => console::found(&format!("`{issuer}`: {fault}")),
            Err(fault @ NoToken::NoAnswer(_)) => console::failed(&format!("`{issuer}`: {fault}")),
        }
    }
}

fn organization(text: &str) -> Result<OrganizationNumber, String> {
    OrganizationNumber::parse(text, CheckDigits::Lenient).map_err(|fault| fault.to_string())
}
