//! The facts that the cases of Altinn's PDP rest on, as a directory of the embedded PDP.
//!
//! The facts name many users and parties by Altinn's own ids alone. Each of them becomes a synthetic
//! person or organization with that id: nothing in a case rests on the number.

use crate::folder::{self, word, words};
use portvakt::domain::CheckDigits;
use portvakt::pdp::embedded::{
    AccessListPart, AccessListResourcePart, DelegationPart, DelegationPolicyPart, DirectoryParts,
    InstancePart, PartyPart, PersonText, ResourcePart, RolePart, SystemUserPart,
};
use serde_json::Value;
use std::collections::BTreeMap;

const SYSTEM_USER: &str = "urn:altinn:systemuser:uuid:";
const USER: &str = "urn:altinn:userid:";
const PARTY_ID: &str = "urn:altinn:partyid:";
const PARTY_UUID: &str = "urn:altinn:party:uuid:";

/// The code by which the old Altinn says that a person acts for the whole organization.
const KEY_ROLE: &str = "ECKEYROLE";

pub(crate) fn directory(facts: &Value) -> DirectoryParts {
    let mut register = Register::of(facts);
    let mut parts = DirectoryParts {
        check_digits: CheckDigits::Lenient,
        access_lists: access_lists(facts, &mut register),
        instances: instances(facts, &mut register),
        resources: resources(facts),
        ..DirectoryParts::default()
    };
    roles(facts, &mut register, &mut parts);
    delegations(facts, &mut register, &mut parts);
    packages(facts, &mut register, &mut parts);
    parts.parties = register.parties;
    parts
}

/// Everybody the facts name so far.
struct Register {
    parties: Vec<PartyPart>,
}

impl Register {
    fn of(facts: &Value) -> Self {
        let parties = list(facts, "parties").map(|party| PartyPart {
            organization: present(&party["organization_number"]),
            person: present(&party["person_number"]).map(PersonText),
            party_uuid: present(&party["party_uuid"]),
            party_id: number(&party["party_id"]),
            ..PartyPart::default()
        });
        let mut register = Self { parties: parties.collect() };
        for user in list(facts, "users") {
            let id = number(&user["user_id"]).unwrap();
            // A user whose person stands among the parties is that party, whatever else is said of it.
            let person = present(&user["person_number"]).map(PersonText);
            let known = register
                .parties
                .iter_mut()
                .find(|party| person.is_some() && party.person == person);
            if let Some(known) = known {
                known.user_id = Some(id);
                continue;
            }
            let person = person.unwrap_or_else(|| register.invented_person());
            register.parties.push(PartyPart {
                person: Some(person),
                party_uuid: present(&user["party_uuid"]),
                party_id: number(&user["party_id"]),
                user_id: Some(id),
                ..PartyPart::default()
            });
        }
        register
    }

    /// The person with this user id.
    fn user(&mut self, id: &str) -> PersonText {
        let known = self.parties.iter().find(|party| party.user_id.as_deref() == Some(id));
        if let Some(known) = known {
            return known.person.clone().unwrap();
        }
        let person = self.invented_person();
        self.parties.push(PartyPart {
            person: Some(person.clone()),
            user_id: Some(id.to_owned()),
            ..PartyPart::default()
        });
        person
    }

    /// The party with this party id: an organization, unless the facts say otherwise.
    fn party(&mut self, id: &str) -> (Option<String>, Option<PersonText>) {
        self.known(|party| party.party_id.as_deref() == Some(id)).unwrap_or_else(|| {
            self.organization(PartyPart { party_id: Some(id.to_owned()), ..PartyPart::default() })
        })
    }

    /// The organization with this party uuid.
    fn by_uuid(&mut self, uuid: &str) -> String {
        let known = self.known(|party| party.party_uuid.as_deref() == Some(uuid));
        let known = known.unwrap_or_else(|| {
            let party_uuid = Some(uuid.to_owned());
            self.organization(PartyPart { party_uuid, ..PartyPart::default() })
        });
        known.0.unwrap()
    }

    fn known(
        &self,
        is: impl FnMut(&&PartyPart) -> bool,
    ) -> Option<(Option<String>, Option<PersonText>)> {
        let party = self.parties.iter().find(is)?;
        Some((party.organization.clone(), party.person.clone()))
    }

    fn organization(&mut self, mut party: PartyPart) -> (Option<String>, Option<PersonText>) {
        party.organization = Some(format!("399{:06}", self.parties.len()));
        self.parties.push(party.clone());
        (party.organization, None)
    }

    /// Month + 80, as in all synthetic numbers.
    fn invented_person(&self) -> PersonText {
        PersonText(format!("018190{:05}", self.parties.len()))
    }

    /// Makes one party a subunit of another.
    fn subunit(&mut self, id: &str, main: &str) {
        self.party(id);
        let main = self.party(main).0;
        let subunit = self.parties.iter_mut().find(|party| party.party_id.as_deref() == Some(id));
        subunit.unwrap().parent = main;
    }
}

fn roles(facts: &Value, register: &mut Register, parts: &mut DirectoryParts) {
    for (key, _) in facts["roles_by_user_at_party"].as_object().unwrap() {
        let (user, party) = key.split_once('@').unwrap();
        let (client, client_person) = register.party(party);
        let codes = words(&facts["roles_by_user_at_party"], key);
        parts.roles.push(RolePart {
            client,
            client_person,
            codes: codes.into_iter().map(str::to_owned).collect(),
            person: Some(register.user(user)),
            ..RolePart::default()
        });
    }
    for role in list(facts, "oed_roles") {
        parts.roles.push(RolePart {
            client_person: Some(PersonText(word(role, "from_person").to_owned())),
            person: Some(PersonText(word(role, "to_person").to_owned())),
            estate_role: Some(word(role, "role").to_owned()),
            ..RolePart::default()
        });
    }
}

fn delegations(facts: &Value, register: &mut Register, parts: &mut DirectoryParts) {
    for delegation in list(facts, "delegations") {
        let giver = number(&delegation["offered_by_party_id"]).unwrap();
        for id in optional(delegation, "also_valid_for_party_ids") {
            register.subunit(&number(id).unwrap(), &giver);
        }
        let (from, from_person) = register.party(&giver);
        let mut part = DelegationPolicyPart {
            from,
            from_person,
            resource: word(delegation, "resource").to_owned(),
            instance: present(&delegation["instance_id"]),
            ..DelegationPolicyPart::default()
        };
        let subject = word(delegation, "subject");
        if let Some(user) = subject.strip_prefix(USER) {
            part.person = Some(register.user(user));
        } else if let Some(id) = subject.strip_prefix(PARTY_ID) {
            (part.to, part.person) = register.party(id);
        } else {
            let id = subject.strip_prefix(SYSTEM_USER).unwrap();
            part.system_user = Some(id.to_owned());
            standard(parts, id, part.from.as_deref().unwrap());
        }
        for user in optional(delegation, "also_reached_by") {
            let user = user.as_str().and_then(|user| user.strip_prefix(USER)).unwrap();
            parts.roles.push(RolePart {
                client: part.to.clone(),
                codes: vec![KEY_ROLE.to_owned()],
                person: Some(register.user(user)),
                ..RolePart::default()
            });
        }
        // One is said to have been given, and its policy is not there: it gives nothing.
        if let Some(file) = present(&delegation["policy"]) {
            part.document = folder::read(format!("altinn/{file}"));
            part.file = file;
            parts.delegation_policies.push(part);
        }
    }
}

fn packages(facts: &Value, register: &mut Register, parts: &mut DirectoryParts) {
    for given in list(facts, "access_packages") {
        let from = register.by_uuid(word(given, "from_party_uuid"));
        let packages = words(given, "packages").into_iter().map(str::to_owned);
        let to = word(given, "to");
        if let Some(id) = to.strip_prefix(SYSTEM_USER) {
            standard(parts, id, &from).packages.extend(packages);
        } else {
            let uuid = to.strip_prefix(PARTY_UUID).unwrap();
            let person = register.invented_person();
            register.parties.push(PartyPart {
                person: Some(person.clone()),
                party_uuid: Some(uuid.to_owned()),
                ..PartyPart::default()
            });
            parts.delegations.push(DelegationPart {
                from: Some(from),
                person: Some(person),
                packages: packages.collect(),
                ..DelegationPart::default()
            });
        }
    }
}

/// The system user with this id. The facts do not say whose system it is: its owner's own.
fn standard<'p>(parts: &'p mut DirectoryParts, id: &str, owner: &str) -> &'p mut SystemUserPart {
    let users = &mut parts.system_users;
    let index = users.iter().position(|user| user.id == id).unwrap_or_else(|| {
        users.push(SystemUserPart {
            id: id.to_owned(),
            kind: "standard".to_owned(),
            owner: owner.to_owned(),
            vendor: owner.to_owned(),
            system_id: format!("{owner}_system"),
            ..SystemUserPart::default()
        });
        users.len() - 1
    });
    &mut users[index]
}

fn access_lists(facts: &Value, register: &mut Register) -> Vec<AccessListPart> {
    let memberships = list(facts, "access_list_memberships").enumerate();
    let mut lists: Vec<AccessListPart> = memberships
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
        .collect();
    let mut members = BTreeMap::<&str, Vec<String>>::new();
    for (uuid, _) in facts["access_lists_by_party_uuid"].as_object().unwrap() {
        for id in words(&facts["access_lists_by_party_uuid"], uuid) {
            members.entry(id).or_default().push(register.by_uuid(uuid));
        }
    }
    lists.extend(members.into_iter().map(|(id, members)| AccessListPart {
        id: id.to_owned(),
        members,
        ..AccessListPart::default()
    }));
    lists
}

fn instances(facts: &Value, register: &mut Register) -> Vec<InstancePart> {
    let instances = list(facts, "instances").map(|instance| {
        let id = word(instance, "instance_id");
        register.party(id.split_once('/').unwrap().0);
        InstancePart {
            id: id.to_owned(),
            resource: format!("app_{}", word(instance, "app_id").replace('/', "_")),
            task: present(&instance["current_task"]),
            end_event: present(&instance["end_event"]),
        }
    });
    instances.collect()
}

fn resources(facts: &Value) -> Vec<ResourcePart> {
    let resources = facts["access_list_mode"].as_object().unwrap().iter();
    let resources = resources.map(|(id, mode)| ResourcePart {
        id: id.clone(),
        access_list: mode.as_str().map(str::to_ascii_lowercase),
    });
    resources.collect()
}

fn list<'f>(facts: &'f Value, member: &str) -> std::slice::Iter<'f, Value> {
    facts[member].as_array().unwrap().iter()
}

fn optional<'f>(facts: &'f Value, member: &str) -> &'f [Value] {
    facts[member].as_array().map_or(&[], Vec::as_slice)
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
