use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value as Json;

use super::super::diagnostic::Colour;
use super::super::schemas::DIRECTORY as SCHEMA;
use super::super::schemas::tests::walk::{Table, tables};
use super::*;
use crate::domain::OrganizationNumber;
use crate::pdp::embedded::{ClientKey, DirectoryParts, PersonText};

const PAGE: &str = include_str!("../../../docs/DIRECTORY.md");
const POLICY: &str = include_str!("../../../policies/resources/ske-mva-melding.xml");

fn loaded(text: &str) -> (Option<Directory>, Vec<String>) {
    let files = Files::memory([("d.yaml", text.to_owned())]);
    loaded_from(&files, "d.yaml")
}

fn loaded_from(files: &Files, path: &str) -> (Option<Directory>, Vec<String>) {
    let mut diagnostics = Diagnostics::new();
    let path = Path::new(path);
    let directory = load_directory(files, path, CheckDigits::Strict, None, &mut diagnostics);
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
            &format!("{party}clients: [{{ id: a, organization: '314330898', key: generated }}]"),
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

/// The findings of reading shapes alone, and what was read.
fn read(files: &Files, path: &str) -> (DirectoryParts, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let root = positions::read_within(files, Path::new(path), BOUNDS, &mut diagnostics).unwrap();
    let parts = read_table(&root, &mut diagnostics, |table| {
        Some(keys::parts(table, CheckDigits::Strict, files))
    });
    (parts.unwrap(), diagnostics)
}

#[test]
fn every_key_is_read() {
    let person = "15877012345";
    let text = format!(
        "\
parties: [{{ person: '{person}', user_id: '20001337' }}]
roles:
  - {{ client_person: '{person}', codes: [PRIV], person: '{person}' }}
  - {{ client: a, estate_role: formuesfullmakt, provider: b }}
delegations:
  - from_person: '{person}'
    to: a
    rights: [{{ resource: app_a_b, actions: [read], instance: i, task: t }}]
delegation_policies:
  - {{ from_person: '{person}', system_user: s, resource: app_a_b, instance: i, file: x/p.xml }}
  - {{ from: a, person: '{person}', resource: app_a_b, file: ../p.xml }}
instances: [{{ id: 1/i, resource: app_a_b, task: t, end_event: e }}]
"
    );
    let files = Files::memory([
        ("a/d.yaml", text),
        ("a/x/p.xml", POLICY.to_owned()),
        ("p.xml", POLICY.to_owned()),
    ]);
    let (parts, diagnostics) = read(&files, "a/d.yaml");
    assert!(diagnostics.is_empty(), "{}", diagnostics.to_json_lines());
    let secret = PersonText(person.to_owned());
    let secret = Some(&secret);
    assert_eq!(parts.parties[0].user_id.as_deref(), Some("20001337"));
    assert_eq!(parts.roles[0].client_person.as_ref(), secret);
    assert_eq!((&parts.roles[0].client, &parts.roles[0].role), (&None, &None));
    assert_eq!(parts.roles[0].codes, ["PRIV"]);
    assert_eq!(parts.roles[1].estate_role.as_deref(), Some("formuesfullmakt"));
    assert_eq!(
        (&parts.delegations[0].from, parts.delegations[0].from_person.as_ref()),
        (&None, secret)
    );
    let right = &parts.delegations[0].rights[0];
    assert_eq!((right.instance.as_deref(), right.task.as_deref()), (Some("i"), Some("t")));
    let [first, second] = &parts.delegation_policies[..] else { panic!() };
    assert_eq!((first.from_person.as_ref(), first.system_user.as_deref()), (secret, Some("s")));
    assert_eq!((&*first.resource, first.instance.as_deref()), ("app_a_b", Some("i")));
    assert_eq!((&*first.file, &*first.document), ("a/x/p.xml", POLICY.as_bytes()));
    assert_eq!((second.from.as_deref(), second.person.as_ref()), (Some("a"), secret));
    assert_eq!((&*second.file, &*second.document), ("a/../p.xml", POLICY.as_bytes()));
    let instance = &parts.instances[0];
    assert_eq!((&*instance.id, &*instance.resource), ("1/i", "app_a_b"));
    assert_eq!((instance.task.as_deref(), instance.end_event.as_deref()), (Some("t"), Some("e")));
}

#[test]
fn a_fault_of_a_delegation_policy_is_found_in_that_policy() {
    let line = POLICY.lines().position(|line| line.contains("string-equal")).unwrap() + 1;
    let cases = [
        ("{ resource: abcd, file: p.xml }", &*format!("invalid-policy a/p.xml:{line}:")),
        ("{ resource: abcd, file: q.xml }", "unreadable-file a/d.yaml:1:48"),
        ("{ resource: abcd }", "missing-key a/d.yaml:1:24"),
        ("{ resource: abcd, file: '' }", "invalid-value a/d.yaml:1:48"),
    ];
    for (entry, expected) in cases {
        let text = format!("delegation_policies: [ {entry} ]\n");
        let policy = POLICY.replacen("string-equal", "string-alike", 1);
        let files = Files::memory([("a/d.yaml", text), ("a/p.xml", policy)]);
        let (directory, found) = loaded_from(&files, "a/d.yaml");
        assert!(directory.is_none());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{entry}: {found:?}");
    }
}

#[test]
fn no_person_number_is_shown_wherever_it_is_written() {
    for entry in [
        "{ person: '15877012345', nam: A }",
        "{ organization: '15877012345' }",
        "{ organization: '314330897', parent: '15877012345' }",
        "{ organization: '314330897', user_id: '15877012345', party_id: 'x15877012345' }",
    ] {
        let files = Files::memory([("d.yaml", format!("parties: [{entry}]\n"))]);
        let mut diagnostics = Diagnostics::new();
        let path = Path::new("d.yaml");
        let directory = load_directory(&files, path, CheckDigits::Strict, None, &mut diagnostics);
        assert!(directory.is_none());
        for shown in [diagnostics.to_human(Colour::Plain), diagnostics.to_json_lines()] {
            assert!(!shown.contains("15877012345"), "{shown}");
        }
    }
}

#[test]
fn of_a_file_that_is_no_policy_at_all_nothing_is_shown() {
    let text = "delegation_policies: [{ resource: abcd, file: p.xml }]\n";
    for document in ["hemmelig", " \n\u{FEFF}hemmelig", "{\"d\": \"hemmelig\"}", "\u{FEFF}hemmelig"]
    {
        let files = Files::memory([("a/d.yaml", text), ("a/p.xml", document)]);
        let mut diagnostics = Diagnostics::new();
        let path = Path::new("a/d.yaml");
        let directory = load_directory(&files, path, CheckDigits::Strict, None, &mut diagnostics);
        assert!(directory.is_none());
        let shown = diagnostics.to_human(Colour::Plain);
        assert!(shown.contains("a/p.xml") && !shown.contains("hemmelig"), "{shown}");
    }
}

#[test]
fn what_no_policy_is_about_is_found_where_it_stands_first() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let shipped = std::fs::read_to_string(folder.join("directory.yaml")).unwrap();
    let mut diagnostics = Diagnostics::new();
    let resources = folder.join("resources");
    let store = load_policies(&Files::Disk, &resources, &Origin::Nowhere, &mut diagnostics);
    for (code, from, to, place) in [
        (
            "unknown-package",
            "packages: [skattegrunnlag] }\n  - { from",
            "packages: [skattegrunlag] }\n  - { from",
            "delegations[0]",
        ),
        (
            "unknown-package",
            "    packages: [merverdiavgift]",
            "    packages: [merverdiavgit]",
            "[5]",
        ),
        (
            "unknown-package",
            "{ client: \"311127845\", packages: [",
            "{ client: \"311127845\", packages: [revisor, ",
            "clients[0]",
        ),
        (
            "unknown-action",
            "{ resource: ske-mva-melding, actions: [read, write] }",
            "{ resource: ske-mva-melding, actions: [read, wirte] }",
            "[4].rights[0]",
        ),
        (
            "unknown-action",
            "packages: [skattegrunnlag] }\n  - { from",
            "rights: [{ resource: ske-mva-melding, actions: [sign] }] }\n  - { from",
            "delegations[0]",
        ),
        (
            "unknown-resource",
            "{ resource: ske-mva-melding, actions: [read, write] }",
            "{ resource: ske-mva-meldin, actions: [read, write] }",
            "[4].rights[0]",
        ),
    ] {
        let text = shipped.replacen(from, to, 1);
        assert_ne!(text, shipped, "{place}");
        let written = text.lines().zip(shipped.lines()).position(|(one, other)| one != other);
        let files = Files::memory([("d.yaml", text)]);
        let mut diagnostics = Diagnostics::new();
        let path = Path::new("d.yaml");
        let lenient = CheckDigits::Lenient;
        load_directory(&files, path, lenient, store.as_ref(), &mut diagnostics).unwrap();
        let found: Vec<_> = diagnostics.iter().filter(|it| it.code == code).collect();
        let [found] = found[..] else { panic!("{place}: {}", diagnostics.to_json_lines()) };
        let line = format!("d.yaml:{}:", written.unwrap() + 1);
        assert!(found.origin.to_string().starts_with(&line), "{place}: {}", found.origin);
        assert!(found.help.is_some());
    }
}

#[test]
fn a_directory_may_be_larger_than_what_people_write() {
    let count = 20_000_u32;
    let mut text = String::from("parties:\n");
    let numbers: Vec<String> = (31_000_000..)
        .flat_map(|eight| (0..10).map(move |digit| format!("{eight}{digit}")))
        .filter(|text| OrganizationNumber::parse(text, CheckDigits::Strict).is_ok())
        .take(count as usize + 1)
        .collect();
    for number in &numbers {
        writeln!(text, "  - {{ organization: \"{number}\", name: Bedrift {number} AS }}").unwrap();
    }
    text.push_str("delegations:\n");
    for number in &numbers[1..] {
        let to = &numbers[0];
        writeln!(text, "  - {{ from: \"{number}\", to: \"{to}\", packages: [a-ordning] }}")
            .unwrap();
    }
    assert!(text.len() > positions::MAX_DOCUMENT_BYTES);
    let (directory, found) = loaded(&text);
    assert_eq!(found, [""; 0]);
    assert!(directory.is_some());
    // The last line is still known by its place.
    let (_, found) = loaded(&text.replace(&format!("from: \"{}\"", numbers[20_000]), "from: x"));
    assert_eq!(found, ["invalid-directory d.yaml:40003:7"]);
}

fn schema() -> Json {
    serde_json::from_str(SCHEMA).unwrap()
}

/// Every table whose keys the schema knows.
fn described() -> Vec<Table> {
    tables(&schema(), |_, _, _| Vec::new())
}

#[test]
fn the_schema_and_the_reader_know_the_same_keys() {
    let described = described();
    assert_eq!(described.len(), 16, "the file, and each kind of entry");
    for Table { path, around: (before, after), keys } in described {
        let text = format!("{before}a_key_that_nothing_knows: 1{after}");
        let files = Files::memory([("d.yaml", text)]);
        let (_, diagnostics) = read(&files, "d.yaml");
        let unknown: Vec<_> =
            diagnostics.iter().filter(|found| found.code == "unknown-key").collect();
        let [unknown] = unknown[..] else { panic!("{path}: {}", diagnostics.to_json_lines()) };
        let help = unknown.help.as_deref().unwrap();
        let (_, known) = help.split_once("known here: ").unwrap();
        let known: BTreeSet<String> =
            known.split(", ").map(|word| word.trim_matches('`').to_owned()).collect();
        assert_eq!(known, keys, "{path}");
    }
}

#[test]
fn the_page_names_the_keys_of_the_schema() {
    let expected: BTreeMap<String, BTreeSet<String>> = described()
        .into_iter()
        .filter(|it| !it.path.is_empty())
        .map(|it| (it.path, it.keys))
        .collect();
    let mut written = BTreeMap::<String, BTreeSet<String>>::new();
    let mut here: Vec<&str> = Vec::new();
    let quoted = |text: &'static str| text.split('`').skip(1).step_by(2);
    for line in PAGE.lines() {
        if let Some(heading) = line.strip_prefix("##") {
            here = quoted(heading).collect();
            assert!(here.iter().all(|path| !written.contains_key(*path)), "{line}");
        } else if let Some(row) = line.strip_prefix("| `") {
            let (key, _) = row.split_once('`').unwrap();
            for path in &here {
                written.entry((*path).to_owned()).or_default().insert(key.to_owned());
            }
        }
    }
    assert_eq!(written, expected);
    let sections: BTreeSet<String> = written
        .keys()
        .filter_map(|path| path.strip_suffix("[]"))
        .filter(|path| !path.contains('.'))
        .map(str::to_owned)
        .collect();
    assert_eq!(sections, described().pop().unwrap().keys);
}

#[test]
fn the_examples_of_the_page_are_read_without_a_word() {
    let blocks = PAGE.split("```yaml\n").skip(1);
    let text: String = blocks.map(|block| block.split("```").next().unwrap()).collect();
    let files = Files::memory([("d.yaml", text), ("delegations/mva.xml", POLICY.to_owned())]);
    let (parts, diagnostics) = read(&files, "d.yaml");
    assert!(diagnostics.is_empty(), "{}", diagnostics.to_human(Colour::Plain));
    assert!(!parts.instances.is_empty() && !parts.delegation_policies.is_empty());
}

#[test]
fn a_generated_file_is_not_told_the_same_a_thousand_times() {
    let right = "{ resource: ske-mva-melding, actions: [reed] }, { resource: ske-nothing, actions: [read] }";
    let user = |number: usize| {
        format!(
            "  - {{ id: a0000000-0000-4000-8000-{number:012}, kind: standard, owner: '314330897', \
             vendor: '314330897', system_id: x, external_ref: r{number}, rights: [{right}] }}\n"
        )
    };
    let users: Vec<String> = (1..=1000).map(user).collect();
    let parties = "parties: [{ organization: '314330897' }]\nsystem_users:\n";
    let text = parties.to_owned() + &users.concat();
    let mut diagnostics = Diagnostics::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/resources");
    let store = load_policies(&Files::Disk, &folder, &Origin::Nowhere, &mut diagnostics).unwrap();
    let files = Files::memory([("d.yaml", text)]);
    let path = Path::new("d.yaml");
    let strict = CheckDigits::Strict;
    load_directory(&files, path, strict, Some(&store), &mut diagnostics).unwrap();
    let of = |code: &str| diagnostics.iter().filter(|found| found.code == code).count();
    assert_eq!((of("unknown-action"), of("unknown-resource")), (1, 1));
}
