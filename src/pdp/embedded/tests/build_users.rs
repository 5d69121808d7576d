//! What is refused of users, instances and delegations in Altinn's form, and where the fault is said to
//! be.

use super::super::*;
use super::fixture::{CLIENT_A, CLIENT_B, FIRM, REGN, policies};
use super::world;

fn at(parts: &mut DirectoryParts, change: impl FnOnce(&mut RolePart)) {
    parts.roles.push(world::role(CLIENT_A, &["DAGL"], world::ANNA));
    change(parts.roles.last_mut().unwrap());
}

fn given(parts: &mut DirectoryParts, change: impl FnOnce(&mut RightPart)) {
    let mut right = world::right(world::FORM, "write");
    right.instance = Some(world::FIRST.into());
    change(&mut right);
    parts.delegations.push(world::to_person(CLIENT_A, world::ANNA, vec![right]));
}

fn stored(parts: &mut DirectoryParts, change: impl FnOnce(&mut DelegationPolicyPart)) {
    let about = &[(world::RESOURCE, world::REGISTER)][..];
    let document = world::policy(&[((world::USER, world::ANNA.1), about, "write")]);
    let mut part = world::stored(world::REGISTER, document);
    part.person = Some(PersonText(world::ANNA.0.into()));
    change(&mut part);
    parts.delegation_policies.push(part);
}

type Change = fn(&mut DirectoryParts);

/// Where the fault is, and what makes it; the first have none.
const CASES: &[(&str, Change)] = &[
    ("", |_| {}),
    ("", |p| at(p, |_| {})),
    ("", |p| given(p, |_| {})),
    ("", |p| stored(p, |_| {})),
    ("parties[5].user_id", |p| p.parties[5].user_id = Some("0".into())),
    ("parties[6].user_id", |p| p.parties[6].user_id = Some(world::ANNA.1.into())),
    ("parties[0].user_id", |p| p.parties[0].user_id = Some("1".into())),
    ("roles[0].client", |p| at(p, |one| one.client = Some("312500108".into()))),
    ("roles[0].client_person", |p| {
        at(p, |one| (one.client, one.client_person) = (None, Some(PersonText("1".into()))));
    }),
    ("roles[0].codes", |p| {
        at(p, |one| (one.person, one.provider) = (None, Some(FIRM.into())));
    }),
    ("roles[0].codes[0]", |p| at(p, |one| one.codes = vec!["DAG L".into()])),
    ("roles[0].codes[1]", |p| at(p, |one| one.codes = vec!["DAGL".into(), "dagl".into()])),
    ("roles[1]", |p| {
        at(p, |_| {});
        at(p, |one| one.codes = vec!["MEDL".into(), "Dagl".into()]);
    }),
    ("roles[0].role", |p| {
        at(p, |one| {
            one.codes.clear();
            one.role = Some("daglig-leder".into());
            (one.client, one.client_person) = (None, Some(PersonText(world::DECEASED.0.into())));
        });
    }),
    ("roles[0].estate_role", |p| {
        at(p, |one| {
            one.codes.clear();
            one.estate_role = Some("urn:digitaltdodsbo:formuesfullmakt".into());
        });
    }),
    ("roles[0].estate_role", |p| {
        at(p, |one| {
            one.codes.clear();
            one.estate_role = Some("with a space".into());
            (one.client, one.client_person) = (None, Some(PersonText(world::DECEASED.0.into())));
        });
    }),
    ("instances[0].id", |p| p.instances[0].id = "1001".into()),
    ("instances[0].id", |p| p.instances[0].id = format!("9999/{}", world::FIRST)),
    ("instances[0].id", |p| p.instances[0].id = "1001/x".into()),
    ("instances[1].id", |p| p.instances[1].id = format!("1003/{}", world::FIRST)),
    ("instances[0].resource", |p| p.instances[0].resource = world::REGISTER.into()),
    ("instances[0].resource", |p| p.instances[0].resource = "app_ttd_skjema_x".into()),
    ("instances[0]", |p| p.instances[0].end_event = Some("End".into())),
    ("instances[0].task", |p| p.instances[0].task = Some(String::new())),
    ("delegations[0].from_person", |p| {
        given(p, |_| {});
        p.delegations[0].from = None;
        p.delegations[0].from_person = Some(PersonText("01890012345".into()));
    }),
    ("delegations[0]", |p| {
        given(p, |_| {});
        p.delegations[0].from_person = Some(PersonText(world::BO.0.into()));
    }),
    ("delegations[0].rights[0].instance", |p| {
        given(p, |one| one.instance = Some("x".into()));
    }),
    ("delegations[0].rights[0].instance", |p| {
        given(p, |one| one.instance = Some(world::OTHERS.into()));
    }),
    ("delegations[0].rights[0].instance", |p| {
        given(p, |one| one.resource = "app_ttd_annet".into());
    }),
    ("delegations[0].rights[0].instance", |p| {
        given(p, |one| one.instance = Some("00000009-0000-4000-8000-000000000009".into()));
    }),
    ("delegations[0].rights[0].task", |p| given(p, |one| one.task = Some("a\nb".into()))),
    ("delegations[0].rights[1]", |p| {
        given(p, |_| {});
        let right = p.delegations[0].rights[0].clone();
        p.delegations[0].rights.push(right);
    }),
    ("system_users[0].rights[0].instance", |p| {
        let instance = Some(world::OTHERS.into());
        let right = RightPart { instance, ..world::right(world::FORM, "write") };
        p.system_users[0].rights = vec![right];
    }),
    ("delegation_policies[0].from", |p| stored(p, |one| one.from = Some("312500108".into()))),
    ("delegation_policies[0]", |p| stored(p, |one| one.from = None)),
    ("delegation_policies[0].person", |p| {
        stored(p, |one| one.person = Some(PersonText("01890012345".into())));
    }),
    ("delegation_policies[0]", |p| stored(p, |one| one.to = Some(FIRM.into()))),
    ("delegation_policies[0]", |p| stored(p, |one| one.person = None)),
    ("delegation_policies[0]", |p| {
        stored(p, |one| (one.person, one.to) = (None, Some(CLIENT_A.into())));
    }),
    ("delegation_policies[0]", |p| {
        stored(p, |one| one.system_user = Some(world::OWN_SYSTEM.into()));
    }),
    ("delegation_policies[0].system_user", |p| {
        stored(p, |one| (one.person, one.system_user) = (None, Some(REGN.into())));
    }),
    // An agent acts for clients by packages, a standard one for its owner alone.
    ("delegation_policies[0].system_user", |p| {
        stored(p, |one| (one.person, one.system_user) = (None, Some(world::AGENT.into())));
        p.delegation_policies[0].from = Some(FIRM.into());
    }),
    ("delegation_policies[0].system_user", |p| {
        stored(p, |one| (one.person, one.system_user) = (None, Some(world::OWN_SYSTEM.into())));
        p.delegation_policies[0].from = Some(CLIENT_B.into());
    }),
    ("delegation_policies[0].resource", |p| stored(p, |one| one.resource = "a b".into())),
    ("delegation_policies[0].file", |p| stored(p, |one| one.resource = "ttd-other".into())),
    ("delegation_policies[0].file", |p| stored(p, |one| one.resource = world::FORM.into())),
    ("delegation_policies[0].file", |p| stored(p, |one| one.document = b"<x/>".to_vec())),
    ("delegation_policies[0].instance", |p| stored(p, |one| one.instance = Some("x".into()))),
    ("delegation_policies[0].file", |p| {
        stored(p, |one| {
            let about =
                &[(world::RESOURCE, world::REGISTER), (world::RESOURCE_INSTANCE, world::FIRST)][..];
            let rule = ((world::USER, world::ANNA.1), about, "write");
            one.document = world::policy(&[rule]).into_bytes();
            one.instance = Some(world::SECOND.into());
        });
    }),
    ("delegation_policies[0].file", |p| {
        stored(p, |one| {
            let about =
                &[(world::RESOURCE, world::REGISTER), (world::RESOURCE_INSTANCE, world::FIRST)][..];
            let rule = ((world::USER, world::ANNA.1), about, "write");
            one.document = world::policy(&[rule]).into_bytes();
        });
    }),
    ("delegation_policies[1]", |p| {
        stored(p, |_| {});
        stored(p, |_| {});
    }),
    ("access_lists[1].id", |p| {
        for id in ["ttd:liste", "urn:altinn:access-list:ttd:liste"] {
            p.access_lists.push(AccessListPart { id: id.into(), ..Default::default() });
        }
    }),
];

#[test]
fn every_kind_of_fault_is_found_at_its_place_and_nowhere_else() {
    for (path, change) in CASES {
        let mut parts = world::parts();
        change(&mut parts);
        let found = Directory::build(parts).err().unwrap_or_default();
        let paths: Vec<_> = found.iter().map(|fault| fault.path.as_str()).collect();
        let as_expected = if path.is_empty() { paths.is_empty() } else { paths == [*path] };
        assert!(as_expected, "expected {path}, found {found:?}");
        assert!(found.iter().all(|fault| !fault.message.is_empty() && !fault.help.is_empty()));
    }
}

#[test]
fn a_delegation_policy_that_cannot_be_read_is_refused_with_its_file_and_place() {
    let mut parts = world::parts();
    parts.delegation_policies = vec![DelegationPolicyPart {
        to: Some(FIRM.into()),
        ..world::stored(world::REGISTER, "<Policy>\n<x/></Policy>".into())
    }];
    let found = Directory::build(parts).map(|directory| format!("{directory:?}")).unwrap_err();
    let starts: Vec<_> =
        found.iter().map(|one| one.message.starts_with("delegated.xml:")).collect();
    assert_eq!(starts, [true], "{found:?}");
}

#[test]
fn a_delegation_policy_that_names_another_receiver_is_pointed_out() {
    let about = &[(world::RESOURCE, world::REGISTER)][..];
    let document = world::policy(&[((world::USER, world::ANNA.1), about, "write")]);
    let mut parts = world::parts();
    parts.delegation_policies = vec![DelegationPolicyPart {
        to: Some(FIRM.into()),
        ..world::stored(world::REGISTER, document)
    }];
    let directory = Directory::build(parts).unwrap();
    let paths: Vec<_> = directory.notes().iter().map(|note| note.path.as_str()).collect();
    assert_eq!(paths, ["delegation_policies[0].file"]);
}

#[test]
fn the_resource_of_an_instance_or_a_delegation_policy_without_a_policy_is_pointed_out() {
    let mut parts = world::parts();
    parts.instances.truncate(1);
    let about = &[(world::RESOURCE, world::REGISTER)][..];
    let document = world::policy(&[((world::PARTY_ID, world::ID_FIRM), about, "write")]);
    parts.delegation_policies = vec![DelegationPolicyPart {
        to: Some(FIRM.into()),
        ..world::stored(world::REGISTER, document)
    }];
    let found = Directory::build(parts).unwrap().unknown_resources(&policies());
    let paths: Vec<_> = found.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["instances[0].resource", "delegation_policies[0].resource"]);
}
