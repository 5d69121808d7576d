//! The resource policies, by the resource they are for.
//!
//! A file may have any name: what a policy covers is read off the policy. It names its resource in
//! the matches of its rules: `urn:altinn:resource`, or `urn:altinn:org` and `urn:altinn:app` for an
//! Altinn app, whose resource id is then `app_<org>_<app>`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::limits::{MAX_FAULTS, MAX_POLICIES};
use crate::domain::ResourceId;
use crate::xacml::{Category, Policy, PolicyNote};

const RESOURCE: &str = "urn:altinn:resource";
const ORG: &str = "urn:altinn:org";
const APP: &str = "urn:altinn:app";

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
                return Err(whole_file(file, message, "merge the two, or remove one"));
            }
            self.policies.insert(resource, Arc::clone(&stored));
        }
        Ok(())
    }

    /// The policy of a resource.
    pub fn policy(&self, resource: &ResourceId) -> Option<&Arc<Policy>> {
        self.policies.get(resource).map(|stored| &stored.policy)
    }

    /// The file that the policy of a resource stands in.
    pub(super) fn file(&self, resource: &ResourceId) -> Option<&str> {
        self.policies.get(resource).map(|stored| &*stored.file)
    }

    /// Every resource that has a policy, in the order of their ids.
    pub fn resources(&self) -> impl Iterator<Item = &ResourceId> {
        self.policies.keys()
    }

    /// What the policies' authors should know, with the names of their files; of each file once.
    pub fn notes(&self) -> impl Iterator<Item = (&str, &PolicyNote)> {
        let files: BTreeMap<&str, &Policy> =
            self.policies.values().map(|stored| (&*stored.file, &*stored.policy)).collect();
        files
            .into_iter()
            .flat_map(|(file, policy)| policy.notes().iter().map(move |note| (file, note)))
    }

    /// Differs whenever the content of a policy does.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// The resources a policy is for; at least one.
fn covered(policy: &Policy) -> Result<Vec<ResourceId>, (String, &'static str)> {
    let named = |id: &str| policy.compared_with(&Category::Resource, id);
    let mut ids: Vec<String> = named(RESOURCE).into_iter().map(str::to_owned).collect();
    if ids.is_empty() {
        ids.extend(app(&named(ORG), &named(APP)));
    } else {
        no_rule_is_about_another_app(policy, &ids)?;
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

/// The Resource Registry takes no policy of a resource that has a rule about something else. A rule by
/// org and app is about the same thing when it is that app's own resource.
fn no_rule_is_about_another_app(
    policy: &Policy,
    resources: &[String],
) -> Result<(), (String, &'static str)> {
    let by_rule = |id| policy.compared_by_rule(&Category::Resource, id);
    for (((rule, named), (_, orgs)), (_, apps)) in
        by_rule(RESOURCE).zip(by_rule(ORG)).zip(by_rule(APP))
    {
        let unnamed = named.is_empty() && !(orgs.is_empty() && apps.is_empty());
        if unnamed && !app(&orgs, &apps).is_some_and(|app| resources.contains(&app)) {
            let message =
                format!("the rule `{rule}` is about an app, and the policy about a resource");
            let help = "let each rule match the policy's `urn:altinn:resource`, as the Resource \
                        Registry demands";
            return Err((message, help));
        }
    }
    Ok(())
}

/// The resource id of an app that is named by one org and one app.
fn app(orgs: &BTreeSet<&str>, apps: &BTreeSet<&str>) -> Option<String> {
    match (orgs.len(), apps.len(), orgs.first(), apps.first()) {
        (1, 1, Some(org), Some(app)) => Some(format!("app_{org}_{app}")),
        _ => None,
    }
}

fn whole_file(file: &str, message: String, help: &str) -> PolicyFileFault {
    PolicyFileFault { file: file.to_owned(), line: 1, column: 1, message, help: help.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str, named: &[(&str, &str)]) -> String {
        let matches: Vec<String> = named
            .iter()
            .map(|(id, value)| {
                format!(
                    r#"<Match MatchId="urn:oasis:names:tc:xacml:1.0:function:string-equal">
<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">{value}</AttributeValue>
<AttributeDesignator AttributeId="{id}" Category="urn:oasis:names:tc:xacml:3.0:attribute-category:resource" DataType="http://www.w3.org/2001/XMLSchema#string"/></Match>"#
                )
            })
            .collect();
        let matches = matches.concat();
        format!(
            r#"<Rule RuleId="{id}" Effect="Permit"><Target><AnyOf><AllOf>{matches}</AllOf></AnyOf></Target><ObligationExpressions/></Rule>"#
        )
    }

    fn store(rules: &str) -> Result<PolicyStore, Vec<PolicyFileFault>> {
        let text = format!(
            r#"<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p"
RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides"><Target/>{rules}</Policy>"#
        );
        PolicyStore::build([("p.xml".to_owned(), text)])
    }

    #[test]
    fn every_rule_of_a_policy_is_about_its_resource() {
        let app = |name| [(ORG, "ttd"), (APP, name)];
        let own = rule("own", &app("shop"));
        for (rules, expected) in [
            (rule("a", &[(RESOURCE, "book")]) + &rule("b", &[("urn:altinn:task", "t")]), Ok(1)),
            (rule("a", &[(RESOURCE, "book")]) + &rule("b", &[(RESOURCE, "loan")]), Ok(2)),
            (own.clone(), Ok(1)),
            (own.clone() + &rule("b", &[(RESOURCE, "app_ttd_shop")]), Ok(1)),
            (
                own.clone() + &rule("b", &[(RESOURCE, "book")]),
                Err("the rule `own` is about an app"),
            ),
            (rule("a", &[(RESOURCE, "book")]) + &rule("b", &[(APP, "shop")]), Err("the rule `b`")),
            (own + &rule("b", &app("other")), Err("names no resource")),
            (rule("a", &[(RESOURCE, "urn:altinn:resource:book")]), Err("not a resource id")),
        ] {
            match (store(&rules), expected) {
                (Ok(store), Ok(count)) => assert_eq!(store.resources().count(), count, "{rules}"),
                (Err(faults), Err(expected)) => {
                    assert!(faults[0].message.contains(expected), "{rules}: {faults:?}");
                }
                (found, expected) => panic!("{rules}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn a_note_is_told_once_however_many_resources_the_policy_is_for() {
        let store = store(&rule("a", &[(RESOURCE, "book")]).replace(
            "</AllOf>",
            "</AllOf><AllOf><Match MatchId=\"urn:oasis:names:tc:xacml:1.0:function:string-equal\">\
             <AttributeValue DataType=\"http://www.w3.org/2001/XMLSchema#string\">loan</AttributeValue>\
             <AttributeDesignator AttributeId=\"urn:altinn:resource\" \
             Category=\"urn:oasis:names:tc:xacml:3.0:attribute-category:resource\" \
             DataType=\"http://www.w3.org/2001/XMLSchema#string\"/></Match></AllOf>",
        ))
        .unwrap();
        assert_eq!((store.resources().count(), store.notes().count()), (2, 1));
    }
}
