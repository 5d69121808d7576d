//! Parties, and what stands between them: register roles, packages of roles, delegations.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::super::directory::{Delegated, PartyEntry, PartyKey};
use super::super::parts::{DelegationPart, PartyPart, RolePackagesPart, RolePart};
use super::super::roles::{self, RoleRow};
use super::Builder;
use crate::domain::{OrganizationNumber, PartyId, PdpSubject};
use crate::xacml::AttributeIs;

impl Builder {
    pub(super) fn parties(&mut self, parts: Vec<PartyPart>) {
        let entries = self.entries("parties", parts);
        let mut parents = Vec::new();
        for (path, part) in entries {
            let key = match (&part.organization, &part.person) {
                (Some(text), None) => self
                    .organization(&format!("{path}.organization"), text)
                    .map(PartyKey::Organization),
                (None, Some(text)) => {
                    self.person(&format!("{path}.person"), text).map(PartyKey::Person)
                }
                (Some(_), Some(_)) | (None, None) => {
                    let help = "give an organization number or a person number";
                    let message = "exactly one of `organization` and `person` is needed";
                    self.fault(&path, message, help);
                    None
                }
            };
            let entry = PartyEntry {
                name: self.name(&format!("{path}.name"), part.name),
                organization_type: self.organization_type(&path, key, part.organization_type),
                parent: None,
                uuid: part.party_uuid.and_then(|text| self.party_uuid(&path, &text)),
                id: part.party_id.and_then(|text| self.party_id(&path, &text)),
            };
            let Some(key) = key else { continue };
            self.party_keys(&path, key, &entry);
            if self.directory.parties.insert(key, entry).is_some() {
                self.fault(&path, "this party stands here twice", "keep one of them");
            }
            parents.extend(part.parent.map(|parent| (path, key, parent)));
        }
        // A main unit may stand after its subunits.
        let mut resolved = Vec::new();
        for (path, key, parent) in parents {
            let path = format!("{path}.parent");
            match key {
                PartyKey::Organization(_) => {
                    let parent = self.known_organization(&path, &parent);
                    resolved.extend(parent.map(|parent| (path, key, parent)));
                }
                PartyKey::Person(_) => {
                    self.fault(&path, "a person has no main unit", "remove the key");
                }
            }
        }
        self.connect_subunits(resolved);
    }

    fn connect_subunits(&mut self, subunits: Vec<(String, PartyKey, OrganizationNumber)>) {
        for (_, key, parent) in &subunits {
            if let Some(entry) = self.directory.parties.get_mut(key) {
                entry.parent = Some(*parent);
            }
        }
        for (path, _, parent) in subunits {
            let entry = self.directory.parties.get(&PartyKey::Organization(parent));
            if entry.is_some_and(|entry| entry.parent.is_some()) {
                let message = format!("`{parent}` is a subunit itself");
                self.fault(&path, message, "name the main unit");
            }
        }
    }

    fn organization_type(
        &mut self,
        path: &str,
        key: Option<PartyKey>,
        text: Option<String>,
    ) -> Option<String> {
        let text = text?;
        let path = format!("{path}.type");
        if matches!(key, Some(PartyKey::Person(_))) {
            self.fault(&path, "a person has no organization form", "remove the key");
            return None;
        }
        self.client_type(&path, text)
    }

    fn client_type(&mut self, path: &str, text: String) -> Option<String> {
        if (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Some(text);
        }
        let message = format!("{} is not an organization form", super::quoted(&text));
        self.fault(path, message, "write its code in the register, such as `AS` or `BRL`");
        None
    }

    fn party_uuid(&mut self, path: &str, text: &str) -> Option<Uuid> {
        let uuid = Uuid::try_parse(text).ok().filter(|uuid| text.len() == 36 && !uuid.is_nil());
        if uuid.is_none() {
            let message = format!("{} is not a uuid", super::quoted(text));
            self.fault(&format!("{path}.party_uuid"), message, "write the hyphenated form");
        }
        uuid
    }

    fn party_id(&mut self, path: &str, text: &str) -> Option<PartyId> {
        let id = PartyId::parse(text);
        if id.is_none() {
            let message = format!("{} is not a party id", super::quoted(text));
            self.fault(&format!("{path}.party_id"), message, "write a number from 1 to 2147483647");
        }
        id
    }

    fn party_keys(&mut self, path: &str, key: PartyKey, entry: &PartyEntry) {
        let help = "each party has a key of its own";
        if let Some(uuid) = entry.uuid
            && self.directory.by_uuid.insert(uuid, key).is_some()
        {
            self.fault(&format!("{path}.party_uuid"), "another party has this uuid", help);
        }
        if let Some(id) = entry.id
            && self.directory.by_id.insert(id, key).is_some()
        {
            self.fault(&format!("{path}.party_id"), "another party has this party id", help);
        }
    }

    pub(super) fn roles(&mut self, parts: Vec<RolePart>) {
        for (path, part) in self.entries("roles", parts) {
            let client = part.client.unwrap_or_default();
            let client = self.known_organization(&format!("{path}.client"), &client);
            let role = part.role.unwrap_or_default();
            let role = self.role(&format!("{path}.role"), &role);
            let holder =
                self.known_party(&path, "provider", part.provider.as_deref(), part.person.as_ref());
            let (Some(client), Some(role), Some(holder)) = (client, role, holder) else { continue };
            if !self.directory.roles.entry((client, holder)).or_default().insert(role) {
                self.fault(&path, "this role stands here twice", "keep one of them");
            }
        }
    }

    pub(super) fn role_packages(&mut self, parts: Vec<RolePackagesPart>) {
        let mut rows = BTreeMap::<_, Vec<RoleRow>>::new();
        for (path, part) in self.entries("role_packages", parts) {
            let role = self.role(&format!("{path}.role"), &part.role);
            let packages = self.packages(&format!("{path}.packages"), part.packages);
            let client_types = self.nested(&format!("{path}.client_types"), part.client_types);
            let client_types =
                client_types.into_iter().filter_map(|(path, text)| self.client_type(&path, text));
            let row = RoleRow { client_types: client_types.collect(), packages };
            let Some(role) = role else { continue };
            let of_role = rows.entry(role).or_default();
            if of_role.contains(&row) {
                self.duplicate(&path, &part.role);
            } else {
                of_role.push(row);
            }
        }
        let table = Arc::make_mut(&mut self.directory.role_table);
        for (role, rows) in rows {
            table.set(role, rows);
        }
    }

    pub(super) fn delegations(&mut self, parts: Vec<DelegationPart>) {
        for (path, part) in self.entries("delegations", parts) {
            let from = part.from.unwrap_or_default();
            let from = self.known_organization(&format!("{path}.from"), &from);
            let to = self.known_party(&path, "to", part.to.as_deref(), part.person.as_ref());
            let packages = self.packages(&format!("{path}.packages"), part.packages);
            for package in packages.iter().filter(|one| roles::is_from_register_only(one)) {
                let message = format!("`{package}` cannot be delegated by a client");
                let help = "it follows from a role in the register: add the role to `roles`";
                self.fault(&format!("{path}.packages"), message, help);
            }
            if packages.is_empty() && part.rights.is_empty() {
                self.fault(&path, "nothing is delegated", "name `packages` or `rights`");
            }
            let (Some(from), Some(to)) = (from, to) else { continue };
            if to == PartyKey::Organization(from) {
                self.fault(&path, "a party delegates to another", "name another receiver");
            }
            let rights = self.rights(&format!("{path}.rights"), part.rights, &subject_is(to));
            if self.directory.delegations.contains_key(&(from, to)) {
                let help = "write the packages and rights of one pair in one entry";
                self.fault(&path, "these two parties stand here twice", help);
                continue;
            }
            let delegated = Delegated { packages, rights };
            self.directory.delegations.insert((from, to), delegated);
        }
    }
}

/// The attribute by which a delegation names its receiver.
fn subject_is(party: PartyKey) -> AttributeIs {
    let subject = match party {
        PartyKey::Organization(number) => PdpSubject::Organization(number),
        PartyKey::Person(number) => PdpSubject::Person(number),
    };
    AttributeIs { id: subject.attribute_id().to_owned(), value: subject.expose_value() }
}
