//! The facts that the cases of Altinn's PDP rest on, as a directory of the embedded PDP.
//!
//! Users stand for the persons they are. Instances, and delegations to users and units, have no place in
//! the directory; the cases that need them are not run.

use crate::folder::{self, word, words};
use portvakt::domain::CheckDigits;
use portvakt::pdp::embedded::{
    AccessListPart, AccessListResourcePart, DirectoryParts, PartyPart, PersonText, ResourcePart,
    RightPart, RolePart, SystemUserPart,
};
use portvakt::xacml::{ACTION_ID, Category, Policy};
use serde_json::Value;
use std::collections::BTreeMap;

const SYSTEM_USER: &str = "urn:altinn:systemuser:uuid:";

/// Old role codes that are roles of the Register of Legal Entities. The others are roles of the old Altinn
/// alone, which the embedded PDP does not have.
const REGISTER_ROLES: [(&str, &str); 3] =
    [("DAGL", "daglig-leder"), ("LEDE", "styreleder"), ("MEDL", "styremedlem")];

pub(crate) fn directory(facts: &Value) -> DirectoryParts {
    let resources = facts["access_list_mode"].as_object().unwrap().iter();
    let resources = resources.map(|(id, mode)| ResourcePart {
        id: id.clone(),
        access_list: mode.as_str().map(str::to_ascii_lowercase),
    });
    DirectoryParts {
        check_digits: CheckDigits::Lenient,
        parties: parties(facts),
        roles: roles(facts),
        system_users: system_users(facts),
        access_lists: access_lists(facts),
        resources: resources.collect(),
        ..DirectoryParts::default()
    }
}

fn parties(facts: &Value) -> Vec<PartyPart> {
    list(facts, "parties")
        .map(|party| PartyPart {
            organization: present(&party["organization_number"]),
            person: present(&party["person_number"]).map(PersonText),
            party_uuid: present(&party["party_uuid"]),
            party_id: number(&party["party_id"]),
            ..PartyPart::default()
        })
        .collect()
}

fn roles(facts: &Value) -> Vec<RolePart> {
    let mut roles = Vec::new();
    for (key, codes) in facts["roles_by_user_at_party"].as_object().unwrap() {
        let (user, party) = key.split_once('@').unwrap();
        let person = list(facts, "users")
            .find(|known| number(&known["user_id"]).as_deref() == Some(user))
            .and_then(|known| present(&known["person_number"]))
            .filter(|person| {
                list(facts, "parties").any(|party| party["person_number"] == **person)
            });
        let client = organization(facts, "party_id", party);
        let (Some(person), Some(client)) = (person, client) else { continue };
        for (code, role) in REGISTER_ROLES {
            if codes.as_array().unwrap().iter().any(|one| one == code) {
                roles.push(RolePart {
                    client: Some(client.clone()),
                    role: Some(role.to_owned()),
                    person: Some(PersonText(person.clone())),
                    ..RolePart::default()
                });
            }
        }
    }
    roles
}

fn system_users(facts: &Value) -> Vec<SystemUserPart> {
    let mut users: BTreeMap<String, SystemUserPart> = BTreeMap::new();
    for delegation in list(facts, "delegations") {
        let Some(id) = word(delegation, "subject").strip_prefix(SYSTEM_USER) else { continue };
        let owner = number(&delegation["offered_by_party_id"]).unwrap();
        let owner = organization(facts, "party_id", &owner).unwrap();
        let policy = folder::read(format!("altinn/{}", word(delegation, "policy")));
        let policy = Policy::parse(&policy).unwrap();
        let actions = policy.compared_with(&Category::Action, ACTION_ID);
        users.entry(id.to_owned()).or_insert_with(|| standard(id, &owner)).rights.push(RightPart {
            resource: word(delegation, "resource").to_owned(),
            actions: actions.into_iter().map(str::to_owned).collect(),
            ..RightPart::default()
        });
    }
    for given in list(facts, "access_packages") {
        let Some(id) = word(given, "to").strip_prefix(SYSTEM_USER) else { continue };
        let owner = organization(facts, "party_uuid", word(given, "from_party_uuid")).unwrap();
        let user = users.entry(id.to_owned()).or_insert_with(|| standard(id, &owner));
        user.packages.extend(words(given, "packages").into_iter().map(str::to_owned));
    }
    users.into_values().collect()
}

/// The facts do not say whose system it is: its owner's own.
fn standard(id: &str, owner: &str) -> SystemUserPart {
    SystemUserPart {
        id: id.to_owned(),
        kind: "standard".to_owned(),
        owner: owner.to_owned(),
        vendor: owner.to_owned(),
        system_id: format!("{owner}_system"),
        ..SystemUserPart::default()
    }
}

fn access_lists(facts: &Value) -> Vec<AccessListPart> {
    let memberships = list(facts, "access_list_memberships").enumerate();
    memberships
        .map(|(index, one)| AccessListPart {
            id: format!("list-{index}"),
            resources: vec![AccessListResourcePart {
                resource: word(one, "resource").to_owned(),
                actions: one["action_filters"]
                    .is_array()
                    .then(|| words(one, "action_filters").into_iter().map(str::to_owned).collect()),
            }],
            members: vec![word(one, "organization_number").to_owned()],
        })
        .collect()
}

fn list<'f>(facts: &'f Value, member: &str) -> std::slice::Iter<'f, Value> {
    facts[member].as_array().unwrap().iter()
}

/// The organization number of the party whose `id` is this.
fn organization(facts: &Value, id: &str, value: &str) -> Option<String> {
    let found = list(facts, "parties").find(|one| number(&one[id]).as_deref() == Some(value))?;
    present(&found["organization_number"])
}

/// A text that says something; absent values are spelt in two ways.
fn present(value: &Value) -> Option<String> {
    value.as_str().filter(|text| *text != "null").map(str::to_owned)
}

/// A number, or a text.
fn number(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
