//! What the embedded PDP decides by: the folder of resource policies and the directory file.
//!
//! Shapes are read here; what the entries mean together is judged by the PDP's own room, whose findings
//! get their places here.

use std::path::Path;

use super::diagnostic::{Diagnostic, Diagnostics, Origin};
use super::field::{Field, Shape, string};
use super::files::Files;
use super::positions::{self, MAX_DOCUMENT_BYTES};
use super::reader::{Table, read_table};
use super::source::Source;
use super::tree::{Node, Value};
use crate::domain::CheckDigits;
use crate::pdp::embedded::{
    AccessListPart, AccessListResourcePart, AgentClientPart, ClientKey, ClientPart, DelegationPart,
    Directory, DirectoryFault, DirectoryParts, PartyPart, PersonText, PolicyStore, ResourcePart,
    RightPart, RolePackagesPart, RolePart, SystemUserPart,
};
use crate::xacml::NoteSeverity;

/// Entries of one list. Bounds what a generated file can cost at start.
const MAX_ENTRIES: usize = 20_000;

/// Reads every `*.xml` in `folder`. `None` after an error.
pub fn load_policies(
    files: &Files,
    folder: &Path,
    named_at: &Origin,
    diagnostics: &mut Diagnostics,
) -> Option<PolicyStore> {
    let unreadable = |what: &Path, error: &std::io::Error| {
        let message = format!("`{}` cannot be read: {error}", what.display());
        Diagnostic::error("unreadable-file", message).at(named_at)
    };
    let paths = match files.list(folder, "xml") {
        Ok(paths) => paths,
        Err(error) => {
            diagnostics.push(unreadable(folder, &error));
            return None;
        }
    };
    let mut documents = Vec::new();
    for path in &paths {
        match files.read(path, MAX_DOCUMENT_BYTES) {
            Ok(bytes) => documents.push((path.display().to_string(), bytes)),
            Err(error) => diagnostics.push(unreadable(path, &error)),
        }
    }
    if documents.len() < paths.len() {
        return None;
    }
    let place = |file: &str, line: usize, column: usize| {
        let document = documents.iter().find(|(name, _)| name == file);
        document.map_or(Origin::WholeFile(Path::new(file).into()), |(_, bytes)| {
            let source = Source::new(file, String::from_utf8_lossy(bytes).into_owned());
            let offset = source.offset(line, column);
            Origin::File(source.place(offset, offset.saturating_add(1)))
        })
    };
    match PolicyStore::build(documents.iter().cloned()) {
        Ok(store) => {
            for (file, note) in store.notes() {
                let message = note.message.clone();
                let found = match note.severity {
                    NoteSeverity::Note => Diagnostic::note("policy-note", message),
                    NoteSeverity::Warning => Diagnostic::warning("policy-warning", message),
                };
                diagnostics.push(found.at(&place(file, note.line, note.column)));
            }
            Some(store)
        }
        Err(faults) => {
            for fault in faults {
                let found = Diagnostic::error("invalid-policy", fault.message);
                let origin = place(&fault.file, fault.line, fault.column);
                diagnostics.push(found.at(&origin).help(fault.help));
            }
            None
        }
    }
}

/// Reads the directory file at `path`. `None` after an error. Names of resources that none of
/// `policies` covers are warnings.
pub fn load_directory(
    files: &Files,
    path: &Path,
    check_digits: CheckDigits,
    policies: Option<&PolicyStore>,
    diagnostics: &mut Diagnostics,
) -> Option<Directory> {
    let root = positions::read(files, path, diagnostics)?;
    let before = diagnostics.error_count();
    let parts = read_table(&root, diagnostics, |table| Some(parts(table, check_digits)))?;
    if diagnostics.error_count() > before {
        return None;
    }
    let place = |path: &str| find(&root, path).unwrap_or_else(|| root.origin.clone());
    match Directory::build(parts) {
        Ok(directory) => {
            for note in directory.notes() {
                let found = Diagnostic::note("directory-note", note.message.clone());
                diagnostics.push(found.at(&place(&note.path)));
            }
            for fault in
                policies.map(|store| directory.unknown_resources(store)).into_iter().flatten()
            {
                let DirectoryFault { path, message, help } = fault;
                let found = Diagnostic::warning("unknown-resource", message);
                diagnostics.push(found.at(&place(&path)).help(help));
            }
            Some(directory)
        }
        Err(faults) => {
            for DirectoryFault { path, message, help } in faults {
                let found = Diagnostic::error("invalid-directory", message);
                diagnostics.push(found.at(&place(&path)).help(help));
            }
            None
        }
    }
}

/// Where `system_users[2].owner` is written; or as much of it as is.
fn find(root: &Node, path: &str) -> Option<Origin> {
    let mut found = None;
    let mut node = root;
    for part in path.split(['.', '[']) {
        let next = match (&node.value, part.strip_suffix(']')) {
            (Value::List(items), Some(index)) => index
                .parse()
                .ok()
                .and_then(|index: usize| items.get(index))
                .map(|item| (item, &item.origin)),
            (Value::Table(entries), None) => entries
                .iter()
                .find(|entry| entry.key == part)
                .map(|entry| (&entry.node, &entry.key_origin)),
            (Value::Table(_) | Value::List(_) | Value::Scalar(_) | Value::Refused, _) => None,
        };
        let Some((below, origin)) = next else { break };
        (node, found) = (below, Some(origin.clone()));
    }
    found
}

fn parts(table: &mut Table<'_>, check_digits: CheckDigits) -> DirectoryParts {
    DirectoryParts {
        check_digits,
        parties: list(table, "parties", |table| PartyPart {
            organization: table.optional("organization", string),
            person: person(table),
            name: table.optional("name", string),
            organization_type: table.optional("type", string),
            parent: table.optional("parent", string),
            party_uuid: table.optional("party_uuid", string),
            party_id: table.optional("party_id", string),
            user_id: None,
        }),
        roles: list(table, "roles", |table| RolePart {
            client: Some(text(table, "client")),
            role: Some(text(table, "role")),
            provider: table.optional("provider", string),
            person: person(table),
            ..RolePart::default()
        }),
        role_packages: list(table, "role_packages", |table| RolePackagesPart {
            role: text(table, "role"),
            packages: texts(table, "packages"),
            client_types: texts(table, "client_types"),
        }),
        delegations: list(table, "delegations", |table| DelegationPart {
            from: Some(text(table, "from")),
            from_person: None,
            to: table.optional("to", string),
            person: person(table),
            packages: texts(table, "packages"),
            rights: list(table, "rights", right),
        }),
        system_users: list(table, "system_users", system_user),
        access_lists: list(table, "access_lists", |table| AccessListPart {
            id: text(table, "id"),
            resources: list(table, "resources", |table| AccessListResourcePart {
                resource: text(table, "resource"),
                actions: table.optional("actions", |field| field.sequence(MAX_ENTRIES, string)),
            }),
            members: texts(table, "members"),
        }),
        resources: list(table, "resources", |table| ResourcePart {
            id: text(table, "id"),
            access_list: table.optional("access_list", string),
        }),
        delegation_policies: Vec::new(),
        instances: Vec::new(),
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
        ..RightPart::default()
    }
}

/// Required; empty after an error.
fn text(table: &mut Table<'_>, key: &'static str) -> String {
    table.required(key, string).unwrap_or_default()
}

fn texts(table: &mut Table<'_>, key: &'static str) -> Vec<String> {
    table.or(key, Vec::new(), |field| field.sequence(MAX_ENTRIES, string))
}

fn person(table: &mut Table<'_>) -> Option<PersonText> {
    table.optional("person", string).map(PersonText)
}

fn list<T>(
    table: &mut Table<'_>,
    key: &'static str,
    mut read: impl FnMut(&mut Table<'_>) -> T,
) -> Vec<T> {
    table.or(key, Vec::new(), |field| {
        field.sequence(MAX_ENTRIES, |field| field.table(|table| Some(read(table))))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> (Option<Directory>, Vec<String>) {
        let files = Files::memory([("d.yaml", text.to_owned())]);
        let mut diagnostics = Diagnostics::new();
        let path = Path::new("d.yaml");
        let directory = load_directory(&files, path, CheckDigits::Strict, None, &mut diagnostics);
        let found =
            diagnostics.sorted().iter().map(|it| format!("{} {}", it.code, it.origin)).collect();
        (directory, found)
    }

    #[test]
    fn the_directory_and_the_policies_of_the_examples_load_without_a_word() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        let mut diagnostics = Diagnostics::new();
        let resources = folder.join("resources");
        let store =
            load_policies(&Files::Disk, &resources, &Origin::Nowhere, &mut diagnostics).unwrap();
        assert_eq!(store.resources().count(), 9);
        let path = folder.join("directory.yaml");
        let strict = CheckDigits::Strict;
        let directory =
            load_directory(&Files::Disk, &path, strict, Some(&store), &mut diagnostics).unwrap();
        let findings = diagnostics.iter().filter(|found| found.code != "policy-note");
        assert_eq!(findings.count(), 0, "{}", diagnostics.to_json_lines());
        assert_eq!((directory.system_users().count(), directory.clients().count()), (10, 4));
    }

    #[test]
    fn a_fault_of_the_directory_is_found_at_its_key() {
        let party = "parties: [{ organization: '314330897' }]\n";
        for (text, expected) in [
            ("partis: []", "unknown-key d.yaml:1:1"),
            ("parties: [{ organization: '314330898' }]", "invalid-directory d.yaml:1:13"),
            ("parties: [{ organization: '314330897', org: AS }]", "unknown-key d.yaml:1:40"),
            ("system_users: [{ id: x }]", "missing-key d.yaml:1:16"),
            (
                "clients: [{ id: a, organization: b, key: made, scopes: [] }]",
                "invalid-value d.yaml:1:42",
            ),
            (
                &format!(
                    "{party}clients: [{{ id: a, organization: '314330898', key: generated }}]"
                ),
                "invalid-directory d.yaml:2:20",
            ),
        ] {
            let (directory, found) = loaded(text);
            assert!(directory.is_none(), "{text}");
            assert_eq!(found.first().map(String::as_str), Some(expected), "{text}: {found:?}");
        }
        let jwk = format!(
            "{party}clients: [{{ id: a, organization: '314330897', key: {{ jwk: {{ kty: RSA }} }} }}]"
        );
        let (directory, found) = loaded(&jwk);
        assert_eq!(found, [""; 0]);
        let key = directory.unwrap().client("a").unwrap().key.clone();
        assert_eq!(key, ClientKey::Text("{\"kty\":\"RSA\"}".to_owned()));
    }

    #[test]
    fn a_policy_that_cannot_be_read_is_shown_at_its_line() {
        let files = Files::memory([("r/a.xml", "<Policy>\n  <x/>\n</Policy>")]);
        let mut diagnostics = Diagnostics::new();
        let store = load_policies(&files, Path::new("r"), &Origin::Nowhere, &mut diagnostics);
        assert!(store.is_none());
        let first = diagnostics.iter().next().unwrap();
        assert_eq!(first.code, "invalid-policy");
        assert!(first.origin.to_string().starts_with("r/a.xml:1:"), "{}", first.origin);
    }

    #[test]
    fn a_rule_that_never_decides_is_a_warning_at_its_line() {
        let policy = r#"<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p"
RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides"><Target/>
<Rule RuleId="r" Effect="Deny"><Target><AnyOf><AllOf>
<Match MatchId="urn:oasis:names:tc:xacml:1.0:function:string-equal">
<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">book</AttributeValue>
<AttributeDesignator AttributeId="urn:altinn:resource" Category="urn:oasis:names:tc:xacml:3.0:attribute-category:resource" DataType="http://www.w3.org/2001/XMLSchema#string"/>
</Match></AllOf></AnyOf></Target><Condition>
<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">x</AttributeValue>
</Condition><ObligationExpressions/></Rule></Policy>"#;
        let files = Files::memory([("r/a.xml", policy)]);
        let mut diagnostics = Diagnostics::new();
        let store = load_policies(&files, Path::new("r"), &Origin::Nowhere, &mut diagnostics);
        assert!(store.is_some() && !diagnostics.has_errors());
        let found: Vec<_> =
            diagnostics.sorted().iter().map(|it| format!("{} {}", it.code, it.origin)).collect();
        assert_eq!(found, ["policy-note r/a.xml:3:1", "policy-warning r/a.xml:8:1"]);
    }
}
