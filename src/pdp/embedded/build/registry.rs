//! What the Resource Registry knows: resources and their access lists.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::directory::{AccessList, AccessListMode};
use super::super::names::app_of;
use super::super::parts::{AccessListPart, AccessListResourcePart, ResourcePart};
use super::{Builder, quoted};
use crate::domain::OrganizationNumber;

/// How Altinn writes the id of a list in full.
const LIST_PREFIX: &str = "urn:altinn:access-list:";

impl Builder {
    pub(super) fn resources(&mut self, parts: Vec<ResourcePart>) {
        for (path, part) in self.entries("resources", parts) {
            let id = self.resource(&format!("{path}.id"), &part.id);
            let mode = match part.access_list.as_deref() {
                Some("enabled") => AccessListMode::Enabled,
                Some("disabled") | None => AccessListMode::Disabled,
                Some(other) => {
                    let message = format!("{} is not a mode", quoted(other));
                    let help = "write `enabled` or `disabled`";
                    self.fault(&format!("{path}.access_list"), message, help);
                    continue;
                }
            };
            let Some(id) = id else { continue };
            if mode == AccessListMode::Enabled && app_of(id.as_str()).is_some() {
                let help = "remove the key: anyone with the right reaches the app";
                let message = "Altinn keeps no access lists for apps";
                self.fault(&format!("{path}.access_list"), message, help);
            }
            if Arc::make_mut(&mut self.directory.resources).insert(id, mode).is_some() {
                self.duplicate(&format!("{path}.id"), &part.id);
            }
        }
    }

    pub(super) fn access_lists(&mut self, parts: Vec<AccessListPart>) {
        for (path, part) in self.entries("access_lists", parts) {
            // Policies name a list by its bare id.
            let id = part.id.strip_prefix(LIST_PREFIX).unwrap_or(&part.id);
            if id.is_empty() || id.len() > super::MAX_NAME_CHARS {
                let help = "give the list a short name";
                self.fault(&format!("{path}.id"), "the list has no usable id", help);
            }
            let id: Arc<str> = Arc::from(id);
            let members = Arc::new(self.members(&format!("{path}.members"), part.members));
            let known = Arc::make_mut(&mut self.directory.members);
            if known.insert(Arc::clone(&id), members).is_some() {
                self.duplicate(&format!("{path}.id"), &part.id);
            }
            let mut resources = HashSet::new();
            for (path, listed) in self.nested(&format!("{path}.resources"), part.resources) {
                if !resources.insert(listed.resource.clone()) {
                    self.duplicate(&path, &listed.resource);
                }
                self.listed(&path, listed, &id);
            }
        }
    }

    fn members(&mut self, path: &str, texts: Vec<String>) -> HashSet<OrganizationNumber> {
        let mut members = HashSet::new();
        for (path, text) in self.entries(path, texts) {
            let Some(member) = self.known_organization(&path, &text) else { continue };
            if !members.insert(member) {
                self.duplicate(&path, &text);
            }
        }
        members
    }

    fn listed(&mut self, path: &str, part: AccessListResourcePart, id: &Arc<str>) {
        let resource = self.resource(&format!("{path}.resource"), &part.resource);
        let actions = part.actions.map(|actions| self.actions(&format!("{path}.actions"), actions));
        let Some(resource) = resource else { return };
        match self.directory.access_list_mode(&resource) {
            AccessListMode::Enabled => {}
            AccessListMode::Disabled => {
                let message = format!(
                    "`{resource}` has no `access_list: enabled` in `resources`: whether the party is \
                     on the list is not asked"
                );
                self.note(path, message);
            }
        }
        let list = AccessList { id: Arc::clone(id), actions };
        let lists = Arc::make_mut(&mut self.directory.access_lists);
        lists.entry(resource).or_default().push(list);
    }
}
