//! The resource policies, by the resource they are for.
//!
//! A file may have any name: what a policy covers is read off the policy. It names its resource in
//! the matches of its rules: `urn:altinn:resource`, or `urn:altinn:org` and `urn:altinn:app` for an
//! Altinn app, whose resource id is then `app_<org>_<app>`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::limits::{MAX_FAULTS, MAX_POLICIES};
use crate::domain::ResourceId;
use crate::xacml::{Category, Policy, PolicyNote};

/// Every resource policy. A resource has one policy at most.
#[derive(Clone, Debug)]
pub struct PolicyStore {
    policies: BTreeMap<ResourceId, Arc<StoredPolicy>>,
    fingerprint: String,
}

#[derive(Debug)]
struct StoredPolicy {
    file: String,
    policy: Arc<Policy>,
}

/// Something wrong with a policy file, and where. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFileFault {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub help: String,
}

impl fmt::Display for PolicyFileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl std::error::Error for PolicyFileFault {}

impl PolicyStore {
    /// Reads policy documents, given with the names of their files.
    pub fn build<B: AsRef<[u8]>>(
        files: impl IntoIterator<Item = (String, B)>,
    ) -> Result<Self, Vec<PolicyFileFault>> {
        let mut files: Vec<_> = files.into_iter().collect();
        // The same files in another order are the same store.
        files.sort_by(|left, right| left.0.cmp(&right.0));
        let mut store = Self { policies: BTreeMap::new(), fingerprint: String::new() };
        let mut faults = Vec::new();
        let mut hash = digest::Context::new(&digest::SHA256);
        for (index, (file, document)) in files.iter().enumerate() {
            let document = document.as_ref();
            hash.update(digest::digest(&digest::SHA256, document).as_ref());
            let added = if index < MAX_POLICIES {
                store.add(file, document)
            } else {
                let help = "keep only the policies that are needed";
                Err(whole_file(file, format!("more than {MAX_POLICIES} policies"), help))
            };
            faults.extend(added.err());
            if faults.len() >= MAX_FAULTS {
                break;
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        store.fingerprint = URL_SAFE_NO_PAD.encode(hash.finish());
        Ok(store)
    }

    fn add(&mut self, file: &str, document: &[u8]) -> Result<(), PolicyFileFault> {
        let policy = Policy::parse(document).map_err(|fault| PolicyFileFault {
            file: file.to_owned(),
            line: fault.line,
            column: fault.column,
            message: fault.message,
            help: fault.help,
        })?;
        let resources =
            covered(&policy).map_err(|(message, help)| whole_file(file, message, help))?;
        let stored = Arc::new(StoredPolicy { file: file.to_owned(), policy: Arc::new(policy) });
        for resource in resources {
            if let Some(other) = self.policies.get(&resource) {
                let message = format!("`{resource}` already has a policy, in `{}`", other.file);
                return Err(whole_file(file, message, "a resource has one policy: merge the two"));
            }
            self.policies.insert(resource, Arc::clone(&stored));
        }
        Ok(())
    }

    /// The policy of a resource.
    pub fn policy(&self, resource: &ResourceId) -> Option<&Arc<Policy>> {
        self.policies.get(resource).map(|stored| &stored.policy)
    }

    /// Every resource that has a policy, in the order of their ids.
    pub fn resources(&self) -> impl Iterator<Item = &ResourceId> {
        self.policies.keys()
    }

    /// What the policies' authors should know, with the names of their files.
    pub fn notes(&self) -> impl Iterator<Item = (&str, &PolicyNote)> {
        self.policies
            .values()
            .flat_map(|stored| stored.policy.notes().iter().map(|note| (&*stored.file, note)))
    }

    /// Differs whenever the content of a policy does.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// The resources a policy is for; at least one.
fn covered(policy: &Policy) -> Result<Vec<ResourceId>, (String, &'static str)> {
    let named = |id: &str| policy.compared_with(&Category::Resource, id);
    let mut ids: Vec<String> =
        named("urn:altinn:resource").into_iter().map(str::to_owned).collect();
    if ids.is_empty() {
        let (orgs, apps) = (named("urn:altinn:org"), named("urn:altinn:app"));
        if let (1, 1, Some(org), Some(app)) = (orgs.len(), apps.len(), orgs.first(), apps.first()) {
            ids.push(format!("app_{org}_{app}"));
        }
    }
    if ids.is_empty() {
        let help = "let its rules match `urn:altinn:resource`, or one org and one app";
        return Err(("the policy names no resource".to_owned(), help));
    }
    ids.iter()
        .map(|id| {
            let legal = ResourceId::parse(id).ok().filter(|parsed| parsed.as_str() == id);
            legal.ok_or_else(|| {
                let help = "at least four of the characters `A-Z a-z 0-9 _ . : -`, no prefix";
                ("the policy matches a resource by what is not a resource id".to_owned(), help)
            })
        })
        .collect()
}

fn whole_file(file: &str, message: String, help: &str) -> PolicyFileFault {
    PolicyFileFault { file: file.to_owned(), line: 1, column: 1, message, help: help.to_owned() }
}
