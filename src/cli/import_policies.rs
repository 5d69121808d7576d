//! `portvakt import policies`: the policies of the resources that rules name, from Altinn's Resource Registry.
//!
//! They are public, and kept as files beside the rules: read by people, by `check`, by tests, and for the access packages
//! in refusals. The proxy itself never asks the registry.

use super::console::{self, Exit, Format};
use super::{ConfigArgs, FormatArgs, runtime};
use crate::config::diagnostic::Origin;
use crate::config::{
    self, AltinnEnvironment, Compiled, Diagnostics, Environment, Files, Inputs, Overrides, Runtime,
};
use crate::domain::{ResourceId, SystemClock};
use crate::outbound::{Call, Outbound};
use crate::route::ResourceRule;
use crate::tasks::Tasks;
use crate::xacml::Policy;
use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Fetches the policy of every resource that the rules name from Altinn's Resource Registry, and keeps each as a file in
/// `resources` below `policies`.
///
/// A file that is there is left as it is, and compared; exits with 1 if one has become another, or the registry does not
/// know a resource. No credential is needed.
#[derive(Debug, Args)]
pub(super) struct Policies {
    #[command(flatten)]
    config: ConfigArgs,
    /// Replace files whose policies have become others.
    #[arg(long)]
    refresh: bool,
    /// Altinn's platform, in place of that of `environment`.
    #[arg(long, value_name = "URL")]
    platform: Option<Url>,
    #[command(flatten)]
    format: FormatArgs,
}

/// For one policy.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The largest policy that is fetched. As the largest that is read.
const MAX_POLICY_BYTES: usize = 1024 * 1024;

/// What became of one policy.
#[derive(Debug)]
enum Fetched {
    New,
    Same,
    Changed,
    Replaced,
    /// In a file of another name.
    Elsewhere,
    Unknown,
    Failed(String),
}

impl Fetched {
    fn describe(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::New => ("new", None),
            Self::Same => ("as it was", None),
            Self::Changed => ("has changed", Some("`--refresh` replaces the file")),
            Self::Replaced => ("replaced", None),
            Self::Elsewhere => ("not fetched", Some("a file of another name has a policy for it")),
            Self::Unknown => (
                "unknown to the registry",
                Some("correct the id in the rules, or ask whoever owns it"),
            ),
            Self::Failed(fault) => ("failed", Some(fault)),
        }
    }

    fn is_well(&self) -> bool {
        match self {
            Self::New | Self::Same | Self::Replaced | Self::Elsewhere => true,
            Self::Changed | Self::Unknown | Self::Failed(_) => false,
        }
    }
}

impl Policies {
    pub(super) fn run(self) -> Exit {
        runtime::block_on(self.fetch())
    }

    async fn fetch(self) -> Exit {
        let inputs = Inputs {
            config: self.config.config.clone(),
            files: Files::Disk,
            environment: Environment::of_process(),
            flags: Vec::new(),
            overrides: Overrides { without_secrets: true, ..Overrides::default() },
        };
        let runtime = Runtime { tasks: Tasks::new(), clock: Arc::new(SystemClock) };
        let outcome = config::compile(&inputs, None, &runtime);
        let Some(compiled) = outcome.compiled else {
            console::talk(&outcome.diagnostics.to_human(console::talk_colour()));
            return Exit::Usage;
        };
        let Some(platform) = self.platform.clone().or_else(|| platform_of(compiled.environment))
        else {
            return console::misused(
                &"`environment` names no Altinn that has a registry: give `--platform`",
            );
        };
        let outbound = match Outbound::new(compiled.outbound()) {
            Ok(outbound) => outbound,
            Err(fault) => return console::failed(&fault),
        };
        let folder = compiled.policies.join("resources");
        if let Err(fault) = fs::create_dir_all(&folder) {
            return console::failed(&format!("cannot make `{}`: {fault}", folder.display()));
        }
        // What cannot be read of them is `check`'s affair.
        let present =
            config::load_policies(&Files::Disk, &folder, &Origin::Nowhere, &mut Diagnostics::new());
        let has = |resource: &ResourceId| {
            present.as_ref().is_some_and(|it| it.policy(resource).is_some())
        };
        let mut well = true;
        for resource in named(&compiled) {
            let path = folder.join(format!("{}.xml", resource.as_str().replace(':', "_")));
            let fetched = match ask(&outbound, &platform, &resource).await {
                Ok(Some(_)) if has(&resource) && !path.exists() => Fetched::Elsewhere,
                Ok(Some(policy)) => self.keep(&path, &policy).unwrap_or_else(Fetched::Failed),
                Ok(None) => Fetched::Unknown,
                Err(fault) => Fetched::Failed(fault),
            };
            well &= fetched.is_well();
            console::data(&self.line(&resource, &path, &fetched));
        }
        if well { Exit::Ok } else { Exit::Found }
    }

    fn keep(&self, path: &Path, policy: &[u8]) -> Result<Fetched, String> {
        let write = |fetched| match fs::write(path, policy) {
            Ok(()) => Ok(fetched),
            Err(fault) => Err(format!("cannot write `{}`: {fault}", path.display())),
        };
        match fs::read(path) {
            Ok(present) if present == policy => Ok(Fetched::Same),
            Ok(_) if self.refresh => write(Fetched::Replaced),
            Ok(_) => Ok(Fetched::Changed),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => write(Fetched::New),
            Err(fault) => Err(format!("cannot read `{}`: {fault}", path.display())),
        }
    }

    fn line(&self, resource: &ResourceId, path: &Path, fetched: &Fetched) -> String {
        let (outcome, note) = fetched.describe();
        match self.format.format {
            Format::Human => {
                let note = note.map(|note| format!(": {note}")).unwrap_or_default();
                format!("{resource}  {outcome}{note}\n")
            }
            Format::Json => {
                let line = json!({
                    "resource": resource.as_str(), "file": path, "outcome": outcome, "note": note,
                    "ok": fetched.is_well(),
                });
                format!("{line}\n")
            }
        }
    }
}

/// Every resource that the rules name.
fn named(compiled: &Compiled) -> BTreeSet<ResourceId> {
    let rules = compiled.snapshot.routes.rules().iter();
    rules.filter_map(|rule| rule.resource()).flat_map(ResourceRule::ids).cloned().collect()
}

fn platform_of(environment: AltinnEnvironment) -> Option<Url> {
    // The local PDP keeps no registry.
    (environment != AltinnEnvironment::Local).then(|| environment.platform()).flatten()
}

/// The resource's policy, if the registry knows the resource.
async fn ask(
    outbound: &Outbound,
    platform: &Url,
    resource: &ResourceId,
) -> Result<Option<Bytes>, String> {
    let path = format!("resourceregistry/api/v1/resource/{resource}/policy");
    let mut url = platform.clone();
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}/{path}"));
    let call = Call {
        method: Method::GET,
        url,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: TIMEOUT,
        max_answer_bytes: MAX_POLICY_BYTES,
    };
    let reply = outbound.exchange(call).await.map_err(|fault| fault.to_string())?;
    match reply.status {
        StatusCode::OK => {
            let policy = Policy::parse(&reply.body);
            policy.map_err(|fault| format!("what came is not a policy: {}", fault.message))?;
            Ok(Some(reply.body))
        }
        StatusCode::NOT_FOUND | StatusCode::NO_CONTENT => Ok(None),
        status => Err(format!("the registry answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_in_the_folder_whatever_the_resource() {
        for id in ["....", "a:b:c:d", "ske-mva-melding"] {
            let id = ResourceId::parse(id).unwrap();
            let name = format!("{}.xml", id.as_str().replace(':', "_"));
            assert_eq!(Path::new(&name).file_name().unwrap().to_str(), Some(name.as_str()));
        }
    }
}
