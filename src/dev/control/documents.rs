//! What the directory holds, as documents. Persons are masked.

use crate::domain::Party;
use crate::pdp::embedded::{
    Directory, HeldRight, Holding, PackageCode, PartyKey, RegisteredSystemUser, SystemUserKind,
};
use serde_json::{Map, Value, json};

/// A system user and everything it has. Of an agent's client: the packages chosen for it, and those of them
/// that the client gives the owner now.
pub(super) fn system_user(directory: &Directory, user: &RegisteredSystemUser) -> Value {
    let mut document = json!({
        "id": user.id.to_string(),
        "name": user.name,
        "kind": match user.kind {
            SystemUserKind::Standard => "standard",
            SystemUserKind::Agent => "agent",
        },
        "owner": user.owner.to_string(),
        "systemId": user.system_id.to_string(),
        "vendor": user.vendor.to_string(),
        "externalRef": user.external_ref,
    });
    let further = match user.kind {
        SystemUserKind::Standard => held(directory, Holding::SystemUser(user.id)),
        SystemUserKind::Agent => {
            let clients = user.agent_clients().iter().map(|(client, chosen)| {
                let key = PartyKey::Organization(*client);
                let held = directory.packages_of_system_user(user.id, key);
                json!({
                    "client": client.to_string(),
                    "packages": names(chosen),
                    "inEffect": names(&held),
                })
            });
            json!({ "clients": clients.collect::<Vec<_>>() })
        }
    };
    if let (Value::Object(document), Value::Object(further)) = (&mut document, further) {
        document.extend(further);
    }
    document
}

/// The packages and single rights of one place.
pub(super) fn held(directory: &Directory, holding: Holding) -> Value {
    let rights = directory.rights_held(holding);
    let rights = rights.iter().map(|HeldRight { resource, actions, instance, task }| {
        let mut document = Map::new();
        document.insert("resource".to_owned(), json!(resource.as_str()));
        document.insert("actions".to_owned(), json!(actions));
        document.extend(instance.map(|uuid| ("instance".to_owned(), json!(uuid))));
        document.extend(task.as_ref().map(|task| ("task".to_owned(), json!(task))));
        Value::Object(document)
    });
    json!({
        "packages": names(&directory.packages_held(holding)),
        "rights": rights.collect::<Vec<_>>(),
    })
}

pub(super) fn names<'a>(packages: impl IntoIterator<Item = &'a PackageCode>) -> Vec<&'a str> {
    packages.into_iter().map(PackageCode::as_str).collect()
}

/// The URN of a party. Not its number: that of a person may not be repeated.
pub(super) fn party(key: PartyKey) -> String {
    Party::from(key).to_string()
}
