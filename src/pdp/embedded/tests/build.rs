//! What is refused when a directory or a policy store is built, and where the fault is said to be.

use super::super::limits::MAX_NESTED;
use super::super::*;
use super::fixture::*;

fn faults(change: impl FnOnce(&mut DirectoryParts)) -> Vec<DirectoryFault> {
    let mut parts = parts();
    change(&mut parts);
    Directory::build(parts).map(|directory| format!("{directory:?}")).unwrap_err()
}

#[test]
fn the_shipped_directory_has_no_fault_no_note_and_no_unknown_resource() {
    let directory = Directory::build(parts()).unwrap();
    assert_eq!(directory.notes(), []);
    assert_eq!(directory.unknown_resources(&policies()), []);
    assert_eq!(directory.system_users().count(), 10);
    assert_eq!(directory.clients().count(), 4);
}

#[test]
fn every_kind_of_fault_is_found_at_its_place() {
    type Change = fn(&mut DirectoryParts);
    let cases: &[(&str, Change)] = &[
        ("parties[0].organization", |p| p.parties[0].organization = Some("314330898".into())),
        ("parties[14]", |p| p.parties.push(p.parties[0].clone())),
        ("parties[14]", |p| p.parties.push(PartyPart::default())),
        ("parties[11].person", |p| p.parties[11].person = Some(PersonText("1".into()))),
        ("parties[4].parent", |p| p.parties[4].parent = Some("312500108".into())),
        ("parties[3].parent", |p| p.parties[3].parent = Some(SUBUNIT.into())),
        ("parties[11].parent", |p| p.parties[11].parent = Some(SUBUNIT.into())),
        ("parties[0].type", |p| p.parties[0].organization_type = Some("as".into())),
        ("parties[0].party_uuid", |p| p.parties[0].party_uuid = Some("x".into())),
        ("parties[3].party_id", |p| p.parties[3].party_id = Some("51235100".into())),
        ("parties[0].name", |p| p.parties[0].name = Some("a\nb".into())),
        ("roles[0].client", |p| p.roles[0].client = Some("312500108".into())),
        ("roles[0].provider", |p| p.roles[0].provider = Some("312500108".into())),
        ("roles[5].person", |p| p.roles[5].person = Some(PersonText("01890012345".into()))),
        ("roles[0]", |p| p.roles[0].provider = None),
        ("roles[0].role", |p| p.roles[0].role = Some("Revisor".into())),
        ("roles[7]", |p| p.roles.push(p.roles[0].clone())),
        ("role_packages[0].role", |p| {
            p.role_packages = vec![RolePackagesPart { role: "X".into(), ..Default::default() }];
        }),
        ("roles[0]", |p| p.roles[0].client = None),
        ("roles[0]", |p| p.roles[0].client_person = Some(PersonText("15877012345".into()))),
        ("roles[0]", |p| p.roles[0].role = None),
        ("roles[0]", |p| p.roles[0].codes = vec!["DAGL".into()]),
        ("delegations[0].from", |p| p.delegations[0].from = Some("312500108".into())),
        ("delegations[0].packages[0]", |p| p.delegations[0].packages[0] = "Skatt".into()),
        ("delegations[0].packages[1]", |p| p.delegations[0].packages.push("skattegrunnlag".into())),
        ("delegations[0].packages", |p| {
            p.delegations[0].packages = vec!["ansvarlig-revisor".into()];
        }),
        ("delegations[0]", |p| p.delegations[0].packages.clear()),
        ("delegations[0]", |p| p.delegations[0].to = Some(CLIENT_C.into())),
        ("delegations[2]", |p| p.delegations.push(p.delegations[0].clone())),
        ("system_users[0].id", |p| p.system_users[0].id = "x".into()),
        ("system_users[0].kind", |p| p.system_users[0].kind = "Agent".into()),
        ("system_users[0].owner", |p| p.system_users[0].owner = "312500108".into()),
        ("system_users[0].vendor", |p| p.system_users[0].vendor = "312500108".into()),
        ("system_users[0].system_id", |p| p.system_users[0].system_id = "a b".into()),
        ("system_users[0].external_ref", |p| p.system_users[0].external_ref = Some(String::new())),
        ("system_users[0].client_ids[0]", |p| p.system_users[0].client_ids[0] = "x".into()),
        // A token with this consumer and this system user cannot be issued (scenario 9).
        ("system_users[6].client_ids[0]", |p| {
            p.system_users[6].client_ids[0] = "smartcloud".into();
        }),
        ("system_users[1]", |p| p.system_users[1].external_ref = Some("regnskap".into())),
        ("system_users[1].id", |p| p.system_users[1].id = REGN.into()),
        ("system_users[0].rights", |p| p.system_users[0].rights = p.system_users[4].rights.clone()),
        ("system_users[0].packages", |p| p.system_users[0].packages = vec!["a-ordning".into()]),
        ("system_users[4].clients", |p| {
            p.system_users[4].clients = p.system_users[0].clients.clone();
        }),
        ("system_users[5].packages", |p| {
            p.system_users[5].packages = vec!["revisormedarbeider".into()];
        }),
        ("system_users[4].rights[0].resource", |p| {
            p.system_users[4].rights[0].resource = "a b".into();
        }),
        ("system_users[4].rights[0].actions", |p| p.system_users[4].rights[0].actions.clear()),
        ("system_users[4].rights[1]", |p| {
            p.system_users[4].rights[1].resource = "ske-mva-melding".into();
        }),
        ("system_users[0].clients[0].client", |p| {
            p.system_users[0].clients[0].client = "312500108".into();
        }),
        ("system_users[0].clients[0].packages", |p| p.system_users[0].clients[0].packages.clear()),
        ("system_users[0].clients[1].client", |p| {
            let client = p.system_users[0].clients[0].clone();
            p.system_users[0].clients.push(client);
        }),
        ("system_users[0].client_ids", |p| {
            p.system_users[0].client_ids = vec!["smartcloud".into(); MAX_NESTED + 1];
        }),
        ("resources[0].access_list", |p| p.resources[0].access_list = Some("on".into())),
        ("resources[0].access_list", |p| p.resources[0].id = "app_skd_mva".into()),
        ("resources[1].id", |p| p.resources.push(p.resources[0].clone())),
        ("access_lists[0].members[1]", |p| p.access_lists[0].members.push("312500108".into())),
        ("access_lists[0].members[1]", |p| p.access_lists[0].members.push(OWN_DATA.into())),
        ("access_lists[1].id", |p| p.access_lists.push(p.access_lists[0].clone())),
        ("access_lists[0].resources[0].actions", |p| {
            p.access_lists[0].resources[0].actions = Some(Vec::new());
        }),
        ("clients[0].organization", |p| p.clients[0].organization = "312500108".into()),
        ("clients[4].id", |p| p.clients.push(p.clients[0].clone())),
        ("clients[0].scopes[0]", |p| p.clients[0].scopes[0] = "a b".into()),
    ];
    for (path, change) in cases {
        let found = faults(change);
        let paths: Vec<_> = found.iter().map(|fault| fault.path.as_str()).collect();
        assert!(paths.contains(path), "expected {path}, found {found:?}");
        assert!(found.iter().all(|fault| !fault.message.is_empty() && !fault.help.is_empty()));
    }
}

#[test]
fn all_faults_come_at_once_and_no_person_is_named() {
    let found = faults(|parts| {
        parts.roles[0].role = Some("X".into());
        parts.clients[0].scopes[0] = "a b".into();
        parts.roles[5].person = Some(PersonText("01890012345".into()));
        parts.parties.push(parts.parties[11].clone());
    });
    assert_eq!(found.len(), 5);
    for fault in found {
        let text = format!("{fault} {fault:?}");
        assert!(!text.contains("01890012345") && !text.contains("15877012345"), "{text}");
    }
    assert!(!format!("{:?}", parts()).contains("15877012345"));
}

#[test]
fn the_file_replaces_and_adds_the_packages_of_roles() {
    let mut parts = parts();
    parts.role_packages = vec![
        RolePackagesPart {
            role: "revisor".into(),
            packages: vec!["skattegrunnlag".into()],
            client_types: vec!["AS".into()],
        },
        RolePackagesPart {
            role: "kontaktperson".into(),
            packages: vec!["merverdiavgift".into()],
            client_types: vec![],
        },
    ];
    parts.roles.push(RolePart {
        client: Some(STRANGER.into()),
        role: Some("kontaktperson".into()),
        provider: Some(FIRM.into()),
        ..RolePart::default()
    });
    let directory = Directory::build(parts).unwrap();
    let given = |client| {
        let packages = directory.packages_given(number(client), key(FIRM));
        packages.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(given(CLIENT_B), ["skattegrunnlag"]);
    assert_eq!(given(STRANGER), ["merverdiavgift"]);
    assert_eq!(given(HOUSING), ["forretningsforer-eiendom"]);
}

#[test]
fn a_right_to_a_resource_without_a_policy_is_pointed_out() {
    let mut parts = parts();
    parts.system_users[4].rights[0].resource = "ske-ukjent".into();
    let found = Directory::build(parts).unwrap().unknown_resources(&policies());
    let paths: Vec<_> = found.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["system_users[4].rights[0].resource"]);
}

#[test]
fn a_policy_file_is_refused_with_its_name_and_place() {
    let good = include_str!("../../../../policies/resources/ske-mva-melding.xml");
    let nowhere = good.replace("urn:altinn:resource", "urn:altinn:task");
    let odd = good.replace(">ske-mva-melding<", ">a b<");
    for (files, expected) in [
        (vec![("a.xml", "")], "a.xml"),
        (vec![("a.xml", good), ("b.xml", "<x/>")], "b.xml"),
        (vec![("a.xml", good), ("b.xml", good)], "b.xml"),
        (vec![("b.xml", good), ("a.xml", nowhere.as_str())], "a.xml"),
        (vec![("a.xml", odd.as_str())], "a.xml"),
    ] {
        let files = files.into_iter().map(|(name, text)| (name.to_owned(), text));
        let found = PolicyStore::build(files).unwrap_err();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].file, expected);
        assert!(found[0].line >= 1 && found[0].column >= 1 && !found[0].help.is_empty());
    }
    let broken = PolicyStore::build([("a.xml".to_owned(), "<x/>"), ("b.xml".to_owned(), "<y/>")]);
    assert_eq!(broken.unwrap_err().len(), 2);
}

#[test]
fn the_fingerprint_follows_the_content_and_not_the_order() {
    let good = include_str!("../../../../policies/resources/ske-mva-melding.xml");
    let other = include_str!("../../../../policies/resources/ske-boligselskap.xml");
    let print = |files: [(&str, &str); 2]| {
        let files = files.map(|(name, text)| (name.to_owned(), text));
        PolicyStore::build(files).unwrap().fingerprint().to_owned()
    };
    let first = print([("a", good), ("b", other)]);
    assert_eq!(first, print([("b", other), ("a", good)]));
    assert_ne!(first, print([("a", &good.replace(">3<", ">4<")), ("b", other)]));
}
