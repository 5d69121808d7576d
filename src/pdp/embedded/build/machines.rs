//! Maskinporten clients and system users.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::delegated::Place;
use super::super::directory::{PartyKey, RegisteredClient, RegisteredSystemUser, SystemUserKind};
use super::super::limits::MAX_NAME_CHARS;
use super::super::names::PackageCode;
use super::super::parts::{AgentClientPart, ClientPart, SystemUserPart};
use super::super::roles;
use super::{Builder, quoted};
use crate::domain::{OrganizationNumber, Scope, SystemId, SystemUserId};

impl Builder {
    pub(super) fn clients(&mut self, parts: Vec<ClientPart>) {
        for (path, part) in self.entries("clients", parts) {
            let id = self.identifier(&format!("{path}.id"), &part.id);
            let organization =
                self.known_organization(&format!("{path}.organization"), &part.organization);
            let mut scopes = Vec::new();
            for (path, text) in self.nested(&format!("{path}.scopes"), part.scopes) {
                let help = "write one scope, such as `digdir:dialogporten`";
                scopes.extend(self.read(&path, &text, Scope::parse(&text), help));
            }
            let (Some(id), Some(organization)) = (id, organization) else { continue };
            if self.directory.clients.contains_key(&id) {
                self.duplicate(&format!("{path}.id"), &id);
                continue;
            }
            let client = RegisteredClient { id: id.clone(), organization, key: part.key, scopes };
            Arc::make_mut(&mut self.directory.clients).insert(id, Arc::new(client));
        }
    }

    pub(super) fn system_users(&mut self, parts: Vec<SystemUserPart>) {
        // Client, owner and external reference: what a token request chooses a system user by.
        let mut chosen_by = BTreeMap::new();
        for (entry, (path, part)) in self.entries("system_users", parts).into_iter().enumerate() {
            let Some(user) = self.system_user(entry, &path, part) else { continue };
            for client in &user.client_ids {
                let key = (client.clone(), user.owner, user.external_ref.clone());
                if chosen_by.insert(key, user.id).is_some() {
                    let message = format!(
                        "another system user of `{}` answers to client `{client}` and external \
                         reference `{}`",
                        user.owner, user.external_ref
                    );
                    self.fault(&path, message, "give each an `external_ref` of its own");
                }
            }
            let id = user.id;
            let users = Arc::make_mut(&mut self.directory.system_users);
            if users.insert(id, Arc::new(user)).is_some() {
                self.duplicate(&format!("{path}.id"), &id.to_string());
            }
        }
    }

    fn system_user(
        &mut self,
        entry: usize,
        path: &str,
        part: SystemUserPart,
    ) -> Option<RegisteredSystemUser> {
        let at = |key: &str| format!("{path}.{key}");
        let id = SystemUserId::parse(&part.id);
        if id.is_none() {
            let message = format!("{} is not a uuid", quoted(&part.id));
            self.fault(&at("id"), message, "write the hyphenated form");
        }
        let kind = self.kind(&at("kind"), &part.kind);
        let owner = self.known_organization(&at("owner"), &part.owner);
        let vendor = self.known_organization(&at("vendor"), &part.vendor);
        let help = "write the id in the System Register, such as `314330897_name`";
        let system_id =
            self.read(&at("system_id"), &part.system_id, SystemId::parse(&part.system_id), help);
        let name = self.name(&at("name"), part.name);
        let external_ref =
            part.external_ref.and_then(|text| self.identifier(&at("external_ref"), &text));
        if let Some(kind) = kind {
            self.only_of_its_kind(
                path,
                kind,
                (part.rights.is_empty(), part.packages.is_empty(), part.clients.is_empty()),
            );
        }
        let (id, kind, owner, vendor, system_id) = (id?, kind?, owner?, vendor?, system_id?);
        let client_ids = self.client_ids(&at("client_ids"), part.client_ids, vendor);
        let packages = self.packages(&at("packages"), part.packages);
        for package in packages.iter().filter(|one| roles::is_from_register_only(one)) {
            let message = format!("`{package}` is for the clients of a provider only");
            let help = "let an `agent` hold it for a client";
            self.fault(&at("packages"), message, help);
        }
        let place = |right| Place::SystemUser { entry, right };
        let giver = PartyKey::Organization(owner);
        Some(RegisteredSystemUser {
            id,
            name,
            kind,
            owner,
            system_id,
            vendor,
            client_ids,
            external_ref: external_ref.unwrap_or_else(|| owner.to_string()),
            packages,
            rights: self.rights(&at("rights"), part.rights, giver, place),
            clients: self.agent_clients(&at("clients"), part.clients, owner),
        })
    }

    fn kind(&mut self, path: &str, text: &str) -> Option<SystemUserKind> {
        match text {
            "standard" => Some(SystemUserKind::Standard),
            "agent" => Some(SystemUserKind::Agent),
            other => {
                let message = format!("{} is not a kind of system user", quoted(other));
                let help = "write `standard` (acts for its owner) or `agent` (for its clients)";
                self.fault(path, message, help);
                None
            }
        }
    }

    /// `(rights, packages, clients)`: whether each list is empty.
    fn only_of_its_kind(
        &mut self,
        path: &str,
        kind: SystemUserKind,
        (no_rights, no_packages, no_clients): (bool, bool, bool),
    ) {
        match kind {
            SystemUserKind::Standard if !no_clients => {
                let help = "make it an `agent`, or remove `clients`";
                let message = "a standard system user acts for its owner alone";
                self.fault(&format!("{path}.clients"), message, help);
            }
            SystemUserKind::Standard => {}
            SystemUserKind::Agent => {
                if !no_rights {
                    let message = "single rights cannot be used for clients";
                    let help = "make it `standard`, or give it packages for its `clients`";
                    self.fault(&format!("{path}.rights"), message, help);
                }
                if !no_packages {
                    let message = "an agent has packages for each client";
                    let help = "write them in `clients`";
                    self.fault(&format!("{path}.packages"), message, help);
                }
            }
        }
    }

    fn client_ids(
        &mut self,
        path: &str,
        texts: Vec<String>,
        vendor: OrganizationNumber,
    ) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for (path, id) in self.nested(path, texts) {
            match self.directory.clients.get(&id).map(|client| client.organization) {
                None => {
                    let message = format!("{} is not among the clients", quoted(&id));
                    self.fault(&path, message, "add it to `clients`");
                }
                // Maskinporten gives the token to the client's own organization: it is `consumer`.
                Some(organization) if organization != vendor => {
                    let message =
                        format!("`{id}` belongs to `{organization}`, not to the vendor `{vendor}`");
                    self.fault(&path, message, "name a client of the vendor");
                }
                Some(_) if ids.contains(&id) => self.duplicate(&path, &id),
                Some(_) => ids.push(id),
            }
        }
        ids
    }

    fn agent_clients(
        &mut self,
        path: &str,
        parts: Vec<AgentClientPart>,
        owner: OrganizationNumber,
    ) -> BTreeMap<OrganizationNumber, BTreeSet<PackageCode>> {
        let mut clients = BTreeMap::new();
        for (path, part) in self.nested(path, parts) {
            let client = self.known_organization(&format!("{path}.client"), &part.client);
            if part.packages.is_empty() {
                let help = "choose packages that the client has given the owner";
                self.fault(&format!("{path}.packages"), "no package is chosen", help);
            }
            let packages = self.packages(&format!("{path}.packages"), part.packages);
            let Some(client) = client else { continue };
            let given = self.directory.packages_given(client, PartyKey::Organization(owner));
            for package in packages.difference(&given) {
                let message =
                    format!("`{client}` does not give `{package}` to `{owner}`: it has no effect");
                self.note(&format!("{path}.packages"), message);
            }
            if clients.insert(client, packages).is_some() {
                self.duplicate(&format!("{path}.client"), &part.client);
            }
        }
        clients
    }

    /// An id that travels in requests: visible ASCII.
    fn identifier(&mut self, path: &str, text: &str) -> Option<String> {
        let legal = (1..=MAX_NAME_CHARS).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if legal {
            return Some(text.to_owned());
        }
        let help = format!("write 1 to {MAX_NAME_CHARS} characters of visible ASCII");
        self.fault(path, format!("{} is not an id", quoted(text)), help);
        None
    }
}
