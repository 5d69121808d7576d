//! The keys of the directory file, each taken once. What is required of several keys together, and what
//! the texts mean, is judged by the PDP's own room.

use super::super::field::{Field, Shape, file_path, string};
use super::super::files::Files;
use super::super::reader::Table;
use super::policies::DelegationPolicies;
use crate::domain::CheckDigits;
use crate::pdp::embedded::{
    AccessListPart, AccessListResourcePart, AgentClientPart, ClientKey, ClientPart, DelegationPart,
    DelegationPolicyPart, DirectoryParts, InstancePart, MAX_DIRECTORY_ENTRIES, PartyPart,
    PersonText, ResourcePart, RightPart, RolePackagesPart, RolePart, SystemUserPart,
};

/// Delegation policies of one directory. Bounds the files that are opened at each start and reload.
const MAX_DELEGATION_POLICIES: usize = 2_000;

pub(super) fn parts(
    table: &mut Table<'_>,
    check_digits: CheckDigits,
    files: &Files,
) -> DirectoryParts {
    let mut policies = DelegationPolicies::new(files);
    DirectoryParts {
        check_digits,
        parties: list(table, "parties", |table| PartyPart {
            organization: table.optional("organization", string),
            person: person(table, "person"),
            name: table.optional("name", string),
            organization_type: table.optional("type", string),
            parent: table.optional("parent", string),
            party_uuid: table.optional("party_uuid", string),
            party_id: table.optional("party_id", string),
            user_id: table.optional("user_id", string),
        }),
        roles: list(table, "roles", |table| RolePart {
            client: table.optional("client", string),
            client_person: person(table, "client_person"),
            role: table.optional("role", string),
            codes: texts(table, "codes"),
            estate_role: table.optional("estate_role", string),
            provider: table.optional("provider", string),
            person: person(table, "person"),
        }),
        role_packages: list(table, "role_packages", |table| RolePackagesPart {
            role: text(table, "role"),
            packages: texts(table, "packages"),
            client_types: texts(table, "client_types"),
        }),
        delegations: list(table, "delegations", |table| DelegationPart {
            from: table.optional("from", string),
            from_person: person(table, "from_person"),
            to: table.optional("to", string),
            person: person(table, "person"),
            packages: texts(table, "packages"),
            rights: list(table, "rights", right),
        }),
        system_users: list(table, "system_users", system_user),
        access_lists: list(table, "access_lists", |table| AccessListPart {
            id: text(table, "id"),
            resources: list(table, "resources", |table| AccessListResourcePart {
                resource: text(table, "resource"),
                actions: table
                    .optional("actions", |field| field.sequence(MAX_DIRECTORY_ENTRIES, string)),
            }),
            members: texts(table, "members"),
        }),
        resources: list(table, "resources", |table| ResourcePart {
            id: text(table, "id"),
            access_list: table.optional("access_list", string),
        }),
        delegation_policies: table.or("delegation_policies", Vec::new(), |field| {
            field.sequence(MAX_DELEGATION_POLICIES, |field| {
                field.table(|table| Some(delegation_policy(table, &mut policies)))
            })
        }),
        instances: list(table, "instances", |table| InstancePart {
            id: text(table, "id"),
            resource: text(table, "resource"),
            task: table.optional("task", string),
            end_event: table.optional("end_event", string),
        }),
        clients: list(table, "clients", |table| ClientPart {
            id: text(table, "id"),
            organization: text(table, "organization"),
            key: table.required("key", client_key).unwrap_or(ClientKey::Generated),
            scopes: texts(table, "scopes"),
        }),
    }
}

fn system_user(table: &mut Table<'_>) -> SystemUserPart {
    SystemUserPart {
        id: text(table, "id"),
        name: table.optional("name", string),
        kind: text(table, "kind"),
        owner: text(table, "owner"),
        system_id: text(table, "system_id"),
        vendor: text(table, "vendor"),
        client_ids: texts(table, "client_ids"),
        external_ref: table.optional("external_ref", string),
        rights: list(table, "rights", right),
        packages: texts(table, "packages"),
        clients: list(table, "clients", |table| AgentClientPart {
            client: text(table, "client"),
            packages: texts(table, "packages"),
        }),
    }
}

fn right(table: &mut Table<'_>) -> RightPart {
    RightPart {
        resource: text(table, "resource"),
        actions: texts(table, "actions"),
        instance: table.optional("instance", string),
        task: table.optional("task", string),
    }
}

fn delegation_policy(
    table: &mut Table<'_>,
    policies: &mut DelegationPolicies<'_>,
) -> DelegationPolicyPart {
    let named_at = table.value_origin("file");
    let file = table.required("file", file_path).unwrap_or_default();
    let document = if file.as_os_str().is_empty() {
        // Said already.
        Vec::new()
    } else {
        policies.read(&file, &named_at).unwrap_or_else(|found| {
            table.push(found);
            Vec::new()
        })
    };
    DelegationPolicyPart {
        from: table.optional("from", string),
        from_person: person(table, "from_person"),
        to: table.optional("to", string),
        person: person(table, "person"),
        system_user: table.optional("system_user", string),
        resource: text(table, "resource"),
        instance: table.optional("instance", string),
        file: file.display().to_string(),
        document,
    }
}

/// Required; empty after an error.
fn text(table: &mut Table<'_>, key: &'static str) -> String {
    table.required(key, string).unwrap_or_default()
}

fn texts(table: &mut Table<'_>, key: &'static str) -> Vec<String> {
    table.or(key, Vec::new(), |field| field.sequence(MAX_DIRECTORY_ENTRIES, string))
}

fn person(table: &mut Table<'_>, key: &'static str) -> Option<PersonText> {
    table.optional(key, string).map(PersonText)
}

fn list<T>(
    table: &mut Table<'_>,
    key: &'static str,
    mut read: impl FnMut(&mut Table<'_>) -> T,
) -> Vec<T> {
    table.or(key, Vec::new(), |field| {
        field.sequence(MAX_DIRECTORY_ENTRIES, |field| field.table(|table| Some(read(table))))
    })
}

/// `generated`, or `{ jwk | pem | file }`.
fn client_key(field: Field<'_>) -> Option<ClientKey> {
    if field.shape() == Shape::Scalar {
        return field.choice(&[("generated", ClientKey::Generated)]);
    }
    field.table(|table| {
        table.exactly_one(&["jwk", "pem", "file"]);
        let jwk = table.optional("jwk", |field| match field.shape() {
            Shape::Table => field.node().to_json().map(|json| json.to_string()),
            Shape::Scalar | Shape::List => string(field),
        });
        let pem = table.optional("pem", string);
        let file = table.optional("file", string);
        jwk.or(pem).map(ClientKey::Text).or(file.map(ClientKey::File))
    })
}
