//! Whoever asks `portvakt pdp` decides as one who has the PDP inside: each question is asked of both.

use super::{ACTION_ID, Folder, Pdp, ROOT};
use futures_util::future::join_all;
use portvakt::config::diagnostic::Origin;
use portvakt::config::{self, Diagnostics, Files};
use portvakt::domain::{
    AccessRequest, Action, CheckDigits, Decision, OrganizationNumber, Party, PdpSubject,
    PersonNumber, ResourceId, SystemClock, SystemUserId,
};
use portvakt::outbound::{Outbound, OutboundSettings};
use portvakt::pdp::embedded::EmbeddedPdp;
use portvakt::pdp::{DecisionPoint as _, RemotePdp, RemoteSettings};
use portvakt::tasks::Tasks;
use portvakt::xacml::{Category, Mode};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What the repository ships, in this process.
fn embedded() -> EmbeddedPdp {
    let folder = Path::new(ROOT).join("policies");
    let (files, mut diagnostics) = (Files::Disk, Diagnostics::new());
    let resources = folder.join("resources");
    let store =
        config::load_policies(&files, &resources, &Origin::Nowhere, &mut diagnostics).unwrap();
    let (path, strict) = (folder.join("directory.yaml"), CheckDigits::Strict);
    let directory = config::load_directory(&files, &path, strict, Some(&store), &mut diagnostics);
    EmbeddedPdp::new(store, directory.unwrap(), Mode::Altinn)
}

/// Every party of the directory file, in each of its ways to be named, and one that is not there.
fn parties() -> Vec<Party> {
    let text = fs::read_to_string(Path::new(ROOT).join("policies/directory.yaml")).unwrap();
    let mut parties = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("  - { ") && line.contains("name: ")) {
        let value = |key: &str| {
            let (_, rest) = line.split_once(&format!("{key}: "))?;
            Some(rest.split([',', ' ', '}']).next().unwrap().trim_matches('"'))
        };
        let number = |text| OrganizationNumber::parse(text, CheckDigits::Strict).unwrap();
        parties.extend(value(" organization").map(|text| Party::Organization(number(text))));
        parties
            .extend(value(" person").map(|text| Party::Person(PersonNumber::parse(text).unwrap())));
        parties.extend(value("party_uuid").map(|text| Party::Uuid(text.parse().unwrap())));
    }
    assert!(parties.len() > 14, "{parties:?}");
    let nobody = OrganizationNumber::parse("999999999", CheckDigits::Lenient).unwrap();
    parties.push(Party::Organization(nobody));
    parties
}

/// Every resource of the policies with every action they speak of, and what they do not know.
fn rights(pdp: &EmbeddedPdp) -> Vec<(ResourceId, Action)> {
    let action = |text: &str| Action::parse(text).unwrap();
    let mut rights = Vec::new();
    for resource in pdp.policies().resources() {
        let policy = pdp.policies().policy(resource).unwrap();
        let actions = policy.compared_with(&Category::Action, ACTION_ID);
        rights.extend(actions.into_iter().map(|text| (resource.clone(), action(text))));
        rights.push((resource.clone(), action("unknown")));
    }
    rights.push((ResourceId::parse("no-such-resource").unwrap(), action("read")));
    rights
}

fn subjects(pdp: &EmbeddedPdp) -> Vec<PdpSubject> {
    let directory = pdp.directory().current();
    let users = directory.system_users().map(|user| PdpSubject::SystemUser(user.id));
    let unknown = SystemUserId::parse("a545ca29-7fb8-4810-a2f2-0be171cb2a26").unwrap();
    let accountant = OrganizationNumber::parse("314242726", CheckDigits::Strict).unwrap();
    let owner = PersonNumber::parse("15877012345").unwrap();
    let others = [
        PdpSubject::SystemUser(unknown),
        PdpSubject::Organization(accountant),
        PdpSubject::Person(owner),
    ];
    users.chain(others).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_it_decides_as_one_who_has_the_pdp_inside() {
    let folder = Folder::new();
    let pdp = Pdp::start(&folder, &["--open"]);
    let inside = embedded();
    let client = |multi_request| {
        let url = format!("http://{}", pdp.address).parse().unwrap();
        let settings = RemoteSettings {
            multi_request,
            timeout: Duration::from_mins(1),
            ..RemoteSettings::new(url)
        };
        let outbound = Outbound::new(&OutboundSettings::default()).unwrap();
        RemotePdp::new(outbound, &settings, &Tasks::new(), Arc::new(SystemClock)).unwrap()
    };
    let (singly, together) = (client(false), client(true));
    let (rights, parties) = (rights(&inside), parties());
    let mut seen: BTreeMap<&'static str, u32> = BTreeMap::new();
    let mut obliged = 0;
    for subject in subjects(&inside) {
        for (resource, action) in &rights {
            let asked = |party: &Party| {
                Arc::new(AccessRequest {
                    subject,
                    resource: resource.clone(),
                    action: action.clone(),
                    party: *party,
                    instance: None,
                    attributes: Arc::from([]),
                })
            };
            let asked: Vec<_> = parties.iter().map(asked).collect();
            let expected = join_all(asked.iter().map(|one| inside.decide(one))).await;
            let (one, many) = tokio::join!(
                join_all(asked.iter().map(|one| singly.decide(one))),
                together.decide_many(&asked)
            );
            assert_eq!(one, expected, "{subject:?} {resource} {action}");
            assert_eq!(many, expected, "{subject:?} {resource} {action}, asked together");
            for decision in expected.iter().flatten() {
                *seen.entry(decision.as_str()).or_default() += 1;
                if let Decision::Permit(obligations) = decision {
                    obliged += u32::from(!obligations.as_slice().is_empty());
                }
            }
        }
    }
    let words: Vec<_> = seen.keys().copied().collect();
    assert_eq!(words, ["Deny", "Indeterminate", "NotApplicable", "Permit"], "{seen:?}");
    assert!(seen.values().sum::<u32>() > 3000 && obliged > 20, "{seen:?}, {obliged} obliged");
}
