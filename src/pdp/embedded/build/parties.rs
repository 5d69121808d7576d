//! Parties, and what the registers say stands between them: roles, and what roles give.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::directory::{PartyEntry, PartyKey};
use super::super::limits::MAX_NAME_CHARS;
use super::super::names::{RoleName, UserId};
use super::super::parts::{PartyPart, RolePackagesPart, RolePart};
use super::super::roles::RoleRow;
use super::{Builder, quoted};
use crate::domain::{OrganizationNumber, PartyId};

/// What a `roles` entry says the holder is to the client.
enum Held {
    Register(RoleName),
    Codes(BTreeMap<String, Arc<str>>),
    Estate(Arc<str>),
}

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
                uuid: part
                    .party_uuid
                    .and_then(|text| self.uuid(&format!("{path}.party_uuid"), &text)),
                id: part.party_id.and_then(|text| self.party_id(&path, &text)),
                user: part.user_id.and_then(|text| self.user_id(&path, key, &text)),
            };
            let Some(key) = key else { continue };
            self.party_keys(&path, key, &entry);
            if Arc::make_mut(&mut self.directory.parties).insert(key, entry).is_some() {
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
        let parties = Arc::make_mut(&mut self.directory.parties);
        for (_, key, parent) in &subunits {
            if let Some(entry) = parties.get_mut(key) {
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
        let message = format!("{} is not an organization form", quoted(&text));
        self.fault(path, message, "write its code in the register, such as `AS` or `BRL`");
        None
    }

    fn party_id(&mut self, path: &str, text: &str) -> Option<PartyId> {
        let id = PartyId::parse(text);
        if id.is_none() {
            let message = format!("{} is not a party id", quoted(text));
            self.fault(&format!("{path}.party_id"), message, "write a number from 1 to 2147483647");
        }
        id
    }

    fn user_id(&mut self, path: &str, key: Option<PartyKey>, text: &str) -> Option<UserId> {
        let path = format!("{path}.user_id");
        if matches!(key, Some(PartyKey::Organization(_))) {
            self.fault(&path, "an organization has no user id", "remove the key");
            return None;
        }
        let id = UserId::parse(text);
        if id.is_none() {
            let message = format!("{} is not a user id", quoted(text));
            self.fault(&path, message, "write a number from 1 to 2147483647");
        }
        id
    }

    fn party_keys(&mut self, path: &str, key: PartyKey, entry: &PartyEntry) {
        let help = "each party has a key of its own";
        if let Some(user) = entry.user
            && Arc::make_mut(&mut self.directory.by_user).insert(user, key).is_some()
        {
            self.fault(&format!("{path}.user_id"), "another person has this user id", help);
        }
        if let Some(uuid) = entry.uuid
            && Arc::make_mut(&mut self.directory.by_uuid).insert(uuid, key).is_some()
        {
            self.fault(&format!("{path}.party_uuid"), "another party has this uuid", help);
        }
        if let Some(id) = entry.id
            && Arc::make_mut(&mut self.directory.by_id).insert(id, key).is_some()
        {
            self.fault(&format!("{path}.party_id"), "another party has this party id", help);
        }
    }

    pub(super) fn roles(&mut self, parts: Vec<RolePart>) {
        for (path, part) in self.entries("roles", parts) {
            let client = self.known_party(
                &path,
                ("client", part.client.as_deref()),
                ("client_person", part.client_person.as_ref()),
            );
            let holder = self.known_party(
                &path,
                ("provider", part.provider.as_deref()),
                ("person", part.person.as_ref()),
            );
            let held = match (part.role, part.codes.is_empty(), part.estate_role) {
                (Some(text), true, None) => {
                    self.role(&format!("{path}.role"), &text).map(Held::Register)
                }
                (None, false, None) => self.codes(&format!("{path}.codes"), part.codes),
                (None, true, Some(text)) => {
                    self.estate_role(&format!("{path}.estate_role"), &text).map(Held::Estate)
                }
                (Some(_) | None, _, _) => {
                    let message = "exactly one of `role`, `codes` and `estate_role` is needed";
                    self.fault(&path, message, "write what the one is to the other");
                    None
                }
            };
            let (Some(client), Some(holder), Some(held)) = (client, holder, held) else { continue };
            self.holds(&path, client, holder, held);
        }
    }

    fn holds(&mut self, path: &str, client: PartyKey, holder: PartyKey, held: Held) {
        let is_person = |key| matches!(key, PartyKey::Person(_));
        let fits = match &held {
            Held::Register(_) if is_person(client) => {
                Err(("role", "a person has no roles in the Register of Legal Entities"))
            }
            Held::Register(_) => Ok(()),
            Held::Codes(_) if is_person(holder) => Ok(()),
            Held::Codes(_) => Err(("codes", "role codes are for persons")),
            Held::Estate(_) if is_person(client) && is_person(holder) => Ok(()),
            Held::Estate(_) => {
                Err(("estate_role", "it is what a person may do for a deceased person"))
            }
        };
        if let Err((key, message)) = fits {
            let help = "name another holder or client, or another kind of role";
            return self.fault(&format!("{path}.{key}"), message, help);
        }
        let roles = Arc::make_mut(&mut self.directory.roles).entry((client, holder)).or_default();
        let is_new = match held {
            Held::Register(role) => roles.register.insert(role),
            Held::Estate(role) => roles.estate.insert(role),
            Held::Codes(codes) => {
                let is_new = codes.keys().all(|code| !roles.codes.contains_key(code));
                roles.codes.extend(codes);
                is_new
            }
        };
        self.directory.roles_changed(client, holder);
        if !is_new {
            self.fault(path, "this role stands here twice", "keep one of them");
        }
    }

    /// Role codes without repetition, which policies compare ignoring case.
    fn codes(&mut self, path: &str, texts: Vec<String>) -> Option<Held> {
        let mut codes = BTreeMap::new();
        for (path, text) in self.nested(path, texts) {
            let length = text.chars().count();
            let legal =
                (1..=MAX_NAME_CHARS).contains(&length) && text.chars().all(char::is_alphanumeric);
            if !legal {
                let help = "write a role code of the old Altinn, such as `DAGL`";
                self.fault(&path, format!("{} is not a role code", quoted(&text)), help);
            } else if codes.insert(text.to_lowercase(), Arc::from(text.as_str())).is_some() {
                self.duplicate(&path, &text);
            }
        }
        (!codes.is_empty()).then_some(Held::Codes(codes))
    }

    fn estate_role(&mut self, path: &str, text: &str) -> Option<Arc<str>> {
        let legal = (1..=MAX_NAME_CHARS).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if legal {
            return Some(Arc::from(text));
        }
        let help = "write it as policies do, such as `urn:digitaltdodsbo:formuesfullmakt`";
        self.fault(path, format!("{} is not a role", quoted(text)), help);
        None
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
}
