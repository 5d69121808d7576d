//! `portvakt import`: what others have, as files of one's own; here proposed rules from what an API says of itself.

use super::FormatArgs;
use super::console::{self, Exit, Format};
use super::import_policies::Policies;
use crate::config::openapi::{self, Document, Proposal, Wishes};
use crate::config::{Diagnostics, Files};
use clap::{Args, Subcommand};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// What others have, as files of your own.
#[derive(Debug, Subcommand)]
pub(super) enum Import {
    /// Propose a rule for each operation of an OpenAPI document (3.0 or 3.1, YAML or JSON).
    ///
    /// What only a person can say stands as `TODO`, which `check` refuses. Nothing is ever overwritten.
    Openapi(Openapi),
    /// Fetch the policies of the resources that the rules name from Altinn's Resource Registry.
    Policies(Policies),
}

#[derive(Debug, Args)]
pub(super) struct Openapi {
    /// The document.
    file: PathBuf,
    /// The name of the API, in place of the document's title.
    #[arg(long, value_name = "NAME")]
    api: Option<String>,
    /// The resource that all rules ask about.
    #[arg(long, value_name = "ID")]
    resource: Option<String>,
    /// What paths begin with as they come to the proxy, in place of the first server's path.
    #[arg(long, value_name = "PATH")]
    base_path: Option<String>,
    /// Write the rules to this file, which must not be there yet; otherwise they are printed.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write tests of the rules to this file, which must not be there yet: whoever sends no token is refused.
    #[arg(long, value_name = "FILE")]
    tests: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
}

impl Import {
    pub(super) fn run(self) -> Exit {
        match self {
            Self::Openapi(openapi) => openapi.run(),
            Self::Policies(policies) => policies.run(),
        }
    }
}

impl Openapi {
    fn run(self) -> Exit {
        let mut diagnostics = Diagnostics::new();
        let base = self.base_path.as_deref();
        let document = openapi::read(&Files::Disk, &self.file, base, &mut diagnostics);
        if !diagnostics.is_empty() {
            console::talk(&diagnostics.to_human(console::talk_colour()));
        }
        let Some(document) = document.filter(|_| !diagnostics.has_errors()) else {
            return Exit::Usage;
        };
        let wishes = Wishes { api: self.api.clone(), resource: self.resource.clone() };
        let proposal = openapi::propose(&document, &wishes);
        let yaml = proposal.to_yaml();
        let files = [(&self.output, yaml.clone()), (&self.tests, proposal.tests_to_yaml())];
        for (path, text) in files {
            let Some(path) = path else { continue };
            if let Err(fault) = write_new(path, &text) {
                let path = path.display();
                return if fault.kind() == io::ErrorKind::AlreadyExists {
                    console::misused(&format!("`{path}` is there already, and is not overwritten"))
                } else {
                    console::failed(&format!("cannot write `{path}`: {fault}"))
                };
            }
        }
        self.tell(&document, &proposal, &yaml);
        Exit::Ok
    }

    fn tell(&self, document: &Document, proposal: &Proposal, yaml: &str) {
        let (operations, rules) = (document.operations.len(), proposal.count());
        let (decided, left) = (proposal.decided(), proposal.left_to_api());
        let to_choose = proposal.to_choose();
        match (self.format.format, &self.output) {
            (Format::Human, None) => console::data(yaml),
            (Format::Human, Some(_)) => {}
            (Format::Json, output) => console::data(&format!(
                "{}\n",
                json!({
                    "operations": operations, "rules": rules, "askAltinn": decided, "leftToApi": left,
                    "toChoose": to_choose, "file": output, "yaml": yaml,
                })
            )),
        }
        console::talk(&format!(
            "{rules} rules for {operations} operations: {decided} ask Altinn, {left} leave the object to the API; \
             yours to choose (`TODO`): {to_choose}\n"
        ));
    }
}

fn write_new(path: &PathBuf, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}
