//! The written directory to the one that is asked: every text parsed, every reference resolved,
//! every fault reported with its path. It decides nothing.
//!
//! A reader of one text returns `None` and leaves a fault behind; an entry with a fault is left out
//! and reading goes on, so that all faults come at once. With any fault there is no directory.

mod delegations;
mod machines;
mod parties;
mod registry;

use std::collections::{BTreeSet, HashSet};
use std::fmt::Display;
use std::sync::Arc;

use uuid::Uuid;

use super::directory::{Directory, DirectoryNote, PartyKey};
use super::limits::{MAX_ENTRIES, MAX_FAULTS, MAX_NAME_CHARS, MAX_NESTED};
use super::names::{PackageCode, RoleName};
use super::parts::{DirectoryFault, DirectoryParts, PersonText};
use super::roles::RoleTable;
use crate::domain::{Action, CheckDigits, OrganizationNumber, PersonNumber, ResourceId};

pub(super) fn directory(parts: DirectoryParts) -> Result<Directory, Vec<DirectoryFault>> {
    let mut builder = Builder::new(parts.check_digits);
    builder.parties(parts.parties);
    builder.roles(parts.roles);
    builder.role_packages(parts.role_packages);
    builder.instances(parts.instances);
    builder.delegations(parts.delegations);
    builder.clients(parts.clients);
    builder.system_users(parts.system_users);
    builder.delegation_policies(parts.delegation_policies);
    builder.resources(parts.resources);
    builder.access_lists(parts.access_lists);
    if builder.faults.is_empty() { Ok(builder.directory) } else { Err(builder.faults) }
}

struct Builder {
    check_digits: CheckDigits,
    directory: Directory,
    faults: Vec<DirectoryFault>,
    // What many entries say alike is kept once.
    seen_resources: HashSet<ResourceId>,
    seen_actions: HashSet<Arc<[Action]>>,
}

impl Builder {
    fn new(check_digits: CheckDigits) -> Self {
        let directory = Directory {
            parties: Arc::default(),
            by_uuid: Arc::default(),
            by_id: Arc::default(),
            by_user: Arc::default(),
            roles: Arc::default(),
            key_units: Arc::default(),
            role_table: Arc::new(RoleTable::built_in()),
            delegations: Arc::default(),
            stored: Arc::default(),
            instances: Arc::default(),
            system_users: Arc::default(),
            access_lists: Arc::default(),
            members: Arc::default(),
            resources: Arc::default(),
            clients: Arc::default(),
            named_resources: Arc::default(),
            notes: Arc::default(),
        };
        Self {
            check_digits,
            directory,
            faults: Vec::new(),
            seen_resources: HashSet::new(),
            seen_actions: HashSet::new(),
        }
    }

    fn fault(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.add_fault(path, message.into(), help.into());
    }

    // What leads here is kept short.
    #[cold]
    fn add_fault(&mut self, path: &str, message: String, help: String) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(DirectoryFault { path: path.to_owned(), message, help });
        }
    }

    fn note(&mut self, path: &str, message: String) {
        let notes = Arc::make_mut(&mut self.directory.notes);
        notes.push(DirectoryNote { path: path.to_owned(), message });
    }

    /// The entries of a list with their paths; none if there are too many.
    fn entries<T>(&mut self, path: &str, list: Vec<T>) -> Vec<(String, T)> {
        self.bounded(path, list, MAX_ENTRIES)
    }

    fn nested<T>(&mut self, path: &str, list: Vec<T>) -> Vec<(String, T)> {
        self.bounded(path, list, MAX_NESTED)
    }

    fn bounded<T>(&mut self, path: &str, list: Vec<T>, max_count: usize) -> Vec<(String, T)> {
        if list.len() > max_count {
            let message = format!("{} entries, at most {max_count} are read", list.len());
            self.fault(path, message, "keep only the entries that are needed");
            return Vec::new();
        }
        let numbered = list.into_iter().enumerate();
        numbered.map(|(index, one)| (format!("{path}[{index}]"), one)).collect()
    }

    fn organization(&mut self, path: &str, text: &str) -> Option<OrganizationNumber> {
        match OrganizationNumber::parse(text, self.check_digits) {
            Ok(number) => Some(number),
            Err(error) => {
                let message = format!("{}: {error}", quoted(text));
                self.fault(path, message, "write the nine digits of a synthetic organization");
                None
            }
        }
    }

    /// An organization that stands among the parties.
    fn known_organization(&mut self, path: &str, text: &str) -> Option<OrganizationNumber> {
        let number = self.organization(path, text)?;
        if self.directory.parties.contains_key(&PartyKey::Organization(number)) {
            return Some(number);
        }
        self.fault(path, format!("`{number}` is not among the parties"), "add it to `parties`");
        None
    }

    fn person(&mut self, path: &str, text: &PersonText) -> Option<PersonNumber> {
        let person = PersonNumber::parse(&text.0);
        if let Err(error) = &person {
            let help = "write the eleven digits of a synthetic person, in quotation marks";
            self.fault(path, error.to_string(), help);
        }
        person.ok()
    }

    /// The one of two parties that an entry gives, each with its key: an organization or a person.
    fn known_party(
        &mut self,
        path: &str,
        (organization_key, organization): (&str, Option<&str>),
        (person_key, person): (&str, Option<&PersonText>),
    ) -> Option<PartyKey> {
        match (organization, person) {
            (Some(text), None) => {
                let path = format!("{path}.{organization_key}");
                self.known_organization(&path, text).map(PartyKey::Organization)
            }
            (None, Some(text)) => self.known_person(&format!("{path}.{person_key}"), text),
            (Some(_), Some(_)) | (None, None) => {
                let message =
                    format!("exactly one of `{organization_key}` and `{person_key}` is needed");
                self.fault(path, message, "give an organization number or a person number");
                None
            }
        }
    }

    /// A person that stands among the parties.
    fn known_person(&mut self, path: &str, text: &PersonText) -> Option<PartyKey> {
        let found = PartyKey::Person(self.person(path, text)?);
        if self.directory.parties.contains_key(&found) {
            return Some(found);
        }
        self.fault(path, "the person is not among the parties", "add it to `parties`");
        None
    }

    fn role(&mut self, path: &str, text: &str) -> Option<RoleName> {
        let help = "write the name of the role in the register, such as `regnskapsforer`";
        self.read(path, text, RoleName::parse(text), help)
    }

    fn resource(&mut self, path: &str, text: &str) -> Option<ResourceId> {
        let help = "write the id the resource has in the Resource Registry";
        let resource = self.read(path, text, ResourceId::parse(text), help)?;
        let resource = match self.seen_resources.get(&resource) {
            Some(seen) => seen.clone(),
            None => {
                self.seen_resources.insert(resource.clone());
                resource
            }
        };
        let named = Arc::make_mut(&mut self.directory.named_resources);
        named.push((path.to_owned(), resource.clone()));
        Some(resource)
    }

    /// A list of actions that is not empty.
    fn actions(&mut self, path: &str, texts: Vec<String>) -> Arc<[Action]> {
        if texts.is_empty() {
            self.fault(path, "no action is named", "name at least one, such as `read`");
        }
        let mut actions = Vec::new();
        for (path, text) in self.nested(path, texts) {
            let help = "write an action of the policy, such as `read`";
            actions.extend(self.read(&path, &text, Action::parse(&text), help));
        }
        let actions: Arc<[Action]> = actions.into();
        if let Some(seen) = self.seen_actions.get(&actions) {
            return Arc::clone(seen);
        }
        self.seen_actions.insert(Arc::clone(&actions));
        actions
    }

    /// A list of packages without repetition.
    fn packages(&mut self, path: &str, texts: Vec<String>) -> BTreeSet<PackageCode> {
        let mut packages = BTreeSet::new();
        for (path, text) in self.nested(path, texts) {
            let help = "write the code of an access package, such as `skattegrunnlag`";
            let Some(package) = self.read(&path, &text, PackageCode::parse(&text), help) else {
                continue;
            };
            if !packages.insert(package) {
                self.duplicate(&path, &text);
            }
        }
        packages
    }

    /// A uuid in its hyphenated form; not the one that stands for none.
    fn uuid(&mut self, path: &str, text: &str) -> Option<Uuid> {
        let uuid = Uuid::try_parse(text).ok().filter(|uuid| text.len() == 36 && !uuid.is_nil());
        if uuid.is_none() {
            let message = format!("{} is not a uuid", quoted(text));
            self.fault(path, message, "write the hyphenated form");
        }
        uuid
    }

    fn name(&mut self, path: &str, text: Option<String>) -> Option<String> {
        let text = text?;
        let length = text.chars().count();
        if (1..=MAX_NAME_CHARS).contains(&length) && !text.chars().any(char::is_control) {
            return Some(text);
        }
        let message = format!("a name of {length} characters, or with control characters");
        self.fault(path, message, format!("write 1 to {MAX_NAME_CHARS} printable characters"));
        None
    }

    fn duplicate(&mut self, path: &str, text: &str) {
        self.fault(path, format!("{} stands here twice", quoted(text)), "keep one of them");
    }

    /// What a parser of a public text made of it.
    fn read<T, E: Display>(
        &mut self,
        path: &str,
        text: &str,
        parsed: Result<T, E>,
        help: &str,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(path, format!("{}: {error}", quoted(text)), help);
                None
            }
        }
    }
}

/// The text between backticks, cut where it is long.
fn quoted(text: &str) -> String {
    const MAX_QUOTED_CHARS: usize = 60;
    // A person's number in the place of another.
    let masked = PersonNumber::mask_in(text);
    let shown: String = masked.chars().take(MAX_QUOTED_CHARS).collect();
    let rest = if shown.len() < text.len() { "…" } else { "" };
    format!("`{}{rest}`", shown.escape_debug())
}
