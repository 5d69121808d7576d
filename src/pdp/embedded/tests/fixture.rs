//! The shipped example, read from its files, and short ways to ask it. Reading the directory here is
//! for these tests: every field of the parts, no diagnostics.

use serde_json::Value;

use super::super::*;
use crate::domain::{
    AccessRequest, Action, CheckDigits, Decision, OrganizationNumber, Party, PdpSubject,
    ResourceId, SystemUserId,
};
use crate::pdp::DecisionPoint;
use crate::xacml::Mode;

pub(super) const REGN: &str = "a0000001-0000-4000-8000-000000000001";
pub(super) const SKATT: &str = "a0000002-0000-4000-8000-000000000002";
pub(super) const REVI: &str = "a0000003-0000-4000-8000-000000000003";
pub(super) const FFOR: &str = "a0000004-0000-4000-8000-000000000004";
pub(super) const OWN: &str = "a0000005-0000-4000-8000-000000000005";
pub(super) const OWN_PAKKE: &str = "a0000006-0000-4000-8000-000000000006";
pub(super) const SELF: &str = "a0000007-0000-4000-8000-000000000007";
pub(super) const UTENFOR: &str = "a0000008-0000-4000-8000-000000000008";
pub(super) const AVST: &str = "a0000009-0000-4000-8000-000000000009";
pub(super) const AVST_KL: &str = "a000000a-0000-4000-8000-00000000000a";

pub(super) const FIRM: &str = "314242726";
pub(super) const CLIENT_A: &str = "312714051";
pub(super) const SUBUNIT: &str = "315556155";
pub(super) const CLIENT_B: &str = "311127845";
pub(super) const CLIENT_C: &str = "313816915";
pub(super) const CLIENT_D: &str = "310329495";
pub(super) const STRANGER: &str = "313750531";
pub(super) const HOUSING: &str = "950474084";
pub(super) const OWN_DATA: &str = "910459880";

macro_rules! resources {
    ($($name:literal),* $(,)?) => {
        [$((concat!($name, ".xml"), include_str!(concat!("../../../../policies/resources/", $name, ".xml")))),*]
    };
}

pub(super) fn policies() -> PolicyStore {
    let files = resources![
        "ske-mva-melding",
        "ske-boligselskap",
        "ske-aksjonaerregister",
        "ske-selvstendig-betaling",
        "digdir-meldinger",
        "kartverket-tinglysing",
        "nav-aordning-a06",
        "nav-aordning-a07",
        "nav-aordning-full",
    ];
    PolicyStore::build(files.map(|(name, text)| (name.to_owned(), text))).unwrap()
}

pub(super) fn parts() -> DirectoryParts {
    let text = include_str!("../../../../policies/directory.yaml");
    let file: Value = serde_saphyr::from_str(text).unwrap();
    DirectoryParts {
        check_digits: CheckDigits::Strict,
        parties: list(&file, "parties", |one| PartyPart {
            organization: text_of(one, "organization"),
            person: text_of(one, "person").map(PersonText),
            name: text_of(one, "name"),
            organization_type: text_of(one, "type"),
            parent: text_of(one, "parent"),
            party_uuid: text_of(one, "party_uuid"),
            party_id: text_of(one, "party_id"),
            user_id: text_of(one, "user_id"),
        }),
        roles: list(&file, "roles", |one| RolePart {
            client: text_of(one, "client"),
            client_person: text_of(one, "client_person").map(PersonText),
            role: text_of(one, "role"),
            codes: texts(one, "codes"),
            estate_role: text_of(one, "estate_role"),
            provider: text_of(one, "provider"),
            person: text_of(one, "person").map(PersonText),
        }),
        role_packages: Vec::new(),
        delegations: list(&file, "delegations", |one| DelegationPart {
            from: text_of(one, "from"),
            from_person: text_of(one, "from_person").map(PersonText),
            to: text_of(one, "to"),
            person: text_of(one, "person").map(PersonText),
            packages: texts(one, "packages"),
            rights: list(one, "rights", right),
        }),
        system_users: list(&file, "system_users", |one| SystemUserPart {
            id: required(one, "id"),
            name: text_of(one, "name"),
            kind: required(one, "kind"),
            owner: required(one, "owner"),
            system_id: required(one, "system_id"),
            vendor: required(one, "vendor"),
            client_ids: texts(one, "client_ids"),
            external_ref: text_of(one, "external_ref"),
            rights: list(one, "rights", right),
            packages: texts(one, "packages"),
            clients: list(one, "clients", |client| AgentClientPart {
                client: required(client, "client"),
                packages: texts(client, "packages"),
            }),
        }),
        access_lists: list(&file, "access_lists", |one| AccessListPart {
            id: required(one, "id"),
            resources: list(one, "resources", |listed| AccessListResourcePart {
                resource: required(listed, "resource"),
                actions: listed.get("actions").map(|_| texts(listed, "actions")),
            }),
            members: texts(one, "members"),
        }),
        resources: list(&file, "resources", |one| ResourcePart {
            id: required(one, "id"),
            access_list: text_of(one, "access_list"),
        }),
        delegation_policies: Vec::new(),
        instances: list(&file, "instances", |one| InstancePart {
            id: required(one, "id"),
            resource: required(one, "resource"),
            task: text_of(one, "task"),
            end_event: text_of(one, "end_event"),
        }),
        clients: list(&file, "clients", |one| {
            assert_eq!(required(one, "key"), "generated");
            ClientPart {
                id: required(one, "id"),
                organization: required(one, "organization"),
                key: ClientKey::Generated,
                scopes: texts(one, "scopes"),
            }
        }),
    }
}

fn right(one: &Value) -> RightPart {
    RightPart {
        resource: required(one, "resource"),
        actions: texts(one, "actions"),
        instance: text_of(one, "instance"),
        task: text_of(one, "task"),
    }
}

fn list<T>(of: &Value, key: &str, read: impl Fn(&Value) -> T) -> Vec<T> {
    of.get(key).map(|list| list.as_array().unwrap().iter().map(read).collect()).unwrap_or_default()
}

fn texts(of: &Value, key: &str) -> Vec<String> {
    list(of, key, |one| one.as_str().unwrap().to_owned())
}

fn text_of(of: &Value, key: &str) -> Option<String> {
    of.get(key).map(|one| one.as_str().unwrap_or_else(|| panic!("{key}: {one}")).to_owned())
}

fn required(of: &Value, key: &str) -> String {
    text_of(of, key).unwrap_or_else(|| panic!("{key} is missing in {of}"))
}

pub(super) fn pdp() -> EmbeddedPdp {
    pdp_of(parts())
}

pub(super) fn pdp_of(parts: DirectoryParts) -> EmbeddedPdp {
    EmbeddedPdp::new(policies(), Directory::build(parts).unwrap(), Mode::Altinn)
}

pub(super) fn user(id: &str) -> SystemUserId {
    SystemUserId::parse(id).unwrap()
}

pub(super) fn number(text: &str) -> OrganizationNumber {
    OrganizationNumber::parse(text, CheckDigits::Strict).unwrap()
}

pub(super) fn key(text: &str) -> PartyKey {
    PartyKey::Organization(number(text))
}

pub(super) fn package(code: &str) -> PackageCode {
    PackageCode::parse(code).unwrap()
}

pub(super) fn system_user_part<'p>(
    parts: &'p mut DirectoryParts,
    id: &str,
) -> &'p mut SystemUserPart {
    parts.system_users.iter_mut().find(|one| one.id == id).unwrap()
}

/// The decision's word, asked through the decision point.
pub(super) fn ask(
    pdp: &EmbeddedPdp,
    id: &str,
    resource: &str,
    action: &str,
    party: &str,
) -> &'static str {
    decide(
        pdp,
        PdpSubject::SystemUser(user(id)),
        resource,
        action,
        Party::Organization(number(party)),
    )
    .as_str()
}

pub(super) fn decide(
    pdp: &EmbeddedPdp,
    subject: PdpSubject,
    resource: &str,
    action: &str,
    party: Party,
) -> Decision {
    let request = AccessRequest {
        subject,
        resource: ResourceId::parse(resource).unwrap(),
        action: Action::parse(action).unwrap(),
        party,
        instance: None,
        attributes: [].into(),
    };
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match pdp.decide(&request).as_mut().poll(&mut context) {
        std::task::Poll::Ready(decision) => decision.unwrap(),
        std::task::Poll::Pending => panic!("it decides at once"),
    }
}
